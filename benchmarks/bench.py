"""This service and the alternatives, side by side: `make bench`, or `python -m benchmarks.bench`.

In each round every server is started by itself, warmed up and measured in every cell, so that no
other takes its cores; each round has another order, so that what drifts on the machine hits all.
What the hardware allows with no server (see `limit`) is measured in the same rounds.
"""

import argparse
import asyncio
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

from benchmarks import limit, load, report
from benchmarks.catalog import SETUPS, Setup
from benchmarks.graphs import NAMES, Precision
from benchmarks.records import RESULTS, Agreement, Cell, Run
from benchmarks.servers import Server, ServerError
from benchmarks.venvs import ready
from serve_app.engine.artifacts import Artifacts

PATIENCE = 3
"""Golden texts that a server may leave unanswered before no more are sent."""
GOLDEN_S = 60.0
"""For all golden texts: after much load some servers hold a lone text back for seconds."""

NO_OPTIONS = ("models", "output", "add")
"""Arguments that are not about how a model was measured."""

Plan = tuple[Setup | None, Precision]


def parser() -> argparse.ArgumentParser:
    """The arguments."""
    result = argparse.ArgumentParser(
        prog="python -m benchmarks.bench",
        description=__doc__,
        epilog="Two minutes: --models .cache/prepared/sst2-minilm --servers ours fastapi"
        " --precisions int8 --concurrency 16 --lists 1 --seconds 5 --rounds 2",
    )
    keys = [setup.key for setup in SETUPS]
    result.add_argument(
        "--models", type=Path, nargs="+", default=list(limit.MODELS), metavar="FOLDER"
    )
    result.add_argument("--servers", nargs="+", default=keys, choices=keys, metavar="NAME")
    result.add_argument("--precisions", nargs="+", default=list(NAMES), choices=list(NAMES))
    result.add_argument("--concurrency", type=int, nargs="+", default=[1, 4, 16, 64])
    result.add_argument("--lists", type=int, nargs="+", default=[1, 32], help="texts a request")
    result.add_argument("--seconds", type=float, default=3.0, help="of each cell")
    result.add_argument("--warm-up", type=float, default=0.5, help="seconds before each cell")
    result.add_argument(
        "--longest", type=float, default=15.0, help="seconds, where answers come too slowly"
    )
    result.add_argument("--rounds", type=int, default=3)
    result.add_argument(
        "--limit-texts",
        type=int,
        default=400,
        help="texts of the in-process limit; 0: leave it out",
    )
    result.add_argument("--output", type=Path, default=RESULTS / "bench.json")
    result.add_argument(
        "--add", action="store_true", help="keep what the output has of other models"
    )
    return result


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, write the JSON after every server, print the tables at the end."""
    options = parser().parse_args(argv)
    run = Run.read(options.output) if options.add else Run()
    run.servers |= {
        setup.key: _described(setup) for setup in SETUPS if setup.key in options.servers
    }
    runnable = []
    for setup in SETUPS:
        if setup.key not in options.servers:
            continue
        if setup.venv is None or ready(setup.venv):
            runnable.append(setup)
        else:
            run.failures[setup.key] = f"no environment: python -m benchmarks.venvs {setup.venv}"
    begin = time.monotonic()
    for model in options.models:
        # Where the files lie says nothing of what was measured, and names folders of the machine.
        said = {name: value for name, value in vars(options).items() if name not in NO_OPTIONS}
        run.begin(model.name, said)
        plans = plans_for(runnable, options.precisions, limits=options.limit_texts > 0)
        for number in range(options.rounds):
            for planned, precision in rotated(plans, number, options.rounds):
                what = f"{planned.title if planned else 'in process'}, {NAMES[precision]}"
                place = f"{model.name}, round {number + 1} of {options.rounds}"
                print(f"[{time.monotonic() - begin:5.0f} s] {place}: {what}", flush=True)
                try:
                    if planned is None:
                        in_process(run, precision, model, options.limit_texts)
                    else:
                        measure(run, planned, precision, model, number, options)
                except (ServerError, OSError, ValueError, subprocess.SubprocessError) as error:
                    run.failures[f"{model.name}, {what}"] = str(error)
                    print(f"  failed: {error}", file=sys.stderr, flush=True)
                finally:  # what was measured stays, however this ends
                    run.write(options.output)
    print(report.bench(run))
    return int(bool(run.failures))


def measure(
    run: Run,
    setup: Setup,
    precision: Precision,
    model: Path,
    number: int,
    options: argparse.Namespace,
) -> None:
    """One server's part of one round.

    Raises:
        ServerError: it did not start, ended before it was told to, or answers nothing.
    """
    with Server(setup, precision, model) as server:
        for texts_each in options.lists:
            bodies = [server.body(piece) for piece in load.pieces(texts_each)]
            for concurrency in options.concurrency:
                with load.uninterrupted():
                    result = asyncio.run(
                        load.run(
                            server.url,
                            bodies,
                            concurrency,
                            options.seconds,
                            texts_each,
                            warm_up=options.warm_up,
                            least=concurrency,
                            longest=options.longest,
                            meter=server.cpu,
                        )
                    )
                server.check()
                if not result.requests:
                    raise ServerError(f"{setup.title} answers nothing")
                took = result.cpu or 0.0
                run.cells.append(
                    Cell(
                        model=model.name,
                        server=setup.key,
                        precision=precision,
                        texts_each=texts_each,
                        concurrency=concurrency,
                        round=number,
                        requests=result.requests,
                        errors=result.errors,
                        requests_per_second=result.requests_per_second,
                        p50=result.p50,
                        p95=result.p95,
                        p99=result.p99,
                        cpu_ms=took / result.answered * 1000,
                        memory_mb=server.memory() / 1e6,
                    )
                )
        if number == 0:  # at the end, since a text that is too long has ended one of them
            run.agreements.append(agreement(server, setup.key, precision, model))


def in_process(run: Run, precision: Precision, model: Path, count: int) -> None:
    """The limit's part of one round, in a process that gives its memory back.

    Raises:
        SubprocessError: it failed.
    """
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "limit.json"
        subprocess.run(
            [
                *(sys.executable, "-m", "benchmarks.limit", "--models", model, "--rounds", "1"),
                *("--precisions", precision, "--texts", str(count), "--output", output),
            ],
            check=True,
            stdout=subprocess.DEVNULL,
        )
        found = json.loads(output.read_text(encoding="utf-8"))
    run.limits = limit.merged([*run.limits, *limit.rows(found)])


def agreement(server: Server, key: str, precision: Precision, model: Path) -> Agreement:
    """The server's answers to the golden texts beside torch's at preparation."""
    artifacts = Artifacts(model, verify=False)
    asked, refused, flips, difference = 0, 0, 0, 0.0
    deadline = time.monotonic() + GOLDEN_S
    for text, probabilities in zip(
        artifacts.golden.texts, artifacts.golden.probabilities, strict=True
    ):
        # It answers no more, whatever it is asked, or too slowly.
        if refused == PATIENCE or time.monotonic() > deadline:
            break
        asked += 1
        try:
            ((label, score),) = server.ask([text], timeout=10)
        except OSError:
            refused += 1
            continue
        expected = probabilities.index(max(probabilities))
        said = artifacts.manifest.labels.index(label)
        flips += said != expected
        difference = max(difference, abs(score - probabilities[said]))
    return Agreement(model.name, key, precision, asked, refused, flips, difference)


def plans_for(
    setups: Sequence[Setup], precisions: Sequence[Precision], *, limits: bool
) -> list[Plan]:
    """What one round consists of; without a set-up it is the limit in process."""
    plans: list[Plan] = []
    for precision in precisions:
        plans += [(setup, precision) for setup in setups if precision in setup.precisions]
        if limits:
            plans.append((None, precision))
    return plans


def rotated(plans: Sequence[Plan], number: int, rounds: int) -> Iterator[Plan]:
    """The plans of one round: each round starts elsewhere, every second one goes backwards."""
    at = number * len(plans) // max(1, rounds)
    order = [*plans[at:], *plans[:at]]
    return iter(order if number % 2 == 0 else order[::-1])


def _described(setup: Setup) -> dict[str, object]:
    kept = ("title", "workers", "threads", "batch", "batching")
    return {name: value for name, value in asdict(setup).items() if name in kept}


if __name__ == "__main__":
    sys.exit(main())
