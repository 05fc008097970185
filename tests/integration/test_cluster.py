"""`GET /cluster`: what operators and the page see."""

from tests.integration.conftest import Service


def test_the_state_of_both_deployments(service: Service) -> None:
    state = service.get("/cluster").json()
    assert state["at"]
    assert set(state["deployments"]) == {"transformers", "onnx"}
    for name, deployment in state["deployments"].items():
        assert deployment["target"] >= 1
        assert deployment["running"] >= 1
        assert deployment["waiting_texts"] >= 0
        assert 0 <= deployment["ongoing_requests"] <= deployment["waiting_texts"]
        assert deployment["replicas"]
        for replica in deployment["replicas"]:
            assert replica["certificate"]["passed"] is True
            assert replica["certificate"]["backend"] == name
            assert replica["node"]
