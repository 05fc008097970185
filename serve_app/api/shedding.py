"""Load shedding: where an ingress has no room, HAProxy refuses in its place.

A refusal costs the ingress half a millisecond of CPU and HAProxy a tenth. With more of them than
answers the machine does little else, and they come late. So an ingress that is nearly full says
with each answer, in a header that clients do not see, how many more requests it has room for.
HAProxy takes that for the room of each of them, counts those that it lets pass, and refuses the
others until another answer comes: they are neither parsed nor authenticated then. How many they
were it tells the ingress with the next one that passes, for the metrics. Nothing is refused here
while any ingress has room in plenty, nor when none has answered for a while. A 200 without the
header tells of room in plenty; an error without it may be Ray's own, which knows of no room.

Requests of browsers always pass: what refuses those must have the headers of CORS. So do large
ones: who is answered while they still send has the connection closed, and may not see the answer.

HAProxy 2.8's manual, "Using ACLs and fetching samples" and `stick-table`, has what the rules use.
"""

import json
import os
from collections.abc import Mapping
from typing import Protocol

from serve_app.api.errors import MEDIA_TYPE, OVERLOADED, ProblemError, as_error, as_problem

ROOM = "x-room"
"""Of an answer, to HAProxy: single texts that would be let in / seconds until more should be."""
SHED = "x-shed"
"""Of a request, from HAProxy: how many it has refused since the last one that it let pass."""
ENABLED = os.environ.get("RAY_SERVE_ENABLE_HA_PROXY") == "1"
"""Whether it is HAProxy that reads and sends them."""
SCARCE = 256
"""Room that is worth telling: more requests than come while an ingress is held up."""
FRESH_MS = 500
"""For so long it counts that an ingress has told its room: one that falls silent is asked again."""
PLENTY_MS = 500
"""For so long it counts that an ingress had room in plenty."""
CLOCKS_MS = 100
"""Each of HAProxy's threads has a clock of its own, and may be so much behind another."""
SMALL = 12_000
"""Bytes of a body that HAProxy can hold, with the headers, until it is there."""
BODY_S = 15
"""Within which such a body must have come."""
BACKENDS = ("auto", "onnx", "transformers")
TABLE = "sentiment_shedding"
"""HAProxy's numbers for each backend: gpt 0 room, 1 seconds, 2 when they were told, 3 when there
was plenty; gpc 0 requests refused, 1 requests let pass since."""
NOW = "date(0,ms),mod(1000000000)"
"""Milliseconds, from 0 again every eleven days, since HAProxy's numbers have 32 bits."""


class Queue(Protocol):
    """What requests wait in; a `Dispatcher`, or `Auto`."""

    def room(self, within: float) -> int: ...

    def retry_after(self, texts: int, within: float) -> int: ...


def overloaded(backend: str, seconds: int | str) -> ProblemError:
    """The refusal of a request for a backend that has no room, for so many seconds."""
    return ProblemError(
        OVERLOADED,
        f"Too many texts wait for {backend}; try again in {seconds} s.",
        headers={"Retry-After": str(seconds)},
    )


def told(queue: Queue, within: float) -> dict[str, str]:
    """The header of an answer that tells HAProxy of the room there is, where it is scarce.

    Args:
        within: seconds that a request has.
    """
    if not ENABLED or (room := queue.room(within)) > SCARCE:
        return {}
    return {ROOM: f"{room}/{queue.retry_after(1, within)}"}


def shed(headers: Mapping[str, str]) -> int:
    """How many requests HAProxy has refused since the last one that came here."""
    said = headers.get(SHED, "") if ENABLED else ""
    return int(said) if said.isascii() and said.isdecimal() and len(said) < 10 else 0


def rules() -> str:
    """HAProxy's, for the section that clients connect to."""
    paths = [f"/{name}" for name in BACKENDS]
    error = overloaded("%[var(txn.backend)]", "%[var(txn.seconds)]")
    headers = "".join(f" hdr {name} {value}" for name, value in error.headers.items())
    refuse = (
        f"http-request return status {error.kind.status} hdr X-Request-Id %[req.fhdr(x-request-id)]"
        f"{headers}"
    )
    return f"""\
    # --- load shedding: serve_app/api/shedding.py
    http-request del-header {SHED}
    acl own path {" ".join(f"{path}/infer" for path in paths)}
    acl hugging_face path {" ".join(paths)}
    acl open_inference path {" ".join(f"/v2/models{path}/infer" for path in paths)}
    http-request set-var(txn.backend) path,field(2,/) if METH_POST own
    http-request set-var(txn.backend) path,field(2,/) if METH_POST hugging_face
    http-request set-var(txn.backend) path,field(4,/) if METH_POST open_inference
    acl counted var(txn.backend) -m found
    acl small req.hdr(content-length) -m int le {SMALL}
    http-request wait-for-body time {BODY_S}s if counted small
    http-request track-sc0 var(txn.backend) table {TABLE} if counted
    # What the last answers told.
    http-request set-var(txn.room) sc_get_gpt(0,0) if counted
    http-request set-var(txn.seconds) sc_get_gpt(1,0) if counted
    http-request set-var(txn.told) sc_get_gpt(2,0) if counted
    http-request set-var(txn.plenty) sc_get_gpt(3,0) if counted
    http-request set-var(txn.told_ms) {NOW},sub(txn.told),add({CLOCKS_MS}) if counted
    http-request set-var(txn.plenty_ms) {NOW},sub(txn.plenty),add({CLOCKS_MS}) if counted
    http-request set-var(txn.over) sc_get_gpc(1,0),sub(txn.room) if counted
    acl scarce var(txn.told_ms) -m int 0:{FRESH_MS + CLOCKS_MS}
    acl plenty var(txn.plenty_ms) -m int 0:{PLENTY_MS + CLOCKS_MS}
    acl full var(txn.over) -m int ge 0
    acl browser req.hdr(origin) -m found
    http-request set-var(txn.refused) int(1) if counted full scarce !plenty small !browser
    # Refused, in the shape that the ingress gives it.
    acl refused var(txn.refused) -m found
    acl named req.fhdr(x-request-id) -m len gt 0
    http-request sc-inc-gpc(0,0) if refused
    http-request set-header x-request-id %[uuid()] if refused !named
    {refuse} content-type {MEDIA_TYPE} lf-string {_quoted(as_problem(error))} if refused own
    {refuse} content-type application/json lf-string {_quoted(as_error(error))} if refused
    # Let pass.
    http-request sc-inc-gpc(1,0) if counted
    http-request set-header {SHED} %[sc_clr_gpc(0,0)] if counted
    # What an answer tells.
    acl tells res.hdr({ROOM}) -m found
    acl answered status 200
    http-response set-var(txn.passed) sc_clr_gpc(1,0) if counted tells
    http-response set-var(txn.ingresses) be_name,nbsrv if counted tells
    http-response sc-set-gpt(0,0) res.hdr({ROOM}),field(1,/),mul(txn.ingresses) if counted tells
    http-response sc-set-gpt(1,0) res.hdr({ROOM}),field(2,/) if counted tells
    http-response sc-set-gpt(2,0) {NOW} if counted tells
    http-response sc-set-gpt(3,0) {NOW} if counted answered !tells
    http-response del-header {ROOM}
    # ---
"""


def table() -> str:
    """The section in which HAProxy keeps its numbers."""
    return f"backend {TABLE}\n    stick-table type string len 16 size 16 store gpt(4),gpc(2)\n"


def _quoted(body: Mapping[str, object]) -> str:
    """JSON as an argument in HAProxy's configuration."""
    text = json.dumps(body, separators=(",", ":"))
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
