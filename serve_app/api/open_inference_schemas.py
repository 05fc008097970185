"""What the document says of the `/v2…` routes: their bodies and how each is declared."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, PositiveInt

from serve_app.api.guard import needs
from serve_app.api.openapi import INFER_HEADERS, REQUEST_ID, body, errors, header, optional
from serve_app.api.schemas import MAX_TEXTS, Text, Texts
from serve_app.api.tensors import BINARY, HEADER
from serve_app.engine.postprocess import Function

OutputName = Literal["label", "score"]


class _Open(BaseModel):
    """The protocol lets clients add fields and parameters; those not listed are ignored."""

    model_config = ConfigDict(extra="allow")


class InferenceParameters(_Open):
    binary_data_output: bool | None = Field(
        default=None, description="Whether outputs that do not say otherwise are sent as binary."
    )
    function_to_apply: Function | None = Field(
        default=None, description="From logits to scores; the model's own if absent."
    )


class InputTensor(_Open):
    name: Literal["text"]
    datatype: Literal["BYTES"]
    shape: tuple[PositiveInt] | tuple[PositiveInt, Literal[1]] = Field(
        description="[n] or [n, 1] for n texts."
    )
    parameters: dict[str, Any] | None = Field(
        default=None, description="`binary_data_size` in a binary body: bytes of the tensor there."
    )
    data: Texts | list[tuple[Text]] = Field(
        min_length=1,
        json_schema_extra={"maxItems": MAX_TEXTS},
        description="The n texts; nested, where the shape is [n, 1]. Absent in a binary body.",
    )


class OutputParameters(_Open):
    binary_data: bool | None = None


class OutputRequest(_Open):
    name: OutputName
    parameters: OutputParameters | None = None


class OpenInferenceRequest(_Open):
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "inputs": [
                        {
                            "name": "text",
                            "datatype": "BYTES",
                            "shape": [1],
                            "data": ["A lovely film."],
                        }
                    ]
                }
            ]
        }
    )

    id: str | None = Field(default=None, description="Comes back in the answer.")
    parameters: InferenceParameters | None = None
    inputs: tuple[InputTensor]
    outputs: list[OutputRequest] | None = Field(
        default=None, description="The outputs to send; all if absent or empty."
    )


class OutputTensor(BaseModel):
    name: OutputName
    datatype: Literal["BYTES", "FP32"]
    shape: tuple[PositiveInt]
    data: list[str] | list[float]


class OpenInferenceAnswer(BaseModel):
    model_name: str
    id: str | None = None
    outputs: list[OutputTensor]


class ServerMetadata(BaseModel):
    name: str
    version: str
    extensions: list[str]


class ServerLive(BaseModel):
    live: Literal[True]


class ServerReady(BaseModel):
    ready: Literal[True]


class TensorMetadata(BaseModel):
    name: str
    datatype: Literal["BYTES", "FP32"]
    shape: list[int]


class ModelMetadata(BaseModel):
    name: str
    platform: str
    inputs: list[TensorMetadata]
    outputs: list[TensorMetadata]


class ModelReady(BaseModel):
    name: str
    ready: Literal[True]


def _open_route(summary: str, model: type[BaseModel], *statuses: int) -> dict[str, Any]:
    return {
        "summary": summary,
        "response_model": model,
        "responses": {200: {"headers": REQUEST_ID}, **errors(405, *statuses)},
    }


METADATA = _open_route("What the server is", ServerMetadata) | {"openapi_extra": needs(None)}
LIVE = _open_route("Whether the server lives", ServerLive)
READY = _open_route("Whether every model answers", ServerReady, 503)


def model_metadata(models: list[str]) -> dict[str, Any]:
    """Of `GET /v2/models/{model}`; its answer leads on to the model's other routes."""
    route = _open_route("What a model takes and gives", ModelMetadata, 404)
    parameters = {"model": "$response.body#/name"}
    route["responses"][200]["links"] = {
        operation: {"operationId": operation, "parameters": parameters}
        for operation in ("open_inference_infer", "open_inference_ready")
    }
    return route | {
        "operation_id": "open_inference_model",
        "openapi_extra": {**needs(None), "parameters": [_model(models)]},
    }


def model_ready(models: list[str]) -> dict[str, Any]:
    """Of `GET /v2/models/{model}/ready`."""
    return _open_route("Whether a model answers", ModelReady, 404, 503) | {
        "operation_id": "open_inference_ready",
        "openapi_extra": {**needs(None), "parameters": [_model(models)]},
    }


def infer(models: list[str]) -> dict[str, Any]:
    """Of `POST /v2/models/{model}/infer`."""
    extra = body(OpenInferenceRequest)
    extra["requestBody"]["content"][BINARY] = {
        "schema": {
            "type": "string",
            "format": "binary",
            "description": f"The JSON object, then the tensor's binary data; {HEADER} says where.",
        }
    }
    length = {
        "name": HEADER,
        "in": "header",
        "schema": {"type": "integer", "minimum": 0},
        "description": "Bytes of the JSON object at the start of a binary body."
        " 0: there is none, and all of the body is one text.",
    }
    return {
        "summary": "Classify with a model",
        "operation_id": "open_inference_infer",
        "response_model": OpenInferenceAnswer,
        "responses": {
            200: {
                "description": "The outputs; as binary data after the JSON object, if asked for.",
                "headers": {
                    **INFER_HEADERS,
                    HEADER: optional(
                        header("Bytes of the JSON object, with binary data.", "integer", minimum=2)
                    ),
                },
                "content": {BINARY: {"schema": {"type": "string", "format": "binary"}}},
            },
            **errors(400, 404, 405, 413, 415, 422, 500, 503, 504),
        },
        "openapi_extra": {**extra, "parameters": [_model(models), length]},
    }


def _model(models: list[str]) -> dict[str, Any]:
    return {
        "name": "model",
        "in": "path",
        "required": True,
        "schema": {"type": "string", "enum": models},
    }
