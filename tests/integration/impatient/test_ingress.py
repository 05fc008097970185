"""Two ingress replicas behind HAProxy: what clients see of one that dies."""

import threading
from concurrent.futures import ThreadPoolExecutor

import psutil
import requests

from tests.integration.beside import Beside
from tests.integration.waiting import until

CLIENTS = 8
CLOSED = 0
"""The connection was closed without an answer."""


def test_an_ingress_that_dies_under_load_makes_no_error_of_the_proxy(impatient: Beside) -> None:
    """HAProxy asks the other one. Its reload may close a connection that was just opened, which
    is no answer and which any client may repeat; it is the only thing that is seen."""
    until(lambda: len(impatient.replicas) == 2)
    statuses: list[int] = []
    ended = threading.Event()

    def ask() -> None:
        while not ended.is_set():
            try:
                answer = impatient.post("/onnx/infer", {"input": "A lovely film."})
                statuses.append(answer.status_code)
            except requests.ConnectionError:
                statuses.append(CLOSED)

    with ThreadPoolExecutor(CLIENTS) as pool:
        jobs = [pool.submit(ask) for _ in range(CLIENTS)]
        try:
            until(lambda: len(statuses) > 40)
            psutil.Process(impatient.replicas[0].pid).kill()
            count = len(statuses)
            until(lambda: len(statuses) > count + 200)
            until(lambda: len(impatient.replicas) == 2)
            count = len(statuses)
            until(lambda: len(statuses) > count + 40)
        finally:
            ended.set()
        for job in jobs:
            job.result()
    assert set(statuses) <= {200, CLOSED}
    assert statuses.count(CLOSED) <= CLIENTS
