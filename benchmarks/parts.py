"""The service's parts beside the same work in process: `python -m benchmarks.parts`.

Of a lone text, the model's own time by `Server-Timing`, torch beside ONNX; of many single texts,
the CPU that is neither tokenizer nor model; of lists and streams, the share of the windowed limit.
What is compared is measured in turns; what needs no service, while its processes are suspended.
"""

import argparse
import asyncio
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from http.client import HTTPConnection
from pathlib import Path
from statistics import median
from typing import Any
from urllib.parse import urlsplit

from benchmarks import limit, load, stream
from benchmarks.catalog import SERVICE
from benchmarks.graphs import BUNDLED, NAMES, Precision
from benchmarks.records import RESULTS, Candidate, in_words, machine, number, spread, write
from benchmarks.servers import Server, ServerError
from serve_app.engine.backend import Backend, Encoded

CLIENTS = 16
LIST = 256
LIST_CLIENTS = 4
"""So many that the model never waits for the next list."""
WORKERS = SERVICE.workers
WINDOW = f"window {LIST}"
"""Of the limit that lists and streams are held against."""


@dataclass(frozen=True)
class Lone:
    """Median ms of the model on the same texts, one after another, in one round.

    Attributes:
        precision: of the ONNX model.
        torch, onnx: by `Server-Timing`.
        torch_in_process: with no server.
    """

    precision: Precision
    torch: float
    onnx: float
    torch_in_process: float

    @property
    def less(self) -> float:
        """Share of torch's time that ONNX does not take."""
        return 1 - self.onnx / self.torch

    @property
    def torch_share(self) -> float:
        """How much of its limit torch reaches."""
        return self.torch_in_process / self.torch


@dataclass(frozen=True)
class Busy:
    """CPU ms of a single text in int8 while many are asked for, in one round.

    Attributes:
        whole: of all processes of the service.
        in_process: of tokenizer and model with no server.
    """

    whole: float
    in_process: float

    @property
    def outside(self) -> float:
        return self.whole - self.in_process


@dataclass(frozen=True)
class Bulk:
    """Texts a second in int8, in one round."""

    lists: float
    stream: float


def timing(header: str) -> dict[str, float]:
    """The parts of a `Server-Timing`, in ms."""
    pairs = (part.strip().split(";dur=") for part in header.split(","))
    return {name: float(ms) for name, ms in pairs}


