"""A real OIDC issuer: its own keys, told by discovery over HTTP, and the tokens it signs."""

import base64
import json
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

AUDIENCE = "sentiment"
PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
Claims = dict[str, Any]


class SigningIssuer:
    """Answers on a free port of loopback between `up` and `down`; a context manager does both."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        """The path of every request that came."""
        self.override: dict[str, bytes] = {}
        """What a path answers in the place of the truth."""
        self.keys: dict[str, PrivateKey] = {
            "first": rsa.generate_private_key(public_exponent=65537, key_size=2048)
        }
        self._port = 0
        self.up()

    def __enter__(self) -> "SigningIssuer":
        return self

    def __exit__(self, *_: object) -> None:
        self.down()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def up(self) -> None:
        self._server = _Server(("127.0.0.1", self._port), self._handler())
        self._port = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()

    def down(self) -> None:
        if self._thread.is_alive():
            self._server.shutdown()
            self._server.server_close()
            self._thread.join()

    def rotate(self, kid: str, *, elliptic: bool = False, keep: bool = False) -> None:
        """A new signing key; the old ones are gone unless `keep`."""
        new: PrivateKey = (
            ec.generate_private_key(ec.SECP256R1())
            if elliptic
            else rsa.generate_private_key(public_exponent=65537, key_size=2048)
        )
        self.keys = {**(self.keys if keep else {}), kid: new}

    def claims(self, **changes: Any) -> Claims:
        """Claims that are in order but for `changes`; None takes a claim out."""
        now = int(time.time())
        claims = {
            "iss": self.url,
            "aud": AUDIENCE,
            "sub": "service-a",
            "iat": now,
            "exp": now + 600,
            "scope": "infer stream",
            **changes,
        }
        return {name: value for name, value in claims.items() if value is not None}

    def token(
        self,
        kid: str | None = None,
        key: PrivateKey | None = None,
        header: dict[str, Any] | None = None,
        algorithm: str | None = None,
        **changes: Any,
    ) -> str:
        """A token, signed with the newest key unless another is given."""
        kid = kid or next(reversed(self.keys))
        key = key or self.keys[kid]
        algorithm = algorithm or ("RS256" if isinstance(key, rsa.RSAPrivateKey) else "ES256")
        return jwt.encode(
            self.claims(**changes), key, algorithm, headers={"kid": kid, **(header or {})}
        )

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        issuer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                issuer.asked.append(self.path)
                body = issuer.override.get(self.path) or issuer._document(self.path)
                if body is None:
                    self.send_error(404)
                    return
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Quietly."""

        return Handler

    def _document(self, path: str) -> bytes | None:
        if path == "/.well-known/openid-configuration":
            return json.dumps({"issuer": self.url, "jwks_uri": f"{self.url}/keys"}).encode()
        if path == "/keys":
            keys = [{**_public(key), "kid": kid, "use": "sig"} for kid, key in self.keys.items()]
            return json.dumps({"keys": keys}).encode()
        return None


class _Server(ThreadingHTTPServer):
    allow_reuse_address = True
    daemon_threads = True


def _public(key: PrivateKey) -> dict[str, Any]:
    if isinstance(key, rsa.RSAPrivateKey):
        return RSAAlgorithm.to_jwk(key.public_key(), as_dict=True)
    return ECAlgorithm.to_jwk(key.public_key(), as_dict=True)


def forged(header: dict[str, Any], claims: Claims, sign: Callable[[bytes], bytes]) -> str:
    """A token as no library would make it."""
    head, body = (_base64(json.dumps(part).encode()) for part in (header, claims))
    return f"{head}.{body}.{_base64(sign(f'{head}.{body}'.encode()))}"


def _base64(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()
