from pathlib import Path

from tests.training import tiny
from training.data import whole_sentences
from training.start import load_tokenizer
from training.transfer import transfer_texts, word_neighbours

ROWS = tiny.rows(60, seed=1)
NEIGHBOURS = {"fine": ["grand", "drab"], "grim": ["cold"], "the": ["of"]}


def test_texts_are_as_many_as_asked_and_no_row_and_come_again_by_the_seed() -> None:
    made = transfer_texts(ROWS, whole_sentences(ROWS), NEIGHBOURS, 90, seed=0)
    assert len(made) == len(set(made)) == 90
    assert not {row.text for row in ROWS} & set(made)
    assert made == transfer_texts(ROWS, whole_sentences(ROWS), NEIGHBOURS, 90, seed=0)
    assert made != transfer_texts(ROWS, whole_sentences(ROWS), NEIGHBOURS, 90, seed=1)


def test_neighbours_are_whole_words_of_the_vocabulary_and_not_the_word_itself(start: Path) -> None:
    tokenizer = load_tokenizer(start)
    found = word_neighbours(start)
    assert {"fine", "drab", "the"} <= found.keys()
    assert all(word.isalpha() and len(word) >= 3 for word in found)
    assert all(word not in nearest for word, nearest in found.items())
    assert all(set(nearest) <= tokenizer.get_vocab().keys() for nearest in found.values())
