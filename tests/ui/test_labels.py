import pytest

from ui.labels import NEGATIVE, NEUTRAL, POSITIVE, look, plain


@pytest.mark.parametrize(
    ("label", "expected"),
    [
        ("POSITIVE", POSITIVE),
        ("Very_Negative", NEGATIVE),
        ("neutral", NEUTRAL),
        ("1 star", NEGATIVE),
        ("5 stars", POSITIVE),
    ],
)
def test_sentiment_has_the_colours_people_expect(label: str, expected: object) -> None:
    assert look(label, [label]) is expected


def test_labels_beside_each_other_look_different_and_keep_their_look() -> None:
    labels = ["joy", "anger", "fear", "surprise"]
    assert len({look(label, labels).colour for label in labels}) == 4
    assert look("fear", labels) == look("fear", labels)


def test_a_label_the_model_did_not_name_has_a_steady_look() -> None:
    assert look("LABEL_7") == look("LABEL_7")


def test_labels_are_written_as_words() -> None:
    assert [plain(x) for x in ("VERY_POSITIVE", "joy", "iPhone", "5 stars")] == [
        "Very positive",
        "Joy",
        "iPhone",
        "5 stars",
    ]
