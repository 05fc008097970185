"""Keeps freed memory in the process."""

import ctypes
import sys

_M_TRIM_THRESHOLD = -1
_M_MMAP_THRESHOLD = -3
_MOST = 2**31 - 1


def keep_freed_memory() -> None:
    """Steps of changing shape free and take large blocks; by default glibc hands each back to the
    system, and page faults then cost more than the arithmetic."""
    if not sys.platform.startswith("linux"):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # musl has none
    if mallopt is not None:
        mallopt(_M_TRIM_THRESHOLD, _MOST)
        mallopt(_M_MMAP_THRESHOLD, _MOST)
