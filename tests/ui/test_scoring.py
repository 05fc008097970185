import threading
from collections.abc import Iterator

import pandas as pd
import pytest

from tests.ui.stand_in import CUT, Refusal, StandIn
from ui import errors, scoring
from ui.answers import BACKENDS, Scored, Summary
from ui.client import Client
from ui.scoring import Progress, ScoreRun, disagreements_first, joined, replaced

TEXTS = ["good", "dull", " ", "great", "so so", "fine", "love"]
LABELS = ["POSITIVE", "NEGATIVE", None, "POSITIVE", "NEGATIVE", "POSITIVE", "POSITIVE"]


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scoring, "FIRST_PAUSE_S", 0.0)


def labels(side: Progress) -> list[str | None]:
    return [row.label for row in side.rows]


def test_all_rows_through_both_in_short_calls(client: Client, stand_in: StandIn) -> None:
    run = ScoreRun(client, TEXTS, BACKENDS, rows_per_request=3).start()
    assert run.join(20)
    for backend in BACKENDS:
        side = run.sides[backend]
        assert labels(side) == LABELS
        assert side.rows[2].error == "input: empty text"
        assert stand_in.asked[f"/{backend}/stream"] == 3
        assert side.rate > 0
        assert side.left == 0


def test_a_call_that_broke_off_is_taken_up_where_it_did(client: Client, stand_in: StandIn) -> None:
    stand_in.break_after = 2
    run = ScoreRun(client, TEXTS, ["onnx"], rows_per_request=5).start()
    assert run.join(20)
    assert labels(run.sides["onnx"]) == LABELS
    assert run.sides["onnx"].stopped_by is None


@pytest.mark.parametrize("status", [401, 403, 404, 422])
def test_what_waiting_cannot_mend_ends_a_run_at_once(
    client: Client, stand_in: StandIn, status: int
) -> None:
    stand_in.refuse["/onnx/stream"] = Refusal(status)
    run = ScoreRun(client, TEXTS, ["onnx"], rows_per_request=3).start()
    assert run.join(20)
    assert isinstance(run.sides["onnx"].stopped_by, errors.BY_STATUS[status])
    assert stand_in.asked["/onnx/stream"] == 1


def test_a_refusal_that_passes_is_waited_for_and_patience_ends(
    client: Client, stand_in: StandIn
) -> None:
    stand_in.refuse["/onnx/stream"] = Refusal(429, headers={"Retry-After": "0"})
    run = ScoreRun(client, TEXTS, ["onnx"], rows_per_request=3).start()
    assert run.join(20)
    assert isinstance(run.sides["onnx"].stopped_by, errors.OverQuotaError)
    assert stand_in.asked["/onnx/stream"] == scoring.PATIENCE + 1


def test_what_was_scored_before_an_error_stays(client: Client, stand_in: StandIn) -> None:
    stream = client.stream

    def then_refused(backend, rows) -> Iterator[Scored | Summary]:  # type: ignore[no-untyped-def]
        yield from stream(backend, rows)
        stand_in.refuse["/onnx/stream"] = Refusal(403)

    client.stream = then_refused  # type: ignore[method-assign]
    run = ScoreRun(client, TEXTS, ["onnx"], rows_per_request=3).start()
    assert run.join(20)
    assert labels(run.sides["onnx"]) == LABELS[:3]
    assert isinstance(run.sides["onnx"].stopped_by, errors.ForbiddenError)
    frame = joined(pd.DataFrame({"text": TEXTS}), run.sides)
    assert frame["onnx_label"].isna().tolist() == [False, False, True, True, True, True, True]


def test_a_body_too_large_is_halved_down_to_the_row(client: Client, stand_in: StandIn) -> None:
    stream = client.stream

    def small_only(backend, rows) -> Iterator[Scored | Summary]:  # type: ignore[no-untyped-def]
        asked = list(rows)
        if len(asked) > 2 or asked[0][1] == "great":
            raise errors.TooLargeError(status=413)
        return stream(backend, asked)

    client.stream = small_only  # type: ignore[method-assign]
    run = ScoreRun(client, TEXTS, ["onnx"], rows_per_request=6).start()
    assert run.join(20)
    assert labels(run.sides["onnx"]) == [*LABELS[:3], None, *LABELS[4:]]
    assert run.sides["onnx"].rows[3].error == errors.TooLargeError.sentence


def test_answers_that_do_not_match_the_rows_end_a_run(client: Client) -> None:
    client.stream = lambda backend, rows: iter([Scored(4, "X", 1.0)])  # type: ignore[method-assign]
    run = ScoreRun(client, TEXTS, ["onnx"], rows_per_request=3).start()
    assert run.join(20)
    assert run.sides["onnx"].done == 0
    assert run.sides["onnx"].stopped_by is not None


