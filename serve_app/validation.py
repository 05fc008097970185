"""What pydantic says of a value that does not do, for one clause of a sentence."""

from pydantic import ValidationError


def first_fault(error: ValidationError) -> tuple[str, str]:
    """Where the first fault is, as `keys.0.name`, empty for the whole, and what it is.

    All that pydantic says takes several lines for each fault and shows the values.
    """
    first = error.errors(include_input=False, include_url=False)[0]
    return ".".join(map(str, first["loc"])), first["msg"]
