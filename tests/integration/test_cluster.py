"""`GET /cluster`: what operators and the page see; and what is left of the process beside it."""

import signal

import pytest

from tests.integration.conftest import Service, ended


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


def test_sigterm_is_still_heard_by_who_started_the_cluster(service: Service) -> None:
    """Ray puts a handler of its own in place, which would end the process on the spot."""
    assert signal.getsignal(signal.SIGTERM) is ended
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGTERM)
    assert service.get("/health").ok
