"""What the workflows are made of: pinned actions, least rights, commands that exist."""

import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from serve_app.serve_config import ROOT

WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yaml"))
SUITE = ("install", "check", "test-all", "manifests", "lint-delivery", "rehearse", "fuzz")
"""Targets that run the very tests that this is one of; the other steps are run in test_runs.py."""


def steps() -> list[tuple[str, dict[str, Any]]]:
    found = []
    for path in WORKFLOWS:
        jobs = yaml.safe_load(path.read_text(encoding="utf-8"))["jobs"]
        for job in jobs.values():
            found += [(path.stem, step) for step in job.get("steps", [])]
    return found


def runs() -> list[tuple[str, str]]:
    return [(name, step["run"]) for name, step in steps() if "run" in step]


def test_actions_are_pinned_by_commit() -> None:
    used = [step["uses"] for _, step in steps() if "uses" in step]
    assert len(used) > 15
    assert [each for each in used if not re.search(r"@[0-9a-f]{40}$", each)] == []


def test_each_action_has_one_commit_and_says_its_version() -> None:
    text = "".join(path.read_text(encoding="utf-8") for path in WORKFLOWS)
    pins: dict[str, set[str]] = {}
    for action, pin in re.findall(
        r"uses: ([\w./-]+)@([0-9a-f]{40}  # v\d+\.\d+\.\d+)$", text, re.M
    ):
        pins.setdefault(action, set()).add(pin)
    assert {action: pin for action, pin in pins.items() if len(pin) > 1} == {}
    assert len(re.findall(r"@[0-9a-f]{40}", text)) == len(re.findall(r"@[0-9a-f]{40}  # v\d", text))


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_rights_time_and_guards(path: Path) -> None:
    workflow = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert workflow["permissions"] == {}
    called = "workflow_call" in workflow[True]  # YAML reads `on` as true
    guarded = [each for each in (workflow, *workflow["jobs"].values()) if "concurrency" in each]
    assert called or guarded
    for name, job in workflow["jobs"].items():
        if "uses" not in job:
            assert job["timeout-minutes"] <= 150, name
            assert set(job["permissions"]) <= {"contents", "id-token"}, name
            assert job["permissions"]["contents"] == "read", name


def test_no_long_lived_keys() -> None:
    text = "".join(path.read_text(encoding="utf-8") for path in WORKFLOWS)
    assert set(re.findall(r"secrets\.(\w+)", text)) == {"HF_TOKEN", "SENTIMENT_KEY"}
    assert "aws-access-key-id" not in text


def test_deployment_waits_for_approval() -> None:
    jobs = yaml.safe_load((ROOT / ".github/workflows/deploy.yaml").read_text())["jobs"]
    assert jobs["cluster"]["environment"]["name"] == "production"
    assert jobs["cluster"]["needs"] == ["test", "images"]


def commands() -> list[tuple[str, str]]:
    found = []
    for name, script in runs():
        for line in script.replace("\\\n", " ").splitlines():
            line = line.strip().removeprefix("sudo -E ")
            word = line.split()[0]
            if word not in ("for", "done", "cosign", "aws", "kubectl", "echo", "sudo"):
                found.append((name, line))
    return sorted(set(found))


@pytest.mark.parametrize(("workflow", "line"), commands())
def test_every_command_is_there(workflow: str, line: str) -> None:
    word, *rest = line.split()
    if word == "make":
        targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M)
        assert rest[0] in targets
    elif word.startswith("scripts/"):
        assert os.access(ROOT / word, os.X_OK)
    else:
        raise AssertionError(f"{word} is neither a target nor a script")


def test_every_target_is_run_here_or_is_the_suite() -> None:
    targets = {line.split()[1] for _, line in commands() if line.startswith("make ")}
    assert targets - set(SUITE) == {"deploy", "image", "image-try"}


def test_the_suite_runs_as_root_or_the_rehearsal_would_be_skipped() -> None:
    (script,) = [run for name, run in runs() if name == "test" and "make test-all" in run]
    assert re.search(r"^sudo -E make test-all\b", script, re.M)


def test_images_are_for_the_machines_that_there_are() -> None:
    text = (ROOT / "kuberay" / "eks" / "nodepools.yaml").read_text(encoding="utf-8")
    machines = {
        f"linux/{value}"
        for pool in yaml.safe_load_all(text)
        for wanted in pool["spec"]["template"]["spec"]["requirements"]
        if wanted["key"] == "kubernetes.io/arch"
        for value in wanted["values"]
    }
    wanted = [
        step["with"]["platforms"]
        for name, step in steps()
        if name == "images" and "platforms" in step.get("with", {})
    ]
    assert len(wanted) == 2
    for platforms in wanted:
        (default,) = re.findall(r"\|\| '([^']+)'", platforms)
        assert machines < set(default.split(",")) == {"linux/amd64", "linux/arm64"}


def test_names_an_image_by_digest(tmp_path: Path) -> None:
    (script,) = [run for name, run in runs() if name == "images" and "GITHUB_OUTPUT" in run][:1]
    output = tmp_path / "output"
    environment = {
        "GITHUB_OUTPUT": str(output),
        "REGISTRY": "111122223333.dkr.ecr.eu-central-1.amazonaws.com",
        "TARGET": "serve",
        "DIGEST": f"sha256:{'a' * 64}",
    }
    subprocess.run(["bash", "-ec", script], env=environment, check=True)
    assert output.read_text() == (
        f"image={environment['REGISTRY']}/sentiment-serve@{environment['DIGEST']}\n"
    )
