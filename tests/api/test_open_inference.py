"""The Open Inference Protocol over arithmetic; the codec's own tests are in `test_tensors`."""

from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from tritonclient.http import InferenceServerClient, InferInput, InferRequestedOutput, InferResult

from serve_app.api.gateway import Gateway
from serve_app.api.keys import Records, write
from tests.api.asking import client
from tests.api.world import MANIFEST, World

INFER = "/v2/models/onnx/infer"
TEXTS = ["four", "seven.."]


def tensor(texts: list[str] = TEXTS, **changes: Any) -> dict[str, Any]:
    return {
        "name": "text", "datatype": "BYTES", "shape": [len(texts)], "data": texts, **changes
    }  # fmt: skip


async def ask(body: Any, path: str = INFER) -> httpx.Response:
    async with client(World().app) as http:
        return await http.post(path, json=body)


async def get(path: str, world: World | None = None) -> httpx.Response:
    async with client((world or World()).app) as http:
        return await http.get(path)


@pytest.mark.parametrize("backend", ["transformers", "onnx", "auto"])
async def test_texts_get_labels_and_scores(backend: str) -> None:
    answer = await ask({"inputs": [tensor()]}, f"/v2/models/{backend}/infer")
    assert answer.json() == {
        "model_name": backend,
        "outputs": [
            {
                "name": "label",
                "datatype": "BYTES",
                "shape": [2],
                "data": ["POSITIVE", "POSITIVE"],
            },
            {
                "name": "score",
                "datatype": "FP32",
                "shape": [2],
                "data": [pytest.approx(World.score(text), abs=1e-6) for text in TEXTS],
            },
        ],
    }
    assert answer.headers["x-model"] == "arithmetic"
    assert answer.headers["server-timing"].startswith("queue;dur=")


async def test_a_models_name_that_no_header_can_carry_is_encoded() -> None:
    manifest = MANIFEST.model_copy(update={"model_id": "модель\nx: y/a b"})
    async with client(World(manifest).app) as http:
        answer = await http.post("/onnx/infer", json={"input": "a"})
    assert answer.status_code == 200
    assert answer.headers["x-model"] == "%D0%BC%D0%BE%D0%B4%D0%B5%D0%BB%D1%8C%0Ax: y/a b"


async def test_the_id_comes_back() -> None:
    assert (await ask({"id": "7", "inputs": [tensor()]})).json()["id"] == "7"
    assert "id" not in (await ask({"id": None, "inputs": [tensor()]})).json()


async def test_outputs_are_those_asked_for() -> None:
    for wanted in (["score"], ["label"], ["score", "label"]):
        body = {"inputs": [tensor()], "outputs": [{"name": name} for name in wanted]}
        outputs = (await ask(body)).json()["outputs"]
        assert [output["name"] for output in outputs] == wanted
    assert len((await ask({"inputs": [tensor()], "outputs": []})).json()["outputs"]) == 2


async def test_the_function_is_a_parameter() -> None:
    body = {"inputs": [tensor()], "parameters": {"function_to_apply": "none"}}
    (_, score) = (await ask(body)).json()["outputs"]
    assert score["data"] == pytest.approx([0.4, 0.7])


async def test_other_fields_and_parameters_are_tolerated() -> None:
    body = {
        "inputs": [tensor(parameters={"content_type": "str"})],
        "parameters": {"priority": 1, "sequence_id": 0},
        "model_name": "onnx",
    }
    assert (await ask(body)).status_code == 200


def triton_request(
    texts: list[str], *, binary: bool, columns: bool = False, **options: Any
) -> tuple[bytes, dict[str, str]]:
    """A request as tritonclient makes it."""
    array = np.array(texts, dtype=np.object_)
    array = array.reshape(-1, 1) if columns else array
    given = InferInput("text", list(array.shape), "BYTES")
    given.set_data_from_numpy(array, binary_data=binary)
    body, length = InferenceServerClient.generate_request_body([given], **options)
    return body, {} if length is None else {"inference-header-content-length": str(length)}


