"""What the cluster asks of the machine that it runs on."""

import os
import resource

import pytest

from serve_app.local_cluster import ENVIRONMENT, connections, set_environment

WANTED = int(ENVIRONMENT["RAY_SERVE_HAPROXY_MAXCONN"])


@pytest.mark.parametrize(
    ("files", "allowed"),
    [(resource.RLIM_INFINITY, WANTED), (1_048_576, WANTED), (20_000, 7960), (4096, 1598)],
)
def test_haproxy_takes_no_more_connections_than_the_machine_has_files_for(
    files: int, allowed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (1024, files))
    assert connections() == allowed


@pytest.mark.parametrize(("found", "value"), [(object(), "1"), (None, "0")])
def test_without_haproxy_ray_serves_own_proxy_serves(
    found: object, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ENVIRONMENT:
        monkeypatch.setenv(name, "")  # all of it is put back afterwards
    monkeypatch.setattr("serve_app.local_cluster.find_spec", lambda _: found)
    set_environment()
    assert os.environ["RAY_SERVE_ENABLE_HA_PROXY"] == value
    assert os.environ["RAY_SERVE_THROUGHPUT_OPTIMIZED"] == value
