"""Load shedding: where an ingress has no room, HAProxy refuses in its place.

A refusal costs the ingress half a millisecond of CPU and HAProxy a tenth. With more of them than
answers the machine does little else, and they come late. So an ingress that is nearly full says
with each answer, in a header that clients do not see, how many more requests it has room for.
HAProxy counts those that it lets pass, and refuses the others until another answer comes, or none
has come for `FRESH_MS`: they are neither parsed nor authenticated then. How many they were it tells
the ingress with the next one that passes, for the metrics.

A browser's requests always pass: what refuses those must have the headers of CORS.

HAProxy 2.8's manual, "Using ACLs and fetching samples" and `stick-table`, has what the rules use.
"""

import json
import os
from collections.abc import Iterator, Mapping
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
"""An ingress that answers nothing for so long is asked again."""
BACKENDS = ("auto", "onnx", "transformers")
TABLE = "sentiment_shedding"
"""HAProxy's numbers for each backend: gpt 0 room, 1 seconds, 2 when they were told; gpc 0 requests
refused, 1 requests let pass since."""
WRAP = 1_000_000_000
"""The numbers have 32 bits: milliseconds are counted up to here, then from 0 again."""


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
    return int(said) if said.isascii() and said.isdecimal() else 0


def rules() -> Iterator[str]:
    """HAProxy's, for the section that clients connect to."""
    yield f"acl own path {' '.join(f'/{name}/infer' for name in BACKENDS)}"
    yield f"acl hugging_face path {' '.join(f'/{name}' for name in BACKENDS)}"
    yield f"acl open_inference path {' '.join(f'/v2/models/{name}/infer' for name in BACKENDS)}"
    yield "acl browser req.hdr(origin) -m found"
    yield "http-request set-var(txn.backend) path,field(2,/) if METH_POST own"
    yield "http-request set-var(txn.backend) path,field(2,/) if METH_POST hugging_face"
    yield "http-request set-var(txn.backend) path,field(4,/) if METH_POST open_inference"
    yield "acl counted var(txn.backend) -m found"
    yield f"http-request track-sc0 var(txn.backend) table {TABLE} if counted"
    yield "http-request set-var(txn.room) sc_get_gpt(0,0) if counted"
    yield "http-request set-var(txn.seconds) sc_get_gpt(1,0) if counted"
    yield "http-request set-var(txn.told) sc_get_gpt(2,0) if counted"
    yield f"http-request set-var(txn.age) date(0,ms),mod({WRAP}),sub(txn.told) if counted"
    yield "http-request set-var(txn.over) sc_get_gpc(1,0),sub(txn.room) if counted"
    yield "acl scarce var(txn.seconds) -m int gt 0"
    yield f"acl fresh var(txn.age) -m int 0:{FRESH_MS}"
    yield "acl none_left var(txn.over) -m int ge 0"
    shed = "scarce fresh none_left !browser"
    yield f"http-request sc-inc-gpc(0,0) if {shed}"
    named = "{ req.hdr(x-request-id) -m found }"
    yield f"http-request set-header x-request-id %[uuid()] if {shed} !{named}"
    error = overloaded("%[var(txn.backend)]", "%[var(txn.seconds)]")
    refuse = (
        f"http-request return status {error.kind.status} hdr X-Request-Id %[req.hdr(x-request-id)]"
    )
    for name, value in error.headers.items():
        refuse += f" hdr {name} {value}"
    problem, plain = _quoted(as_problem(error)), _quoted(as_error(error))
    yield f"{refuse} content-type {MEDIA_TYPE} lf-string {problem} if own {shed}"
    yield f"{refuse} content-type application/json lf-string {plain} if {shed}"
    yield "http-request sc-inc-gpc(1,0) if counted"
    yield f"http-request del-header {SHED}"
    yield f"http-request set-header {SHED} %[sc_clr_gpc(0,0)] if counted"
    yield f"acl tells res.hdr({ROOM}) -m found"
    yield "http-response set-var(txn.passed) sc_clr_gpc(1,0) if counted"
    yield f"http-response sc-set-gpt(0,0) res.hdr({ROOM}),field(1,/) if counted tells"
    yield f"http-response sc-set-gpt(1,0) res.hdr({ROOM}),field(2,/) if counted tells"
    yield f"http-response sc-set-gpt(2,0) date(0,ms),mod({WRAP}) if counted tells"
    yield "http-response sc-set-gpt(1,0) 0 if counted !tells"
    yield f"http-response del-header {ROOM}"


def table() -> str:
    """The section in which HAProxy keeps its numbers."""
    return f"backend {TABLE}\n    stick-table type string len 16 size 16 store gpt(3),gpc(2)\n"


def _quoted(body: Mapping[str, object]) -> str:
    """JSON as an argument in HAProxy's configuration."""
    text = json.dumps(body, separators=(",", ":"))
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
