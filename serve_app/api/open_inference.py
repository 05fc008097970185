"""`/v2…`: the Open Inference Protocol, as clients of KServe, Triton and MLServer speak it."""

from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import numpy as np
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from serve_app.api import open_inference_schemas as schemas
from serve_app.api.answers import Asked, Rendered, respond
from serve_app.api.body import parse, read, require_media
from serve_app.api.errors import INVALID, MEDIA, NOT_FOUND, ProblemError, not_ready
from serve_app.api.gateway import Gateway
from serve_app.api.schemas import check_texts, flag_of, function_of, object_of
from serve_app.api.tensors import BINARY, HEADER, Output, Values, decode, join, split, texts_of
from serve_app.engine.postprocess import DEFAULT_FUNCTION, Function, apply, rank
from serve_app.request import Answers

PLATFORMS = {"transformers": "pytorch_transformers", "onnx": "onnxruntime_onnx"}
NOT_OFFERED = ("classification", "shared_memory_region")
"""Extensions whose answers go elsewhere: who asks for them must not get another one."""


@dataclass(slots=True)
class _Asked(Asked):
    function: Function
    head: dict[str, Any]
    """The answer's fields beside its outputs."""
    outputs: dict[str, bool]
    """Name to whether it is sent as binary data."""


def owns(path: str) -> bool:
    """Whether errors at a path have the shape of this protocol."""
    return path == "/v2" or path.startswith("/v2/")


def router(gateway: Gateway) -> APIRouter:
    """The routes of the server and of its models, one a backend."""
    routes = APIRouter(tags=["open inference protocol"])
    manifest = gateway.manifest
    settings = gateway.settings
    models = list(gateway.dispatchers)
    own_version = version("sentiment-service")

    @routes.get("/v2", **schemas.METADATA)
    async def metadata(request: Request) -> Response:
        await gateway.identity.authenticate(request)
        return JSONResponse(
            {
                "name": "sentiment-service",
                "version": own_version,
                "extensions": ["binary_tensor_data"],
            }
        )

    @routes.get("/v2/health/live", **schemas.LIVE)
    async def live() -> Response:
        return JSONResponse({"live": True})

    @routes.get("/v2/health/ready", **schemas.READY)
    async def ready() -> Response:
        await require(*models)
        return JSONResponse({"ready": True})

    @routes.get("/v2/models/{model}", **schemas.model_metadata(models))
    async def model_metadata(request: Request) -> Response:
        await gateway.identity.authenticate(request)
        name = model_of(request)
        return JSONResponse(
            {
                "name": name,
                "platform": PLATFORMS.get(name, "ensemble"),
                "inputs": [{"name": "text", "datatype": "BYTES", "shape": [-1]}],
                "outputs": [
                    {"name": "label", "datatype": "BYTES", "shape": [-1]},
                    {"name": "score", "datatype": "FP32", "shape": [-1]},
                ],
            }
        )

    @routes.get("/v2/models/{model}/ready", **schemas.model_ready(models))
    async def model_ready(request: Request) -> Response:
        await gateway.identity.authenticate(request)
        name = model_of(request)
        await require(name)
        return JSONResponse({"name": name, "ready": True})

    @routes.post("/v2/models/{model}/infer", **schemas.infer(models))
    async def infer(request: Request) -> Response:
        try:
            name = model_of(request)
        except ProblemError:  # who may not ask is not told which models there are
            await gateway.identity.authenticate(request, scope="infer")
            raise

        def render(asked: _Asked, answers: Answers) -> Rendered:
            ranked = rank(apply(answers.logits, asked.function), manifest.labels, top_k=1)
            values: dict[str, Values] = {
                "label": [best["label"] for (best,) in ranked],
                "score": np.array([best["score"] for (best,) in ranked], dtype=np.float32),
            }
            outputs = [Output(key, values[key], binary) for key, binary in asked.outputs.items()]
            return Rendered(*join({"model_name": name, **asked.head}, outputs))

        return await respond(gateway, name, "open_inference", request, ask, render)

    async def ask(request: Request) -> _Asked:
        length = request.headers.get(HEADER)
        media = require_media(request, BINARY)
        if media == BINARY and length is None:
            raise ProblemError(
                MEDIA, f"{BINARY} needs the header {HEADER}: the bytes of JSON that it begins with."
            )
        content, binary = split(
            await read(request, settings.max_body_bytes, gateway.bodies), length
        )
        default = DEFAULT_FUNCTION[manifest.problem_type]
        if media == BINARY and not content:  # Triton's raw request: all of it is one text
            text = check_texts(decode([binary], "body"), settings.max_texts, field="body")
            return _Asked(text, "body", default, {}, _outputs({}, binary=False))
        asked = parse(content)
        if not isinstance(asked, dict):
            raise ProblemError(INVALID, "The JSON must be an object with the field `inputs`.")
        head = _head(asked)
        parameters = object_of(asked, "parameters")
        function = function_of(parameters, default)
        outputs = _outputs(
            asked, binary=flag_of(parameters, "binary_data_output", at="parameters.")
        )
        texts = texts_of(_input(asked), binary, settings.max_texts, "inputs[0]")
        return _Asked(texts, "inputs[0].data", function, head, outputs)

    def model_of(request: Request) -> str:
        name: str = request.path_params["model"]
        if name not in gateway.dispatchers:
            raise ProblemError(
                NOT_FOUND, f"There is no model {name!r}; there are: {', '.join(models)}."
            )
        return name

    async def require(*names: str) -> None:
        said = await gateway.descriptions()
        # `auto` is no deployment of its own: it answers while any of the others does.
        missing = [name for name in names if not said.get(name, any(said.values()))]
        if missing:
            raise not_ready(f"No replica answers: {', '.join(missing)}.")

    return routes


