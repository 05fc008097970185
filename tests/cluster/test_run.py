"""`sentiment run` as a person starts and stops it."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest
import requests

from serve_app.local_cluster import free_port
from tests.conftest import ROOT
from tests.integration.waiting import until

PROMPT = "Ctrl-C ends all of it"


class Run:
    """A running `sentiment run`, and the lines it printed."""

    def __init__(self, *options: str) -> None:
        self.ports = {name: free_port() for name in ("port", "page-port", "dashboard-port")}
        ports = [f"--{name}={port}" for name, port in self.ports.items()]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "serve_app.cli", "run", *ports, *options],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=ROOT,
            start_new_session=True,
        )
        self.lines: list[str] = []
        self.up = threading.Event()
        self.reader = threading.Thread(target=self._read)
        self.reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line)
            if PROMPT in line:
                self.up.set()
        self.up.set()

    @property
    def output(self) -> str:
        return "".join(self.lines)

    def end(self) -> int:
        code = self.process.wait(60)
        self.reader.join(10)
        return code


@pytest.fixture
def run(prepared: Path) -> Iterator[Run]:
    it = Run()
    try:
        yield it
    finally:
        if it.process.poll() is None:
            os.killpg(it.process.pid, signal.SIGKILL)


def test_run_serves_page_api_and_dashboard_and_ends_all_on_ctrl_c(run: Run) -> None:
    """What is under way is answered. SIGTERM is heard by the same handler, which Ray replaces:
    tests/integration/test_cluster.py."""
    assert run.up.wait(150), run.output
    assert run.process.poll() is None, run.output
    for path in (f":{run.ports['port']}", f":{run.ports['page-port']}"):
        assert f"http://127.0.0.1{path}" in run.output
    page = requests.get(f"http://127.0.0.1:{run.ports['page-port']}", timeout=30)
    assert page.status_code == 200
    dashboard = requests.get(f"http://127.0.0.1:{run.ports['dashboard-port']}", timeout=30)
    assert dashboard.status_code in (200, 401)
    api = f"http://127.0.0.1:{run.ports['port']}"
    answer = requests.post(f"{api}/onnx/infer", json={"input": "A lovely film."}, timeout=30)
    assert answer.json()[0]["label"] == "POSITIVE"

    texts = [f"A lovely film, number {number}. " * 20 for number in range(128)]
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(
            requests.post, f"{api}/transformers/infer", json={"input": texts}, timeout=60
        )
        time.sleep(0.5)  # what `/cluster` shows may be two seconds old
        until(lambda: waiting(api) > 0, 30)
        children = psutil.Process(run.process.pid).children(recursive=True)
        os.killpg(run.process.pid, signal.SIGINT)  # as a terminal does
        assert run.end() == 0, run.output
        answer = asked.result()
    assert answer.status_code == 200
    assert len(answer.json()) == len(texts)
    assert "certified on" in run.output, "the replicas' logs are streamed"
    assert "Stopped." in run.output
    gone, alive = psutil.wait_procs(children, timeout=10)
    assert not alive, [process.name() for process in alive]
    assert len(gone) > 10
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(("127.0.0.1", run.ports["port"]))


def waiting(url: str) -> int:
    seen = requests.get(f"{url}/cluster", timeout=30).json()["deployments"]["transformers"]
    texts: int = seen["waiting_texts"]
    return texts


def test_a_port_in_use_is_said_before_anything_starts(prepared: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        it = Run(f"--port={taken.getsockname()[1]}")
        assert it.end() == 1
    assert "(API) is in use" in it.output
    assert "Traceback" not in it.output
    assert "Starting" not in it.output


def test_a_model_that_cannot_be_prepared_ends_the_run(prepared: Path, tmp_path: Path) -> None:
    it = Run(f"--model={tmp_path}")
    assert it.end() == 1
    assert "could not be prepared" in it.output
    assert "Traceback" not in it.output
