"""What the ingresses count beside their requests, at Ray's metrics port.

The first tests of their cluster, by their file's name: nothing else is on its way into the counts.
"""

from typing import Any

import requests

from serve_app.telemetry import REFUSED, SHADOWED
from tests.integration.exported import counted
from tests.integration.guarded.conftest import QUOTA, GuardedService, texts
from tests.integration.waiting import until

LIMIT, _ = QUOTA
COMPARED = 5


def test_each_backend_s_answers_are_compared_with_the_other_s(
    guarded: GuardedService, client: dict[str, Any]
) -> None:
    """An ingress has one shadow at a time and may skip a second: each of the two is asked once."""
    beside = guarded.beside

    def same() -> float:
        return counted(beside.metrics, SHADOWED, agrees="yes")

    until(lambda: len(beside.replicas) == 2)
    one, other = beside.replicas
    before = same()
    for replica, backend in ((one, "onnx"), (other, "transformers")):
        url = f"{replica.url}/{backend}/infer"
        answer = requests.post(url, json=texts(COMPARED), timeout=60, **client)
        assert answer.status_code == 200
        assert answer.headers["X-Backend"] == backend
        assert len(answer.json()) == COMPARED
    until(lambda: same() == before + 2 * COMPARED, 30)


def test_a_request_over_its_quota_is_counted(
    guarded: GuardedService, client: dict[str, Any]
) -> None:
    def refused() -> float:
        return counted(guarded.beside.metrics, REFUSED, client="api-key")

    url = f"{guarded.beside.replicas[0].url}/onnx/infer"
    before = refused()
    statuses = [
        requests.post(url, json=texts(LIMIT), timeout=60, **client).status_code for _ in range(2)
    ]
    assert statuses == [200, 429]
    until(lambda: refused() == before + 1, 30)
