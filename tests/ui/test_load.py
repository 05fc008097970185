import io
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from itertools import groupby
from typing import Any

import pandas as pd
import pytest

from tests.ui.acting import APP
from tests.ui.stand_in import Refusal, StandIn, cluster, info
from ui import errors, latency, work
from ui.answers import BACKENDS, Backend, Info, Timing
from ui.client import Client
from ui.compare import verdict
from ui.latency import ROUND_TRIP, SERVER_TIME
from ui.load import LoadRun, Sample, Side, repeated
from ui.settings import Settings


@pytest.mark.parametrize("together", [False, True])
def test_every_text_is_asked_of_both(client: Client, stand_in: StandIn, together: bool) -> None:
    run = LoadRun(client, repeated(["good", "bad", "so so"], 20), 4, together=together).start()
    assert run.join(20)
    for backend in BACKENDS:
        side = run.sides[backend]
        assert sorted(s.text for s in side.samples) == sorted(
            repeated(["good", "bad", "so so"], 20)
        )
        assert not any(s.error for s in side.samples)
        warm_ups = 4 if together else 2 * 4
        assert stand_in.asked[f"/{backend}/infer"] == 20 + warm_ups, "each connection, each block"
        assert side.seconds > 0
        assert side.cpu > 0


def test_backends_take_turns(client: Client, stand_in: StandIn) -> None:
    run = LoadRun(client, ["x"] * 5, 1, together=False).start()
    assert run.join(20)
    asked = [path for _, path, _, _ in stand_in.requests if path.endswith("/infer")]
    turns = [(path, len(list(group))) for path, group in groupby(asked)]
    torch, onnx = "/transformers/infer", "/onnx/infer"
    assert turns == [(torch, 1 + 3), (onnx, 1 + 3 + 1 + 2), (torch, 1 + 2)]


def test_one_request_is_asked_once(client: Client, stand_in: StandIn) -> None:
    run = LoadRun(client, ["x"], 4, together=False).start()
    assert run.join(20)
    assert (run.concurrency, stand_in.asked["/onnx/infer"]) == (1, 1 + 1)


