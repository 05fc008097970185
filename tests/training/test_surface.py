import random

import pytest

from tests.training import tiny
from training.surface import contracted, mistyped, natural, paragraphs


@pytest.mark.parametrize(
    ("tokenised", "written"),
    [
        ("it 's a mess , it is n't a film .", "It's a mess, it isn't a film."),
        ("does n't work and ca n't be mended", "Doesn't work and can't be mended"),
        ("it doesn 't work .", "It doesn't work."),
        ("-lrb- a fine film -rrb- , he said ; i agree .", "(a fine film), he said; I agree."),
        ("`` besotted '' is misbegotten", '"besotted" is misbegotten'),
        ("as ` chick flicks ' go , bearable .", "As 'chick flicks' go, bearable."),
        ("is it ? it is . why ?", "Is it? It is. Why?"),
    ],
)
def test_natural_puts_spaces_and_capitals_right(tokenised: str, written: str) -> None:
    assert natural(tokenised) == written


def test_contracted_joins_the_verb_and_its_denial() -> None:
    assert contracted("it is good , it is not great .") == "It's good, it's not great."
    assert (
        contracted("this was not fun and i did not laugh") == "This wasn't fun and I didn't laugh"
    )


def test_mistyped_changes_as_many_words_as_asked_and_keeps_their_first_letters() -> None:
    text = "a rather splendid evening of songs"
    changed = []
    for seed in range(50):
        wrong = mistyped(text, 2, random.Random(seed)).split()
        pairs = list(zip(text.split(), wrong, strict=True))
        changed.append(sum(right != typed for right, typed in pairs))
        assert all(right[0] == typed[0] for right, typed in pairs)
    # Two letters that change places may be the same one.
    assert max(changed) == 2
    assert sum(changed) > 90


def test_mistyped_leaves_a_text_without_long_words() -> None:
    assert mistyped("so it is , 42 .", 2, random.Random(0)) == "so it is , 42 ."


def test_paragraphs_join_rows_of_one_label() -> None:
    rows = tiny.rows(30, seed=1)
    labels = {row.text: row.label for row in rows}
    found = paragraphs(rows, (2,), 20, random.Random(0))
    assert len(found) == 20
    for joined in found:
        parts = [text for text in labels if text in joined.text and text.endswith(".")]
        assert all(labels[part] == joined.label for part in parts)
