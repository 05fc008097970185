"""The stream over real HTTP: through HAProxy, an ingress, replicas and back."""

import json
import socket

import pytest
import requests

from tests.integration.conftest import Service
from tests.integration.waiting import until

NDJSON = {"Content-Type": "application/x-ndjson"}


def body(count: int) -> bytes:
    words = ("good", "bad", "long and winding", "short")
    lines = [json.dumps({"input": f"{words[n % 4]} film number {n}"}) for n in range(count)]
    return "\n".join(lines).encode()


@pytest.mark.parametrize("backend", ["transformers", "onnx", "auto"])
def test_every_row_is_answered_as_the_single_route_answers_it(
    service: Service, backend: str
) -> None:
    answer = service.post(f"/{backend}/stream", data=body(300), headers=NDJSON)
    assert answer.headers["Content-Type"].startswith("application/x-ndjson")
    *lines, last = map(json.loads, answer.text.splitlines())
    assert [line["id"] for line in lines] == list(range(300))
    assert last["summary"]["rows"] == 300
    texts = [json.loads(line)["input"] for line in body(300).splitlines()]
    alone = service.post(f"/{backend}/infer", {"input": texts[:40]}).json()
    for line, single in zip(lines[:40], alone, strict=True):
        assert line["label"] == single["label"]
        assert line["score"] == pytest.approx(single["score"], abs=1e-3)


def test_answers_begin_before_the_upload_ends(service: Service) -> None:
    host, port = service.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=30) as connection:
        connection.sendall(
            b"POST /onnx/stream HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-ndjson\r\n"
            b"Transfer-Encoding: chunked\r\n\r\n"
        )
        line = body(1) + b"\n"
        connection.sendall(f"{len(line):x}\r\n".encode() + line + b"\r\n")
        received = b""
        while b'"label"' not in received:
            piece = connection.recv(4096)
            assert piece, "it hung up"
            received += piece
        connection.sendall(b"0\r\n\r\n")
        while b'"summary"' not in received:
            piece = connection.recv(4096)
            assert piece, "it hung up"
            received += piece


def test_a_client_that_sends_everything_before_it_reads_does_not_deadlock(
    service: Service,
) -> None:
    """`requests` does; the answers are more than the sockets between can hold."""
    count = 8000
    rows = b"\n".join(
        json.dumps({"input": "fine", "id": "x" * 1000}).encode() for _ in range(count)
    )
    answer = service.post("/onnx/stream", data=rows, headers=NDJSON)
    assert len(answer.content) > 1000 * count
    assert json.loads(answer.text.splitlines()[-1])["summary"]["rows"] == count


def in_hand(service: Service) -> int:
    answer = service.get("/cluster")
    replicas = answer.json()["deployments"]["transformers"]["replicas"] if answer.ok else []
    return sum(replica["texts"] for replica in replicas) if replicas else -1


def test_a_client_that_hangs_up_stops_the_replica_too(service: Service) -> None:
    """Texts of 512 tokens: to work on all that it has would take torch half a minute."""
    rows = b"\n".join(json.dumps({"input": f"good {n} " * 400}).encode() for n in range(400))
    with requests.post(
        service.url + "/transformers/stream", data=rows, headers=NDJSON, stream=True, timeout=60
    ):
        until(lambda: in_hand(service) > 80, 30)
    until(lambda: in_hand(service) == 0, 20)


def test_a_csv_is_streamed_by_its_column(service: Service) -> None:
    answer = service.post(
        "/onnx/stream?text_column=review",
        data=b'id,review\na,"A lovely, moving film."\nb,A dull mess.\n',
        headers={"Content-Type": "text/csv"},
    )
    first, second, _ = map(json.loads, answer.text.splitlines())
    assert (first["id"], first["label"]) == ("a", "POSITIVE")
    assert (second["id"], second["label"]) == ("b", "NEGATIVE")
