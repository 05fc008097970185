from dataclasses import replace
from pathlib import Path

from tests.training import tiny
from training.data import Row, Split, words
from training.start import load_tokenizer
from training.transfer import transfer_texts, word_neighbours

SPLIT = Split(tiny.rows(60, seed=1), [])
RECIPE = replace(tiny.RECIPE, transfer_texts=90)


def test_texts_are_as_many_as_asked_and_no_row_and_come_again_by_the_seed(start: Path) -> None:
    made = transfer_texts(SPLIT, start, RECIPE)
    assert len(made) == len(set(made)) == 90
    assert not {row.text for row in SPLIT.train} & set(made)
    assert made == transfer_texts(SPLIT, start, RECIPE)
    assert made != transfer_texts(SPLIT, start, replace(RECIPE, seed=1))


def test_what_stands_in_a_validation_sentence_is_left_out_and_the_rest_stays(start: Path) -> None:
    made = transfer_texts(SPLIT, start, RECIPE)
    held = Row(f"They say {made[0].upper()} !", 1)
    left = transfer_texts(SPLIT._replace(validation=[held]), start, RECIPE)
    assert left == [
        text for text in made if " ".join(words(text)) not in " ".join(words(held.text))
    ]
    assert made[0] not in left


def test_few_rows_make_fewer_texts_and_an_end(start: Path) -> None:
    few = [row for row in SPLIT.train if len(row.text.split()) > 4][:2]
    made = transfer_texts(Split(few, []), start, replace(RECIPE, transfer_texts=5000))
    assert 0 < len(made) < 5000


def test_neighbours_are_whole_words_of_the_vocabulary_and_not_the_word_itself(start: Path) -> None:
    tokenizer = load_tokenizer(start)
    found = word_neighbours(start)
    assert {"fine", "drab", "the"} <= found.keys()
    assert all(word.isalpha() and len(word) >= 3 for word in found)
    assert all(word not in nearest for word, nearest in found.items())
    assert all(set(nearest) <= tokenizer.get_vocab().keys() for nearest in found.values())
