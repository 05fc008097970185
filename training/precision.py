"""Which arithmetic the training steps use."""

from contextlib import AbstractContextManager
from pathlib import Path

import torch

from training.errors import TrainingError

_CPU_INFO = Path("/proc/cpuinfo")


def choose(name: str) -> torch.dtype:
    """`auto`: bfloat16 where the processor multiplies it (over twice as fast), else float32."""
    if name == "auto":
        flags = _CPU_INFO.read_text(encoding="utf-8").split() if _CPU_INFO.exists() else []
        name = "bfloat16" if "avx512_bf16" in flags or "amx_bf16" in flags else "float32"
    if name not in ("bfloat16", "float32"):
        raise TrainingError(f"Precision is auto, bfloat16 or float32, not '{name}'.")
    return torch.bfloat16 if name == "bfloat16" else torch.float32


def autocast(dtype: torch.dtype) -> AbstractContextManager[None]:
    context: AbstractContextManager[None] = torch.autocast(
        "cpu", dtype=torch.bfloat16, enabled=dtype == torch.bfloat16
    )
    return context
