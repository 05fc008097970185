"""What scripts/install asks pip for, against a pip of the test's own."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from serve_app.serve_config import ROOT

PYTHON = """#!/bin/sh
case "$*" in
    *importlib.metadata*) exit 1 ;;  # torch is not there
    *"-m pip"*) echo "$*" >> "$LOG" ;;
esac
case "$*" in *+cpu*) [ -n "$HAS_CPU_BUILD" ] ;; esac
"""


def asked(
    folder: Path, extras: str, machine: str = "Linux", cpu: str = "yes", only: str = ""
) -> list[str]:
    """The arguments of each `pip install`; it must fail where only the CPU build does."""
    (folder / "scripts").mkdir()
    shutil.copy(ROOT / "scripts" / "install", folder / "scripts")
    shutil.copy(ROOT / "requirements.txt", folder)
    for path, text in (
        (folder / ".venv" / "bin" / "python", PYTHON),
        (folder / "bin" / "uname", f"#!/bin/sh\necho {machine}\n"),
    ):
        path.parent.mkdir(parents=True)
        path.write_text(text)
        path.chmod(0o755)
    environment = {
        "PATH": f"{folder / 'bin'}:{os.environ['PATH']}",
        "LOG": str(folder / "log"),
        "HAS_CPU_BUILD": cpu,
        "CPU_TORCH": only,
    }
    run = subprocess.run([folder / "scripts" / "install", extras], env=environment, check=False)
    assert (run.returncode != 0) == bool(only and not cpu)
    return (folder / "log").read_text().splitlines()


@pytest.mark.parametrize("extras", ["ui", "delivery", "ui,delivery"])
def test_no_torch_for_what_needs_none(tmp_path: Path, extras: str) -> None:
    (line,) = asked(tmp_path, extras)
    assert line.endswith(f"--constraint requirements.txt --editable .[{extras}]")


@pytest.mark.parametrize("extras", ["dev", "serve", "ui,serve"])
def test_cpu_build_of_torch_on_every_linux(tmp_path: Path, extras: str) -> None:
    torch, rest = asked(tmp_path, extras)
    assert "+cpu" in torch
    assert rest.endswith(f".[{extras}]")


def test_no_image_with_another_build(tmp_path: Path) -> None:
    lines = asked(tmp_path, "serve", cpu="", only="only")
    assert ["+cpu" in line for line in lines] == [True, True]
    assert "--retries" not in lines[1]
    assert "ENV CPU_TORCH=only" in (ROOT / "Dockerfile").read_text()


def test_default_build_where_there_is_no_other(tmp_path: Path) -> None:
    lines = asked(tmp_path, "serve", cpu="")
    assert ["+cpu" in line for line in lines] == [True, True, False, False]
    assert "https://download.pytorch.org/whl/cpu" in lines[1]


def test_default_build_on_a_mac(tmp_path: Path) -> None:
    torch, _ = asked(tmp_path, "serve", machine="Darwin")
    assert "+cpu" not in torch
