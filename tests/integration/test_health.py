"""The open routes."""

from tests.integration.conftest import Service


def test_health_and_readiness(service: Service) -> None:
    assert service.get("/health").json() == {"status": "ok"}
    ready = service.get("/ready")
    assert ready.status_code == 200
    assert ready.json()["backends"] == {"transformers": "ready", "onnx": "ready"}


def test_info_says_what_is_served_and_how(service: Service) -> None:
    info = service.get("/info").json()
    assert info["model"]["id"] == "sst2-minilm"
    assert info["model"]["labels"] == ["NEGATIVE", "POSITIVE"]
    assert info["limits"]["max_texts"] == 256
    assert len(info["config_hash"]) == 12
    for backend, precision in (("transformers", "fp32"), ("onnx", "int8")):
        said = info["backends"][backend]
        assert said["precision"] == precision
        assert said["threads"] == 1
        assert said["workers"] == 2
        assert said["cpus"] == 0.4
        assert said["certificate"]["passed"] is True
        assert said["certificate"]["texts"] == 64
        assert said["certificate"]["cpu"]


def test_docs_and_openapi_are_served(service: Service) -> None:
    assert service.get("/docs").status_code == 200
    document = service.get("/openapi.json").json()
    for backend in ("transformers", "onnx"):
        operation = document["paths"][f"/{backend}/infer"]["post"]
        assert operation["requestBody"]["required"] is True
        assert {"200", "400", "405", "413", "415", "422", "503", "504"} <= operation[
            "responses"
        ].keys()
