"""The Hugging Face route over arithmetic: what it answers, tolerates and refuses."""

import asyncio
import json
from typing import Any

import httpx
import pytest

from tests.api.asking import client
from tests.api.world import MANIFEST, World


async def ask(body: Any, backend: str = "onnx", world: World | None = None) -> httpx.Response:
    async with client((world or World()).app) as http:
        return await http.post(f"/{backend}", json=body)


@pytest.mark.parametrize("backend", ["transformers", "onnx", "auto"])
async def test_a_text_and_a_list_are_answered_nested_with_all_labels(backend: str) -> None:
    alone = (await ask({"inputs": "four"}, backend)).json()
    listed = (await ask({"inputs": ["four", "seven.."]}, backend)).json()
    assert alone == listed[:1]
    for text, labels in zip(["four", "seven.."], listed, strict=True):
        assert [item["label"] for item in labels] == ["POSITIVE", "NEGATIVE"]
        assert labels[0]["score"] == pytest.approx(World.score(text))
        assert sum(item["score"] for item in labels) == pytest.approx(1)


@pytest.mark.parametrize(("top_k", "count"), [(1, 1), (2, 2), (1.0, 1), (9, 2), (None, 2)])
async def test_top_k_limits_the_labels(top_k: Any, count: int) -> None:
    (labels,) = (await ask({"inputs": "a", "parameters": {"top_k": top_k}})).json()
    assert len(labels) == count
    assert labels[0]["label"] == "POSITIVE"


async def test_the_function_is_the_models_own_or_the_one_asked_for() -> None:
    scores = {}
    for function in ("softmax", "sigmoid", "none", None):
        body = {"inputs": "ten chars.", "parameters": {"function_to_apply": function}}
        scores[function] = [item["score"] for item in (await ask(body)).json()[0]]
    assert scores["none"] == [1.0, 0.0]
    assert scores["sigmoid"] == pytest.approx([0.7311, 0.5], abs=1e-4)
    assert scores["softmax"] == scores[None] == pytest.approx([0.7311, 0.2689], abs=1e-4)


async def test_a_multi_label_model_has_sigmoid_in_every_protocol() -> None:
    manifest = MANIFEST.model_copy(update={"problem_type": "multi_label_classification"})
    tensor = {"name": "text", "datatype": "BYTES", "shape": [1], "data": ["ten chars."]}
    async with client(World(manifest).app) as http:
        own = (await http.post("/onnx/infer", json={"input": "ten chars."})).json()
        nested = (await http.post("/onnx", json={"inputs": "ten chars."})).json()
        v2 = (await http.post("/v2/models/onnx/infer", json={"inputs": [tensor]})).json()
    sigmoid = pytest.approx(0.7310586, abs=1e-6)
    assert own == [{"label": "POSITIVE", "score": sigmoid}]
    assert nested == [[own[0], {"label": "NEGATIVE", "score": 0.5}]]
    assert [output["data"] for output in v2["outputs"]] == [["POSITIVE"], [sigmoid]]


async def test_options_and_unknown_fields_are_tolerated() -> None:
    body = {
        "inputs": "a",
        "parameters": {"truncation": True},
        "options": {"use_cache": False, "wait_for_model": True},
        "stream": False,
    }
    assert (await ask(body)).status_code == 200
    assert (await ask({"inputs": "a", "parameters": None, "options": None})).status_code == 200


async def test_the_answer_has_the_headers_of_every_inference_answer() -> None:
    headers = (await ask({"inputs": ["a", "b"]})).headers
    assert headers["x-backend"] == "onnx"
    assert headers["x-model"] == "arithmetic"
    assert headers["x-batch-size"] == "1"
    assert headers["server-timing"].startswith("queue;dur=")


REFUSED: list[tuple[bytes, int, str]] = [
    (b"{", 400, "not JSON"),
    (b"[]", 422, "field `inputs`"),
    (b"{}", 422, "field `inputs`"),
    (b'{"inputs": ""}', 422, "`inputs` is blank"),
    (b'{"inputs": []}', 422, "empty list"),
    (b'{"inputs": {"text": "a"}}', 422, "a text or a list of texts"),
    (b'{"inputs": [["a", "b"]]}', 422, "`inputs[0]` must be a text"),
    (b'{"inputs": "\\ud800"}', 422, "lone surrogate"),
    (json.dumps({"inputs": ["a"] * 257}).encode(), 422, "257 texts"),
    (b'{"inputs": "a", "parameters": []}', 422, "`parameters` must be an object"),
    (b'{"inputs": "a", "options": 1}', 422, "`options` must be an object"),
    (b'{"inputs": "a", "parameters": {"top_k": 0}}', 422, "top_k"),
    (b'{"inputs": "a", "parameters": {"top_k": 1.5}}', 422, "top_k"),
    (b'{"inputs": "a", "parameters": {"top_k": true}}', 422, "top_k"),
    (b'{"inputs": "a", "parameters": {"top_k": 1e999}}', 422, "top_k"),
    (b'{"inputs": "a", "parameters": {"top_k": NaN}}', 400, "not JSON"),
    (b'{"inputs": "a", "parameters": "a"}', 422, "must be an object, not a text"),
    (b'{"inputs": "a", "parameters": {"function_to_apply": "tanh"}}', 422, "softmax, sigmoid"),
    (b'{"inputs": "a", "parameters": {"function_to_apply": []}}', 422, "softmax, sigmoid"),
    (b'{"inputs": "' + b"a" * 5_000_000 + b'"}', 413, "larger than 4000000"),
]


@pytest.mark.parametrize(("body", "status", "says"), REFUSED)
async def test_bad_input_is_refused_in_the_protocols_shape(
    body: bytes, status: int, says: str
) -> None:
    async with client(World().app) as http:
        answer = await http.post(
            "/onnx", content=body, headers={"content-type": "application/json"}
        )
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/json"
    (error,) = answer.json().items()
    assert error[0] == "error"
    assert says in error[1]


async def test_wrong_methods_and_types_too() -> None:
    async with client(World().app) as http:
        got = await http.get("/onnx")
        form = await http.post("/onnx", data={"inputs": "a"})
        packed = await http.post("/onnx", content=b"", headers={"content-encoding": "gzip"})
    assert (got.status_code, got.headers["allow"]) == (405, "POST")
    assert form.status_code == packed.status_code == 415
    assert packed.headers["accept-encoding"] == "identity"
    assert all(answer.json().keys() == {"error"} for answer in (got, form, packed))


async def test_an_overloaded_service_says_when_to_return() -> None:
    world = World(max_waiting_texts=1)
    world.may_answer.clear()
    async with client(world.app) as http:
        first = asyncio.create_task(http.post("/onnx", json={"inputs": "a"}))
        await world.until(lambda: world.calls)
        refused = await http.post("/onnx", json={"inputs": "b"})
        unread = await http.post("/onnx", content=b"not even JSON")
        world.may_answer.set()
        assert (await first).status_code == 200
    assert refused.status_code == unread.status_code == 503
    assert int(refused.headers["retry-after"]) >= 1
    assert refused.json().keys() == {"error"}
