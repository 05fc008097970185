"""A server's processes, all of them: their CPU time, their memory, their end."""

import contextlib
import time

import psutil

MARK = "SENTIMENT_BENCH_SERVER"
"""Environment variable by which a process is known that is no longer its parent's child: a
reloaded HAProxy is one."""

Key = tuple[int, float]


class Family:
    """The processes of one server: its first one, the children, and what bears the mark.

    Processes are remembered once seen: Ray's rename themselves and lose their mark, and what one
    has used counts on after it has ended.

    Args:
        pid: the process that was started.
        mark: the value of `MARK` in its environment.
    """

    def __init__(self, pid: int, mark: str) -> None:
        self._pid = pid
        self._mark = mark
        self._seen: dict[Key, psutil.Process] = {}
        self._cpu: dict[Key, float] = {}

    @property
    def processes(self) -> list[psutil.Process]:
        """All that live."""
        found: list[psutil.Process] = []
        with contextlib.suppress(psutil.Error):
            first = psutil.Process(self._pid)
            found += [first, *first.children(recursive=True)]
        found += [process for process in psutil.process_iter() if self._marked(process)]
        for process in found:
            self._seen.setdefault((process.pid, process.create_time()), process)
        return [process for process in self._seen.values() if _lives(process)]

    def cpu(self) -> float:
        """CPU seconds that all of them have taken so far."""
        for process in self.processes:
            with contextlib.suppress(psutil.Error):
                times = process.cpu_times()
                self._cpu[process.pid, process.create_time()] = times.user + times.system
        return sum(self._cpu.values())

    def memory(self) -> int:
        """Bytes that they hold, pages that they share counted once."""
        total = 0
        for process in self.processes:
            with contextlib.suppress(psutil.Error):
                total += process.memory_full_info().pss
        return total

    def end(self, patience: float = 30.0) -> None:
        """Ask the first process to end, wait, and kill what is left."""
        self.processes  # noqa: B018  # to know them when their parent is gone
        with contextlib.suppress(psutil.Error):
            first = psutil.Process(self._pid)
            first.terminate()
            psutil.wait_procs([first], timeout=patience)
        for process in self._left(3.0):
            with contextlib.suppress(psutil.Error):
                process.kill()
        self._left(3.0)

    def _left(self, patience: float) -> list[psutil.Process]:
        """Those that still live after so many seconds; none as soon as there is none."""
        deadline = time.monotonic() + patience
        while (left := self.processes) and time.monotonic() < deadline:
            time.sleep(0.05)
        return left

    def _marked(self, process: psutil.Process) -> bool:
        try:
            marked: bool = process.environ().get(MARK) == self._mark
        except (psutil.Error, OSError):
            return False
        return marked


def _lives(process: psutil.Process) -> bool:
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.Error:
        return False
