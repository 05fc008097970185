"""Tokens of a real issuer over HTTP: rotation, an issuer that is away, and one that misbehaves."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from serve_app.api.client import RefusedError, UncheckedError
from serve_app.api.issuer import STALE_S, Issuer
from serve_app.api.tokens import Tokens
from serve_app.request import REQUEST_ID
from tests.api.asking import client
from tests.api.log import logged
from tests.api.world import World
from tests.refused import TOKENS, Guarded
from tests.signing_issuer import AUDIENCE, SigningIssuer

LIFETIME, PAUSE = 300.0, 10.0
DISCOVERY, KEYS = "/.well-known/openid-configuration", "/keys"


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def issuer() -> Iterator[SigningIssuer]:
    with SigningIssuer() as issuer:
        yield issuer


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def tokens(issuer: SigningIssuer, clock: Clock) -> Tokens:
    algorithms = ("RS256", "ES256")
    keys = Issuer(issuer.url, algorithms, lifetime=LIFETIME, pause=PAUSE, clock=clock)
    return Tokens(keys, issuer.url, AUDIENCE, algorithms, leeway=30)


async def settled(tokens: Tokens) -> None:
    """Wait for a read that goes on in the background."""
    if tokens.issuer._reading is not None:
        await tokens.issuer._reading


async def test_what_a_read_of_the_keys_logs_is_of_no_request(
    issuer: SigningIssuer, tokens: Tokens, monkeypatch: pytest.MonkeyPatch
) -> None:
    read, of = tokens.issuer._fetch, []

    def fetch() -> Any:
        of.append(REQUEST_ID.get())
        return read()

    monkeypatch.setattr(tokens.issuer, "_fetch", fetch)
    REQUEST_ID.set("innocent")
    await tokens.client(issuer.token(scope="infer"))
    assert of == [""]


async def test_a_good_token_names_its_client_and_scopes(
    issuer: SigningIssuer, tokens: Tokens
) -> None:
    got = await tokens.client(issuer.token(sub="a|b@c", scope="infer other"))
    assert (got.id, got.kind) == ("oidc:a|b@c", "oidc")
    assert got.scopes == {"infer", "other"}
    for scopes in ({"scope": None, "scp": "infer"}, {"scope": ["infer", 5]}, {"scope": "infer"}):
        assert (await tokens.client(issuer.token(**scopes))).scopes == {"infer"}
    assert (await tokens.client(issuer.token(scope=5))).scopes == frozenset()
    assert issuer.asked == [DISCOVERY, KEYS], "once for all of them"


@pytest.fixture
def checks(tokens: Tokens, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The tokens whose signature was checked."""
    seen: list[str] = []
    check = tokens._claims

    def watched(token: str, *rest: Any) -> Any:
        seen.append(token)
        return check(token, *rest)

    monkeypatch.setattr(tokens, "_claims", watched)
    return seen


