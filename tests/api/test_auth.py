"""Who gets in, route by route, over the application itself."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import httpx
import pytest

from serve_app.api.client import ANONYMOUS, SCOPES
from serve_app.api.issuer import FAMILIES
from serve_app.api.keys import Records, make, write
from serve_app.jobs.preflight import NotPossibleError, check_settings
from serve_app.settings import Algorithm, Settings, SettingsError
from tests.api.asking import client
from tests.api.world import World
from tests.refused import NAMES, Guarded, reason_of, table
from tests.signing_issuer import SigningIssuer

OPEN = ("/health", "/ready", "/docs", "/openapi.json", "/v2/health/live", "/v2/health/ready")
INFER = {
    "/onnx/infer": {"input": "a"},
    "/onnx": {"inputs": "a"},
    "/v2/models/onnx/infer": {
        "inputs": [{"name": "text", "datatype": "BYTES", "shape": [1], "data": ["a"]}]
    },
}


@pytest.fixture(scope="module")
def issuer() -> Iterator[SigningIssuer]:
    with SigningIssuer() as issuer:
        yield issuer


@pytest.fixture
def given(issuer: SigningIssuer, tmp_path: Path) -> Guarded:
    return Guarded(issuer, tmp_path)


def bearer(credential: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {credential}"}


async def infer(world: World, credential: str) -> httpx.Response:
    async with client(world.app) as http:
        return await http.post("/onnx/infer", json={"input": "a"}, headers=bearer(credential))


async def test_no_bad_credential_gets_in_and_each_is_logged_without_itself(
    given: Guarded,
) -> None:
    rows = await table(given)
    assert [row.name for row in rows] == NAMES
    for row in rows:
        assert row.status == 401, row
        assert row.challenge.startswith("Bearer"), row
        assert reason_of(row.name) in row.logged, row
        assert "\n" not in row.logged, row
        parts = row.credential.removeprefix("Bearer ").removeprefix("sentiment_").split(".")
        assert not [part for part in parts if len(part) > 12 and part[:12] in row.logged], row


async def test_without_a_mode_everybody_comes_in() -> None:
    world = World()
    async with client(world.app) as http:
        answer = await http.post("/onnx/infer", json={"input": "a"})
        assert answer.status_code == 200
        assert "RateLimit" not in answer.headers
        assert (await http.get("/cluster")).status_code == 200
        document = (await http.get("/openapi.json")).json()
    assert "securitySchemes" not in document["components"]
    assert not {"401", "403", "429"} & document["paths"]["/onnx/infer"]["post"]["responses"].keys()
    assert ANONYMOUS.scopes == set(SCOPES)


async def test_both_ways_in_are_open_side_by_side(given: Guarded) -> None:
    world = World(**given.settings)
    given.issuer.rotate("elliptic", elliptic=True, keep=True)
    for credential in (
        given.key,
        given.issuer.token(),
        given.issuer.token(kid="first", header={"typ": "at+jwt"}),
        given.issuer.token(aud=["another", "sentiment"], scope=None, scp=["infer"]),
    ):
        assert (await infer(world, credential)).status_code == 200


async def test_every_protocol_asks_before_it_reads_the_body(given: Guarded) -> None:
    world = World(**given.settings)
    for path, body in INFER.items():
        async with client(world.app) as http:
            refused = await http.post(path, content=b"{", headers={"Content-Type": "text/odd"})
            assert refused.status_code == 401, path
            assert refused.headers["WWW-Authenticate"] == "Bearer"
            forbidden = await http.post(path, json=body, headers=bearer(given.operator))
            assert forbidden.status_code == 403, path
            assert 'scope="infer"' in forbidden.headers["WWW-Authenticate"]
            answer = await http.post(path, json=body, headers=bearer(given.key))
            assert answer.status_code == 200, path


async def test_a_stream_needs_a_scope_of_its_own(given: Guarded) -> None:
    infers, record = make("team-c", ("infer",))
    write(given.file, Records(keys=(given.record, record)))
    async with client(World(**given.settings).app) as http:

        async def stream(credential: str) -> httpx.Response:
            headers = {**bearer(credential), "Content-Type": "application/x-ndjson"}
            return await http.post("/onnx/stream", content=b'{"input": "a"}', headers=headers)

        for credential in (infers, given.issuer.token(scope="infer")):
            forbidden = await stream(credential)
            assert forbidden.status_code == 403
            assert 'scope="stream"' in forbidden.headers["WWW-Authenticate"]
        for credential in (given.key, given.issuer.token(scope="stream")):
            assert (await stream(credential)).status_code == 200


async def test_open_routes_stay_open_and_the_cluster_needs_its_scope(given: Guarded) -> None:
    async with client(World(**given.settings).app) as http:
        for path in OPEN:
            assert (await http.get(path)).status_code == 200, path
        for path in ("/info", "/v2", "/v2/models/onnx", "/v2/models/onnx/ready"):
            assert (await http.get(path)).status_code == 401, path
            assert (await http.get(path, headers=bearer(given.key))).status_code == 200, path
        assert (await http.get("/cluster")).status_code == 401
        assert (await http.get("/cluster", headers=bearer(given.key))).status_code == 403
        assert (await http.get("/cluster", headers=bearer(given.operator))).status_code == 200


async def test_a_cluster_that_serve_does_not_tell_of_is_not_ready(
    given: Guarded, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(**given.settings)

    async def silent() -> Any:
        await asyncio.Event().wait()

    monkeypatch.setattr("serve_app.api.gateway.CLUSTER_TIMEOUT_S", 0.01)
    world.gateway.snapshot = silent
    async with client(world.app) as http:
        answer = await http.get("/cluster", headers=bearer(given.operator))
    assert answer.status_code == 503
    assert answer.headers["Retry-After"]


async def test_every_other_route_answers_401(given: Guarded) -> None:
    """The document names the guarded operations, which are all but the open ones; each refuses."""
    world = World(**given.settings)
    async with client(world.app) as http:
        document = (await http.get("/openapi.json")).json()
        for path, operations in document["paths"].items():
            for method, operation in operations.items():
                guarded = "security" in operation
                assert guarded == (path not in OPEN), path
                if guarded:
                    url = path.replace("{model}", "onnx")
                    answer = await http.request(
                        method, url, headers={"Content-Type": "application/x-ndjson"}
                    )
                    assert answer.status_code == 401, path
                    assert {"401", "403"} <= operation["responses"].keys()
    schemes = document["components"]["securitySchemes"]
    assert schemes["key"]["scheme"] == "bearer"
    assert schemes["token"]["openIdConnectUrl"].startswith(given.issuer.url)


async def test_two_headers_are_no_credential(given: Guarded) -> None:
    async with client(World(**given.settings).app) as http:
        headers = [("Authorization", f"Bearer {given.key}"), ("Authorization", "Bearer x")]
        answer = await http.post("/onnx/infer", json={"input": "a"}, headers=headers)
    assert answer.status_code == 401


@pytest.mark.parametrize(
    ("settings", "needed"),
    [
        ({"auth": "api-key"}, "SENTIMENT_API_KEYS"),
        ({"auth": "oidc", "oidc_issuer": "https://issuer"}, "SENTIMENT_OIDC_AUDIENCE"),
        ({"auth": "api-key,oidc", "api_keys": "keys.json"}, "SENTIMENT_OIDC_ISSUER"),
        (
            {"auth": "oidc", "oidc_issuer": "http://issuer", "oidc_audience": "a"},
            "https://",
        ),
    ],
)
def test_a_mode_that_lacks_its_settings_refuses_to_start(
    settings: dict[str, str], needed: str
) -> None:
    with pytest.raises(SettingsError, match=needed):
        Settings(**settings)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("environment", "sentence"),
    [
        ({"AUTH": "oidc"}, "needs SENTIMENT_OIDC_ISSUER and SENTIMENT_OIDC_AUDIENCE"),
        ({"AUTH": "password"}, "SENTIMENT_AUTH: Input should be 'none'"),
        ({"AUTH": "api-key", "API_KEYS": "/nowhere/keys.json"}, "No such file"),
        ({"QUOTA": "many"}, "SENTIMENT_QUOTA: "),
    ],
)
def test_run_refuses_with_a_sentence_before_it_starts_anything(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], sentence: str
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(f"SENTIMENT_{name}", value)
    with pytest.raises(NotPossibleError, match=sentence):
        check_settings()


@pytest.mark.parametrize("algorithms", ["HS256", "none", "RS256,HS256", "", "RS256;ES256"])
def test_only_algorithms_with_public_keys_can_be_pinned(algorithms: str) -> None:
    with pytest.raises(ValueError, match="oidc_algorithms"):
        Settings.model_validate({"oidc_algorithms": algorithms})


def test_each_algorithm_that_can_be_pinned_has_a_kind_of_keys() -> None:
    named = Settings.model_validate({"oidc_algorithms": ", ".join(FAMILIES)}).oidc_algorithms
    assert named == tuple(FAMILIES)
    assert set(named) == set(get_args(Algorithm))


@pytest.mark.parametrize("mode", ["", "api_key", "none,oidc", "oidc,oidc"])
def test_a_mode_that_is_none_is_refused(mode: str) -> None:
    with pytest.raises(ValueError, match="auth"):
        Settings(auth=mode)


def test_modes_may_come_in_any_order(given: Guarded) -> None:
    settings = Settings(**{**given.settings, "auth": "oidc, api-key"})
    assert settings.auth_modes == ("api-key", "oidc")
