"""The tensor codec: round trips, Triton's own codec as the judge, 422 for whatever is wrong."""

import struct
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tritonclient.http import InferResult
from tritonclient.utils import deserialize_bytes_tensor, serialize_byte_tensor

from serve_app.api.errors import INVALID, ProblemError
from serve_app.api.tensors import BINARY, Output, join, pack, split, texts_of, unpack

MAX_TEXTS = 8

texts = st.lists(
    st.text(st.characters(codec="utf-8"), min_size=1).filter(lambda text: not text.isspace()),
    min_size=1,
    max_size=MAX_TEXTS,
)
items = st.lists(st.binary(max_size=300), max_size=20)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=6,
)
tensors = st.fixed_dictionaries(
    {},
    optional={
        "shape": st.lists(st.integers(-1, 5) | json_values, max_size=3) | json_values,
        "data": st.lists(st.text(max_size=3) | json_values, max_size=4) | json_values,
        "parameters": st.fixed_dictionaries({"binary_data_size": st.integers(-1, 40) | json_values})
        | json_values,
    },
)


@given(items)
def test_binary_items_come_back(wanted: list[bytes]) -> None:
    assert unpack(pack(wanted), len(wanted), "data") == wanted


@given(items.filter(len))
def test_triton_packs_and_unpacks_alike(wanted: list[bytes]) -> None:
    array = np.array(wanted, dtype=np.object_)
    assert pack(wanted) == serialize_byte_tensor(array).item()
    assert deserialize_bytes_tensor(pack(wanted)).tolist() == wanted


@given(items, st.data())
def test_data_that_is_cut_or_goes_on_is_refused(wanted: list[bytes], data: st.DataObject) -> None:
    packed = pack(wanted)
    if packed:
        cut = packed[: data.draw(st.integers(0, len(packed) - 1))]
        with pytest.raises(ProblemError):
            unpack(cut, len(wanted), "data")
    with pytest.raises(ProblemError, match="goes on"):
        unpack(packed + data.draw(st.binary(min_size=1)), len(wanted), "data")


@given(texts, st.booleans(), st.booleans())
def test_texts_are_the_same_in_every_form(wanted: list[str], columns: bool, nested: bool) -> None:
    shape = [len(wanted), 1] if columns else [len(wanted)]
    data = [[text] for text in wanted] if columns and nested else wanted
    assert texts_of({"shape": shape, "data": data}, b"", MAX_TEXTS, "inputs[0]") == wanted
    packed = pack([text.encode() for text in wanted])
    tensor = {"shape": shape, "parameters": {"binary_data_size": len(packed)}}
    assert texts_of(tensor, packed, MAX_TEXTS, "inputs[0]") == wanted


@given(tensors, st.binary(max_size=40))
def test_whatever_comes_is_read_or_refused(tensor: dict[str, Any], binary: bytes) -> None:
    refusal = None
    found = ["refused"]
    try:
        found = texts_of(tensor, binary, MAX_TEXTS, "inputs[0]")
    except ProblemError as error:
        refusal = error
    assert refusal is None or (refusal.kind is INVALID and refusal.field)
    assert 0 < len(found) <= MAX_TEXTS
    assert all(isinstance(text, str) and text.strip() for text in found)


@given(st.binary(max_size=50), st.integers(0, 60))
def test_a_body_is_split_where_the_header_says(body: bytes, length: int) -> None:
    if length > len(body):
        with pytest.raises(ProblemError, match="must be the length"):
            split(body, str(length))
    else:
        assert split(body, str(length)) == (body[:length], body[length:])


@given(st.text(max_size=30).filter(lambda text: not (text.isascii() and text.isdecimal())))
def test_a_header_that_is_no_length_is_refused(length: str) -> None:
    with pytest.raises(ProblemError, match="must be the length"):
        split(b"{}", length)


def test_a_length_that_python_refuses_to_read_is_refused() -> None:
    with pytest.raises(ProblemError, match="must be the length"):
        split(b"{}", "0" * 5000)


def test_a_size_that_is_no_number_is_not_repeated() -> None:
    nested: object = 1
    for _ in range(900):
        nested = [nested]
    tensor = {"shape": [1], "parameters": {"binary_data_size": nested}}
    with pytest.raises(ProblemError, match="is no whole number, and 5 bytes"):
        texts_of(tensor, b"\1\0\0\0a", MAX_TEXTS, "inputs[0]")


def test_a_body_without_the_header_is_all_json() -> None:
    assert split(b"{}", None) == (b"{}", b"")


@given(
    texts,
    st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=1),
    st.sampled_from([(False, False), (True, False), (False, True), (True, True)]),
)
def test_triton_reads_every_answer(
    labels: list[str], scores: list[float], binary: tuple[bool, bool]
) -> None:
    floats = np.array(scores, dtype=np.float32)
    body, media, headers = join(
        {"model_name": "onnx"},
        [Output("label", labels, binary[0]), Output("score", floats, binary[1])],
    )
    assert (media == BINARY) == any(binary) == bool(headers)
    length = headers.get("inference-header-content-length")
    result = InferResult.from_response_body(body, header_length=length)
    found = [x if isinstance(x, str) else x.decode() for x in result.as_numpy("label").tolist()]
    assert found == labels
    assert result.as_numpy("score").dtype == np.float32
    assert np.array_equal(result.as_numpy("score"), floats)


FAULTS: list[tuple[dict[str, Any], bytes, str]] = [
    ({"data": ["a"]}, b"", "shape"),
    ({"shape": [1, 2], "data": ["a", "b"]}, b"", "shape"),
    ({"shape": [-1], "data": ["a"]}, b"", "shape"),
    ({"shape": [2], "data": ["a"]}, b"", "says 2 texts"),
    ({"shape": [9], "data": ["a"] * 9}, b"", "one request may have 8"),
    ({"shape": [0], "data": []}, b"", "empty list"),
    ({"shape": [1]}, b"", "must be a list of texts"),
    ({"shape": [1], "data": [" "]}, b"", "blank"),
    ({"shape": [1], "data": [["a"]]}, b"", "must be a text"),
    ({"shape": [1], "data": ["a"]}, b"\1\0\0\0a", "is missing, and 5 bytes follow"),
    ({"shape": [1], "parameters": {"binary_data_size": 4}}, b"\1\0\0\0a", "is 4, and 5 bytes"),
    ({"shape": [1], "parameters": {"binary_data_size": 3}}, b"\1\0\0", "ends after 0 of 1"),
    ({"shape": [1], "parameters": {"binary_data_size": 5}}, b"\2\0\0\0a", "ends within item 0"),
    ({"shape": [1], "parameters": {"binary_data_size": 5}}, b"\1\0\0\0\xff", "is not UTF-8"),
    ({"shape": [1], "parameters": 5}, b"", "must be an object"),
]


@pytest.mark.parametrize(("tensor", "binary", "says"), FAULTS)
def test_the_fault_is_named(tensor: dict[str, Any], binary: bytes, says: str) -> None:
    with pytest.raises(ProblemError, match=says):
        texts_of(tensor, binary, MAX_TEXTS, "inputs[0]")


def test_a_length_of_gigabytes_allocates_nothing() -> None:
    with pytest.raises(ProblemError, match="ends within"):
        unpack(struct.pack("<I", 2**32 - 1) + b"a", 1, "data")
