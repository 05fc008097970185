"""Command lines that send a file to the stream route past the page."""

import json
import shlex
from urllib.parse import quote

from ui.answers import Backend
from ui.files import Format


def curl(
    url: str,
    backend: Backend,
    name: str,
    kind: Format,
    column: str,
    *,
    with_key: bool,
    separator: str = ",",
) -> str:
    """Give the lines for a file as it is; formats the route does not take are turned first.

    Args:
        separator: of a CSV's columns.
    """
    lines = []
    if kind in ("tsv", "parquet") or separator != ",":
        lines.append(_turned(name, kind, separator))
        name, kind = _csv_name(name, kind), "csv"
    elif kind == "ndjson" and column != "input":
        source, name = name, f"{_stem(name)}.input.ndjson"
        picked = shlex.quote(f"{{input: .[{_json(column)}]}}")
        lines.append(f"jq -c {picked} {shlex.quote(source)} > {shlex.quote(name)}")
    mime = "text/csv" if kind == "csv" else "application/x-ndjson"
    query = f"?text_column={quote(column)}" if kind == "csv" else ""
    parts = [
        # curl makes several names of one with brackets or braces.
        f"curl -N {'-g ' * any(c in name for c in '[]{}')}-X POST -T {shlex.quote(_place(name))}",
        f"-H 'Content-Type: {mime}'",
        *(['-H "Authorization: Bearer $API_KEY"'] if with_key else []),
        shlex.quote(f"{url}/{backend}/stream{query}"),
        f"> {shlex.quote(_stem(name) + '.scored.ndjson')}",
    ]
    return "\n".join([*lines, " \\\n  ".join(parts)])


def _turned(name: str, kind: Format, separator: str) -> str:
    as_text = "dtype=str, keep_default_na=False"
    reader = {
        "tsv": f"pd.read_csv({name!r}, sep='\\t', quoting=3, {as_text})",
        "csv": f"pd.read_csv({name!r}, sep={separator!r}, {as_text})",
        "parquet": f"pd.read_parquet({name!r})",
    }[kind]
    code = f"import pandas as pd; {reader}.to_csv({_csv_name(name, kind)!r}, index=False)"
    return f"python -c {shlex.quote(code)}"


def _place(name: str) -> str:
    """Mark as a file what would read as an option."""
    return f"./{name}" if name.startswith("-") else name


def _stem(name: str) -> str:
    return name.rsplit(".", 1)[0]


def _csv_name(name: str, kind: Format) -> str:
    return f"{_stem(name)}{'.commas' if kind == 'csv' else ''}.csv"


def _json(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
