"""A replica that hangs: its requests end at their deadline, and nothing is left of them."""

import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests

from tests.integration.beside import Beside
from tests.integration.waiting import until

TIMEOUT_S = 3.0


@pytest.fixture(scope="module")
def beside(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Beside]:
    environment = {
        "SENTIMENT_MODEL": str(prepared),
        "SENTIMENT_TIMEOUT_S": str(TIMEOUT_S),
        "SENTIMENT_AUTO_PATIENCE_S": "0.5",
    }
    with Beside(environment, tmp_path_factory.mktemp("hanging")) as beside:
        yield beside


@contextmanager
def hanging(beside: Beside, deployment: str) -> Iterator[None]:
    """The replica of a deployment does nothing meanwhile, as if its model never came back."""
    (replica,) = beside.processes(deployment)
    replica.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        replica.send_signal(signal.SIGCONT)


def ask(beside: Beside, backend: str = "onnx") -> tuple[requests.Response, float]:
    start = time.monotonic()
    answer = beside.post(f"/{backend}/infer", {"input": "A lovely film."})
    return answer, time.monotonic() - start


def test_a_backend_that_hangs_is_told_at_the_deadline_and_its_place_is_free_again(
    beside: Beside,
) -> None:
    with hanging(beside, "OnnxClassifier"), ThreadPoolExecutor(40) as pool:
        answers = list(pool.map(lambda _: ask(beside), range(40)))
    assert {answer.status_code for answer, _ in answers} == {504}
    assert {answer.json()["type"] for answer, _ in answers} == {"urn:sentiment:problem:timed-out"}
    assert max(took for _, took in answers) < TIMEOUT_S + 2
    after, _ = ask(beside)
    assert after.status_code == 200

    def nothing_waits() -> bool:
        onnx = beside.get("/cluster").json()["deployments"]["onnx"]
        return bool(onnx["waiting_texts"] == 0 and onnx["ongoing_requests"] == 0)

    until(nothing_waits)


@pytest.mark.parametrize("header", ["0", "3600"])
def test_no_header_of_a_client_takes_the_deadline_away(beside: Beside, header: str) -> None:
    with hanging(beside, "TorchClassifier"):
        answer = beside.post(
            "/transformers/infer",
            {"input": "A lovely film."},
            headers={"x-request-timeout-seconds": header},
        )
    assert answer.status_code == 504


def test_auto_does_not_wait_for_a_backend_that_hangs(beside: Beside) -> None:
    with hanging(beside, "OnnxClassifier"):
        answer, took = ask(beside, "auto")
    assert answer.status_code == 200
    assert answer.headers["X-Backend"] == "transformers"
    assert took < TIMEOUT_S
