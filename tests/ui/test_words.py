import pytest

from ui import words


@pytest.mark.parametrize(
    ("value", "written"),
    [(None, "n/a"), (3.14159, "3.1 ms"), (250.4, "250 ms"), (12_345.0, "12.3 s")],
)
def test_times(value: float | None, written: str) -> None:
    assert words.milliseconds(value) == written


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (None, "n/a"),
        (0.5, "50.0 %"),
        (0.99987, "99.99 %"),
        (0.999999, "> 99.99 %"),
        (1.0, "100.00 %"),
        (0.0012, "0.12 %"),
        (1e-5, "< 0.01 %"),
        (0.0, "0.00 %"),
    ],
)
def test_scores_never_round_to_certainty(value: float | None, written: str) -> None:
    assert words.score(value) == written


@pytest.mark.parametrize(
    ("value", "written"), [(None, "n/a"), (0.0, "0.0000"), (2e-8, "< 0.0001"), (0.02, "0.0200")]
)
def test_differences_never_round_to_none(value: float | None, written: str) -> None:
    assert words.points(value) == written


def test_a_long_text_is_cut_to_a_line() -> None:
    assert words.short("a\n\n  b", 3) == "a b"
    assert words.short("a b c", 3) == "a b…"


@pytest.mark.parametrize(
    ("seconds", "written"),
    [
        (-1, "0 s"),
        (0.34, "0.3 s"),
        (5, "5 s"),
        (59.4, "59 s"),
        (61, "1 min 01 s"),
        (3_725, "1 h 02 min"),
    ],
)
def test_durations(seconds: float, written: str) -> None:
    assert words.duration(seconds) == written


def test_the_words_of_others_are_no_markdown() -> None:
    assert words.escaped("*a* [b](http://c) :red[d] $x$") == (
        r"\*a\* \[b\]\(http\://c\) \:red\[d\] \$x\$"
    )


def test_names_are_joined_as_in_a_sentence() -> None:
    assert words.listed([]) == ""
    assert words.listed(["a"]) == "a"
    assert words.listed(["a", "b", "c"]) == "a, b and c"
