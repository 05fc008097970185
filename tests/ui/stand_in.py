"""A real HTTP server with the service's contract and a model of a few words."""

import contextlib
import json
import socket
import threading
from collections import Counter
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

GOOD = {"good", "charming", "great", "love", "fine"}
TIMING = "queue;dur=0.5, tokenize;dur=0.3, inference;dur={inference}, total;dur={total}"


def scores(text: str) -> dict[str, float]:
    good = any(word.strip(".,!") in GOOD for word in text.lower().split())
    return {"NEGATIVE": 0.1, "POSITIVE": 0.9} if good else {"NEGATIVE": 0.8, "POSITIVE": 0.2}


@dataclass
class Refusal:
    """What a path answers instead of its own answer."""

    status: int
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)


CUT = {"Content-Length": "100", "Connection": "close"}
"""Headers of an answer that breaks off in its body."""


def info() -> dict[str, Any]:
    certificate = {
        "precision": "fp32",
        "cpu": "Some CPU",
        "max_difference": 1.2e-6,
        "batch_drift": 3e-7,
        "flips": 0,
        "passed": True,
    }
    backend = {"threads": 1, "workers": 2, "cpus": 1.0, "certificate": certificate}
    return {
        "model": {
            "id": "bundled/small",
            "revision": "1",
            "licence": "Apache-2.0",
            "labels": ["NEGATIVE", "POSITIVE"],
            "problem_type": "single_label_classification",
            "max_length": 128,
        },
        "limits": {"max_texts": 256, "max_body_bytes": 1_000_000},
        "versions": {"torch": "2"},
        "config_hash": "abc",
        "backends": {
            "transformers": {"precision": "fp32", **backend},
            "onnx": {"precision": "int8", **backend},
        },
        "measured": {"accuracy": 0.9},
    }


def cluster(torch: int = 1, onnx: int = 3) -> dict[str, Any]:
    def deployment(name: str, running: int) -> dict[str, Any]:
        return {
            "target": running + 1,
            "running": running,
            "waiting_texts": 4,
            "ongoing_requests": 2,
            "replicas": [
                {
                    "id": f"{name}#{number}",
                    "node": "10.0.0.1",
                    "certificate": {
                        "precision": "int8" if name == "onnx" else "fp32",
                        "cpu": "Some CPU",
                        "max_difference": 2e-3,
                        "batch_drift": 0.0,
                        "flips": 1,
                        "passed": True,
                    },
                }
                for number in range(running)
            ],
        }

    return {
        "deployments": {
            "transformers": deployment("transformers", torch),
            "onnx": deployment("onnx", onnx),
        },
        "at": "2026-01-01T12:00:00Z",
    }


