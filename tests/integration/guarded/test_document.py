"""The document of a service with identity and quotas, against that service."""

from pathlib import Path

from serve_app.api.client import SCOPES
from serve_app.api.keys import Records, make, read, write
from tests.integration.fuzz.run import cases_that_pass
from tests.integration.guarded.conftest import GuardedService


def test_the_document_is_true(guarded: GuardedService, tmp_path: Path) -> None:
    """401, 403 and 429 are as they are told to be, and no route takes a credential that is none."""
    before = read(guarded.given.file).keys
    key, record = make("schemathesis", SCOPES)
    write(guarded.given.file, Records(keys=(*before, record)))
    options = ("--header", f"Authorization: Bearer {key}", "--seed", "1", "--max-examples", "5")
    try:
        assert cases_that_pass(guarded.beside.url, tmp_path, *options) >= 500
    finally:
        write(guarded.given.file, Records(keys=before))
