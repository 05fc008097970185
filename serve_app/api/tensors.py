"""Tensors of the Open Inference Protocol, as JSON and by its binary tensor data extension.

A binary body is a JSON object, then the data of its binary tensors in their order; the header
`Inference-Header-Content-Length` says where the object ends. An item of a BYTES tensor is its
length in four bytes, little-endian, then its bytes.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson

from serve_app.api.errors import INVALID, ProblemError
from serve_app.api.schemas import check_texts, object_of, whole

BINARY = "application/octet-stream"
HEADER = "Inference-Header-Content-Length"
LENGTH = struct.Struct("<I")
DIGITS = 20
"""Of a length; Python refuses to read numbers of some thousand."""

Floats = npt.NDArray[np.float32]
Values = list[str] | Floats


def split(body: bytes, length: str | None) -> tuple[bytes, bytes]:
    """The JSON object of a body and the binary data after it.

    Args:
        length: what the header says; None where it is absent.

    Raises:
        ProblemError: 422, there is no such length.
    """
    if length is None:
        return body, b""
    whole_number = length.isascii() and length.isdecimal() and len(length) <= DIGITS
    if not whole_number or int(length) > len(body):
        raise ProblemError(
            INVALID,
            f"{HEADER} must be the length of the JSON object in bytes, at most the body's"
            f" {len(body)}.",
            field=HEADER,
        )
    end = int(length)
    return body[:end], body[end:]


def pack(items: Sequence[bytes]) -> bytes:
    """The binary data of a BYTES tensor."""
    return b"".join(part for item in items for part in (LENGTH.pack(len(item)), item))


def unpack(data: bytes, count: int, field: str) -> list[bytes]:
    """The `count` items of a BYTES tensor.

    Raises:
        ProblemError: 422, the data has fewer or more.
    """
    items: list[bytes] = []
    at = 0
    for _ in range(count):
        start = at + LENGTH.size
        if start > len(data):
            raise _wrong_size(field, f"ends after {len(items)} of {count} items")
        at = start + LENGTH.unpack_from(data, start - LENGTH.size)[0]
        if at > len(data):
            raise _wrong_size(field, f"ends within item {len(items)} of {count}")
        items.append(data[start:at])
    if at < len(data):
        raise _wrong_size(field, f"goes on for {len(data) - at} bytes after its {count} items")
    return items


def decode(items: list[bytes], field: str) -> list[str]:
    """UTF-8 to texts.

    Raises:
        ProblemError: 422, naming the item that is none.
    """
    texts: list[str] = []
    for index, item in enumerate(items):
        try:
            texts.append(item.decode())
        except UnicodeDecodeError as error:
            at = f"{field}[{index}]"
            raise ProblemError(
                INVALID, f"`{at}` is not UTF-8: {error.reason} at byte {error.start}.", field=at
            ) from None
    return texts


def texts_of(tensor: dict[str, Any], binary: bytes, max_texts: int, field: str) -> list[str]:
    """The texts of a BYTES tensor of shape [n] or [n, 1].

    Args:
        tensor: as the JSON object has it.
        binary: what follows the object.
        field: where the tensor is, such as `inputs[0]`.

    Raises:
        ProblemError: 422, naming what is wrong.
    """
    count, columns = _shape(tensor.get("shape"), f"{field}.shape")
    data_field = f"{field}.data"
    if count > max_texts:
        raise ProblemError(
            INVALID,
            f"`{field}` has {count} texts; one request may have {max_texts}.",
            field=f"{field}.shape",
        )
    size = object_of(tensor, "parameters", at=f"{field}.").get("binary_data_size")
    if size is None:
        if binary:
            raise _wrong_size(
                f"{field}.parameters.binary_data_size",
                f"is missing, and {len(binary)} bytes follow the JSON object",
            )
        data: Any = _flat(tensor.get("data"), columns)
    else:
        if whole(size) != len(binary):
            said = size if whole(size) is not None else "no whole number"
            raise _wrong_size(
                f"{field}.parameters.binary_data_size",
                f"is {said}, and {len(binary)} bytes follow the JSON object",
            )
        data = decode(unpack(binary, count, data_field), data_field)
    if not isinstance(data, list):
        raise ProblemError(INVALID, f"`{data_field}` must be a list of texts.", field=data_field)
    if len(data) != count:
        raise ProblemError(
            INVALID,
            f"`{field}.shape` says {count} texts, and `{data_field}` has {len(data)}.",
            field=data_field,
        )
    return check_texts(data, max_texts, field=data_field)


@dataclass(frozen=True, slots=True)
class Output:
    """A tensor of shape [n] to be sent: texts as BYTES, numbers as FP32."""

    name: str
    values: Values
    binary: bool


def join(head: dict[str, Any], outputs: Sequence[Output]) -> tuple[bytes, str, dict[str, str]]:
    """An answer's body, its media type, and the header that binary data needs.

    Args:
        head: the fields beside `outputs`.
    """
    tensors: list[dict[str, Any]] = []
    data: list[bytes] = []
    for output in outputs:
        tensor: dict[str, Any] = {
            "name": output.name,
            "datatype": "BYTES" if isinstance(output.values, list) else "FP32",
            "shape": [len(output.values)],
        }
        if output.binary:
            data.append(_encode(output.values))
            tensor["parameters"] = {"binary_data_size": len(data[-1])}
        else:
            tensor["data"] = output.values
        tensors.append(tensor)
    content = orjson.dumps({**head, "outputs": tensors}, option=orjson.OPT_SERIALIZE_NUMPY)
    if not data:
        return content, "application/json", {}
    return b"".join((content, *data)), BINARY, {HEADER.lower(): str(len(content))}


def _encode(values: Values) -> bytes:
    if isinstance(values, list):
        return pack([value.encode() for value in values])
    return values.astype("<f4").tobytes()


def _shape(value: Any, field: str) -> tuple[int, int]:
    sizes = [whole(size) for size in value] if isinstance(value, list) else []
    if len(sizes) in (1, 2) and sizes[0] is not None and sizes[0] >= 0 and sizes[1:] in ([], [1]):
        return sizes[0], len(sizes)
    raise ProblemError(INVALID, f"`{field}` must be [n] or [n, 1].", field=field)


def _flat(data: Any, columns: int) -> Any:
    """JSON data of shape [n, 1] may be nested as its shape is, or flat."""
    if columns == 2 and isinstance(data, list):
        return [row[0] if isinstance(row, list) and len(row) == 1 else row for row in data]
    return data


def _wrong_size(field: str, what: str) -> ProblemError:
    return ProblemError(INVALID, f"`{field}` {what}.", field=field)