class StandIn:
    """Starts on a free port; `refuse` and `without` say which paths refuse or do not exist."""

    def __init__(self, port: int = 0) -> None:
        self.refuse: dict[str, Refusal] = {}
        self.refuse_first: dict[str, tuple[int, Refusal]] = {}
        """So many times a path refuses."""
        self.refuse_later: dict[str, tuple[int, Refusal]] = {}
        """After so many answers a path refuses."""
        self.without: set[str] = set()
        self.info = info()
        self.cluster = cluster()
        self.ready: tuple[int, dict[str, Any]] = (
            200,
            {"status": "ready", "backends": {"transformers": "ready", "onnx": "ready"}},
        )
        self.break_after: int | None = None
        """A stream ends in the middle of a line after so many rows, once."""
        self.hold: threading.Event | None = None
        """Streams wait for this before their second row."""
        self.requests: list[tuple[str, str, dict[str, str], bytes]] = []
        self.asked: Counter[str] = Counter()
        self._connections: set[socket.socket] = set()
        self._server = ThreadingHTTPServer(("127.0.0.1", port), self._handler())
        self._server.daemon_threads = True
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True
        )
        self._thread.start()

    @property
    def port(self) -> int:
        return self._server.server_port

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def close(self) -> None:
        if self.hold:
            self.hold.set()
        self._server.shutdown()
        self._server.server_close()
        for connection in list(self._connections):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        stand_in = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = -1
            disable_nagle_algorithm = True

            def setup(self) -> None:
                super().setup()
                stand_in._connections.add(self.connection)

            def finish(self) -> None:
                stand_in._connections.discard(self.connection)
                with contextlib.suppress(OSError):
                    super().finish()

            def do_GET(self) -> None:
                self._answer(b"")

            def do_POST(self) -> None:
                self._answer(self.rfile.read(int(self.headers.get("Content-Length", 0))))

            def log_message(self, format: str, *args: Any) -> None:
                pass

            def _answer(self, body: bytes) -> None:
                stand_in.requests.append((self.command, self.path, dict(self.headers), body))
                stand_in.asked[self.path] += 1
                refusal = stand_in.refuse.get(self.path)
                refused, first = stand_in.refuse_first.get(self.path, (0, None))
                if stand_in.asked[self.path] <= refused:
                    refusal = first
                allowed, later = stand_in.refuse_later.get(self.path, (0, None))
                if later and stand_in.asked[self.path] > allowed:
                    refusal = later
                if refusal:
                    self._send(refusal.status, refusal.body, refusal.headers)
                elif self.path in stand_in.without:
                    self._send(404, {"detail": "Not Found"})
                elif self.path == "/info":
                    self._send(200, stand_in.info)
                elif self.path == "/cluster":
                    self._send(200, stand_in.cluster)
                elif self.path == "/ready":
                    self._send(*stand_in.ready)
                elif self.path.endswith("/infer"):
                    self._infer(json.loads(body)["input"])
                elif self.path.endswith("/stream"):
                    self._stream(body)
                else:
                    self._huggingface(json.loads(body))

            def _infer(self, text: str) -> None:
                label, score = max(scores(text).items(), key=lambda item: item[1])
                self._send(200, [{"label": label, "score": score}], self._headers())

            def _huggingface(self, asked: dict[str, Any]) -> None:
                rows = [{"label": k, "score": v} for k, v in scores(asked["inputs"]).items()]
                self._send(200, [rows], self._headers())

            def _headers(self) -> dict[str, str]:
                fast = self.path.startswith("/onnx")
                return {
                    "Server-Timing": TIMING.format(
                        inference=2.0 if fast else 6.0, total=3.0 if fast else 7.5
                    ),
                    "X-Backend": self.path.split("/")[1],
                    "X-Batch-Size": "1",
                    "X-Model": "bundled/small",
                    "X-Request-Id": "request-1",
                }

            def _stream(self, body: bytes) -> None:
                self.send_response(200)
                self.send_header("Content-Type", "application/x-ndjson")
                self.send_header("Connection", "close")
                self.end_headers()
                self.close_connection = True
                for number, line in enumerate(body.splitlines()):
                    if number == 1 and stand_in.hold:
                        stand_in.hold.wait(10)
                    row = json.loads(line)
                    if stand_in.break_after is not None and number >= stand_in.break_after:
                        stand_in.break_after = None
                        self.wfile.write(b'{"id": ')
                        return
                    self._line(self._scored(row))
                rows = len(body.splitlines())
                self._line({"summary": {"rows": rows, "errors": 0, "truncated": 1}})

            def _scored(self, row: dict[str, Any]) -> dict[str, Any]:
                if not str(row["input"]).strip():
                    return {"id": row["id"], "error": "input: empty text"}
                label, score = max(scores(row["input"]).items(), key=lambda item: item[1])
                return {"id": row["id"], "label": label, "score": score}

            def _line(self, row: dict[str, Any]) -> None:
                self.wfile.write(json.dumps(row).encode() + b"\n")
                self.wfile.flush()

            def _send(self, status: int, body: Any, headers: dict[str, str] | None = None) -> None:
                content = body if isinstance(body, bytes) else json.dumps(body).encode()
                own = {"Content-Type": "application/json", "Content-Length": str(len(content))}
                self.send_response(status)
                for name, value in {**own, **(headers or {})}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(content)

        return Handler
