"""Linters over what delivers the service: no finding, or a named exception beside it."""

import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

import pytest
import yaml

from kuberay.manifests import render
from serve_app.serve_config import ROOT
from tests.manifests.conftest import ACCOUNT, IMAGES, pod_templates

BIN = Path(sys.executable).parent
SHELL = sorted(
    path
    for path in (ROOT / "scripts").iterdir()
    if path.is_file() and path.read_text(encoding="utf-8").startswith("#!/usr/bin/env bash")
)
YAML = ["kuberay", ".github", "compose.yaml", "serve_config.yaml", "serve_config.local.yaml"]
CHECKOV = "checkov==3.3.30"


def clean(*command: str | Path) -> None:
    path = f"{BIN}:{os.environ['PATH']}"
    done = subprocess.run(
        list(map(str, command)),
        cwd=ROOT,
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"


def test_actionlint() -> None:
    clean(BIN / "actionlint", "-shellcheck", BIN / "shellcheck")


def test_zizmor() -> None:
    clean(BIN / "zizmor", "--offline", "--no-progress", ".github")


def test_hadolint() -> None:
    clean(BIN / "hadolint", "Dockerfile")


@pytest.mark.parametrize("script", SHELL, ids=lambda path: path.name)
def test_shellcheck(script: Path) -> None:
    clean(BIN / "shellcheck", script)


def test_yamllint() -> None:
    clean(sys.executable, "-m", "yamllint", "--strict", *YAML)


@pytest.fixture(scope="module")
def checkov() -> Path:
    """In an environment of its own: its dependencies are older than ours."""
    found = shutil.which("checkov")
    if found:
        return Path(found)
    folder = ROOT / ".cache" / "checkov"
    program = folder / "bin" / "checkov"
    if not program.exists():
        venv.create(folder, with_pip=True, clear=True)
        subprocess.run([folder / "bin" / "pip", "install", "--quiet", CHECKOV], check=True)
    return program


@pytest.mark.long
@pytest.mark.system
@pytest.mark.timeout(600)
def test_checkov(checkov: Path, tmp_path: Path) -> None:
    manifests = render("eks", IMAGES, ACCOUNT)
    # Pods inside Ray's kinds, which it does not know, as pods.
    for name, template in [
        t for m in manifests if m["kind"] == "RayService" for t in pod_templates(m)
    ]:
        metadata = {
            **template["metadata"],
            "name": name.rsplit("/")[-1],
            "namespace": "sentiment",
            # The autoscaler, which the operator puts beside the head; the head's own are asserted.
            "annotations": {
                "checkov.io/skip1": "CKV_K8S_8=the operator's autoscaler takes no probe",
                "checkov.io/skip2": "CKV_K8S_9=the operator's autoscaler takes no probe",
            },
        }
        manifests.append(
            {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"]}
        )
    rendered = tmp_path / "eks.yaml"
    rendered.write_text(yaml.safe_dump_all(manifests), encoding="utf-8")
    shutil.copy(ROOT / "Dockerfile", tmp_path)
    config = ROOT / ".checkov.yaml"
    clean(
        checkov, "--config-file", config, "-d", tmp_path, "--framework", "kubernetes", "dockerfile"
    )
