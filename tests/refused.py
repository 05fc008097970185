"""Credentials that must let nobody in. `python -m tests.refused` prints how each was refused."""

import asyncio
import base64
import hmac
import json
import tempfile
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from serve_app.api.keys import Records, make, write
from tests.api.asking import client
from tests.api.log import logged
from tests.api.world import World
from tests.signing_issuer import AUDIENCE, SigningIssuer, forged


class Guarded:
    """An issuer, and a file with the key of one client and without that of another."""

    def __init__(self, issuer: SigningIssuer, folder: Path) -> None:
        self.issuer = issuer
        self.file = folder / "keys.json"
        self.key, self.record = make("team-a", ("infer", "stream"))
        self.operator, record = make("operator", ("cluster",))
        self.revoked, _ = make("team-b", ("infer",))
        write(self.file, Records(keys=(self.record, record)))
        self.stranger: rsa.RSAPrivateKey = _stranger()

    @property
    def settings(self) -> dict[str, Any]:
        """Of a service that takes keys and tokens."""
        return {
            "auth": "api-key,oidc",
            "api_keys": str(self.file),
            "oidc_issuer": self.issuer.url,
            "oidc_audience": AUDIENCE,
        }


@cache
def _stranger() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def _public_pem(given: Guarded) -> bytes:
    public = given.issuer.keys["first"].public_key()
    return public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def _hs256(given: Guarded, secret: bytes) -> str:
    return forged(
        {"alg": "HS256", "kid": "first"},
        given.issuer.claims(),
        lambda signed: hmac.digest(secret, signed, "sha256"),
    )


def _altered(given: Guarded) -> str:
    head, body, signature = given.issuer.token().split(".")
    claims = json.loads(base64.urlsafe_b64decode(body + "=="))
    claims["scope"] = "infer stream cluster"
    changed = base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=").decode()
    return f"{head}.{changed}.{signature}"


def _from(given: Guarded, **changes: object) -> str:
    return given.issuer.token(**changes)  # type: ignore[arg-type]


