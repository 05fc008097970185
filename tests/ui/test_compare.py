from typing import Any

import pytest

from tests.ui.stand_in import Refusal, StandIn
from ui import errors
from ui.answers import Answer, Backend, BackendInfo, Score, Timing
from ui.client import Client
from ui.compare import Comparison, ask, completed, unequal, verdict


def answer(backend: Backend, server: float | None = None, **more: Any) -> Answer:
    given: dict[str, Any] = {
        "scores": (Score("POSITIVE", 0.9),),
        "complete": False,
        "round_trip": 10.0,
        "timing": None if server is None else Timing(total=server),
    }
    return Answer(backend=backend, **(given | more))


def comparison(torch: Answer, onnx: Answer) -> Comparison:
    return Comparison("text", {"transformers": torch, "onnx": onnx})


def test_server_times_are_compared_where_both_are_known() -> None:
    both = comparison(answer("transformers", 8.0), answer("onnx", 2.0))
    assert (both.basis, both.percent, both.time_difference) == ("server time", 25.0, 6.0)


def test_round_trips_are_compared_where_one_server_time_is_missing() -> None:
    both = comparison(answer("transformers", 8.0), answer("onnx", round_trip=5.0))
    assert (both.basis, both.percent) == ("round trip", 50.0)


def test_nothing_is_compared_with_an_answer_that_did_not_come() -> None:
    one = Comparison("text", {"onnx": answer("onnx")}, {"transformers": errors.TimedOutError()})
    assert [one.both, one.agree, one.percent, one.times, one.score_difference] == [None] * 5


def test_a_time_of_nothing_gives_no_ratio() -> None:
    assert comparison(answer("transformers", 0.0), answer("onnx", 1.0)).percent is None


def test_the_score_difference_is_the_largest_of_any_class() -> None:
    torch = answer("transformers", scores=(Score("A", 0.6), Score("B", 0.3), Score("C", 0.1)))
    onnx = answer("onnx", scores=(Score("B", 0.5), Score("A", 0.45), Score("C", 0.05)))
    both = comparison(torch, onnx)
    assert both.agree is False
    assert both.score_difference == pytest.approx(0.2)


def test_best_labels_that_differ_have_no_difference_in_score() -> None:
    both = comparison(answer("transformers"), answer("onnx", scores=(Score("NEGATIVE", 0.6),)))
    assert both.score_difference is None


@pytest.mark.parametrize(
    ("percent", "words"),
    [
        (38.2, "ONNX answered in 38 % of PyTorch's time."),
        (96.0, "Both took about the same time."),
        (105.0, "Both took about the same time."),
        (130.0, "ONNX took 1.3 times as long as PyTorch."),
    ],
)
def test_the_verdict_is_in_words(percent: float, words: str) -> None:
    assert verdict(percent) == words


def budget(**more: Any) -> BackendInfo:
    given: dict[str, Any] = {"precision": "fp32", "threads": 1, "cpus": 1.0, "workers": 2}
    return BackendInfo(**(given | more))


@pytest.mark.parametrize(
    ("other", "reason"),
    [
        ({}, None),
        ({"precision": "int8"}, None),
        ({"threads": 2}, "PyTorch has 1 and ONNX 2 threads for a request"),
        ({"threads": None}, "the service does not say how many threads each backend has"),
        ({"cpus": 2.0}, "PyTorch has 1 and ONNX 2 CPUs"),
        ({"workers": 4}, None),
    ],
)
def test_no_ratio_where_budgets_differ(other: dict[str, Any], reason: str | None) -> None:
    assert unequal(budget(), budget(**other)) == reason


def test_workers_count_under_load() -> None:
    assert unequal(budget(), budget(workers=4), under_load=True) is not None


def test_a_budget_names_precision_and_threads() -> None:
    assert str(budget(precision="int8", threads=2)) == "int8, 2 threads"
    assert str(BackendInfo()) == "precision unknown, threads unknown"


def test_both_backends_are_asked_and_one_may_fail(client: Client, stand_in: StandIn) -> None:
    stand_in.refuse["/onnx"] = Refusal(422, {"detail": "no"})
    found = ask(client, "A good day", client.info())
    assert found.answers["transformers"].best.label == "POSITIVE"
    assert isinstance(found.errors["onnx"], errors.InvalidError)


def test_the_other_of_two_classes_is_what_is_left_of_one() -> None:
    labels = ("NEGATIVE", "POSITIVE")
    full = completed(answer("onnx"), labels, exclusive=True)
    assert full.score_of("NEGATIVE") == pytest.approx(0.1)
    assert full.complete
    assert completed(answer("onnx"), labels, exclusive=False).score_of("NEGATIVE") is None
    assert completed(answer("onnx"), ("A", "B", "C"), exclusive=True).score_of("A") is None


def test_of_several_labels_all_must_be_the_same() -> None:
    def several(fear: float) -> Answer:
        scores = (Score("joy", 0.9), Score("fear", fear))
        return answer("onnx", scores=scores, complete=True)

    both: dict[Backend, Answer] = {"transformers": several(0.6), "onnx": several(0.4)}
    assert Comparison("text", both, exclusive=False).agree is False
    assert Comparison("text", both).agree is True
    both["onnx"] = several(0.7)
    assert Comparison("text", both, exclusive=False).agree is True
