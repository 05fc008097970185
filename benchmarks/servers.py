"""One server of the comparison: started on a free port of loopback, watched, ended as a whole."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import urljoin

import psutil

from benchmarks.catalog import Answer, Setup
from benchmarks.graphs import CACHE, Precision, graph, hub_folder
from benchmarks.peers.classifier import Given
from benchmarks.processes import MARK, Family
from benchmarks.venvs import python_of
from serve_app.local_cluster import free_port

START_S = 240.0


class ServerError(Exception):
    """It did not start, or does not answer; the message ends with the last lines of its log."""


class Server:
    """A context manager; inside, the server answers at `url`.

    Raises:
        ServerError: it could not be started.
    """

    def __init__(
        self,
        setup: Setup,
        precision: Precision,
        model: Path,
        environment: dict[str, str] | None = None,
        patience: float = START_S,
    ) -> None:
        self._setup = setup
        self._environment = environment or {}
        self._patience = patience
        self._precision = precision
        self._model = model.resolve()
        self._log = (CACHE / "logs" / f"{setup.key}-{precision}-{model.name}.log").resolve()
        port = free_port()
        self.given = Given(
            self._model,
            graph(model, precision),
            port,
            setup.workers,
            setup.threads or (os.cpu_count() or 1),
            setup.batch,
        )
        self.url = f"http://127.0.0.1:{port}{setup.path(precision)}"

    def __enter__(self) -> "Server":
        mark = uuid.uuid4().hex
        environment = {
            **os.environ,
            **self.given.environment(),
            **self._environment,
            MARK: mark,
            "PYTHONPATH": str(Path.cwd()),
            "PYTHONUNBUFFERED": "1",
            # torch's own setting holds for the thread that says it, and servers have many.
            "OMP_NUM_THREADS": str(self.given.threads),
            # Nothing may be fetched, nor counted by anybody, while it is measured.
            "HF_HUB_OFFLINE": "1",
            "BENTOML_DO_NOT_TRACK": "true",
        }
        if self._setup.key == "infinity":
            environment["BENCH_HUB_FOLDER"] = str(hub_folder(self._model, self._precision))
        if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:  # what is told to end, ends it too
            signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
        self._log.parent.mkdir(parents=True, exist_ok=True)
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [
                    python_of(self._setup.venv) if self._setup.venv else sys.executable,
                    *("-m", f"benchmarks.{self._setup.module}"),
                ],
                env=environment,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._family = Family(self._process.pid, mark)
        self.cpu = self._family.cpu
        self.memory = self._family.memory
        try:
            self._wait()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._family.end()
        self._process.wait()

    def at(self, path: str) -> str:
        """The URL of one of its other routes."""
        return urljoin(self.url, path)

    @property
    def processes(self) -> list[psutil.Process]:
        """All of its processes that live."""
        return self._family.processes

    @contextmanager
    def suspended(self) -> Iterator[None]:
        """Its processes take no CPU meanwhile, for what is measured without it in turns."""
        stopped = []
        try:
            for process in self.processes:
                with suppress(psutil.NoSuchProcess):
                    process.suspend()
                    stopped.append(process)
            yield
        finally:
            for process in stopped:
                with suppress(psutil.NoSuchProcess):
                    process.resume()

    def ask(
        self, texts: Sequence[str], timeout: float = 60.0, path: str | None = None
    ) -> list[Answer]:
        """The best label and score of each text.

        Args:
            path: another of its routes than that of the comparison.

        Raises:
            OSError: nobody listens yet, the answer is an error, or it takes too long.
        """
        request = urllib.request.Request(
            self.at(path) if path else self.url,
            self.body(texts),
            {"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=timeout) as answer:
            said: Any = json.load(answer)
        return self._setup.protocol.read(said)

    def check(self) -> None:
        """
        Raises:
            ServerError: it has ended.
        """
        if self._process.poll() is not None:
            raise ServerError(f"{self._setup.title} ended: {self._tail()}")

    def body(self, texts: Sequence[str]) -> bytes:
        """The JSON that asks for texts."""
        return json.dumps(self._setup.protocol.body(texts)).encode()

    def _wait(self) -> None:
        deadline = time.monotonic() + self._patience
        while True:
            try:
                self.ask(["Is it up?"])
                if self._setup.ready:
                    urllib.request.urlopen(self.at(self._setup.ready), timeout=60).close()
                return
            except OSError as error:
                said = error
            self.check()
            if time.monotonic() > deadline:
                raise ServerError(f"{self._setup.title} does not answer ({said}): {self._tail()}")
            time.sleep(0.1)

    def _tail(self) -> str:
        lines = self._log.read_text(encoding="utf-8", errors="replace").splitlines()
        return " | ".join(line.strip() for line in lines[-5:] if line.strip())
