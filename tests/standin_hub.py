"""A model hub on a local port, as real as `huggingface_hub` can tell: model info, `resolve` with
commit and ETag headers, redirects of large files, ranges, gates, tokens, and faults on demand."""

import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

LARGE = (".safetensors", ".bin", ".model")


@dataclass
class Repository:
    """One model: its files at one commit.

    Attributes:
        token: what a client must send to see it; None for all.
        gated: listed to everybody, downloaded by nobody without the token.
    """

    files: dict[str, bytes]
    commit: str = "c0ffee" + "0" * 34
    branch: str = "main"
    licence: str | None = "apache-2.0"
    token: str | None = None
    gated: bool = False

    def digest(self, name: str) -> str:
        """sha256 of large files, git's blob hash of others, as the hub lists them."""
        content = self.files[name]
        if name.endswith(LARGE):
            return hashlib.sha256(content).hexdigest()
        return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


@dataclass
class Hub:
    """The hub's state; tests change it while it serves.

    Attributes:
        breaks: file name to how many bytes of an answer are sent before the line breaks, for the
            next answers, one entry each.
        altered: files sent with one byte changed.
        busy: end of a path to how many of its next requests are answered 503.
        revoked: a token that the hub refuses wherever it is shown.
        asked: every request: method, path and Range header.
    """

    url: str = ""
    repositories: dict[str, Repository] = field(default_factory=dict)
    breaks: dict[str, list[int]] = field(default_factory=dict)
    altered: set[str] = field(default_factory=set)
    busy: dict[str, int] = field(default_factory=dict)
    revoked: str | None = None
    asked: list[tuple[str, str, str | None]] = field(default_factory=list)

    def add(self, model: str, folder: Path, **settings: Any) -> Repository:
        """Serve a folder's files as a model."""
        files = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
        self.repositories[model] = Repository(files, **settings)
        return self.repositories[model]

    def fetched(self, name: str) -> list[str | None]:
        """The Range header of each download of a file."""
        return [
            ranged
            for method, path, ranged in self.asked
            if method == "GET" and path.endswith(f"/{name}") and "/api/" not in path
        ]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub: Hub

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def log_message(self, format: str, *args: object) -> None:
        pass

    def _answer(self) -> None:
        path = unquote(urlsplit(self.path).path)
        self.hub.asked.append((self.command, path, self.headers.get("Range")))
        for end, times in self.hub.busy.items():
            if path.endswith(end) and times > 0:
                self.hub.busy[end] -= 1
                return self._error(503, "Busy", "try again")
        info = re.fullmatch(r"/api/models/(.+?)(?:/revision/(.+))?", path)
        file = re.fullmatch(r"/(.+?)/(resolve|cdn)/([^/]+)/(.+)", path)
        model, revision = "", None
        if info:
            model, revision = info.group(1), info.group(2)
        elif file:
            model, revision = file.group(1), file.group(3)
        repository = self.hub.repositories.get(model)
        token = (self.headers.get("Authorization") or "").removeprefix("Bearer ")
        if token and token == self.hub.revoked:
            return self._error(401, "", "Invalid credentials in Authorization header")
        if repository is None or (repository.token not in (None, token) and not repository.gated):
            return self._error(404 if token else 401, "RepoNotFound", "Repository not found")
        if revision not in (None, repository.branch, repository.commit):
            return self._error(404, "RevisionNotFound", f"Invalid rev id: {revision}")
        if info:
            return self._send(200, json.dumps(_info(model, repository)).encode(), {})
        assert file is not None
        if repository.gated and repository.token != token:
            return self._error(403, "GatedRepo", f"Access to model {model} is restricted")
        return self._file(model, repository, file.group(4), large=file.group(2) == "cdn")

    def _file(self, model: str, repository: Repository, name: str, *, large: bool) -> None:
        if name not in repository.files:
            return self._error(404, "EntryNotFound", "Entry not found")
        content = repository.files[name]
        headers = {"X-Repo-Commit": repository.commit, "ETag": f'"{repository.digest(name)}"'}
        if name.endswith(LARGE) and not large:
            headers |= {
                "X-Linked-Etag": headers.pop("ETag"),
                "X-Linked-Size": str(len(content)),
                "Location": f"{self.hub.url}/{model}/cdn/{repository.commit}/{name}",
            }
            return self._send(302, b"", headers)
        if name in self.hub.altered:
            content = content[:-1] + bytes([content[-1] ^ 1])
        start = 0
        if ranged := re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range") or ""):
            start = int(ranged.group(1))
            headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
        limit = None
        if self.command == "GET" and self.hub.breaks.get(name):
            limit = self.hub.breaks[name].pop(0)
        return self._send(206 if ranged else 200, content[start:], headers, limit)

    def _error(self, status: int, code: str, message: str) -> None:
        self._send(status, b"{}", {"X-Error-Code": code, "X-Error-Message": message})

    def _send(
        self, status: int, body: bytes, headers: dict[str, str], limit: int | None = None
    ) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body[:limit])
        if limit is not None:
            self.close_connection = True


def _info(model: str, repository: Repository) -> dict[str, Any]:
    siblings = []
    for name, content in repository.files.items():
        item: dict[str, Any] = {"rfilename": name, "size": len(content), "blobId": "0" * 40}
        if name.endswith(LARGE):
            digest = repository.digest(name)
            item["lfs"] = {"sha256": digest, "size": len(content), "pointerSize": 134}
        else:
            item["blobId"] = repository.digest(name)
        siblings.append(item)
    return {
        "_id": "0",
        "id": model,
        "modelId": model,
        "sha": repository.commit,
        "private": False,
        "gated": "auto" if repository.gated else False,
        "tags": [],
        "cardData": {"license": repository.licence} if repository.licence else {},
        "siblings": siblings,
        "downloads": 0,
        "likes": 0,
    }


@contextmanager
def serving() -> Iterator[Hub]:
    """A running hub on a free port of the loopback."""
    hub = Hub()
    handler = type("Handler", (_Handler,), {"hub": hub})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    hub.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
