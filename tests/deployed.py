"""What a deployment finds: the pool of machines, and an API, a handler for an HTTP server."""

import json
from http.server import BaseHTTPRequestHandler
from typing import Any

import yaml

from serve_app.serve_config import ROOT


def workers_pool() -> dict[str, Any]:
    """The node pool as it is applied."""
    text = (ROOT / "kuberay" / "eks" / "nodepools.yaml").read_text(encoding="utf-8")
    pools = {each["metadata"]["name"]: each for each in yaml.safe_load_all(text)}
    found: dict[str, Any] = pools["workers"]
    return found


class Deployed(BaseHTTPRequestHandler):
    """Shows its configuration's hash and answers a text; without its key, if it has one, with none.

    Attributes:
        hash: what `/info` shows.
        key: the API key that it knows.
    """

    hash = ""
    key: str | None = None

    def do_GET(self) -> None:
        self.answer({"config_hash": self.hash})

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        known = self.key is None or self.headers["Authorization"] == f"Bearer {self.key}"
        self.answer([{"label": "POSITIVE", "score": 0.9}] if known else [])

    def answer(self, body: object) -> None:
        data = json.dumps(body).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        pass
