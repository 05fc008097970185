"""What `sentiment run` prepares; how it serves is in tests/integration."""

import signal
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from serve_app.jobs import prepare, run
from serve_app.local_cluster import ClusterError
from tests.integration.waiting import until
from tests.listening import listening


@pytest.mark.parametrize("given", ["--precision=fp32", "--revision=v1"])
def test_the_model_is_prepared_as_it_was_asked_for(
    given: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commands: list[list[str]] = []
    start = subprocess.Popen

    def started(command: list[str]) -> "subprocess.Popen[bytes]":
        commands.append(command)
        return start([sys.executable, "-c", ""])

    monkeypatch.setattr(run, "prepared_folder", lambda _: tmp_path / "out")
    monkeypatch.setattr(subprocess, "Popen", started)
    options = run._parser().parse_args(["--model=some/model", given])
    assert run._prepare(options, threading.Event()) == tmp_path / "out"
    (command,) = commands
    assert command[:4] == [sys.executable, "-m", "serve_app.cli", "prepare"]
    asked = prepare.parser().parse_args(command[4:])
    assert (asked.model, asked.output) == ("some/model", tmp_path / "out")
    assert (asked.precision, asked.revision) == (options.precision, options.revision)
    assert given.split("=")[1] in (asked.precision, asked.revision)


def test_sigterm_ends_the_preparation_too(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "prepared_folder", lambda _: tmp_path / "out")
    stopped = threading.Event()

    def stop_once_it_writes() -> None:
        until(lambda: any(path.is_dir() for path in tmp_path.iterdir()))
        stopped.set()

    stopping = threading.Thread(target=stop_once_it_writes)
    stopping.start()
    with pytest.raises(ClusterError):
        run._prepare(run._parser().parse_args([f"--model={model}"]), stopped)
    stopping.join()
    assert not [path for path in tmp_path.iterdir() if path.is_dir()], "what was half-written goes"


def test_the_model_that_was_asked_for_is_served(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SENTIMENT_MODEL", "another")
    found: dict[str, str] = {}

    def cluster(_: object, environment: dict[str, str], **__: object) -> None:
        found.update(environment)
        raise ClusterError("No further.")

    monkeypatch.setattr(run, "LocalCluster", cluster)
    with pytest.raises(ClusterError, match="No further"):
        run._serve(run._parser().parse_args([]), {}, tmp_path, False, 0.0, threading.Event())
    assert found["SENTIMENT_MODEL"] == str(tmp_path)


DEAF = """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print(flush=True)
time.sleep(60)
"""


def test_a_page_that_does_not_end_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "STOP_S", 0.1)
    with subprocess.Popen([sys.executable, "-c", DEAF], stdout=subprocess.PIPE) as page:
        assert page.stdout is not None
        page.stdout.readline()
        run._end(page)
        assert page.returncode == -signal.SIGKILL


class _NotReady(BaseHTTPRequestHandler):
    """Answers 503 twice, then 200."""

    asked = 0

    def do_GET(self) -> None:
        type(self).asked += 1
        self.send_response(503 if self.asked < 3 else 200)
        self.end_headers()
        self.wfile.write(b"no replica yet")

    def log_message(self, *_: object) -> None:
        pass


def test_what_keeps_the_service_from_being_ready_is_said(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(run, "TELL_S", 0.0)
    with listening(_NotReady) as url:
        assert run._answers(url, lambda: True)
    said = capsys.readouterr().err
    assert said.count(f"Still waiting for {url}; it says: no replica yet") == 2
