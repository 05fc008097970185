"""Every setting stands in docs/settings.md with its description and default, and no other does."""

import json
import re

import pytest
from pydantic_settings import BaseSettings

from serve_app.settings import Settings
from tests.conftest import ROOT
from ui.settings import Settings as PageSettings

PAGE = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")


def documented(cls: type[BaseSettings]) -> dict[str, tuple[str, str]]:
    """Variable -> what the page must say of it: description and default."""
    prefix = cls.model_config.get("env_prefix") or ""
    found = {}
    for name, field in cls.model_fields.items():
        default = field.get_default(call_default_factory=True)
        if isinstance(default, tuple) and default:
            default = json.dumps(default)  # as the environment has it
        shown = "unset" if default in (None, (), "") else f"`{default}`"
        found[f"{prefix}{name.upper()}"] = (field.description or "", shown)
    return found


SETTINGS = {**documented(Settings), **documented(PageSettings)}


@pytest.mark.parametrize("variable", SETTINGS)
def test_a_setting_is_documented(variable: str) -> None:
    description, default = SETTINGS[variable]
    section = re.search(rf"^### `{variable}`\n(.*?)(?=^##|\Z)", PAGE, re.MULTILINE | re.DOTALL)
    assert section, f"docs/settings.md has no section {variable}"
    assert description
    assert description in section[1]
    assert f"Default: {default}" in section[1]


def test_nothing_else_is_documented() -> None:
    assert set(re.findall(r"^### `(\w+)`", PAGE, re.MULTILINE)) == set(SETTINGS)