# Name to the value of the Authorization header, and to the reason that the log must have.
Maker = Callable[[Guarded], str | None]
TOKENS: dict[str, tuple[Maker, str]] = {
    "garbage": (lambda g: "garbage", "no JWT"),
    "three dots of garbage": (lambda g: "a.b.c", "no JWT"),
    "expired": (lambda g: _from(g, exp=int(time.time()) - 31), "has expired"),
    "not valid yet (`nbf`)": (lambda g: _from(g, nbf=int(time.time()) + 400), "not valid yet"),
    "issued in the future (`iat`)": (
        lambda g: _from(g, iat=int(time.time()) + 400),
        "not valid yet",
    ),
    "wrong audience": (lambda g: _from(g, aud="another"), "another audience"),
    "no audience": (lambda g: _from(g, aud=None), "no `aud`"),
    "wrong issuer": (lambda g: _from(g, iss="https://example.com"), "another issuer"),
    "issuer with a slash more": (lambda g: _from(g, iss=g.issuer.url + "/"), "another issuer"),
    "no expiry": (lambda g: _from(g, exp=None), "no `exp`"),
    "no subject": (lambda g: _from(g, sub=None), "no `sub`"),
    "`alg: none`": (
        lambda g: forged({"alg": "none", "kid": "first"}, g.issuer.claims(), lambda _: b""),
        "algorithm is not allowed ('none')",
    ),
    "`alg: None`, with a signature": (
        lambda g: forged({"alg": "None", "kid": "first"}, g.issuer.claims(), lambda _: b"x"),
        "algorithm is not allowed ('None')",
    ),
    "HS256 signed with the public key": (
        lambda g: _hs256(g, _public_pem(g)),
        "algorithm is not allowed ('HS256')",
    ),
    "HS256 signed with nothing": (lambda g: _hs256(g, b""), "algorithm is not allowed ('HS256')"),
    "an algorithm that is not pinned": (
        lambda g: _from(g, algorithm="RS512"),
        "algorithm is not allowed ('RS512')",
    ),
    "the algorithm of another kind of key": (
        lambda g: forged({"alg": "ES256", "kid": "first"}, g.issuer.claims(), lambda _: b"x" * 64),
        "key is not known (kid 'first')",
    ),
    "unknown `kid`": (
        lambda g: _from(g, kid="stranger", key=g.stranger),
        "key is not known (kid 'stranger')",
    ),
    "known `kid`, another's signature": (
        lambda g: _from(g, kid="first", key=g.stranger),
        "signature is wrong",
    ),
    "no `kid`": (
        lambda g: forged({"alg": "RS256"}, g.issuer.claims(), lambda _: b"x"),
        "names no key",
    ),
    "claims altered after signing": (_altered, "signature is wrong"),
    "signature cut off": (
        lambda g: g.issuer.token().rpartition(".")[0] + ".",
        "signature is wrong",
    ),
    "its own key in the header (`jwk`)": (
        lambda g: _from(g, kid="first", key=g.stranger, header={"jwk": {"kty": "RSA"}}),
        "signature is wrong",
    ),
    "its own key set in the header (`jku`)": (
        lambda g: _from(g, kid="mine", key=g.stranger, header={"jku": f"{g.issuer.url}/attacker"}),
        "key is not known (kid 'mine')",
    ),
    "a line break in `kid`": (
        lambda g: _from(g, kid="a\nb", key=g.stranger),
        "key is not known (kid 'a\\nb')",
    ),
    "an extension that must be understood (`crit`)": (
        lambda g: _from(g, header={"crit": ["exp"], "exp": 1}),
        "no JWT",
    ),
    "a logout token": (lambda g: _from(g, header={"typ": "logout+jwt"}), "no access token"),
}
KEYS: dict[str, tuple[Maker, str]] = {
    "unknown API key": (lambda g: g.revoked, "API key is not known (sha256 "),
    "API key with another last character": (
        lambda g: g.key[:-1] + ("A" if g.key[-1] != "A" else "B"),
        "API key is not known (sha256 ",
    ),
    "API key cut short": (lambda g: g.key[:-1], "API key is malformed"),
    "the hash of an API key": (lambda g: "sentiment_" + g.record.sha256, "API key is malformed"),
}
HEADERS: dict[str, tuple[Maker, str]] = {
    "none": (lambda g: None, "there is no credential"),
    "empty": (lambda g: "", "not of the form"),
    "`Bearer` alone": (lambda g: "Bearer ", "not of the form"),
    "`Basic`": (lambda g: "Basic dXNlcjpwYXNz", "not of the form"),
    "a good key without `Bearer`": (lambda g: g.key, "not of the form"),
    "two credentials in one": (lambda g: f"Bearer {g.key}, Bearer x", "not of the form"),
    "9,000 characters": (lambda g: "Bearer " + "a" * 9000, "more than 8192 characters"),
}
BEARERS = {**TOKENS, **KEYS}
NAMES = [*HEADERS, *BEARERS]


def header_of(name: str, given: Guarded) -> str | None:
    """The Authorization header of a bad credential; None for none."""
    if name in HEADERS:
        return HEADERS[name][0](given)
    return f"Bearer {BEARERS[name][0](given)}"


def reason_of(name: str) -> str:
    """What the log must say of it."""
    return (HEADERS | BEARERS)[name][1]


class Row(NamedTuple):
    name: str
    credential: str
    status: int
    challenge: str
    logged: str


async def table(given: Guarded) -> list[Row]:
    """Each bad credential against the application itself."""
    world = World(**given.settings)
    rows = []
    async with client(world.app) as http:
        for name in NAMES:
            value = header_of(name, given)
            headers = {} if value is None else {"Authorization": value}
            with logged() as messages:
                answer = await http.post("/onnx/infer", json={"input": "a"}, headers=headers)
            challenge = answer.headers.get("www-authenticate", "")
            row = Row(name, value or "", answer.status_code, challenge, "; ".join(messages))
            rows.append(row)
    assert not world.calls, "the model saw a text"
    return rows


def main() -> None:
    with SigningIssuer() as issuer, tempfile.TemporaryDirectory() as folder:
        rows = asyncio.run(table(Guarded(issuer, Path(folder))))
    print("| credential | status | WWW-Authenticate | log |\n| --- | --- | --- | --- |")
    for row in rows:
        print(f"| {row.name} | {row.status} | `{row.challenge}` | {row.logged} |")


if __name__ == "__main__":
    main()
