"""More than the service can answer: it answers what it can, and tells the rest when to return."""

import json
import socket
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from datetime import UTC, datetime
from functools import partial

import pytest
import requests

from tests.integration.conftest import Service
from tests.integration.waiting import until

TEXTS = ["far too many people say this film is good " + "and long " * (n % 9) for n in range(256)]


def ask(service: Service) -> requests.Response:
    return service.post("/onnx/infer", {"input": TEXTS})


def test_what_does_not_fit_is_refused_with_a_time_that_proves_true(service: Service) -> None:
    with ThreadPoolExecutor(24) as pool:  # six times what may wait
        asked = [pool.submit(ask, service) for _ in range(24)]
        first = next(a for a in map(Future.result, as_completed(asked)) if a.status_code == 503)
        time.sleep(int(first.headers["Retry-After"]))  # while those that were let in are answered
        again = service.post("/onnx/infer", {"input": TEXTS[:9]})  # as long as is counted with them
        answers = [job.result() for job in asked]
    assert again.status_code == 200
    assert {answer.status_code for answer in answers} == {200, 503}
    for answer in answers:
        if answer.status_code == 503:
            assert answer.json()["type"] == "urn:sentiment:problem:overloaded"
            assert int(answer.headers["Retry-After"]) >= 1


def waiting(service: Service, backend: str, since: datetime) -> int | None:
    """Texts that wait, seen after a moment: `/cluster` may be two seconds old; None if it is."""
    seen = service.get("/cluster").json()
    if datetime.fromisoformat(seen["at"]) <= since:
        return None
    return int(seen["deployments"][backend]["waiting_texts"])


def idle(service: Service, backend: str, since: datetime) -> bool:
    return waiting(service, backend, since) == 0


def test_a_single_text_is_answered_beside_a_bulk_load(service: Service) -> None:
    ended = threading.Event()

    def ask_on() -> list[requests.Response]:
        answers = [ask(service)]
        while not ended.is_set():
            answers.append(ask(service))
        return answers

    with ThreadPoolExecutor(3) as pool:
        begin = datetime.now(UTC)
        jobs = [pool.submit(ask_on) for _ in range(3)]
        try:
            until(lambda: (waiting(service, "onnx", begin) or 0) > 256, 30)
            singles = [service.post("/onnx/infer", {"input": "Quite good."}) for _ in range(10)]
        finally:
            ended.set()
        bulk = [answer for job in jobs for answer in job.result()]
    slow, took = (
        max(answer.elapsed.total_seconds() for answer in some) for some in (singles, bulk)
    )
    assert {answer.status_code for answer in [*singles, *bulk]} == {200}
    assert slow < took / 2, "no single text waited for the lists"


def haproxy_cpu(service: Service) -> float:
    """CPU seconds that HAProxy has taken."""
    total = 0.0
    for process in service.cluster.processes:
        if process.name() == "haproxy":
            total += sum(process.cpu_times()[:2])
    return total


@pytest.mark.parametrize("header", ["", "X-Request-Disconnect-Disabled: ?1\r\n"])
def test_clients_that_hang_up_leave_no_work_behind(service: Service, header: str) -> None:
    """With bodies that HAProxy would splice it used both cores for half a minute each time."""
    body = json.dumps({"input": ["word " * 400] * 20}).encode()
    head = (
        "POST /transformers/infer HTTP/1.1\r\nHost: service\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n{header}\r\n"
    )

    before = haproxy_cpu(service)
    address = service.url.removeprefix("http://").split(":")
    for round_ in range(3):
        clients = []
        for _ in range(6):
            clients.append(socket.create_connection((address[0], int(address[1])), 10))
            clients[-1].sendall(head.encode() + body)
            time.sleep(0.01 * round_)  # not one but several places in the request's way
        time.sleep(0.1 * round_)
        for client in clients:
            client.close()
        gone = datetime.now(UTC)
        until(partial(idle, service, "transformers", gone), 20)
    assert haproxy_cpu(service) - before < 2
