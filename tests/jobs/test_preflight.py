"""What keeps the service from starting is said in one sentence with its remedy."""

import re
import socket
import subprocess
import sys
from types import SimpleNamespace

import psutil
import pytest

from serve_app.jobs.preflight import NotPossibleError, check, check_settings, cpus


def test_a_free_machine_passes() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    check({"API": ("127.0.0.1", port)}, cpus_needed=1, cpus=2)


def test_a_port_in_use_names_its_owner() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(NotPossibleError, match=rf"Port {port} \(API\) is in use by .*process"):
            check({"API": ("127.0.0.1", port)}, cpus_needed=1, cpus=2)


@pytest.mark.parametrize("host", ["192.0.2.1", "::1"])  # not of this machine; no IPv4
def test_a_host_that_cannot_be_listened_on_is_named(host: str) -> None:
    says = rf"listen on {re.escape(host)}, port 8000: [A-Z][\w ]+\. Choose another host"
    with pytest.raises(NotPossibleError, match=says):
        check({"API": (host, 8000)}, cpus_needed=1, cpus=2)


def test_one_port_for_two_is_refused() -> None:
    ports = {"API": ("127.0.0.1", 8000), "page": ("127.0.0.1", 8000)}
    with pytest.raises(NotPossibleError, match="API and page cannot share port 8000"):
        check(ports, cpus_needed=1, cpus=2)


def test_a_setting_that_is_none_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SENTIMENT_QUOTAS", "SENTIMENT_UI_X", "SENTIMENT_TEST_X", "SENTIMENT_TIMEOUT_S"):
        monkeypatch.setenv(name, "9")
    (warning,) = check_settings()
    assert "SENTIMENT_QUOTAS is no setting of the service" in warning


@pytest.mark.parametrize(("live", "said"), [(True, "of another `sentiment run`"), (False, "left")])
def test_a_live_service_is_no_leftover(
    live: bool, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def process(number: int, name: str) -> SimpleNamespace:
        command = [name, "-f", "/tmp/sent-abc/haproxy.cfg"]
        return SimpleNamespace(
            pid=number,
            name=lambda: name,
            cmdline=lambda: command,
            info={"name": name, "cmdline": command},
        )

    proxy = process(1, "haproxy")
    others = [proxy, *([process(2, "raylet")] if live else [])]
    monkeypatch.setattr("psutil.process_iter", lambda _: iter(others))
    monkeypatch.setattr("serve_app.jobs.preflight._listener", lambda _: proxy)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(NotPossibleError, match=said):
            check({"API": ("127.0.0.1", taken.getsockname()[1])}, cpus_needed=1, cpus=2)


def test_an_owner_that_ends_meanwhile_is_not_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        ended = psutil.Process(process.pid)
    monkeypatch.setattr("serve_app.jobs.preflight._listener", lambda _: ended)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(NotPossibleError, match=r"\(API\) is in use: end that process"):
            check({"API": ("127.0.0.1", taken.getsockname()[1])}, cpus_needed=1, cpus=2)


def test_too_few_cpus_are_said_with_the_remedy() -> None:
    with pytest.raises(NotPossibleError, match=r"ask for 6 CPUs .* has 2: lower num_cpus"):
        check({}, cpus_needed=6, cpus=2)


def test_the_cpus_are_those_this_process_may_use() -> None:
    assert cpus() >= 1
