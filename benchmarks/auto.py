"""Both twins as one service: `python -m benchmarks.auto DEV.tsv`.

Agreement: every text of a labelled file asked of `auto` and of torch. Speed: the same texts asked
of `auto` and of ONNX alone, in turns. Failover: every replica of a backend killed while `auto` is
asked without pause.
"""

import argparse
import asyncio
import json
import sys
import time
import urllib.request
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import cycle
from pathlib import Path
from statistics import median
from typing import Any

import aiohttp

from benchmarks import load
from benchmarks.catalog import SERVICE
from benchmarks.graphs import BUNDLED
from benchmarks.memory import by_role
from benchmarks.records import RESULTS, in_words, machine, number, spread, write
from benchmarks.servers import Server, ServerError
from serve_app.jobs.labelled import read

PIECE = 16
CLIENTS = 8
BACK_S = 180.0


@dataclass(frozen=True)
class Failover:
    """What `auto`'s clients saw of a backend's death.

    Attributes:
        before, after: answers of status 200 before the kill, and from then on.
        failed: other answers and lost connections, in all.
        longest_ms: that an answer took after the kill.
        by: who answered after the kill, and how many requests.
        back_s: seconds until `/ready` said again that both backends answer.
    """

    killed: str
    before: int
    after: int
    failed: int
    longest_ms: float
    by: dict[str, int]
    back_s: float


def ask(base: str, backend: str, texts: Sequence[str]) -> list[tuple[str, str]]:
    """Each text's label, and who answered the request that it was in."""
    found = []
    for at in range(0, len(texts), PIECE):
        request = urllib.request.Request(
            f"{base}/{backend}/infer",
            json.dumps({"input": texts[at : at + PIECE]}).encode(),
            {"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            by = answer.headers["X-Backend"]
            found += [(item["label"], by) for item in json.load(answer)]
    return found


def agreement(base: str, texts: Sequence[str]) -> dict[str, Any]:
    """How many labels differ from torch's, of `auto` and of ONNX by itself."""
    torch = [label for label, _ in ask(base, "transformers", texts)]
    onnx = [label for label, _ in ask(base, "onnx", texts)]
    auto = ask(base, "auto", texts)
    doubtful = 0
    for at in range(0, len(auto), PIECE):
        parts = dict(part.partition(";n=")[::2] for part in auto[at][1].split(", "))
        whole = len(auto[at : at + PIECE])
        doubtful += int(parts["transformers"] or whole) if "transformers" in parts else 0
    return {
        "texts": len(texts),
        "auto_flips": sum(a != t for (a, _), t in zip(auto, torch, strict=True)),
        "onnx_flips": sum(o != t for o, t in zip(onnx, torch, strict=True)),
        "asked_torch": doubtful,
    }


def speed(base: str, texts: Sequence[str], rounds: int, seconds: float) -> dict[str, list[float]]:
    """Requests of one text a second, of ONNX and of `auto`, in each round."""
    bodies = [json.dumps({"input": text}).encode() for text in texts]
    rates: dict[str, list[float]] = {"onnx": [], "auto": []}
    for _ in range(rounds):
        for backend, found in rates.items():
            result = asyncio.run(
                load.run(f"{base}/{backend}/infer", bodies, 16, seconds, warm_up=1.0)
            )
            found.append(result.requests_per_second)
    return rates


async def failover(server: Server, base: str, role: str, texts: Sequence[str]) -> Failover:
    """Kill every replica of a backend while `auto` is asked."""
    turn = cycle(texts)
    answers: list[tuple[float, float, int, str]] = []
    ended = False

    async def client(http: aiohttp.ClientSession) -> None:
        while not ended:
            begin = time.monotonic()
            status, by = 0, ""
            try:
                async with http.post(f"{base}/auto/infer", json={"input": next(turn)}) as answer:
                    await answer.read()
                    status, by = answer.status, answer.headers.get("X-Backend", "")
            except aiohttp.ClientError:
                pass
            answers.append((begin, time.monotonic(), status, by))

    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=90)) as http:
        clients = [asyncio.create_task(client(http)) for _ in range(CLIENTS)]
        await asyncio.sleep(3)
        killed = time.monotonic()
        for process in by_role(server.processes)[role]:
            process.kill()
        away = False
        while True:  # until it is seen to be away, and then to be back
            await asyncio.sleep(0.5)
            if time.monotonic() - killed > BACK_S:
                raise ServerError(f"{role} is not {'back' if away else 'away'} after {BACK_S:g} s")
            async with http.get(f"{base}/ready") as answer:
                ready = answer.status == 200
            if ready and away:
                break
            away = away or not ready
        back = time.monotonic() - killed
        await asyncio.sleep(2)
        ended = True
        await asyncio.gather(*clients)
    after = [one for one in answers if one[1] >= killed]
    return Failover(
        killed=role,
        before=sum(one[2] == 200 for one in answers if one[1] < killed),
        after=sum(one[2] == 200 for one in after),
        failed=sum(one[2] != 200 for one in answers),
        longest_ms=max(end - begin for begin, end, _, _ in after) * 1000,
        by=dict(Counter(one[3] for one in after)),
        back_s=back,
    )


def table(said: dict[str, Any]) -> str:
    """Markdown of what `main` writes."""
    agreed, rates = said["agreement"], said["rates"]
    ratios = [a / o for a, o in zip(rates["auto"], rates["onnx"], strict=True)]
    lines = [
        f"Measured on {in_words(said['machine'])}.",
        "",
        "| texts | labels of ONNX that differ from torch's | of `auto` | texts it asked torch |"
        " requests/s, ONNX | `auto` | share |",
        "| --- | --- | --- | --- | --- | --- | --- |",
        f"| {agreed['texts']} | {agreed['onnx_flips']} | **{agreed['auto_flips']}** |"
        f" {agreed['asked_torch']} | {number(median(rates['onnx']))} ({spread(rates['onnx'])}) |"
        f" {number(median(rates['auto']))} ({spread(rates['auto'])}) |"
        f" **{median(ratios):.2f}** ({spread(ratios)}) |",
        "",
        "| every replica killed of | answered before | answered after | failed | longest ms |"
        " who answered after | both again after s |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for one in (Failover(**each) for each in said["failovers"]):
        by = ", ".join(f"{count} {name}" for name, count in sorted(one.by.items()))
        lines.append(
            f"| {one.killed} | {one.before} | {one.after} | **{one.failed}** |"
            f" {number(one.longest_ms)} | {by} | {number(one.back_s)} |"
        )
    return "\n".join(lines)


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, write the JSON, print the tables; 1 if a label differs or a request failed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.auto", description=__doc__)
    parser.add_argument("labelled", type=Path, help="a file such as SST-2's dev.tsv")
    parser.add_argument("--model", type=Path, default=BUNDLED)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--output", type=Path, default=RESULTS / "auto.json")
    options = parser.parse_args(argv)
    texts = read(options.labelled, "sentence", "label", ("0", "1")).texts
    with Server(SERVICE, "int8", options.model) as server:
        base = server.at("/").rstrip("/")
        said: dict[str, Any] = {
            "machine": machine(),
            "agreement": agreement(base, texts),
            "rates": speed(base, texts, options.rounds, options.seconds),
            "failovers": [
                asdict(asyncio.run(failover(server, base, role, texts)))
                for role in ("onnx", "transformers")
            ],
        }
    write(options.output, said)
    print(table(said))
    failed = sum(one["failed"] for one in said["failovers"])
    return int(bool(failed or said["agreement"]["auto_flips"]))


if __name__ == "__main__":
    sys.exit(main())
