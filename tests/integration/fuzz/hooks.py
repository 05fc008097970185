"""What schemathesis cannot know: parts of a request that must fit together, and one more check.

A tensor's shape must count its data, the header of a binary body must measure its JSON, and a CSV
needs the name of its column. Requests that are meant to be wrong stay as they are.
"""

import json
from typing import Any

import schemathesis
from schemathesis import Case, CheckContext, GenerationMode, HookContext, Response

from serve_app.api.tensors import BINARY, HEADER, pack

HTTP = {"connection", "content-length", "content-type", "date", "server", "transfer-encoding"}
"""Headers that every HTTP answer may have, whatever the document says."""


@schemathesis.check
def headers_are_told(context: CheckContext, response: Response, case: Case[Any]) -> None:
    """Each header of an answer is in the document under its status."""
    told = case.operation.definition.raw["responses"].get(str(response.status_code))
    if told is not None:  # another check tells of a status that is not
        names = {name.lower() for name in told.get("headers", {})}
        assert set(response.headers) - HTTP <= names, sorted(response.headers)


@schemathesis.hook
def before_call(context: HookContext, case: Case[Any], kwargs: dict[str, Any]) -> None:
    if case.meta is None or case.meta.generation.mode is not GenerationMode.POSITIVE:
        return
    if case.path.endswith("/stream") and case.media_type == "text/csv":
        case.query = {**(case.query or {}), "text_column": "text"}
    if case.path != "/v2/models/{model}/infer":
        return
    case.headers.pop(HEADER, None)
    body: Any = case.body
    if case.media_type == BINARY:
        case.body, case.headers[HEADER] = binary(body)
    elif isinstance(body, dict):
        (tensor,) = body["inputs"]
        nested = all(isinstance(row, list) for row in tensor["data"])
        count = len(tensor["data"])
        tensor["shape"] = [count, 1] if nested else [count]


def binary(noise: Any) -> tuple[bytes, str]:
    """A body whose text is made of what was generated, in one of the two binary forms."""
    data = noise if isinstance(noise, bytes) else repr(noise).encode()
    text = data.hex().encode() or b"none"
    if len(data) % 2:
        return text, "0"
    packed = pack([text])
    head = json.dumps(
        {
            "inputs": [
                {
                    "name": "text",
                    "datatype": "BYTES",
                    "shape": [1],
                    "parameters": {"binary_data_size": len(packed)},
                }
            ]
        }
    ).encode()
    return head + packed, str(len(head))
