"""Clients as their makers ship them, unchanged, against the running service."""

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import requests
import tritonclient.http as triton
from huggingface_hub import InferenceClient
from huggingface_hub.errors import HfHubHTTPError
from tritonclient.utils import InferenceServerException

from tests.integration.conftest import Service

GOOD, BAD = "A lovely, moving film.", "A dull and pointless mess."
NODE = Path(__file__).parent / "node"
CACHE = Path(__file__).resolve().parents[2] / ".cache" / "node"
every = pytest.mark.parametrize("backend", ["transformers", "onnx", "auto"])


class TestHuggingFaceHub:
    @every
    def test_a_text_gets_all_labels_by_falling_score(self, service: Service, backend: str) -> None:
        client = InferenceClient(model=f"{service.url}/{backend}")
        positive, negative = client.text_classification(GOOD)
        assert (positive.label, negative.label) == ("POSITIVE", "NEGATIVE")
        assert positive.score + negative.score == pytest.approx(1)
        assert client.text_classification(BAD)[0].label == "NEGATIVE"

    def test_its_parameters_do_what_they_say(self, service: Service) -> None:
        client = InferenceClient(model=f"{service.url}/onnx")
        (best,) = client.text_classification(GOOD, top_k=1)
        assert best.label == "POSITIVE"
        logits = client.text_classification(GOOD, function_to_apply="none")
        assert logits[0].score > 1
        sigmoid = client.text_classification(GOOD, function_to_apply="sigmoid")
        assert sum(element.score for element in sigmoid) != pytest.approx(1, abs=1e-6)
        assert sigmoid[0].score == pytest.approx(1 / (1 + np.exp(-logits[0].score)))

    def test_its_error_says_what_was_wrong(self, service: Service) -> None:
        client = InferenceClient(model=f"{service.url}/onnx")
        with pytest.raises(HfHubHTTPError, match="`inputs` is blank") as caught:
            client.text_classification(" ")
        assert caught.value.response.status_code == 422


class TestTriton:
    @pytest.fixture
    def client(self, service: Service) -> Iterator[triton.InferenceServerClient]:
        with triton.InferenceServerClient(service.url.removeprefix("http://")) as client:
            yield client

    @staticmethod
    def texts(*texts: str, binary: bool = True) -> triton.InferInput:
        given = triton.InferInput("text", [len(texts)], "BYTES")
        given.set_data_from_numpy(np.array(texts, dtype=np.object_), binary_data=binary)
        return given

    @every
    def test_in_its_default_mode(self, client: triton.InferenceServerClient, backend: str) -> None:
        result = client.infer(backend, [self.texts(GOOD, BAD, "ein schöner Film 🎬")])
        assert result.as_numpy("label").tolist()[:2] == [b"POSITIVE", b"NEGATIVE"]
        scores = result.as_numpy("score")
        assert scores.dtype == np.float32
        assert scores.shape == (3,)
        assert "parameters" in result.get_output("score"), "the answer was binary"

    def test_in_json_mode(self, client: triton.InferenceServerClient) -> None:
        outputs = [
            triton.InferRequestedOutput(name, binary_data=False) for name in ("label", "score")
        ]
        result = client.infer(
            "onnx", [self.texts(GOOD, BAD, binary=False)], outputs=outputs, request_id="42"
        )
        assert result.get_output("label")["data"] == ["POSITIVE", "NEGATIVE"]
        assert result.get_response()["id"] == "42"
        binary = client.infer("onnx", [self.texts(GOOD, BAD)])
        assert np.array_equal(result.as_numpy("score"), binary.as_numpy("score"))

    def test_it_finds_the_server_and_its_models(self, client: triton.InferenceServerClient) -> None:
        assert client.is_server_live()
        assert client.is_server_ready()
        assert client.is_model_ready("onnx")
        assert not client.is_model_ready("bert")
        assert client.get_server_metadata()["extensions"] == ["binary_tensor_data"]
        assert client.get_model_metadata("auto")["inputs"][0]["name"] == "text"

    def test_its_errors_say_what_was_wrong(self, client: triton.InferenceServerClient) -> None:
        with pytest.raises(InferenceServerException, match=r"`inputs\[0\].data\[1\]` is blank"):
            client.infer("onnx", [self.texts(GOOD, " ")])
        with pytest.raises(InferenceServerException, match="no model 'bert'"):
            client.infer("bert", [self.texts(GOOD)])
        with pytest.raises(InferenceServerException, match="Content-Encoding is gzip"):
            client.infer("onnx", [self.texts(GOOD)], request_compression_algorithm="gzip")


