"""A server's processes: counted with those that left their parent, ended with it."""

import os
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator

import psutil
import pytest

from benchmarks.processes import MARK, Family
from tests.integration.waiting import until

PROGRAM = textwrap.dedent(
    """
    import subprocess, sys, time

    def start(program):
        return subprocess.Popen([sys.executable, "-c", program])

    busy = "import time\\nend = time.process_time() + .2\\nwhile time.process_time() < end: pass\\n"
    sleep = "import time; time.sleep(60)"
    start(busy).wait()                                                          # one that ends
    start(busy + sleep)                                                         # one that stays
    start(f"import subprocess, sys; subprocess.Popen(['sleep', '60'])").wait()  # one left alone
    print("up", flush=True)
    time.sleep(60)
    """
)


@pytest.fixture
def family() -> Iterator[Family]:
    mark = f"test-{os.getpid()}"
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM],
        env={**os.environ, MARK: mark},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "up\n"
    found = Family(process.pid, mark)
    yield found
    found.end(5)
    process.wait()


def test_children_and_strays_belong_to_it_and_end_with_it(family: Family) -> None:
    members = family.processes
    assert len(members) == 3
    family.end(5)
    assert family.processes == []
    zombies = [process for process in members if process.is_running()]
    assert {process.status() for process in zombies} <= {psutil.STATUS_ZOMBIE}


def test_cpu_grows_with_what_its_children_do_and_never_falls(family: Family) -> None:
    deadline = time.monotonic() + 20
    while family.cpu() < 0.2:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    before = family.cpu()
    first, *others = family.processes
    for process in others:
        process.kill()
    until(lambda: family.processes == [first])  # a zombie is none of them
    assert family.cpu() >= before


def test_memory_is_that_of_all(family: Family) -> None:
    alone = psutil.Process(family.processes[0].pid).memory_full_info().pss
    assert family.memory() > alone


def test_other_peoples_processes_do_not_belong_to_it(family: Family) -> None:
    assert os.getpid() not in {process.pid for process in family.processes}
