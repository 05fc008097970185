import subprocess
import sys
import threading

import pytest

from tests.ui.acting import APP
from ui.work import Work, together


def test_jobs_are_done_at_the_same_time_and_in_order() -> None:
    met = threading.Barrier(3)

    def job(number: int) -> int:
        met.wait(10)
        return number

    jobs = [lambda n=n: job(n) for n in range(3)]
    assert together("job", jobs) == [0, 1, 2]


def test_an_error_is_raised_once_all_have_ended() -> None:
    done = []

    def fails() -> None:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        together("job", [fails, lambda: done.append(1)])
    assert done == [1]


def test_work_does_not_keep_the_process_from_ending() -> None:
    script = """
import threading
from ui.work import Work, together

class Endless(Work):
    def work(self):
        together("job", [begun.set, threading.Event().wait])

begun = threading.Event()
Endless().start()
begun.wait(10)
"""
    subprocess.run([sys.executable, "-c", script], cwd=APP.parents[1], timeout=20, check=True)


def test_work_that_nobody_looks_at_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    class Idle(Work):
        def work(self) -> None:
            while not self.stopped:
                self.wait(0.01)

    monkeypatch.setattr("ui.work.ABANDONED_S", 0.0)
    left = Idle().start()
    assert left.join(10)
    assert left.cut_short == "Ended, since nobody had looked at it for 0 minutes"
    monkeypatch.setattr("ui.work.ABANDONED_S", 600.0)
    cancelled = Idle().start()
    cancelled.cancel()
    assert cancelled.join(10)
    assert cancelled.cut_short == "Cancelled"


def test_work_knows_of_other_work_meanwhile() -> None:
    class Waiting(Work):
        def __init__(self) -> None:
            super().__init__()
            self.begun, self.end = threading.Event(), threading.Event()

        def work(self) -> None:
            self.begun.set()
            self.end.wait(10)

    one, other, alone = Waiting().start(), Waiting(), Waiting()
    assert one.begun.wait(10)
    assert not one.disturbed
    other.start().end.set()
    assert other.join(10)
    assert other.disturbed
    assert one.disturbed, "it was there before"
    one.end.set()
    assert one.join(10)
    alone.start().end.set()
    assert alone.join(10)
    assert not alone.disturbed


def test_a_fault_of_ours_is_no_normal_end(caplog: pytest.LogCaptureFixture) -> None:
    class Broken(Work):
        def work(self) -> None:
            raise RuntimeError("oops")

    broken = Broken().start()
    assert broken.join(10)
    assert broken.cut_short == "Ended by a fault of the page, which its log has"
    assert "oops" in caplog.text