def triton_answer(answer: httpx.Response) -> InferResult:
    length = answer.headers.get("inference-header-content-length")
    return InferResult.from_response_body(answer.content, header_length=length)


@pytest.mark.parametrize("binary", [True, False])
@pytest.mark.parametrize("columns", [True, False])
async def test_triton_bodies_are_read_and_answered_in_kind(binary: bool, columns: bool) -> None:
    body, headers = triton_request(TEXTS, binary=binary, columns=columns)
    async with client(World().app) as http:
        answer = await http.post(INFER, content=body, headers=headers)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/octet-stream"
    result = triton_answer(answer)
    assert result.as_numpy("label").tolist() == [b"POSITIVE", b"POSITIVE"]
    assert result.as_numpy("score") == pytest.approx([World.score(text) for text in TEXTS])


async def test_one_output_may_be_binary_and_the_other_not() -> None:
    outputs = [
        InferRequestedOutput("score", binary_data=True),
        InferRequestedOutput("label", binary_data=False),
    ]
    body, headers = triton_request(TEXTS, binary=True, outputs=outputs, request_id="x")
    async with client(World().app) as http:
        answer = await http.post(INFER, content=body, headers=headers)
    result = triton_answer(answer)
    assert result.get_response()["id"] == "x"
    assert result.get_output("label")["data"] == ["POSITIVE", "POSITIVE"]
    assert result.get_output("score")["parameters"] == {"binary_data_size": 8}
    assert result.as_numpy("score") == pytest.approx([World.score(text) for text in TEXTS])


async def test_a_raw_body_is_one_text() -> None:
    headers = {
        "content-type": "application/octet-stream",
        "inference-header-content-length": "0",
    }
    async with client(World().app) as http:
        answer = await http.post(INFER, content=b"four", headers=headers)
        blank = await http.post(INFER, content=b" ", headers=headers)
        bytes_ = await http.post(INFER, content=b"\xff", headers=headers)
    (label, score) = answer.json()["outputs"]
    assert label["data"] == ["POSITIVE"]
    assert score["data"] == pytest.approx([World.score("four")])
    assert blank.status_code == bytes_.status_code == 422


REFUSED: list[tuple[Any, str]] = [
    ([], "must be an object"),
    ({}, "`inputs` must be a list of one tensor"),
    ({"inputs": []}, "`inputs` must be a list of one tensor"),
    ({"inputs": [tensor(), tensor()]}, "`inputs` must be a list of one tensor"),
    ({"inputs": [tensor(name="input_ids")]}, "`inputs[0].name` must be 'text'"),
    ({"inputs": [tensor(datatype="FP32")]}, "`inputs[0].datatype` must be 'BYTES'"),
    ({"inputs": [tensor(shape=[3])]}, "says 3 texts"),
    ({"inputs": [tensor(["a"] * 257)]}, "257 texts"),
    ({"inputs": [tensor([" "])]}, "`inputs[0].data[0]` is blank"),
    ({"inputs": [tensor()], "id": 7}, "`id` must be a text"),
    ({"inputs": [tensor()], "parameters": []}, "`parameters` must be an object"),
    ({"inputs": [tensor()], "parameters": {"binary_data_output": 1}}, "must be true or false"),
    ({"inputs": [tensor()], "parameters": {"function_to_apply": "x"}}, "softmax, sigmoid"),
    ({"inputs": [tensor()], "outputs": {}}, "`outputs` must be a list"),
    ({"inputs": [tensor()], "outputs": [{"name": "logits"}]}, "`outputs[0]` must name"),
    ({"inputs": [tensor()], "outputs": [{"name": ["score"]}]}, "`outputs[0]` must name"),
    (
        {"inputs": [tensor()], "outputs": [{"name": "label", "parameters": {"binary_data": 0}}]},
        "`outputs[0].parameters.binary_data` must be true or false",
    ),
    (
        {"inputs": [tensor()], "outputs": [{"name": "label", "parameters": {"classification": 2}}]},
        "not offered",
    ),
    ({"inputs": [tensor(parameters={"shared_memory_region": "r"})]}, "not offered"),
]


