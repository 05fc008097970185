"""`docs/api.md` is true: it has every route and error, and its examples do what they show."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from serve_app.api.app import CORS_ANSWER_HEADERS
from serve_app.api.errors import KINDS
from tests.api.world import World
from tests.integration.conftest import Service

DOCUMENT = (Path(__file__).resolve().parents[2] / "docs" / "api.md").read_text()
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


class Example(NamedTuple):
    language: str
    source: str
    shown: str
    """What the block after it says of its output, in the language `form`."""
    form: str


def examples() -> list[Example]:
    blocks = BLOCK.findall(DOCUMENT)
    return [
        Example(language, source, shown, form)
        for (language, source), (form, shown) in zip(blocks[::2], blocks[1::2], strict=True)
    ]


@pytest.mark.system
@pytest.mark.parametrize("example", examples(), ids=lambda example: example.source[:40])
def test_an_example_does_what_it_shows(service: Service, example: Example) -> None:
    run = {"sh": ["bash", "-euo", "pipefail", "-c"], "python": [sys.executable, "-c"]}
    source = example.source.replace("127.0.0.1:8000", service.url.removeprefix("http://"))
    found = subprocess.run(
        [*run[example.language], source], capture_output=True, text=True, check=True
    ).stdout
    if example.form == "text":
        assert found == example.shown
    elif example.form == "json":
        same(json.loads(found), json.loads(example.shown))
    else:
        lines = list(zip(found.splitlines(), example.shown.splitlines(), strict=True))
        for line, shown in lines:
            same(json.loads(line), json.loads(shown))


def same(found: Any, shown: Any, name: str = "") -> None:
    """Equal but for numbers that differ from run to run; scores are close."""
    if isinstance(shown, float):
        assert isinstance(found, float)
        if name in ("score", "data"):
            assert found == pytest.approx(shown, abs=0.1)
    elif isinstance(shown, dict):
        assert list(found) == list(shown)
        for key, value in shown.items():
            same(found[key], value, key)
    elif isinstance(shown, list):
        assert len(found) == len(shown)
        for item, value in zip(found, shown, strict=True):
            same(item, value, name)
    else:
        assert found == shown


def test_every_error_is_told_with_its_status() -> None:
    told = re.findall(r"^\| `([a-z-]+)` \| (\d{3}) \|", DOCUMENT, re.MULTILINE)
    assert sorted(told) == sorted((kind.name, str(kind.status)) for kind in KINDS)


def test_every_route_is_told() -> None:
    told = set(re.findall(r"`((?:GET|POST) /[^`]*)`", DOCUMENT))
    backends = "|".join(World().gateway.dispatchers)
    found = {
        f"{method.upper()} {re.sub(rf'^/({backends})(?=/|$)', '/{backend}', path)}"
        for path, operations in World().app.openapi()["paths"].items()
        for method in operations
    }
    assert told == found


def test_every_header_is_told() -> None:
    for header in CORS_ANSWER_HEADERS:
        assert f"`{header}`" in DOCUMENT
