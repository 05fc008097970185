"""Start to ready, memory of each process and CPU of the idle cluster, on this machine."""

import argparse
import contextlib
import json
import os
import sys
import time
import urllib.request
import uuid
from collections.abc import Sequence
from pathlib import Path

import psutil

from benchmarks.graphs import BUNDLED
from benchmarks.processes import MARK, Family
from serve_app.local_cluster import START_S, LocalCluster, free_port
from serve_app.serve_config import BASE, LOCAL, load

IDLE_S = 20.0


def main(argv: Sequence[str] | None = None) -> int:
    """Print one table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.footprint", description=__doc__)
    parser.add_argument("--model", type=Path, default=BUNDLED)
    parser.add_argument("--json", type=Path)
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
    record = {
        "ready_s": round(ready, 1),
        "idle_cores": round(idle, 3),
        "pss_mb": round(sum(memory.values()) / 1e6),
        "processes_mb": {name: round(pss / 1e6) for name, pss in memory.items()},
    }
    if options.json:
        options.json.write_text(json.dumps(record, indent=1) + "\n")
    print(f"ready after {record['ready_s']} s; idle, the cluster takes {idle:.1%} of a core")
    print(f"memory of all processes, shared pages counted once: {record['pss_mb']} MB\n")
    print("| process | PSS, MB |\n| --- | --- |")
    for name, pss in sorted(memory.items(), key=lambda item: -item[1])[:12]:
        print(f"| {name.rsplit(' (', 1)[0]} | {pss / 1e6:.0f} |")
    return 0


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