@pytest.mark.parametrize(("body", "says"), REFUSED)
async def test_bad_input_is_refused_in_the_protocols_shape(body: Any, says: str) -> None:
    answer = await ask(body)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/json"
    (error,) = answer.json().items()
    assert error[0] == "error"
    assert says in error[1]


@pytest.mark.parametrize(
    ("content", "headers", "status"),
    [
        (b"{", {}, 400),
        (b'{"inputs"', {"inference-header-content-length": "5"}, 400),
        (b"four", {"inference-header-content-length": "0"}, 400),
        (b"{}", {"inference-header-content-length": "3"}, 422),
        (b"{}", {"inference-header-content-length": "-1"}, 422),
        (b"{}", {"inference-header-content-length": "x"}, 422),
        (b"{}", {"content-type": "application/octet-stream"}, 415),
        (b"{}", {"content-type": "text/plain"}, 415),
        (b"{}", {"content-encoding": "gzip"}, 415),
        (b"a" * 4_000_001, {}, 413),
        (b'{"id": "\\ud800"}', {}, 422),
    ],
)
async def test_the_body_gets_the_verdicts_of_the_other_routes(
    content: bytes, headers: dict[str, str], status: int
) -> None:
    async with client(World().app) as http:
        answer = await http.post(INFER, content=content, headers=headers)
    assert answer.status_code == status
    assert answer.json().keys() == {"error"}


async def test_the_server_and_its_models_describe_themselves() -> None:
    server = (await get("/v2")).json()
    assert server["name"] == "sentiment-service"
    assert server["extensions"] == ["binary_tensor_data"]
    assert (await get("/v2/health/live")).json() == {"live": True}
    assert (await get("/v2/health/ready")).json() == {"ready": True}
    for backend in ("transformers", "onnx", "auto"):
        model = (await get(f"/v2/models/{backend}")).json()
        assert model["name"] == backend
        assert model["inputs"] == [{"name": "text", "datatype": "BYTES", "shape": [-1]}]
        assert [output["name"] for output in model["outputs"]] == ["label", "score"]
        assert (await get(f"/v2/models/{backend}/ready")).json() == {
            "name": backend,
            "ready": True,
        }


async def test_who_may_not_ask_is_not_told_which_models_there_are(tmp_path: Path) -> None:
    file = tmp_path / "keys.json"
    write(file, Records(keys=()))
    async with client(World(auth="api-key", api_keys=file).app) as http:
        answer = await http.post("/v2/models/unknown/infer", json={"inputs": [tensor()]})
    assert answer.status_code == 401


async def test_a_model_that_is_away_is_not_ready_and_auto_is() -> None:
    world = World()
    gateway: Gateway = world.gateway

    async def away() -> Any:
        raise RuntimeError("gone")

    gateway.describe = {**gateway.describe, "onnx": away}
    statuses = {
        path: (await get(f"/v2/{path}", world)).status_code
        for path in (
            "health/live",
            "health/ready",
            "models/onnx/ready",
            "models/transformers/ready",
            "models/auto/ready",
        )
    }
    assert list(statuses.values()) == [200, 503, 503, 200, 200]
    answer = await get("/v2/models/onnx/ready", world)
    assert answer.headers["retry-after"] == "5"
    assert answer.json() == {"error": "No replica answers: onnx."}


@pytest.mark.parametrize("path", ["", "/ready", "/infer"])
async def test_an_unknown_model_is_404(path: str) -> None:
    async with client(World().app) as http:
        method = "POST" if path == "/infer" else "GET"
        answer = await http.request(method, f"/v2/models/bert{path}", json={})
    assert answer.status_code == 404
    assert answer.json() == {
        "error": "There is no model 'bert'; there are: transformers, onnx, auto."
    }


async def test_unknown_routes_and_methods_have_the_shape_too() -> None:
    assert (await get("/v2/models")).json() == {"error": "GET /v2/models: Not Found."}
    wrong = await get(INFER)
    assert (wrong.status_code, wrong.headers["allow"]) == (405, "POST")
    assert wrong.json().keys() == {"error"}
