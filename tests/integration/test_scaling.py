"""Replicas follow the texts that wait, each backend on its own; none is lost meanwhile."""

import gc
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from typing import Any

import psutil
import ray
import requests
from ray import serve
from ray.serve.schema import ApplicationStatusOverview

from serve_app import classifier
from serve_app.engine.batcher import Batcher
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


Described = dict[str, Any]
"""A replica, as Serve describes it."""


def dies(replica: Described) -> None:
    psutil.Process(replica["pid"]).kill()


def freezes(replica: Described) -> None:
    psutil.Process(replica["pid"]).suspend()


def has_a_model_that_hangs(replica: Described) -> None:
    """No batch of it ends any more; its process lives and answers."""

    def hang(_: object) -> None:  # travels to the replica, which does not know this module
        def never(_: object) -> Any:
            threading.Event().wait()

        gc.unfreeze()  # or what was there at the start would not be listed
        for each in gc.get_objects():
            if type(each) is Batcher:
                each._run = never
        classifier.HEALTH_DEADLINE_S = 1.0

    actor = ray.get_actor(replica["actor_name"], namespace="serve")
    ray.get(actor.__ray_call__.remote(hang), timeout=60)


def shown(service: Service) -> set[str]:
    """The replicas of the ONNX model in `/cluster`; none while one of them does not answer."""
    answer = service.get("/cluster")
    replicas = answer.json()["deployments"]["onnx"]["replicas"] if answer.ok else []
    return {replica["id"] for replica in replicas}


def well(service: Service) -> list[Described]:
    """The running ones among those, by Serve's own list: one that is just ending is in nobody's
    care, and stays if stopped."""
    known, replicas = shown(service), service.replicas("OnnxClassifier")
    return [r for r in replicas if r["state"] == "RUNNING" and r["replica_id"] in known]


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

    def is_replaced(ill: Described, process: psutil.Process) -> bool:
        others = shown(service)
        return bool(others) and ill["replica_id"] not in others and gone(process)

    until(lambda: running("TorchClassifier") == 1, 90)  # an earlier test may have asked much of it
    until(lambda: onnx_has(1), 90)
    with load(service, "onnx", 16) as statuses:
        until(lambda: onnx_has(2), 90)
        for fault in (dies, freezes, has_a_model_that_hangs):
            ill, *_ = until(partial(well, service))
            process = psutil.Process(ill["pid"])
            fault(ill)
            answers_go_on(statuses)
            until(partial(is_replaced, ill, process), 90)
            until(lambda: onnx_has(2), 90)
            answers_go_on(statuses)
    assert set(statuses) == {200}
    until(lambda: onnx_has(1), 90)
    assert torch == {1}
