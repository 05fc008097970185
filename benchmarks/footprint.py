"""Start to ready, memory, CPU of the idle cluster: `python -m benchmarks.footprint`."""

import argparse
import contextlib
import os
import sys
import time
import urllib.request
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psutil

from benchmarks.graphs import BUNDLED
from benchmarks.processes import MARK, Family
from benchmarks.records import RESULTS, in_words, machine, write
from serve_app.local_cluster import START_S, LocalCluster, free_port
from serve_app.serve_config import BASE, LOCAL, load

IDLE_S = 20.0


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, write the JSON, print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.footprint", description=__doc__)
    parser.add_argument("--model", type=Path, default=BUNDLED)
    parser.add_argument("--output", type=Path, default=RESULTS / "footprint.json")
    options = parser.parse_args(argv)
    port = free_port()
    config = load(BASE, LOCAL, {"http_options": {"port": port}})
    os.environ[MARK] = uuid.uuid4().hex
    family = Family(os.getpid(), os.environ[MARK])
    start = time.monotonic()
    with LocalCluster(
        config,
        {"SENTIMENT_MODEL": str(options.model.resolve())},
        dashboard_port=free_port(),
        logs=False,
    ) as cluster:
        cluster.wait(START_S)
        _wait_until_ready(f"http://127.0.0.1:{port}/ready")
        ready = time.monotonic() - start
        memory = {}
        for process in family.processes:
            with contextlib.suppress(psutil.Error):
                # Pages that several share count to each by its part.
                memory[f"{_name(process)} ({process.pid})"] = process.memory_full_info().pss
        before, begin = family.cpu(), time.monotonic()
        time.sleep(IDLE_S)  # the thing measured is what happens when nothing does
        idle = (family.cpu() - before) / (time.monotonic() - begin)
    said = {
        "machine": machine(),
        "ready_s": round(ready, 1),
        "idle_cores": round(idle, 3),
        "pss_mb": round(sum(memory.values()) / 1e6),
        "processes_mb": {name: round(pss / 1e6) for name, pss in memory.items()},
    }
    write(options.output, said)
    print(table(said))
    return 0


def table(said: dict[str, Any]) -> str:
    """Markdown of what `main` writes."""
    memory = sorted(said["processes_mb"].items(), key=lambda item: -item[1])
    lines = [
        f"Measured on {in_words(said['machine'])}: ready after {said['ready_s']} s; idle, the"
        f" cluster takes {said['idle_cores']:.1%} of a core. Memory of all processes, pages that"
        f" several share counted to each by its part, together {said['pss_mb']:,} MB:",
        "",
        "| process | MB |",
        "| --- | --- |",
        *(f"| {name.rsplit(' (', 1)[0]} | {mb:,} |" for name, mb in memory[:12]),
    ]
    return "\n".join(lines)


def _wait_until_ready(url: str) -> None:
    deadline = time.monotonic() + START_S
    while True:
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)


def _name(process: psutil.Process) -> str:
    command: list[str] = process.cmdline()
    if not command:
        return str(process.name())
    first = command[0].split("/")[-1].strip()
    if first.startswith("python"):
        rest = [part for part in command[1:] if not part.startswith("-")]
        return rest[0].split("/")[-1][:40] if rest else first
    return first[:60]


if __name__ == "__main__":
    sys.exit(main())
