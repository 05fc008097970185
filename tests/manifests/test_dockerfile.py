"""The Dockerfile against the code: what it copies, and in which order."""

import ast
import re
from pathlib import Path

from serve_app.serve_config import ROOT

DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")


def imported(start: str) -> set[str]:
    """Files of serve_app that a module imports, and what those import."""
    files: set[str] = set()
    todo, seen = [start], set()
    while todo:
        module = todo.pop()
        if module in seen or (path := source(module)) is None:
            continue
        seen.add(module)
        files.add(path.relative_to(ROOT).as_posix())
        todo += [".".join(module.split(".")[:depth]) for depth in range(1, module.count(".") + 1)]
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                todo += [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.module:
                todo += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    return files


def source(module: str) -> Path | None:
    if not module.startswith("serve_app"):
        return None
    base = ROOT / module.replace(".", "/")
    return next((p for p in (base / "__init__.py", base.with_suffix(".py")) if p.is_file()), None)


def stage(name: str) -> str:
    return re.split(rf"^FROM .* AS {name}\n", DOCKERFILE, flags=re.M)[1].split("\nFROM ")[0]


def copied(name: str) -> list[str]:
    lines = re.findall(r"^COPY (?!--from)(.*)$", stage(name).replace("\\\n", " "), re.M)
    return [source for line in lines for source in line.split()[:-1]]


def test_model_stage_copies_what_preparation_imports() -> None:
    wanted = imported("serve_app.jobs.prepare") | {"serve_app/jobs/texts.json"}
    assert {each for each in copied("model") if each.startswith("serve_app")} == wanted


def test_code_comes_after_what_is_installed() -> None:
    for name in ("serve", "ui"):
        lines = [line for line in stage(name).splitlines() if line.startswith(("COPY", "RUN"))]
        own = [n for n, line in enumerate(lines) if "--from" not in line]
        assert min(own) == sum("--from" in line for line in lines)
        assert not [line for line in lines if line.startswith("RUN")]


def test_every_source_is_sent_to_the_builder() -> None:
    sent = re.findall(r"^!(\S+)", (ROOT / ".dockerignore").read_text(), re.M)
    for name in ("sources", "model", "serve", "ui"):
        for each in copied(name):
            assert any(each == one or each.startswith(f"{one}/") for one in sent), each
            assert (ROOT / each).exists(), each


def test_base_is_pinned_and_users_are_not_root() -> None:
    # Dependabot raises what stands in a FROM, and nothing in an argument.
    assert re.search(r"^FROM \S+@sha256:[0-9a-f]{64} AS pinned$", DOCKERFILE, re.M)
    assert re.search(r"^ARG PYTHON=pinned$", DOCKERFILE, re.M)
    assert re.findall(r"^USER (\d+):\d+$", DOCKERFILE, re.M) == ["10001", "10001"]
    assert DOCKERFILE.count("HEALTHCHECK") == 2
