from dataclasses import replace
from pathlib import Path

from tests.training import tiny
from training.start import load_tokenizer
from training.transfer import transfer_texts, word_neighbours

ROWS = tiny.rows(60, seed=1)
RECIPE = replace(tiny.RECIPE, transfer_texts=90)


def test_texts_are_as_many_as_asked_and_no_row_and_come_again_by_the_seed(start: Path) -> None:
    made = transfer_texts(ROWS, start, RECIPE)
    assert len(made) == len(set(made)) == 90
    assert not {row.text for row in ROWS} & set(made)
    assert made == transfer_texts(ROWS, start, RECIPE)
    assert made != transfer_texts(ROWS, start, replace(RECIPE, seed=1))


def test_few_rows_make_fewer_texts_and_an_end(start: Path) -> None:
    few = [row for row in ROWS if len(row.text.split()) > 4][:2]
    made = transfer_texts(few, start, replace(RECIPE, transfer_texts=5000))
    assert 0 < len(made) < 5000


def test_neighbours_are_whole_words_of_the_vocabulary_and_not_the_word_itself(start: Path) -> None:
    tokenizer = load_tokenizer(start)
    found = word_neighbours(start)
    assert {"fine", "drab", "the"} <= found.keys()
    assert all(word.isalpha() and len(word) >= 3 for word in found)
    assert all(word not in nearest for word, nearest in found.items())
    assert all(set(nearest) <= tokenizer.get_vocab().keys() for nearest in found.values())
