"""The Cluster page, against a real HTTP server."""

import pytest

from tests.ui.conftest import Open
from tests.ui.reading import read
from tests.ui.stand_in import Refusal, StandIn


def test_replicas_are_shown(open_page: Open) -> None:
    app = open_page("cluster")
    words = read(app)
    assert "Running: 1 of 2" in words
    assert "Running: 3 of 4" in words
    assert "Waiting texts: 4" in words
    table = app.dataframe[0].value
    assert table["precision"].tolist() == ["fp32", "int8", "int8", "int8"]


def test_a_service_without_the_cluster_route_is_said_plainly(
    open_page: Open, stand_in: StandIn
) -> None:
    stand_in.without = {"/cluster"}
    assert "does not tell about its replicas yet" in read(open_page("cluster"))


def test_a_key_without_the_scope(open_page: Open, stand_in: StandIn) -> None:
    stand_in.refuse["/cluster"] = Refusal(403, {"detail": "needs scope cluster"})
    words = read(open_page("cluster"))
    assert "the scope cluster" in words.replace("`", "")


def test_links_are_those_of_the_settings(open_page: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SENTIMENT_UI_DASHBOARD_URL", "")
    monkeypatch.setenv("SENTIMENT_UI_GRAFANA_URL", "https://grafana.example.org/")
    app = open_page("cluster")
    assert [link.label for link in app.get("link_button")] == ["Grafana"]  # type: ignore[union-attr]