def inference(url: str, bodies: Sequence[bytes]) -> float:
    """Median ms of the model, each request asked when the one before is answered.

    Raises:
        ServerError: one was answered with an error.
    """
    parts = urlsplit(url)
    connection = HTTPConnection(parts.netloc, timeout=60)
    found = []
    for body in bodies:
        connection.request("POST", parts.path, body, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        said = answer.read()
        if answer.status != 200:
            raise ServerError(f"{url} answers {answer.status}: {said[:200]!r}")
        found.append(timing(answer.headers["Server-Timing"])["inference"])
    connection.close()
    return median(found)


def lone_in_process(backend: Backend, encoded: Sequence[Encoded]) -> float:
    """Median ms of `logits` of one text."""
    found = []
    for text in encoded:
        start = time.perf_counter()
        backend.logits([text])
        found.append((time.perf_counter() - start) * 1000)
    return median(found)


def cpu_in_process(backend: Backend, texts: Sequence[str], seconds: float) -> float:
    """CPU ms of a text: tokenized by itself, and in the cheapest batches of a window's texts."""
    start = time.process_time()
    encoded = [backend.encode([text])[0] for text in texts]
    tokenizing = (time.process_time() - start) / len(texts)
    model = min(
        1 / limit.speed(backend, batches, WORKERS, seconds, time.process_time)
        for batches in (
            list(limit.windowed(encoded, CLIENTS, batch)) for batch in (1, *limit.BATCHES)
        )
    )
    return (tokenizing + model) * 1000


def lone(
    server: Server, precision: Precision, torch: Backend, texts: Sequence[str], count: int
) -> Lone:
    """One round of single texts without company."""
    bodies = [server.body([text]) for text in texts[:count]]
    served = inference(server.at("/transformers/infer"), bodies)
    onnx = inference(server.at("/onnx/infer"), bodies)
    with server.suspended():
        in_process = lone_in_process(torch, torch.encode(texts[:count]))
    return Lone(precision, served, onnx, in_process)


def busy(server: Server, backend: Backend, texts: Sequence[str], options: Any) -> Busy:
    """One round of many single texts.

    Raises:
        ServerError: one was not answered.
    """
    bodies = [server.body([text]) for text in texts]
    with load.uninterrupted():
        found = asyncio.run(
            load.run(server.url, bodies, CLIENTS, options.seconds, warm_up=0.5, meter=server.cpu)
        )
    _check(server, found)
    whole = (found.cpu or 0.0) / found.answered * 1000
    with server.suspended():
        return Busy(whole, cpu_in_process(backend, texts, options.limit_seconds))


def bulk(server: Server, options: Any) -> Bulk:
    """One round of lists and a stream.

    Raises:
        ServerError: a list or a row was not answered.
    """
    bodies = [server.body(piece) for piece in load.pieces(LIST)]
    with load.uninterrupted():
        lists = asyncio.run(
            load.run(
                server.url,
                bodies,
                LIST_CLIENTS,
                options.bulk_seconds,
                LIST,
                warm_up=0.5,
                least=LIST_CLIENTS,
            )
        )
        reader = stream.Reader()
        case = stream.Case("", options.rows)
        seconds, _ = asyncio.run(stream.run(server.at("/onnx/stream"), case, reader))
    _check(server, lists)
    if reader.rows != options.rows or reader.errors:
        raise ServerError(f"{reader.rows} of {options.rows} rows, {reader.errors} errors")
    return Bulk(lists.texts_per_second, reader.rows / seconds)


def measure(options: Any) -> dict[str, Any]:
    """All rounds: with int8 everything, with fp32 the lone texts."""
    texts = [text for (text,) in load.pieces(1)]
    torch = limit.backends(options.model, "torch")[1]
    found: dict[str, Any] = {"lone": [], "busy": [], "bulk": []}
    limits: list[Candidate] = []
    backends = limit.backends(options.model, "int8")
    encoded = backends[1].encode(texts)
    formed = {
        limit.ALONE: {1: [[text] for text in encoded]},
        WINDOW: {batch: list(limit.windowed(encoded, LIST, batch)) for batch in limit.BATCHES},
    }
    with Server(SERVICE, "int8", options.model) as server:
        lone(server, "int8", torch, texts, 5)
        for number_of_round in range(options.rounds):
            print(f"int8, round {number_of_round + 1} of {options.rounds} …", flush=True)
            found["lone"].append(lone(server, "int8", torch, texts, options.texts))
            found["busy"].append(busy(server, backends[1], texts, options))
            found["bulk"].append(bulk(server, options))
            with server.suspended():
                limits += limit.candidates(
                    backends, formed, options.limit_seconds, options.model.name, "int8"
                )
    with Server(SERVICE, "fp32", options.model) as server:
        lone(server, "fp32", torch, texts, 5)
        for number_of_round in range(options.rounds):
            print(f"fp32, round {number_of_round + 1} of {options.rounds} …", flush=True)
            found["lone"].append(lone(server, "fp32", torch, texts, options.texts))
    return {
        **{name: [asdict(one) for one in rounds] for name, rounds in found.items()},
        "limits": [asdict(one) for one in limit.merged(limits)],
    }


def lones(said: dict[str, Any]) -> list[Lone]:
    """The rounds of lone texts, beside ONNX in either precision."""
    return [Lone(**one) for one in said["lone"]]


def outside(said: dict[str, Any]) -> list[float]:
    """CPU ms of a request that is neither tokenizer nor model, a round each."""
    return [Busy(**one).outside for one in said["busy"]]


def bound(said: dict[str, Any]) -> Candidate:
    """The limit that lists and streams are held against."""
    found = limit.best([Candidate(**one) for one in said["limits"]])
    return next(one for one in found if one.way == WINDOW)


def shares(said: dict[str, Any], name: str) -> list[float]:
    """Of the limit, by `lists` or by the `stream`, a round each."""
    rates = bound(said).rates
    return [one[name] / most for one, most in zip(said["bulk"], rates, strict=True)]


def table(said: dict[str, Any]) -> str:
    """Markdown of what `main` writes."""
    lines = [
        f"Measured on {in_words(said['machine'])}; {said['model']}, {said['rounds']} rounds,"
        " medians, and in brackets the least and the most. Differences and shares are taken within"
        " a round.",
        "",
        "The model's time of a lone text by `Server-Timing`, one thread each, the same"
        f" {said['texts']} texts for all:",
        "",
        "| ONNX | torch ms | ONNX ms | less time | torch in process, ms | torch's share of that |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for precision in NAMES:
        if own := [one for one in lones(said) if one.precision == precision]:
            lines.append(
                f"| {NAMES[precision]} | {_middle([one.torch for one in own])} |"
                f" {_middle([one.onnx for one in own])} |"
                f" **{_middle([one.less * 100 for one in own])} %** |"
                f" {_middle([one.torch_in_process for one in own])} |"
                f" **{_middle([one.torch_share for one in own])}** |"
            )
    loaded = [Busy(**one) for one in said["busy"]]
    lines += [
        "",
        f"CPU of a request of one text in int8 at {CLIENTS} clients: of all processes of the"
        " service, Ray's that idle and the torch replica too, and of tokenizer and model with no"
        f" server, {WORKERS} workers × 1 thread, in the cheapest batches out of {CLIENTS} texts:",
        "",
        "| service, ms | tokenizer and model in process, ms | outside them, ms |",
        "| --- | --- | --- |",
        f"| {_middle([one.whole for one in loaded])} |"
        f" {_middle([one.in_process for one in loaded])} |"
        f" **{_middle(outside(said))}** |",
        "",
        f"Bulk in int8 beside the limit in process out of a {WINDOW}"
        f" ({number(median(bound(said).rates))} texts/s): lists of {LIST} from {LIST_CLIENTS}"
        f" clients, a stream of {said['rows']:,} rows:",
        "",
        "| bulk | texts/s | share of the limit |",
        "| --- | --- | --- |",
    ]
    for name, title in (("lists", f"lists of {LIST}"), ("stream", "a stream")):
        rates = [one[name] for one in said["bulk"]]
        lines.append(f"| {title} | {_middle(rates)} | **{_middle(shares(said, name))}** |")
    return "\n".join(lines)


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, write the JSON, print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.parts", description=__doc__)
    parser.add_argument("--model", type=Path, default=BUNDLED)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--texts", type=int, default=100, help="lone ones of a round")
    parser.add_argument("--seconds", type=float, default=3.0, help="of many single texts")
    parser.add_argument("--bulk-seconds", type=float, default=5.0, help="of lists")
    parser.add_argument("--rows", type=int, default=4000, help="of the stream")
    parser.add_argument("--limit-seconds", type=float, default=0.7, help="of a set-up of the limit")
    parser.add_argument("--output", type=Path, default=RESULTS / "parts.json")
    options = parser.parse_args(argv)
    said = {
        "machine": machine(),
        "model": options.model.name,
        "rounds": options.rounds,
        "texts": options.texts,
        "rows": options.rows,
        **measure(options),
    }
    write(options.output, said)
    print(table(said))
    return 0


def _check(server: Server, found: load.Result) -> None:
    server.check()
    if found.errors or not found.requests:
        raise ServerError(f"{found.errors} errors, {found.requests} answers")


def _middle(values: Sequence[float]) -> str:
    return f"{number(median(values))} ({spread(values)})"


if __name__ == "__main__":
    sys.exit(main())
