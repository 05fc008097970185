"""Two ingress replicas behind HAProxy: what clients see of one that dies, and of full ones."""

import threading
from concurrent.futures import ThreadPoolExecutor

import psutil
import requests

from serve_app.api import shedding
from serve_app.api.errors import as_problem
from tests.integration.beside import Beside
from tests.integration.impatient.conftest import MAX_REQUESTS
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


def test_what_the_ingresses_have_no_room_for_is_refused_before_it_reaches_them(
    impatient: Beside,
) -> None:
    text = "a film that is " + "very " * 100 + "long"

    def ask(_: int) -> requests.Response:
        return impatient.post("/transformers/infer", {"input": text})

    with ThreadPoolExecutor(MAX_REQUESTS * 5) as pool:
        answers = list(pool.map(ask, range(MAX_REQUESTS * 10)))
    refused = [answer for answer in answers if answer.status_code == 503]
    # The ingress dates its answers, and HAProxy does not.
    early = [answer for answer in refused if "Date" not in answer.headers]
    assert early
    for answer in refused:
        refusal = shedding.overloaded("transformers", answer.headers["Retry-After"])
        assert answer.json() == as_problem(refusal)
        assert answer.headers["X-Request-Id"]
    assert {answer.status_code for answer in answers} <= {200, 503, 504}
    assert not any(shedding.ROOM in answer.headers for answer in answers)
    until(lambda: impatient.post("/transformers/infer", {"input": "Good."}).status_code == 200)
