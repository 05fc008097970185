"""Flame graphs of the request path: `python -m benchmarks.flame` writes docs/images/flame-*.svg.

py-spy comes with Ray's dashboard; it needs the right to look into other processes (root, ptrace).
"""

import argparse
import asyncio
import subprocess
import sys
import sysconfig
from collections.abc import Sequence
from pathlib import Path

import psutil

from benchmarks import load
from benchmarks.catalog import OURS, SETUPS
from benchmarks.servers import Server, ServerError

IMAGES = Path("docs/images")
ROLES = {"ingress": ":Ingress", "replica": ":OnnxClassifier"}
"""What the titles of Ray's processes end with."""
RATE = 200
"""Samples a second: enough for ten seconds, few enough not to slow what is looked at."""


def process_of(server: Server, role: str) -> int:
    """The process id of one of the service's actors.

    Raises:
        ServerError: it has none.
    """
    for process in server.processes:
        try:
            if ROLES[role] in " ".join(process.cmdline()):
                return process.pid
        except psutil.Error:
            continue
    raise ServerError(f"the service has no process of the {role}")


async def record(server: Server, pid: int, target: Path, clients: int, seconds: int) -> None:
    """Sample one process while clients keep asking for single texts.

    Raises:
        ServerError: py-spy could not look into the process.
    """
    bodies = [server.body(piece) for piece in load.pieces(1)]
    asking = asyncio.create_task(load.run(server.url, bodies, clients, seconds + 2.0))
    await asyncio.sleep(1)
    spy = await asyncio.create_subprocess_exec(
        str(Path(sysconfig.get_path("scripts")) / "py-spy"),
        *("record", "--pid", str(pid), "--duration", str(seconds), "--rate", str(RATE)),
        *("--format", "flamegraph", "--output", str(target)),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    _, said = await spy.communicate()
    await asking
    if spy.returncode:
        raise ServerError(f"py-spy: {said.decode(errors='replace').strip()}")


def main(argv: Sequence[str] | None = None) -> int:
    """Start the service, record both actors one after the other, end it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, default=Path(".cache/prepared/sst2-minilm"))
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--seconds", type=int, default=10)
    parser.add_argument("--output", type=Path, default=IMAGES)
    options = parser.parse_args(argv)
    (ours,) = (setup for setup in SETUPS if setup.key == OURS)
    options.output.mkdir(parents=True, exist_ok=True)
    try:
        with Server(ours, "int8", options.model) as server:
            for role in ROLES:
                target = options.output / f"flame-{role}.svg"
                pid = process_of(server, role)
                asyncio.run(record(server, pid, target, options.clients, options.seconds))
                print(f"{target}: the {role} under {options.clients} clients")
    except ServerError as error:
        print(f"flame: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
