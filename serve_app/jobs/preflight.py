"""What would keep `sentiment run` from starting, each in one sentence with its remedy."""

import errno
import os
import re
import socket
from collections.abc import Mapping
from contextlib import suppress

import psutil
from pydantic import ValidationError

from serve_app.api.auth import Authenticator
from serve_app.api.keys import KeysError
from serve_app.settings import Settings, SettingsError
from serve_app.validation import first_fault

LEAST_MEMORY = 3_000_000_000
PREFIX = str(Settings.model_config["env_prefix"])
OTHERS = tuple(f"{PREFIX}{name}" for name in ("UI_", "TEST_", "NO_SKIP", "KEY", "FUZZ_"))
"""Of the page, the tests and the commands that ask the service."""


class NotPossibleError(Exception):
    """The service cannot be started here; the message says why and what to do."""


def check(ports: Mapping[str, tuple[str, int]], cpus_needed: float, cpus: int) -> list[str]:
    """Look before anything is started.

    Args:
        ports: what each is for -> (host, port).
        cpus_needed: of the smallest number of replicas of every deployment.
        cpus: that Ray may reserve.

    Returns:
        Warnings, a sentence each.

    Raises:
        NotPossibleError: a port is taken or cannot be listened on, or the machine has too few CPUs.
    """
    if cpus_needed > cpus:
        raise NotPossibleError(
            f"The deployments ask for {cpus_needed:g} CPUs and this machine has {cpus}: lower"
            " num_cpus in serve_config.local.yaml."
        )
    for port in {port for _, port in ports.values()}:
        users = [purpose for purpose, (_, its) in ports.items() if its == port]
        if len(users) > 1:
            raise NotPossibleError(f"{' and '.join(users)} cannot share port {port}.")
    for purpose, (host, port) in ports.items():
        if _taken(host, port):
            raise NotPossibleError(
                f"Port {port} ({purpose}) is in use{_by_whom(port)}: end that process, or choose"
                " another port (see `sentiment run --help`)."
            )
    memory = psutil.virtual_memory().available
    if memory < LEAST_MEMORY:
        return [f"Only {memory / 1e9:.1f} GB of memory are free; the service takes about 3 GB."]
    return []


def check_settings() -> list[str]:
    """Look at the environment as the ingress will.

    Returns:
        Warnings, a sentence each.

    Raises:
        NotPossibleError: a setting is wrong or lacks another, or the file of API keys does.
    """
    try:
        Authenticator(Settings())
    except (SettingsError, KeysError) as error:
        raise NotPossibleError(str(error)) from None
    except ValidationError as error:
        where, what = first_fault(error)
        setting = where.partition(".")[0].upper()
        name = f"{PREFIX}{setting}" if setting else "A setting"
        raise NotPossibleError(f"{name}: {what}.") from None
    known = {f"{PREFIX}{field.upper()}" for field in Settings.model_fields}
    return [
        f"{name} is no setting of the service and has no effect: docs/settings.md has all."
        for name in sorted(os.environ)
        if name.startswith(PREFIX) and name not in known and not name.startswith(OTHERS)
    ]


def cpus() -> int:
    """CPUs that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _taken(host: str, port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                return True
            raise NotPossibleError(
                f"Nothing can listen on {host}, port {port}: {error.strerror}. Choose another host"
                " or port (see `sentiment run --help`)."
            ) from None
    return False


def _by_whom(port: int) -> str:
    said = ""
    with suppress(psutil.Error):  # another user's, whom we may not see, or it has just ended
        process = _listener(port)
        if process is None:
            return ""
        name = process.name()
        said = f" by {name} (process {process.pid})"
        if name == "haproxy":
            alive = _has_company(process)
            whose = " of another `sentiment run`" if alive else ", left over from an earlier run,"
            said = f" by {name}{whose} (process {process.pid})"
    return said


def _has_company(proxy: psutil.Process) -> bool:
    """Whether other processes than proxies are at work on the same cluster's folder."""
    folder = re.search(r"/tmp/sent-\w+", " ".join(proxy.cmdline()))
    return folder is not None and any(
        folder[0] in " ".join(other.info["cmdline"] or ())
        for other in psutil.process_iter(["name", "cmdline"])
        if other.info["name"] != proxy.name()
    )


def _listener(port: int) -> psutil.Process | None:
    for connection in psutil.net_connections("tcp"):
        if connection.laddr and connection.laddr.port == port and connection.pid:
            return psutil.Process(connection.pid)
    return None
