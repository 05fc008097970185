"""Bodies of the service's own routes: what is taken, what is given, and what is said of faults."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from serve_app.api.errors import INVALID, ProblemError

Text = Annotated[str, Field(min_length=1, description="A text that is not blank.")]


class InferRequest(BaseModel):
    """`{"input": "text"}` or `{"input": ["text", …]}`, and no other field."""

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        json_schema_extra={"examples": [{"input": "A lovely film."}]},
    )

    input: Text | list[Text] = Field(description="A text, or a list of texts.")


class Prediction(BaseModel):
    """The best label of one text and its score."""

    label: str
    score: float


class Problem(BaseModel):
    """An RFC 9457 problem."""

    type: str = Field(description="Names the kind of error; stable.")
    title: str
    status: int
    detail: str = Field(description="A sentence on this very error.")
    field: str | None = Field(default=None, description="The field at fault, such as `input[3]`.")


def texts_of(body: Any, max_texts: int) -> list[str]:
    """The texts of a parsed `InferRequest`.

    Raises:
        ProblemError: 422, naming the field at fault.
    """
    if not isinstance(body, dict):
        raise ProblemError(INVALID, "The body must be a JSON object with the field `input`.")
    unknown = sorted(map(repr, body.keys() - {"input"}))
    if unknown:
        name = unknown[0]
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
        _check_text(value, field)
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
        _check_text(text, f"{field}[{index}]")
    return value


def _check_text(text: Any, field: str) -> None:
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


def _json_type(value: Any) -> str:
    if value is None:
        return "null"
    names = {bool: "a boolean", int: "a number", float: "a number", list: "a list"}
    return names.get(type(value), "an object")
