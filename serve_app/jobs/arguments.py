"""Numbers on the command line, held to their bounds."""

import argparse


def positive(value: str) -> int:
    """A whole number of at least 1.

    Raises:
        argparse.ArgumentTypeError: it is none.
    """
    return _within(value, 1, None)


def port(value: str) -> int:
    """A TCP port that can be listened on.

    Raises:
        argparse.ArgumentTypeError: it is none.
    """
    return _within(value, 1, 65535)


def _within(value: str, least: int, most: int | None) -> int:
    bounds = f"from {least} to {most}" if most else f"of at least {least}"
    try:
        number = int(value)
    except ValueError:
        number = least - 1
    if number < least or (most and number > most):
        raise argparse.ArgumentTypeError(f"{value!r} is no whole number {bounds}")
    return number
