import pytest

from ui.quality import common, matched, quality

LABELS = ["NEGATIVE", "POSITIVE"]


def test_labels_match_by_name_or_by_number() -> None:
    assert matched(["positive", "Negative ", "?"], LABELS) == ["POSITIVE", "NEGATIVE", None]
    assert matched(["0", "1", "1.0 ", ""], LABELS) == [
        "NEGATIVE",
        "POSITIVE",
        "POSITIVE",
        None,
    ]


@pytest.mark.parametrize("given", [["1", "2", "1"], ["1.0", "5.0"], ["0", "1", "7"], ["0", "x"]])
def test_numbers_that_may_mean_something_else_are_no_classes(given: list[str]) -> None:
    assert matched(given, LABELS) == [None] * len(given)


def test_figures_by_hand() -> None:
    given = ["a", "a", "b", "c", "c", "c", "a"]
    found = ["a", "b", "b", "c", "a", "c", "c"]
    judged = quality(given, found, ["a", "b", "c"])
    assert judged is not None
    assert judged.accuracy == pytest.approx(4 / 7)
    assert judged.f1 == pytest.approx((2 / 5 + 2 / 3 + 4 / 6) / 3)
    matrix = [[judged.confusion[g, f] for f in judged.classes] for g in judged.classes]
    assert matrix == [[1, 1, 1], [0, 1, 0], [1, 0, 2]]


def test_rows_without_both_labels_do_not_count() -> None:
    judged = quality(["a", None, "a"], ["a", "a", None], ["a", "b"])
    assert judged is not None
    assert (judged.rows, judged.accuracy, judged.f1) == (1, 1.0, 1.0)
    assert quality([None], ["a"], ["a"]) is None


def test_backends_are_judged_on_the_same_rows() -> None:
    """One that was stopped earlier is no better or worse for it."""
    given: list[str | None] = ["a", "a", "b", None]
    found: dict[str, list[str | None]] = {
        "onnx": ["a", "a", "a", "a"],
        "torch": ["a", None, None, "a"],
    }
    kept = common(given, found.values())
    assert kept == ["a", None, None, None]
    figures = {name: quality(kept, labels, ["a", "b"]) for name, labels in found.items()}
    assert figures["onnx"] == figures["torch"]


def test_a_label_the_model_did_not_name_is_a_class_too() -> None:
    judged = quality(["a", "a"], ["a", "new"], ["a"])
    assert judged is not None
    assert judged.classes == ("a", "new")


def test_a_number_in_the_labels_names_is_the_one_that_is_meant() -> None:
    stars = ["1 star", "2 stars", "3 stars", "4 stars", "5 stars"]
    assert matched(["1", "2.0", "4"], stars) == ["1 star", "2 stars", "4 stars"]
    assert matched(["0", "1"], ["LABEL_0", "LABEL_1"]) == ["LABEL_0", "LABEL_1"]
    assert matched(["1.0", "5.0"], ["1", "2", "3", "4", "5"]) == ["1", "5"]
    assert matched(["0", "1"], stars) == [None, None]
