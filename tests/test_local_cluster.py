"""What the cluster asks of the machine that it runs on."""

import resource

import pytest

from serve_app.local_cluster import ENVIRONMENT, connections

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
