"""`auto` over the real twins."""

import psutil
import pytest

from serve_app.telemetry import ESCALATIONS
from tests.integration.conftest import Service
from tests.integration.exported import counted
from tests.integration.test_scaling import load
from tests.integration.waiting import until


def test_auto_answers_as_onnx_and_says_so(service: Service) -> None:
    answer = service.post("/auto/infer", {"input": "A lovely, moving film."})
    assert answer.headers["X-Backend"] == "onnx"
    assert answer.json()[0]["label"] == "POSITIVE"


def test_a_doubtful_text_is_answered_by_torch(service: Service, doubtful: str) -> None:
    before = counted(service.metrics, ESCALATIONS)
    answer = service.post("/auto/infer", {"input": doubtful})
    assert answer.headers["X-Backend"] == "transformers"
    (said,) = answer.json()
    (torch,) = service.post("/transformers/infer", {"input": doubtful}).json()
    assert said["label"] == torch["label"]
    assert said["score"] == pytest.approx(torch["score"], abs=1e-5)
    until(lambda: counted(service.metrics, ESCALATIONS) > before)


@pytest.mark.parametrize(
    ("deployment", "backend"), [("OnnxClassifier", "onnx"), ("TorchClassifier", "transformers")]
)
def test_killing_every_replica_of_a_backend_fails_no_auto_request(
    service: Service, deployment: str, backend: str, doubtful: str
) -> None:
    both = service.post("/auto/infer", {"input": ["A lovely, moving film.", doubtful]})
    assert both.headers["X-Backend"] == "onnx;n=1, transformers;n=1"
    with load(service, "auto", 4, also=[doubtful]) as statuses:
        until(lambda: len(statuses) > 20)
        for replica in service.replicas(deployment):
            if replica["state"] == "RUNNING":  # others may just have ended
                psutil.Process(replica["pid"]).kill()
        count = len(statuses)
        until(lambda: len(statuses) > count + 20)
        # On a busy machine a new replica may take longer to start than a request may wait.
        back = {"input": "Is it back?"}
        until(lambda: service.post(f"/{backend}/infer", back).status_code == 200, 120)
        count = len(statuses)
        until(lambda: len(statuses) > count + 20)
    assert set(statuses) == {200}
