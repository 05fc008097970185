"""The README's commands work: its curl lines against the running service, its targets in make."""

import json
import re
import subprocess

import pytest

from tests.conftest import ROOT
from tests.integration.conftest import Service

README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks() -> list[str]:
    return re.findall(r"```sh\n(.*?)```", README, re.DOTALL)


@pytest.mark.system
def test_the_curl_lines_answer(service: Service) -> None:
    commands = [
        command
        for block in blocks()
        for command in re.split(r"\n(?=curl )", block.strip())
        if command.startswith("curl ")
    ]
    assert len(commands) >= 2
    for command in commands:
        local = command.replace("http://127.0.0.1:8000", service.url)
        assert local != command
        local = local.replace("curl -s", "curl -sf")  # an error's JSON is JSON too
        result = subprocess.run(
            ["bash", "-c", local], capture_output=True, text=True, timeout=60, check=True
        )
        assert json.loads(result.stdout), command


def test_the_targets_it_names_are_in_the_makefile() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z][a-z-]*):", makefile, re.MULTILINE))
    named = set(re.findall(r"\bmake ([a-z][a-z-]*)", README))
    assert {"run", "test", "help"} <= named
    assert named <= targets


def test_the_files_it_names_exist() -> None:
    for link in re.findall(r"\]\(([^)#]+)\)", README):
        if not link.startswith("http"):
            assert (ROOT / link).exists(), link
    for folder in re.findall(r"^\| `([^`]+)`", README, re.MULTILINE):
        assert (ROOT / folder).exists(), folder
