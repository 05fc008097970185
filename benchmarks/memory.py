"""The memory of the service's processes by what they do, sampled while something runs."""

import contextlib
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from types import TracebackType

import psutil

REPLICA = "ray::ServeReplica:sentiment:"
ROLES = {
    "ingress": f"{REPLICA}Ingress",
    "onnx": f"{REPLICA}OnnxClassifier",
    "transformers": f"{REPLICA}TorchClassifier",
    "HAProxy": "haproxy",
}
"""What a process does, by how its command line begins or the name of its program."""


def by_role(processes: Sequence[psutil.Process]) -> dict[str, list[psutil.Process]]:
    """The processes of each role that has some."""
    found: dict[str, list[psutil.Process]] = {}
    for process in processes:
        with contextlib.suppress(psutil.Error):
            command = " ".join(process.cmdline())
            for role, begin in ROLES.items():
                if command.startswith(begin) or process.name() == begin:
                    found.setdefault(role, []).append(process)
    return found


@dataclass(frozen=True)
class Sample:
    """What the processes held at one moment.

    Attributes:
        seconds: since the watch began.
        done: what `progress` said.
        mb: role -> (RSS, PSS) of its processes together, in MB.
    """

    seconds: float
    done: int
    mb: dict[str, tuple[float, float]] = field(default_factory=dict)


class Watch:
    """A context manager that samples in a thread of its own.

    Args:
        processes: by role; those that end meanwhile count as nothing.
        progress: how far the work is, such as rows answered.
        period: seconds between two samples.
    """

    def __init__(
        self,
        processes: dict[str, list[psutil.Process]],
        progress: Callable[[], int],
        period: float = 1.0,
    ) -> None:
        self._processes = processes
        self._progress = progress
        self._period = period
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.samples: list[Sample] = []

    def __enter__(self) -> "Watch":
        self._start = time.monotonic()
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._ended.set()
        self._thread.join()

    def _run(self) -> None:
        while True:
            last = self._ended.wait(0 if not self.samples else self._period)
            mb = {role: held(processes) for role, processes in self._processes.items()}
            self.samples.append(Sample(time.monotonic() - self._start, self._progress(), mb))
            if last:
                return


def held(processes: Sequence[psutil.Process]) -> tuple[float, float]:
    """RSS and PSS of processes together, in MB."""
    rss = pss = 0
    for process in processes:
        with contextlib.suppress(psutil.Error):
            memory = process.memory_full_info()
            rss, pss = rss + memory.rss, pss + memory.pss
    return rss / 1e6, pss / 1e6


def growth(samples: Sequence[Sample], role: str, warm: float = 0.2) -> tuple[float, float, float]:
    """PSS of a role in MB: once warm, the most after that, and at the end.

    What a process takes while it warms up it would take for any work; a leak goes on.

    Args:
        warm: share of the samples that count as warming up.
    """
    values = [sample.mb[role][1] for sample in samples]
    steady = values[int(len(values) * warm) :]
    return steady[0], max(steady), steady[-1]
