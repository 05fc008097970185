"""`auto` over the real twins."""

import psutil
import pytest

from tests.integration.conftest import Service
from tests.integration.test_scaling import load
from tests.integration.waiting import until


def test_auto_answers_as_onnx_and_says_so(service: Service) -> None:
    answer = service.post("/auto/infer", {"input": "A lovely, moving film."})
    assert answer.headers["X-Backend"] == "onnx"
    assert answer.json()[0]["label"] == "POSITIVE"


@pytest.mark.parametrize(
    ("deployment", "backend"), [("OnnxClassifier", "onnx"), ("TorchClassifier", "transformers")]
)
def test_killing_every_replica_of_a_backend_fails_no_auto_request(
    service: Service, deployment: str, backend: str
) -> None:
    with load(service, "auto", 4) as statuses:
        until(lambda: len(statuses) > 20)
        for pid, state in service.replicas(deployment).items():
            if state == "RUNNING":  # others may just have ended
                psutil.Process(pid).kill()
        count = len(statuses)
        until(lambda: len(statuses) > count + 60)
        # On a busy machine a new replica may take longer to start than a request may wait.
        back = {"input": "Is it back?"}
        until(lambda: service.post(f"/{backend}/infer", back).status_code == 200, 120)
        count = len(statuses)
        until(lambda: len(statuses) > count + 20)
    assert set(statuses) == {200}
