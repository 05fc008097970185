"""What a deployed API says to those that look whether it runs: a handler for an HTTP server."""

import json
from http.server import BaseHTTPRequestHandler


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
