"""Who may import whom: nothing in the middle knows an edge, and the page knows nothing of us."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


def imports(folder: str) -> dict[str, set[str]]:
    """File -> the modules it imports, anywhere in it."""
    found: dict[str, set[str]] = {}
    for path in (ROOT / folder).rglob("*.py"):
        names: set[str] = set()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                names |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
        found[str(path.relative_to(ROOT))] = names
    assert found
    return found


FORBIDDEN = [
    ("serve_app", ("tests", "benchmarks", "kuberay", "training", "ui")),
    ("serve_app/engine", ("ray", "fastapi", "starlette", "serve_app.api", "serve_app.jobs",
                          "serve_app.classifier", "serve_app.ingress", "serve_app.dispatcher",
                          "serve_app.messages")),
    ("serve_app/api", ("ray", "torch", "onnxruntime", "transformers", "serve_app.classifier",
                       "serve_app.ingress", "serve_app.jobs")),
    ("serve_app/jobs", ("serve_app.api.app", "serve_app.classifier", "serve_app.ingress")),
    ("kuberay", ("ray", "serve_app.api", "serve_app.engine", "serve_app.jobs")),
    ("ui", ("serve_app", "ray", "torch", "onnxruntime", "transformers")),
    ("training", ("serve_app", "ui", "ray")),
]  # fmt: skip


@pytest.mark.parametrize(("folder", "forbidden"), FORBIDDEN)
def test_no_folder_imports_what_it_must_not_know(folder: str, forbidden: tuple[str, ...]) -> None:
    for path, names in imports(folder).items():
        for name in names:
            for prefix in forbidden:
                assert not f"{name}.".startswith(f"{prefix}."), f"{path}: {name}"
