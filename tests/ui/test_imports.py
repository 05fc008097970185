"""The page runs where neither the service's code nor its frameworks are installed."""

import ast
from pathlib import Path

import ui

FOREIGN = {"serve_app", "training", "ray", "torch", "transformers", "onnxruntime", "fastapi"}


def imported(file: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add(node.module or "")
    return {name.split(".")[0] for name in names}


def test_the_page_imports_nothing_of_the_service() -> None:
    files = list(Path(ui.__path__[0]).rglob("*.py"))
    assert len(files) > 20
    assert {f.name: found for f in files if (found := imported(f) & FOREIGN)} == {}


def test_charts_and_figures_know_no_streamlit() -> None:
    shown = {"views", "panels"}
    at_the_edge = {"app.py", "frame.py", "login.py", "service.py", "states.py"}
    root = Path(ui.__path__[0])
    for file in root.rglob("*.py"):
        place = file.relative_to(root)
        if place.parts[0] not in shown and place.name not in at_the_edge:
            assert "streamlit" not in imported(file), place
