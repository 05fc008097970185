"""Identity as clients of the running service meet it, behind the proxy and in each replica."""

import time
from pathlib import Path
from typing import Any

import pytest
import requests

from serve_app.jobs.key import main as key_command
from tests.integration.guarded.conftest import GuardedService
from tests.integration.waiting import until
from tests.refused import NAMES, header_of, reason_of

GOOD = {"input": "A lovely, moving film."}


def bearer(credential: str | None) -> dict[str, Any]:
    return {} if credential is None else {"headers": {"Authorization": credential}}


def infer(guarded: GuardedService, credential: str) -> requests.Response:
    """The answer; a client over its quota waits as it is told to, and asks again."""
    for _ in range(20):
        answer = guarded.beside.post("/onnx/infer", GOOD, **bearer(f"Bearer {credential}"))
        if answer.status_code != 429:
            break
        time.sleep(int(answer.headers["Retry-After"]))
    return answer


def test_no_bad_credential_gets_in_and_none_is_in_the_logs(guarded: GuardedService) -> None:
    values = {name: header_of(name, guarded.given) for name in NAMES}
    for name, value in values.items():
        answer = guarded.beside.post("/onnx/infer", GOOD, **bearer(value))
        assert answer.status_code == 401, name
        assert answer.headers["WWW-Authenticate"].startswith("Bearer"), name
        assert answer.headers["Content-Type"] == "application/problem+json"
    assert "/attacker" not in guarded.given.issuer.asked

    def all_logged() -> bool:
        text = guarded.beside.text_of_logs().replace("\\", "")
        missing = [name for name in NAMES if reason_of(name).replace("\\", "") not in text]
        for name in missing:  # of many in a second some are only counted
            guarded.beside.post("/onnx/infer", GOOD, **bearer(values[name]))
        return not missing

    until(all_logged, 20)
    text = guarded.beside.text_of_logs()
    for name, value in values.items():
        secret = (value or "").removeprefix("Bearer ").removeprefix("sentiment_")
        parts = [part for part in secret.split(".") if len(part) > 12 and "a" * 12 not in part]
        assert not [part for part in parts if part[:20] in text], name


def test_refusals_that_come_in_masses_are_counted_in_the_log(guarded: GuardedService) -> None:
    def counted() -> bool:
        for _ in range(50):
            assert guarded.beside.post("/onnx/infer", GOOD).status_code == 401
        return " more lines within 1 s as: 401: " in guarded.beside.text_of_logs()

    until(counted, 60)


def test_keys_and_tokens_get_in_as_far_as_their_scopes_reach(guarded: GuardedService) -> None:
    given = guarded.given
    for credential in (given.key, given.issuer.token()):
        answer = infer(guarded, credential)
        assert answer.status_code == 200
        assert answer.json()[0]["label"] == "POSITIVE"
        assert guarded.beside.get("/cluster", **bearer(f"Bearer {credential}")).status_code == 403
    refused = infer(guarded, given.operator)
    assert refused.status_code == 403
    assert 'error="insufficient_scope"' in refused.headers["WWW-Authenticate"]
    cluster = guarded.beside.get("/cluster", **bearer(f"Bearer {given.operator}"))
    assert cluster.status_code == 200
    none = infer(guarded, given.issuer.token(scope=""))
    assert none.status_code == 403


def test_open_routes_are_open_and_no_other_is(guarded: GuardedService) -> None:
    document = guarded.beside.get("/openapi.json").json()
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            url = guarded.beside.url + path.replace("{model}", "onnx")
            answer = requests.request(method, url, json=GOOD, timeout=60)
            assert answer.status_code == (401 if "security" in operation else 200), path


def test_keys_come_and_go_while_the_service_runs(
    guarded: GuardedService, capsys: pytest.CaptureFixture[str]
) -> None:
    file = ["--file", str(guarded.given.file)]

    def statuses(key: str) -> list[int]:
        return [
            requests.post(
                f"{replica.url}/onnx/infer", json=GOOD, timeout=60, **bearer(f"Bearer {key}")
            ).status_code
            for replica in guarded.beside.replicas
        ]

    assert key_command(["create", "--name", "late", *file]) == 0
    key = capsys.readouterr().out.strip()
    assert statuses(key) == [200, 200]
    assert key_command(["revoke", "late", *file]) == 0
    assert statuses(key) == [401, 401]
    kept = guarded.given.file.read_text()
    Path(guarded.given.file).write_text("{")
    try:
        assert statuses(guarded.given.key) == [200, 200]
        assert "not valid" in guarded.beside.get("/ready").json()["identity"]["api-key"]
    finally:
        guarded.given.file.write_text(kept)
    assert guarded.beside.get("/ready").json()["identity"]["api-key"] == "ready"


def test_a_rotated_key_is_found_and_the_old_one_ends(guarded: GuardedService) -> None:
    issuer = guarded.given.issuer
    old = issuer.token(sub="old")  # each with a quota of its own, not to wait for
    before = dict(issuer.keys)
    issuer.rotate("second", elliptic=True)
    try:
        new = issuer.token(sub="new")
        until(lambda: [infer(guarded, new).status_code for _ in range(8)] == [200] * 8)
        assert [infer(guarded, old).status_code for _ in range(8)] == [401] * 8
    finally:
        issuer.keys = before
    until(lambda: [infer(guarded, old).status_code for _ in range(8)] == [200] * 8)


def test_an_issuer_that_is_away_stops_no_known_token_and_lets_no_other_in(
    guarded: GuardedService,
) -> None:
    issuer = guarded.given.issuer
    good = issuer.token(sub="good")
    until(lambda: [infer(guarded, good).status_code for _ in range(8)] == [200] * 8)
    unknown = issuer.token(kid="unknown", key=guarded.given.stranger)
    issuer.down()
    try:
        assert [infer(guarded, good).status_code for _ in range(4)] == [200] * 4
        statuses = {infer(guarded, unknown).status_code for _ in range(20)}
        assert statuses <= {401, 503}
    finally:
        issuer.up()
    until(lambda: infer(guarded, unknown).status_code == 401, 20)