async def test_a_good_token_is_checked_once_until_it_expires(
    issuer: SigningIssuer, tokens: Tokens, checks: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = issuer.token(sub="one"), issuer.token(sub="other")
    for token, name in ((one, "one"), (other, "other"), (one, "one"), (one, "one")):
        assert (await tokens.client(token)).id == f"oidc:{name}"
    assert checks == [one, other]
    expired = issuer.claims()["exp"] + 31
    monkeypatch.setattr("serve_app.api.tokens.time.time", lambda: expired)
    await tokens.client(one)
    assert checks == [one, other, one]


async def test_a_good_token_ends_with_the_key_that_signed_it(
    issuer: SigningIssuer, tokens: Tokens, clock: Clock
) -> None:
    token = issuer.token()
    await tokens.client(token)
    issuer.rotate("second")
    clock.now += LIFETIME
    with pytest.raises(RefusedError, match="not known"):
        await tokens.client(token)


async def test_no_more_tokens_are_remembered_than_there_is_room_for(
    issuer: SigningIssuer, tokens: Tokens, checks: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("serve_app.api.tokens.REMEMBERED", 2)
    first, second, third = (issuer.token(sub=name) for name in ("a", "b", "c"))
    for token in (first, second, first, third):  # the second is the one not used for longest
        await tokens.client(token)
    assert len(tokens._good) == 2
    await tokens.client(first)
    await tokens.client(second)
    assert checks == [first, second, third, second]


async def test_clocks_may_differ_by_the_leeway(issuer: SigningIssuer, tokens: Tokens) -> None:
    now = issuer.claims()["iat"]
    await tokens.client(issuer.token(exp=now - 20))
    await tokens.client(issuer.token(nbf=now + 20))
    with pytest.raises(RefusedError, match="expired"):
        await tokens.client(issuer.token(exp=now - 31))


async def test_an_unknown_key_is_refused_and_known_after_the_rotation(
    issuer: SigningIssuer, tokens: Tokens, clock: Clock
) -> None:
    old = issuer.token()
    await tokens.client(old)
    given = issuer.keys["first"]
    issuer.rotate("second", elliptic=True)
    new = issuer.token()
    with pytest.raises(RefusedError, match="not known"):
        await tokens.client(new)  # the pause after the first read
    clock.now += PAUSE
    assert (await tokens.client(new)).id == "oidc:service-a"
    with pytest.raises(RefusedError, match="not known"):
        await tokens.client(issuer.token(kid="first", key=given))  # its key is gone


async def test_a_flood_of_unknown_keys_does_not_reach_the_issuer(
    issuer: SigningIssuer, tokens: Tokens, clock: Clock, tmp_path: Path
) -> None:
    stranger = Guarded(issuer, tmp_path).stranger
    good = issuer.token()
    await tokens.client(good)
    issuer.asked.clear()
    clock.now += PAUSE
    flood = [issuer.token(kid=f"{n}", key=stranger) for n in range(100)] * 5
    answers = await asyncio.gather(*map(tokens.client, flood), return_exceptions=True)
    assert {type(answer) for answer in answers} == {RefusedError}
    assert issuer.asked == [DISCOVERY, KEYS]
    assert (await tokens.client(good)).id == "oidc:service-a"


async def test_requests_that_come_together_share_one_read(issuer: SigningIssuer) -> None:
    keys = Issuer(issuer.url, ("RS256",), lifetime=LIFETIME, pause=0)
    await asyncio.gather(*(keys.key("first", "RS256") for _ in range(50)))
    assert issuer.asked == [DISCOVERY, KEYS]


async def test_a_good_token_passes_while_a_read_hangs(
    issuer: SigningIssuer, tokens: Tokens, clock: Clock, tmp_path: Path
) -> None:
    await tokens.client(issuer.token())
    clock.now += PAUSE
    stranger = Guarded(issuer, tmp_path).stranger
    waiting = asyncio.create_task(tokens.client(issuer.token(kid="x", key=stranger)))
    await asyncio.sleep(0)
    assert tokens.issuer._reading is not None
    await tokens.client(issuer.token())
    assert tokens.issuer._reading is not None, "nobody waited for it"
    waiting.cancel()  # the client that hangs up does not end the read
    await settled(tokens)
    assert issuer.asked == [DISCOVERY, KEYS] * 2


async def test_keys_are_read_again_ahead_of_time_and_at_the_end_of_their_life(
    issuer: SigningIssuer, tokens: Tokens, clock: Clock
) -> None:
    old = issuer.token()
    await tokens.client(old)
    clock.now += LIFETIME / 2
    await tokens.client(old)
    await settled(tokens)
    assert len(issuer.asked) == 4
    issuer.rotate("second")
    clock.now += LIFETIME
    with pytest.raises(RefusedError, match="not known"):
        await tokens.client(old)  # what the issuer withdrew is not served on
    assert len(issuer.asked) == 6


async def test_issuer_down_with_a_warm_cache(
    issuer: SigningIssuer, tokens: Tokens, clock: Clock, tmp_path: Path
) -> None:
    given = Guarded(issuer, tmp_path)
    good = issuer.token(exp=issuer.claims()["iat"] + 10**6)
    await tokens.client(good)
    issuer.down()
    with logged() as messages:
        for _ in range(3):
            clock.now += LIFETIME
            assert (await tokens.client(good)).id == "oidc:service-a"
            await settled(tokens)
    assert len(messages) == 3
    assert all("cannot be read" in message for message in messages)
    for make, _ in TOKENS.values():
        with pytest.raises((RefusedError, UncheckedError)):
            await tokens.client(make(given) or "")
    assert "cannot be read" in await tokens.issuer.state()
    issuer.up()
    clock.now += PAUSE
    with logged() as messages:
        await tokens.issuer.state()
        await settled(tokens)
        assert await tokens.issuer.state() == ""
    assert "can be read again" in messages[0]


async def test_an_issuer_that_is_known_to_be_away_is_not_waited_for(
    issuer: SigningIssuer, tokens: Tokens, clock: Clock
) -> None:
    good = issuer.token(exp=issuer.claims()["iat"] + 10**6)
    await tokens.client(good)
    issuer.down()
    clock.now += LIFETIME
    await tokens.client(good)
    for ask in (lambda: tokens.client(good), tokens.issuer.state):
        clock.now += LIFETIME
        await ask()
        assert tokens.issuer._reading is not None, "it is asked, and nobody waits"
        await settled(tokens)


async def test_who_names_a_key_waits_a_second_for_an_issuer_that_was_away(
    issuer: SigningIssuer, tokens: Tokens, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else whoever sends tokens with keys that are none would be held, and hold their bodies."""
    monkeypatch.setattr("serve_app.api.issuer.AWAY_WAIT_S", 0.0)
    issuer.down()
    with pytest.raises(UncheckedError):
        await tokens.client(issuer.token())
    clock.now += PAUSE
    with pytest.raises(UncheckedError):
        await tokens.client(issuer.token())
    assert tokens.issuer._reading is not None, "it is being asked"
    await settled(tokens)
    issuer.up()
    monkeypatch.setattr("serve_app.api.issuer.AWAY_WAIT_S", 20.0)
    clock.now += PAUSE
    await tokens.client(issuer.token())


async def test_keys_that_are_a_day_old_are_not_trusted(
    issuer: SigningIssuer, tokens: Tokens, clock: Clock
) -> None:
    good = issuer.token()
    await tokens.client(good)
    issuer.down()
    clock.now += STALE_S
    with pytest.raises(UncheckedError):
        await tokens.client(good)
    assert not tokens.issuer.usable


async def test_issuer_down_with_a_cold_cache(issuer: SigningIssuer, tmp_path: Path) -> None:
    given = Guarded(issuer, tmp_path)
    good = issuer.token()
    bad = {name: make(given) for name, (make, _) in TOKENS.items()}
    issuer.down()
    world = World(**{**given.settings, "auth": "oidc"}, oidc_pause_s=0)
    async with client(world.app) as http:

        async def ask(token: str | None) -> httpx.Response:
            headers = {"Authorization": f"Bearer {token}"}
            return await http.post("/onnx/infer", json={"input": "a"}, headers=headers)

        answer = await ask(good)
        assert answer.status_code == 503, "good or bad: it cannot be told"
        assert int(answer.headers["Retry-After"]) >= 1
        assert answer.json()["type"] == "urn:sentiment:problem:identity-unavailable"
        for name, token in bad.items():
            assert (await ask(token)).status_code in (401, 503), name
        ready = await http.get("/ready")
        assert ready.status_code == 503
        assert "cannot be read" in ready.json()["identity"]["oidc"]
        assert issuer.url in ready.json()["detail"]
        issuer.up()
        assert (await ask(good)).status_code == 200
        assert (await http.get("/ready")).json()["identity"] == {"oidc": "ready"}
    assert world.texts == 1


async def test_keys_let_in_while_the_issuer_is_away(issuer: SigningIssuer, tmp_path: Path) -> None:
    given = Guarded(issuer, tmp_path)
    issuer.down()
    async with client(World(**given.settings).app) as http:
        headers = {"Authorization": f"Bearer {given.key}"}
        answer = await http.post("/onnx/infer", json={"input": "a"}, headers=headers)
        assert answer.status_code == 200
        ready = await http.get("/ready")
    assert ready.status_code == 200
    assert "cannot be read" in ready.json()["identity"]["oidc"]


@pytest.mark.parametrize(
    ("path", "answer", "why"),
    [
        (DISCOVERY, b"<html>", "no JSON"),
        (DISCOVERY, b"[]", "no JSON object"),
        (DISCOVERY, b'{"issuer": "https://another"}', "another issuer's"),
        (DISCOVERY, b'{"issuer": "URL", "jwks_uri": "file:///etc/passwd"}', "https://"),
        (DISCOVERY, b'{"issuer": "URL", "jwks_uri": "http://example.com/keys"}', "https://"),
        (DISCOVERY, b'{"issuer": "URL", "jwks_uri": "URL/nothing"}', "404"),
        (KEYS, b'{"keys": 5}', "no list"),
        (KEYS, b'{"keys": [' + b" " * 1_000_001 + b"]}", "too large"),
    ],
)
async def test_an_issuer_that_answers_nonsense_is_away(
    issuer: SigningIssuer, tokens: Tokens, path: str, answer: bytes, why: str
) -> None:
    issuer.override[path] = answer.replace(b"URL", issuer.url.encode())
    with pytest.raises(UncheckedError, match=why):
        await tokens.client(issuer.token())


@pytest.mark.parametrize(
    "change",
    [
        {"use": "enc"},
        {"alg": "RS512"},
        {"kty": "oct", "k": "c2VjcmV0"},
        {"kid": 5},
        {"n": "!"},
        {"n": None},
    ],
)
async def test_keys_that_are_not_for_signing_are_not_taken(
    issuer: SigningIssuer, tokens: Tokens, change: dict[str, object]
) -> None:
    document = issuer._document(KEYS)
    assert document is not None
    (key,) = json.loads(document)["keys"]
    issuer.override[KEYS] = json.dumps({"keys": [{**key, **change}, "no key"]}).encode()
    with logged() as messages, pytest.raises(RefusedError, match="not known"):
        await tokens.client(issuer.token())
    assert "has no key for RS256, ES256" in messages[0]
