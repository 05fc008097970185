"""A replica that hangs: its requests end at their deadline, and nothing is left of them."""

import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import requests

from tests.integration.beside import Beside
from tests.integration.impatient.conftest import TIMEOUT_S
from tests.integration.waiting import until


@contextmanager
def hanging(impatient: Beside, deployment: str) -> Iterator[None]:
    """The replica of a deployment does nothing meanwhile, as if its model never came back."""
    (replica,) = impatient.processes(deployment)
    replica.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        replica.send_signal(signal.SIGCONT)


def ask(impatient: Beside, backend: str = "onnx") -> tuple[requests.Response, float]:
    start = time.monotonic()
    answer = impatient.post(f"/{backend}/infer", {"input": "A lovely film."})
    return answer, time.monotonic() - start


def test_a_backend_that_hangs_is_told_at_the_deadline_and_its_place_is_free_again(
    impatient: Beside,
) -> None:
    with hanging(impatient, "OnnxClassifier"), ThreadPoolExecutor(40) as pool:
        answers = list(pool.map(lambda _: ask(impatient), range(40)))
    assert {answer.status_code for answer, _ in answers} == {504}
    assert {answer.json()["type"] for answer, _ in answers} == {"urn:sentiment:problem:timed-out"}
    assert max(took for _, took in answers) < TIMEOUT_S + 20, "without one the client gave up"
    after, _ = ask(impatient)
    assert after.status_code == 200

    def nothing_waits() -> bool:
        onnx = impatient.get("/cluster").json()["deployments"]["onnx"]
        return bool(onnx["waiting_texts"] == 0 and onnx["ongoing_requests"] == 0)

    until(nothing_waits)


def test_no_header_of_a_client_takes_the_deadline_away(impatient: Beside) -> None:
    def status(header: str) -> int:
        headers = {"x-request-timeout-seconds": header}
        body = {"input": "A lovely film."}
        return impatient.post("/transformers/infer", body, headers=headers).status_code

    with hanging(impatient, "TorchClassifier"), ThreadPoolExecutor(2) as pool:
        assert list(pool.map(status, ["0", "3600"])) == [504, 504]


def test_ready_names_a_backend_that_hangs(impatient: Beside) -> None:
    def ready() -> requests.Response:
        return impatient.get("/ready")

    with hanging(impatient, "OnnxClassifier"):
        until(lambda: ready().status_code == 503)
        said = ready()
    assert said.status_code == 503
    assert said.headers["Retry-After"]
    assert said.json() == {
        "status": "unavailable",
        "detail": "No replica answers: onnx.",
        "backends": {"transformers": "ready", "onnx": "unavailable"},
    }
    until(lambda: ready().status_code == 200)


def test_auto_does_not_wait_for_a_backend_that_hangs(impatient: Beside) -> None:
    with hanging(impatient, "OnnxClassifier"):
        answer, took = ask(impatient, "auto")
    assert answer.status_code == 200
    assert answer.headers["X-Backend"] == "transformers"
    assert took < TIMEOUT_S
