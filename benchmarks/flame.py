"""Flame graphs of the request path: `python -m benchmarks.flame` writes docs/images/flame-*.svg.

py-spy comes with Ray's dashboard; it needs the right to look into other processes (root, ptrace).
"""

import argparse
import asyncio
import re
import subprocess
import sys
import sysconfig
from collections.abc import Sequence
from pathlib import Path

from benchmarks import load
from benchmarks.catalog import SERVICE
from benchmarks.graphs import BUNDLED
from benchmarks.memory import by_role
from benchmarks.servers import Server, ServerError

IMAGES = Path("docs/images")
ROLES = {"ingress": "ingress", "replica": "onnx"}
"""What is recorded, by the name of its picture."""
SAID = (
    "Samples that py-spy took of the ingress and of an ONNX replica in int8 while as many clients"
    " as their titles say asked for single texts. Threads that wait have samples too. Opened by"
    " themselves, the pictures can be searched and zoomed."
)
TITLE = r'(<text id="title"[^>]*>)[^<]*'
RATE = 200
"""Samples a second: enough for ten seconds, few enough not to slow what is looked at."""


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


def retitle(picture: Path, title: str) -> None:
    """Its title is the command that it was made by, with where that lies on this machine."""
    text = picture.read_text(encoding="utf-8")
    picture.write_text(re.sub(TITLE, rf"\1{title}", text), encoding="utf-8")


def main(argv: Sequence[str] | None = None) -> int:
    """Start the service, record both actors one after the other, end it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, default=BUNDLED)
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--seconds", type=int, default=10)
    parser.add_argument("--output", type=Path, default=IMAGES)
    options = parser.parse_args(argv)
    options.output.mkdir(parents=True, exist_ok=True)
    try:
        with Server(SERVICE, "int8", options.model) as server:
            found = by_role(server.processes)
            for name, role in ROLES.items():
                target = options.output / f"flame-{name}.svg"
                pid = found[role][0].pid
                asyncio.run(record(server, pid, target, options.clients, options.seconds))
                retitle(target, f"the {name}, single texts from {options.clients} clients")
                print(f"{target}: the {name} under {options.clients} clients")
    except ServerError as error:
        print(f"flame: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
