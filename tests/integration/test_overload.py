"""More than the service can answer: it answers what it can, and tells the rest when to return."""

import time
from concurrent.futures import Future, ThreadPoolExecutor, as_completed

import requests

from tests.integration.conftest import Service

TEXTS = ["far too many people say this film is good " + "and long " * (n % 9) for n in range(256)]


def ask(service: Service) -> requests.Response:
    return service.post("/onnx/infer", {"input": TEXTS})


def test_what_does_not_fit_is_refused_with_a_time_that_proves_true(service: Service) -> None:
    with ThreadPoolExecutor(24) as pool:  # six times what may wait
        asked = [pool.submit(ask, service) for _ in range(24)]
        first = next(a for a in map(Future.result, as_completed(asked)) if a.status_code == 503)
        time.sleep(int(first.headers["Retry-After"]))  # while those that were let in are answered
        again = service.post("/onnx/infer", {"input": "Quite good."})
        answers = [job.result() for job in asked]
    assert again.status_code == 200
    assert {answer.status_code for answer in answers} == {200, 503}
    for answer in answers:
        if answer.status_code == 503:
            assert answer.json()["type"] == "urn:sentiment:problem:overloaded"
            assert int(answer.headers["Retry-After"]) >= 1


def test_a_single_text_is_answered_beside_a_bulk_load(service: Service) -> None:
    with ThreadPoolExecutor(3) as pool:
        bulk = [pool.submit(ask, service) for _ in range(3)]
        singles = [service.post("/onnx/infer", {"input": "Quite good."}) for _ in range(10)]
        slow = max(answer.elapsed.total_seconds() for answer in singles)
        took = max(job.result().elapsed.total_seconds() for job in bulk)
    assert {answer.status_code for answer in singles} == {200}
    assert slow < took, "no single text waited for the lists"
