"""Waiting for something to become true, with a limit for when it never does."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def until(what: Callable[[], T], seconds: float = 60.0) -> T:
    """Ask again until the answer is true; the answer.

    Raises:
        AssertionError: it never was within `seconds`.
    """
    deadline = time.monotonic() + seconds
    while True:
        answer = what()
        if answer:
            return answer
        assert time.monotonic() < deadline, f"not true within {seconds:g} s: {what}"
        time.sleep(0.05)
