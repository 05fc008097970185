"""Replicas follow the texts that wait, each backend on its own; none is lost meanwhile."""

import signal
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import psutil
import pytest
import requests
from ray import serve
from ray.serve.schema import ApplicationStatusOverview

from tests.integration.beside import Beside
from tests.integration.conftest import Service
from tests.integration.waiting import until


def running(deployment: str) -> int:
    application: ApplicationStatusOverview = serve.status().applications["sentiment"]
    return int(application.deployments[deployment].replica_states.get("RUNNING", 0))


@contextmanager
def load(service: Service | Beside, backend: str, clients: int) -> Iterator[list[int]]:
    """Clients that ask without pause; yields the status of every answer."""
    statuses: list[int] = []
    ended = threading.Event()

    def ask(n: int) -> None:
        text = f"client {n} says it was good " + "and long " * (n % 7)
        url = f"{service.url}/{backend}/infer"
        with requests.Session() as kept:  # an open connection must not tie it to one replica
            while not ended.is_set():
                answer = kept.post(url, json={"input": [text] * 4}, timeout=60)
                statuses.append(answer.status_code)

    with ThreadPoolExecutor(clients) as pool:
        jobs = [pool.submit(ask, n) for n in range(clients)]
        try:
            yield statuses
        finally:
            ended.set()
        for job in jobs:
            job.result()


def gone(process: psutil.Process) -> bool:
    return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


@pytest.mark.parametrize("fault", [signal.SIGKILL, signal.SIGSTOP], ids=["dies", "hangs"])
def test_a_replica_that(service: Service, fault: signal.Signals) -> None:
    """It is replaced, and what it had in hand is answered by another one; load on one backend
    scales that one alone, and back."""
    torch = set()

    def onnx_has(replicas: int) -> bool:
        torch.add(running("TorchClassifier"))
        return running("OnnxClassifier") == replicas

    until(lambda: onnx_has(1))
    with load(service, "onnx", 16) as statuses:
        until(lambda: onnx_has(2), 90)
        # Serve's own list: a process that is just ending is in nobody's care, and stays if stopped.
        states = service.replicas("OnnxClassifier")
        ill = psutil.Process(next(pid for pid, state in states.items() if state == "RUNNING"))
        ill.send_signal(fault)
        count = len(statuses)
        until(lambda: len(statuses) > count + 100)
        until(lambda: ill.pid not in service.replicas("OnnxClassifier"), 90)
        until(lambda: gone(ill))
        until(lambda: onnx_has(2), 90)
        count = len(statuses)
        until(lambda: len(statuses) > count + 100)
    assert set(statuses) == {200}
    until(lambda: onnx_has(1), 90)
    assert torch == {1}
