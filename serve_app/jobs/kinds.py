"""The kinds of files with rows."""

KINDS = {
    "ndjson": "ndjson",
    "jsonl": "ndjson",
    "json": "ndjson",
    "csv": "csv",
    "tsv": "tsv",
    "parquet": "parquet",
}
"""By the endings of their names."""
