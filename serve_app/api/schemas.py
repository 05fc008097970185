"""Bodies of the service's own routes: what is taken, what is given, and what is said of faults."""

from collections import Counter
from typing import Annotated, Any, get_args

from pydantic import BaseModel, ConfigDict, Field
from starlette.datastructures import QueryParams

from serve_app.api.errors import INVALID, ProblemError
from serve_app.engine.postprocess import Function

FUNCTIONS: tuple[Function, ...] = get_args(Function)

LONGEST_NAME = 100
"""Characters of a client's own name in a message."""
MAX_TEXTS = "max_texts"
"""Stands in schemas for the setting, which the document puts in its place."""

# What Python calls a space, where a reader of the document may know fewer.
Text = Annotated[
    str,
    Field(min_length=1, pattern=r"[^\s\x1c-\x1f\x85]", description="A text that is not blank."),
]
Texts = Annotated[list[Text], Field(min_length=1, json_schema_extra={"maxItems": MAX_TEXTS})]


class InferRequest(BaseModel):
    """`{"input": "text"}` or `{"input": ["text", …]}`, and no other field."""

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        json_schema_extra={"examples": [{"input": "A lovely film."}]},
    )

    input: Text | Texts = Field(description="A text, or a list of texts.")


class Prediction(BaseModel):
    """The best label of one text and its score."""

    label: str
    score: float


class Error(BaseModel):
    """An error, where a protocol has a shape of its own for it."""

    error: str = Field(description="A sentence on this very error.")


class Problem(BaseModel):
    """An RFC 9457 problem."""

    type: str = Field(description="Names the kind of error; stable.")
    title: str
    status: int
    detail: str = Field(description="A sentence on this very error.")
    field: str | None = Field(default=None, description="The field at fault, such as `input[3]`.")


def quoted(name: str) -> str:
    """A client's own name in quotes, cut where it is long: what it sent is not sent back whole."""
    return repr(name if len(name) <= LONGEST_NAME else f"{name[:LONGEST_NAME]}…")


def texts_of(body: Any, max_texts: int) -> list[str]:
    """The texts of a parsed `InferRequest`.

    Raises:
        ProblemError: 422, naming the field at fault.
    """
    if not isinstance(body, dict):
        raise ProblemError(INVALID, "The body must be a JSON object with the field `input`.")
    unknown = next((name for name in body if name != "input"), None)
    if unknown is not None:
        name = quoted(unknown)
        raise ProblemError(
            INVALID, f"{name} is no field of this route; it takes `input` alone.", field=name[1:-1]
        )
    if "input" not in body:
        raise ProblemError(INVALID, "The field `input` is missing.", field="input")
    return check_texts(body["input"], max_texts, field="input")


def check_texts(value: Any, max_texts: int, *, field: str) -> list[str]:
    """A text or a list of texts, as a list; the same verdict for a text and a list of one.

    Raises:
        ProblemError: 422, naming the item at fault.
    """
    if isinstance(value, str):
        check_text(value, field)
        return [value]
    if not isinstance(value, list):
        raise ProblemError(INVALID, f"`{field}` must be a text or a list of texts.", field=field)
    if not value:
        raise ProblemError(INVALID, f"`{field}` is an empty list.", field=field)
    if len(value) > max_texts:
        raise ProblemError(
            INVALID,
            f"`{field}` has {len(value)} texts; one request may have {max_texts}.",
            field=field,
        )
    for index, text in enumerate(value):
        check_text(text, f"{field}[{index}]")
    return value


def check_text(text: Any, field: str) -> None:
    """
    Raises:
        ProblemError: 422, it is no text, or a blank one, or none that can be sent on.
    """
    if not isinstance(text, str):
        raise ProblemError(
            INVALID, f"`{field}` must be a text, not {_json_type(text)}.", field=field
        )
    if not text or text.isspace():
        raise ProblemError(INVALID, f"`{field}` is blank.", field=field)
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ProblemError(
            INVALID,
            f"`{field}` has a lone surrogate at position {error.start}, which is no character.",
            field=field,
        ) from None


def object_of(body: dict[str, Any], name: str, *, at: str = "") -> dict[str, Any]:
    """An optional field that holds an object; absent and null are an empty one.

    Args:
        at: the path of `body` itself, with a dot at its end.

    Raises:
        ProblemError: 422, it holds something else.
    """
    value = body.get(name)
    if value is None:
        return {}
    if not isinstance(value, dict):
        field = at + name
        raise ProblemError(
            INVALID, f"`{field}` must be an object, not {_json_type(value)}.", field=field
        )
    return value


def flag_of(body: dict[str, Any], name: str, *, at: str, default: bool = False) -> bool:
    """An optional field that is true or false.

    Raises:
        ProblemError: 422, it is neither.
    """
    value = body.get(name)
    if value is None:
        return default
    if not isinstance(value, bool):
        field = at + name
        raise ProblemError(INVALID, f"`{field}` must be true or false.", field=field)
    return value


def function_of(parameters: dict[str, Any], default: Function) -> Function:
    """The optional parameter `function_to_apply`.

    Raises:
        ProblemError: 422, it names no function.
    """
    value = parameters.get("function_to_apply")
    if value is None:
        return default
    for function in FUNCTIONS:
        if value == function:
            return function
    field = "parameters.function_to_apply"
    raise ProblemError(INVALID, f"`{field}` must be one of {', '.join(FUNCTIONS)}.", field=field)


def each_once(query: QueryParams) -> None:
    """See that no parameter of the query is there twice, where only one could be meant.

    Raises:
        ProblemError: 422, naming one that is.
    """
    for name, count in Counter(name for name, _ in query.multi_items()).items():
        if count > 1:
            raise ProblemError(INVALID, f"`{name}` is in the query more than once.", field=name)


def whole(value: Any) -> int | None:
    """A JSON number without a fraction as an int (1.0 is one too); None if it is none."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return int(value) if value == value // 1 else None


def _json_type(value: Any) -> str:
    if value is None:
        return "null"
    names = {
        bool: "a boolean", int: "a number", float: "a number", list: "a list", str: "a text",
        dict: "an object",
    }  # fmt: skip
    return names.get(type(value), type(value).__name__)  # a file's rows may have other types
