"""Replicas follow the texts that wait, each backend on its own; none is lost meanwhile."""

import signal
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial

import psutil
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
def load(
    service: Service | Beside, backend: str, clients: int, also: Sequence[str] = ()
) -> Iterator[list[int]]:
    """Clients that ask without pause, each a text of its own and `also`; yields the status of every
    answer."""
    statuses: list[int] = []
    ended = threading.Event()

    def ask(n: int) -> None:
        text = f"client {n} says it was good " + "and long " * (n % 7)
        url = f"{service.url}/{backend}/infer"
        with requests.Session() as kept:  # an open connection must not tie it to one replica
            while not ended.is_set():
                answer = kept.post(url, json={"input": [text] * 4 + [*also]}, timeout=60)
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


def test_replicas_that_die_and_that_hang_are_replaced(service: Service) -> None:
    """What they had in hand is answered by another one; load on one backend scales that one alone,
    and back."""
    torch = set()

    def onnx_has(replicas: int) -> bool:
        torch.add(running("TorchClassifier"))
        return running("OnnxClassifier") == replicas

    def answers_go_on(statuses: list[int]) -> None:
        count = len(statuses)
        until(lambda: len(statuses) > count + 100)

    def is_replaced(ill: psutil.Process) -> bool:
        return ill.pid not in service.replicas("OnnxClassifier") and gone(ill)

    until(lambda: running("TorchClassifier") == 1, 90)  # an earlier test may have asked much of it
    until(lambda: onnx_has(1), 90)
    with load(service, "onnx", 16) as statuses:
        until(lambda: onnx_has(2), 90)
        for fault in (signal.SIGKILL, signal.SIGSTOP):
            ill = psutil.Process(one_of(service, "OnnxClassifier"))
            ill.send_signal(fault)
            answers_go_on(statuses)
            until(partial(is_replaced, ill), 90)
            until(lambda: onnx_has(2), 90)
            answers_go_on(statuses)
    assert set(statuses) == {200}
    until(lambda: onnx_has(1), 90)
    assert torch == {1}


def one_of(service: Service, deployment: str) -> int:
    """The process of a running replica, by Serve's own list: one that is just ending is in nobody's
    care, and stays if stopped."""
    states = service.replicas(deployment)
    return next(pid for pid, state in states.items() if state == "RUNNING")