@pytest.mark.system
class TestHuggingFaceJs:
    @pytest.fixture(scope="class")
    def folder(self) -> Path:
        """The npm package at the version of the lock file, installed once."""
        CACHE.mkdir(parents=True, exist_ok=True)
        lock = NODE / "package-lock.json"
        installed = CACHE / "installed-package-lock.json"
        for name in ("package.json", "package-lock.json", "classify.mjs"):
            shutil.copy(NODE / name, CACHE)
        if not installed.exists() or installed.read_bytes() != lock.read_bytes():
            options = ["--no-audit", "--no-fund", "--ignore-scripts"]
            subprocess.run(["npm", "ci", *options], cwd=CACHE, check=True, timeout=240)
            shutil.copy(lock, installed)
        return CACHE

    @every
    def test_it_classifies(self, service: Service, folder: Path, backend: str) -> None:
        run = subprocess.run(
            ["node", "classify.mjs", f"{service.url}/{backend}"],
            cwd=folder,
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        )
        found: dict[str, Any] = json.loads(run.stdout)
        assert [element["label"] for element in found["one"]] == ["POSITIVE", "NEGATIVE"]
        assert found["client"] == found["one"]
        (best,) = found["best"]
        assert best["label"] == "NEGATIVE"
        assert best["score"] > 1, "a logit"
        assert found["error"] == "Failed to perform inference: `inputs` is blank."


@pytest.mark.system
class TestCurl:
    @staticmethod
    def curl(*arguments: str) -> tuple[int, str]:
        """The status and the body."""
        run = subprocess.run(
            ["curl", "--silent", "--write-out", "\n%{http_code}", *arguments],
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        )
        body, _, status = run.stdout.rpartition("\n")
        return int(status), body

    @every
    def test_it_asks_each_protocol(self, service: Service, backend: str) -> None:
        tensor = {"name": "text", "datatype": "BYTES", "shape": [1], "data": [GOOD]}
        for path, body in (
            (f"/{backend}/infer", {"input": GOOD}),
            (f"/{backend}", {"inputs": GOOD}),
            (f"/v2/models/{backend}/infer", {"inputs": [tensor]}),
        ):
            json_type = ("--header", "Content-Type: application/json")
            status, answer = self.curl(service.url + path, *json_type, "--data", json.dumps(body))
            assert status == 200
            assert "POSITIVE" in answer

    def test_forgetting_the_type_is_told(self, service: Service) -> None:
        status, answer = self.curl(f"{service.url}/onnx", "--data", '{"inputs": "a"}')
        assert status == 415
        assert "send application/json" in json.loads(answer)["error"]

    def test_an_upload_in_chunks_over_the_limit_is_refused(
        self, service: Service, tmp_path: Path
    ) -> None:
        large = tmp_path / "large.json"
        large.write_text(json.dumps({"inputs": "a" * 5_000_000}))
        status, answer = self.curl(
            f"{service.url}/onnx",
            *("--header", "Content-Type: application/json"),
            *("--header", "Transfer-Encoding: chunked", "--data-binary", f"@{large}"),
        )
        assert status == 413
        assert json.loads(answer)["error"] == "The body is larger than 4000000 bytes."


class TestRequests:
    @every
    def test_one_session_asks_each_protocol(self, service: Service, backend: str) -> None:
        tensor = {"name": "text", "datatype": "BYTES", "shape": [2], "data": [GOOD, BAD]}
        with requests.Session() as session:
            own = session.post(f"{service.url}/{backend}/infer", json={"input": [GOOD, BAD]})
            nested = session.post(f"{service.url}/{backend}", json={"inputs": [GOOD, BAD]})
            tensors = session.post(
                f"{service.url}/v2/models/{backend}/infer", json={"inputs": [tensor]}
            )
        best = own.json()
        assert [item["label"] for item in best] == ["POSITIVE", "NEGATIVE"]
        assert [labels[0]["label"] for labels in nested.json()] == ["POSITIVE", "NEGATIVE"]
        label, score = tensors.json()["outputs"]
        assert label["data"] == ["POSITIVE", "NEGATIVE"]
        for found in ([labels[0]["score"] for labels in nested.json()], score["data"]):
            assert found == pytest.approx([item["score"] for item in best], abs=1e-4)
        for answer in (own, nested, tensors):
            assert answer.headers["X-Model"] == "sst2-minilm"
            assert "," not in answer.headers["X-Request-Id"]
            assert answer.headers["Server-Timing"].startswith("queue;dur=")