def test_a_cancelled_run_keeps_what_it_has(client: Client, stand_in: StandIn) -> None:
    stand_in.hold = threading.Event()
    first, stream = threading.Event(), client.stream

    def noticed(backend, rows) -> Iterator[Scored | Summary]:  # type: ignore[no-untyped-def]
        for row in stream(backend, rows):
            first.set()
            yield row

    client.stream = noticed  # type: ignore[method-assign]
    run = ScoreRun(client, TEXTS, ["onnx"], rows_per_request=10).start()
    assert first.wait(10)
    run.cancel()
    stand_in.hold.set()
    assert run.join(20)
    assert 0 < run.sides["onnx"].done < len(TEXTS)


def test_the_rate_while_it_runs_is_that_of_late() -> None:
    side = Progress(total=1000)
    for second in range(20):
        side.take(Scored(second, "X", 1.0), now=float(second))
    assert side.rate == pytest.approx(1.0)
    assert side.left == pytest.approx(980.0)


def test_the_files_own_columns_of_the_same_name_give_way() -> None:
    frame = pd.DataFrame({"text": ["a"], "onnx_label": ["old"]})
    side = Progress(1, [Scored(0, "NEW", 0.9)])
    assert joined(frame, {"onnx": side})["onnx_label"].tolist() == ["NEW"]
    assert replaced(frame, ["onnx"]) == ["onnx_label"]
    assert replaced(frame, ["transformers"]) == []


def test_an_error_of_an_earlier_run_does_not_stay_beside_the_new_label() -> None:
    frame = pd.DataFrame({"text": ["a"], "onnx_error": ["old"], "transformers_label": ["own"]})
    found = joined(frame, {"onnx": Progress(1, [Scored(0, "NEW", 0.9)])})
    assert found.columns.tolist() == ["text", "transformers_label", "onnx_label", "onnx_score"]


def test_texts_that_were_cut_are_counted(client: Client) -> None:
    run = ScoreRun(client, TEXTS, ["onnx"], rows_per_request=3).start()
    assert run.join(20)
    assert run.sides["onnx"].truncated == 3  # one a call


def test_disagreements_come_first_and_the_surest_of_them_before() -> None:
    frame = pd.DataFrame(
        {
            "a_label": ["X", "X", "X", None],
            "a_score": [0.9, 0.6, 0.99, None],
            "b_label": ["X", "Y", "Y", "Y"],
            "b_score": [0.9, 0.6, 0.98, 0.9],
        }
    )
    assert disagreements_first(frame, "a", "b").index.tolist() == [2, 1, 0, 3]


@pytest.mark.parametrize("starts", [True, False])
def test_a_service_that_is_away_is_waited_for(
    client: Client, stand_in: StandIn, monkeypatch: pytest.MonkeyPatch, starts: bool
) -> None:
    """A restart takes longer than a few refusals; pauses grow, and not for ever."""
    monkeypatch.setattr(scoring, "FIRST_PAUSE_S", 0.5)
    pauses: list[float] = []
    if starts:
        stand_in.refuse["/onnx/stream"] = Refusal(503)
        stand_in.ready = (503, {"backends": {"onnx": "unavailable"}})
    else:
        stand_in.refuse["/onnx/stream"] = Refusal(200, b"[{", CUT)
    run = ScoreRun(client, TEXTS, ["onnx"], rows_per_request=3)

    def wait(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 10:
            stand_in.refuse.clear()

    monkeypatch.setattr(run, "wait", wait)
    assert run.start().join(20)
    assert labels(run.sides["onnx"]) == LABELS
    assert pauses == [0.5, 1, 2, 4, 8, 16, 16, 16, 16, 16]


def test_a_service_that_stays_away_ends_a_run(
    client: Client, stand_in: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scoring, "PATIENCE_S", 0.0)
    stand_in.refuse["/onnx/stream"] = Refusal(500)
    stand_in.ready = (503, {"backends": {"onnx": "unavailable"}})
    run = ScoreRun(client, TEXTS, ["onnx"], rows_per_request=3).start()
    assert run.join(20)
    assert isinstance(run.sides["onnx"].stopped_by, errors.StartingError)
    assert stand_in.asked["/onnx/stream"] == scoring.PATIENCE + 1


def test_waiting_is_no_work(client: Client, stand_in: StandIn) -> None:
    stand_in.refuse_first["/onnx/stream"] = 1, Refusal(429, headers={"Retry-After": "0.2"})
    run = ScoreRun(client, TEXTS, ["onnx"], rows_per_request=10).start()
    assert run.join(20)
    side = run.sides["onnx"]
    assert 0.2 <= side.waited < side.seconds
    assert side.rate == pytest.approx(len(TEXTS) / (side.seconds - side.waited))


def test_texts_that_were_cut_in_a_call_without_an_end_are_not_known(
    client: Client, stand_in: StandIn
) -> None:
    stand_in.break_after = 2
    run = ScoreRun(client, TEXTS, ["onnx"], rows_per_request=5).start()
    assert run.join(20)
    assert run.sides["onnx"].uncounted
    stand_in.refuse_later["/onnx/stream"] = (stand_in.asked["/onnx/stream"], Refusal(403))
    run = ScoreRun(client, TEXTS, ["onnx"], rows_per_request=5).start()
    assert run.join(20)
    assert not run.sides["onnx"].uncounted, "a call that was refused has cut nothing"