def _head(asked: dict[str, Any]) -> dict[str, Any]:
    value = asked.get("id")
    if value is None:
        return {}
    if not isinstance(value, str):
        raise ProblemError(INVALID, "`id` must be a text.", field="id")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise ProblemError(
            INVALID, "`id` has a lone surrogate, which is no character.", field="id"
        ) from None
    return {"id": value}


def _input(asked: dict[str, Any]) -> dict[str, Any]:
    """The tensor `text`."""
    tensors = asked.get("inputs")
    if not isinstance(tensors, list) or len(tensors) != 1 or not isinstance(tensors[0], dict):
        raise ProblemError(
            INVALID, "`inputs` must be a list of one tensor, named `text`.", field="inputs"
        )
    tensor: dict[str, Any] = tensors[0]
    for key, value in (("name", "text"), ("datatype", "BYTES")):
        if tensor.get(key) != value:
            raise ProblemError(
                INVALID, f"`inputs[0].{key}` must be {value!r}.", field=f"inputs[0].{key}"
            )
    _offered(tensor, "inputs[0].")
    return tensor


def _outputs(asked: dict[str, Any], *, binary: bool) -> dict[str, bool]:
    """Which outputs, and whether as binary data; `binary` is for those that do not say."""
    tensors = asked.get("outputs")
    if tensors is None or tensors == []:
        return {"label": binary, "score": binary}
    if not isinstance(tensors, list):
        raise ProblemError(INVALID, "`outputs` must be a list of tensors.", field="outputs")
    outputs: dict[str, bool] = {}
    for index, tensor in enumerate(tensors):
        at = f"outputs[{index}]"
        name = tensor.get("name") if isinstance(tensor, dict) else None
        if name not in ("label", "score"):
            raise ProblemError(INVALID, f"`{at}` must name `label` or `score`.", field=at)
        outputs[name] = flag_of(
            _offered(tensor, f"{at}."), "binary_data", default=binary, at=f"{at}.parameters."
        )
    return outputs


def _offered(tensor: dict[str, Any], at: str) -> dict[str, Any]:
    """The parameters of a tensor, none of which asks for an extension that is not offered."""
    parameters = object_of(tensor, "parameters", at=at)
    for name in NOT_OFFERED:
        if name in parameters:
            field = f"{at}parameters.{name}"
            raise ProblemError(INVALID, f"`{field}`: that extension is not offered.", field=field)
    return parameters