@pytest.fixture
def two_speeds() -> Iterator[Client]:
    command = [sys.executable, "-m", "tests.ui.two_speeds"]
    with subprocess.Popen(
        command, cwd=APP.parents[1], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        client = Client(Settings(api_url=f"http://127.0.0.1:{int(process.stdout.readline())}"))
        yield client
        client.close()
        process.terminate()


def ratio(run: LoadRun, basis: str) -> str | None:
    """The verdict, or why there is none."""
    assert run.join(20)
    found = latency.percent({b: latency.summary(side, basis) for b, side in run.sides.items()})
    assert found is not None
    return latency.no_ratio(run, basis) or verdict(found)


def test_what_the_page_itself_could_not_do_faster_is_no_ratio(two_speeds: Client) -> None:
    quarter = "ONNX answered in 25 % of PyTorch's time."
    many = LoadRun(two_speeds, ["x"] * 320, 16, together=False).start()
    assert "the page's own client was the limit (" in str(ratio(many, ROUND_TRIP))
    assert ratio(many, SERVER_TIME) == quarter
    assert latency.usual_basis(many) == SERVER_TIME
    one = LoadRun(two_speeds, ["x"] * 20, 1, together=False).start()
    assert "ONNX answered in" in str(ratio(one, ROUND_TRIP))
    assert latency.usual_basis(one) == ROUND_TRIP


def after(client: Client, requests: int, change: Callable[[], object]) -> None:
    """Let something happen in the middle of a run."""
    infer, asked = client.infer, iter(range(1000))

    def counted(backend: Backend, text: str) -> Any:
        if next(asked) == requests:
            change()
        return infer(backend, text)

    client.infer = counted  # type: ignore[method-assign]


@pytest.mark.parametrize(
    ("concurrency", "replicas", "reason"),
    [
        (1, (4, 1), None),
        (2, (2, 2), None),
        (2, (4, 1), "PyTorch had 4 replicas and ONNX 1"),
        (2, (1, 3), "PyTorch had 1 replica and ONNX 3"),
    ],
)
def test_no_ratio_under_load_where_replicas_differ(
    client: Client,
    stand_in: StandIn,
    concurrency: int,
    replicas: tuple[int, int],
    reason: str | None,
) -> None:
    stand_in.cluster = cluster(*replicas)
    run = LoadRun(client, ["x"] * 8, concurrency, together=False).start()
    assert ratio(run, SERVER_TIME) == (reason or "ONNX answered in 40 % of PyTorch's time.")


def test_no_ratio_where_replicas_came_meanwhile(client: Client, stand_in: StandIn) -> None:
    stand_in.cluster = cluster(1, 1)
    after(client, 10, lambda: vars(stand_in).update(cluster=cluster(2, 2)))
    run = LoadRun(client, ["x"] * 8, 2, together=False).start()
    assert ratio(run, SERVER_TIME) == "the number of replicas changed"


@pytest.mark.parametrize("status", [403, 404])
def test_replicas_that_are_not_told_are_in_no_ratio_s_way(
    client: Client, stand_in: StandIn, status: int
) -> None:
    stand_in.refuse["/cluster"] = Refusal(status)
    run = LoadRun(client, ["x"] * 8, 2, together=False).start()
    assert "ONNX answered in" in str(ratio(run, SERVER_TIME))


def test_no_ratio_where_what_is_served_changed_meanwhile(client: Client, stand_in: StandIn) -> None:
    after(client, 10, lambda: stand_in.info["backends"]["onnx"].update(precision="fp32"))
    run = LoadRun(client, ["x"] * 8, 1, together=False).start()
    assert ratio(run, SERVER_TIME) == "what is served changed"
    assert run.info.backend("onnx").precision == "int8", "what it began with"


def test_a_certificate_of_another_replica_is_no_change(client: Client, stand_in: StandIn) -> None:
    after(client, 10, lambda: stand_in.info["backends"]["onnx"].update(certificate={"cpu": "B"}))
    run = LoadRun(client, ["x"] * 8, 1, together=False).start()
    assert "ONNX answered in" in str(ratio(run, SERVER_TIME))


def test_no_ratio_where_the_page_did_other_work(client: Client) -> None:
    class Other(work.Work):
        def work(self) -> None:
            begun.set()
            end.wait(20)

    begun, end = threading.Event(), threading.Event()
    other = Other().start()
    assert begun.wait(10)
    run = LoadRun(client, ["x"] * 4, 1, together=False).start()
    assert ratio(run, SERVER_TIME) == "the page was also doing other work"
    end.set()
    assert other.join(10)
    run = LoadRun(client, ["x"] * 4, 1, together=False).start()
    assert "ONNX answered in" in str(ratio(run, SERVER_TIME))


def test_an_error_is_counted_and_the_run_goes_on(client: Client, stand_in: StandIn) -> None:
    stand_in.refuse["/onnx/infer"] = Refusal(504)
    run = LoadRun(client, ["x"] * 6, 2, together=False).start()
    assert run.join(20)
    summary = latency.summary(run.sides["onnx"], "Round trip")
    assert (summary.requests, summary.errors, summary.throughput) == (6, 6, None)
    assert latency.failures(run.sides["onnx"]) == [("The answer took too long.", 6)]
    assert isinstance(run.sides["onnx"].last_error, errors.TimedOutError)
    assert run.sides["transformers"].stopped_by is None


@pytest.mark.parametrize("status", [401, 403, 429])
def test_what_more_requests_cannot_mend_ends_a_side(
    client: Client, stand_in: StandIn, status: int
) -> None:
    stand_in.refuse["/onnx/infer"] = Refusal(status)
    run = LoadRun(client, ["x"] * 50, 2, together=False).start()
    assert run.join(20)
    assert isinstance(run.sides["onnx"].stopped_by, errors.BY_STATUS[status])
    assert stand_in.asked["/onnx/infer"] <= 2
    assert len(run.sides["transformers"].samples) == 50


def test_a_cancelled_run_keeps_what_it_has(client: Client, stand_in: StandIn) -> None:
    arrived, go_on = threading.Event(), threading.Event()

    def hold() -> None:
        arrived.set()
        go_on.wait(10)

    after(client, 5, hold)
    run = LoadRun(client, ["x"] * 500, 1, together=False).start()
    assert arrived.wait(10)
    run.cancel()
    go_on.set()
    assert run.join(20)
    assert 0 < len(run.sides["transformers"].samples) < 500


def test_work_nobody_looks_at_ends(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(work, "ABANDONED_S", -1.0)
    run = LoadRun(client, ["x"] * 500, 1, together=False).start()
    assert run.join(20)
    assert run.sides["transformers"].samples == []


def side() -> Side:
    samples = [
        Sample("x", 10.0 * n, Timing(queue=1, tokenize=1, inference=4, total=8), batch_size=n)
        for n in (4, 1, 2, 3)
    ]
    return Side([*samples, Sample("x", error="No.")], seconds=2.0, cpu=0.5)


def test_the_summary_leaves_errors_out_of_times_and_rates() -> None:
    found = latency.summary(side(), "Round trip")
    assert (found.requests, found.errors, found.throughput) == (5, 1, 2.0)
    assert (found.mean, found.percentiles[50], found.largest) == (25.0, 25.0, 40.0)
    assert found.batch == 2.5
    assert side().busy == 0.25
    assert latency.summary(side(), "Server time").mean == 8.0


def test_a_busy_client_shows_the_service_s_own_time_first(client: Client) -> None:
    run = LoadRun(client, ["x"], 1, together=False)
    run.sides = {backend: side() for backend in BACKENDS}
    assert latency.usual_basis(run) == ROUND_TRIP
    run.sides["onnx"].cpu = 1.8
    assert latency.usual_basis(run) == SERVER_TIME


def test_a_side_with_nothing_in_it_has_no_figures() -> None:
    found = latency.summary(Side(), "Round trip")
    assert (found.mean, found.largest, found.throughput, found.percentiles) == (
        None,
        None,
        None,
        {},
    )
    both = {"transformers": found, "onnx": found}
    assert latency.percent(both) is None  # type: ignore[arg-type]
    assert len(latency.table(both)) == 2  # type: ignore[arg-type]


def test_the_ecdf_rises_to_one() -> None:
    assert latency.ecdf([1.0, 2.0, 2.0, 5.0]) == [(1.0, 0.25), (2.0, 0.5), (2.0, 0.75), (5.0, 1.0)]
    assert latency.ecdf([]) == []


def test_the_parts_add_up_to_the_round_trip() -> None:
    found = latency.parts(side().samples)
    assert sum(found.values()) == pytest.approx(25 + 0.0)
    assert found["other"] == 2
    assert latency.parts([]) == {}


def test_the_csv_has_every_request() -> None:
    read = pd.read_csv(io.BytesIO(latency.csv({"onnx": side()}, Info.model_validate(info()))))
    assert len(read) == 5
    served = read[["model", "precision", "threads"]].drop_duplicates()
    assert served.to_numpy().tolist() == [["bundled/small", "int8", 1]]
    assert read["batch_size"].tolist()[:4] == [4, 1, 2, 3]
    assert read["error"].tolist()[-1] == "No."
