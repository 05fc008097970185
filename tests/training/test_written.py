import random

from training import vocabulary
from training.written import written_rows


def test_written_rows_are_balanced_and_the_same_for_a_seed() -> None:
    rows = written_rows(400, random.Random(0))
    assert rows == written_rows(400, random.Random(0))
    assert len(rows) == 400
    assert sum(row.label for row in rows) == 200


def test_every_written_row_is_a_text() -> None:
    for row in written_rows(3000, random.Random(1)):
        assert row.text == row.text.strip()
        assert "  " not in row.text
        assert row.text[0].isupper()


def test_no_word_praises_and_blames() -> None:
    assert not set(vocabulary.GOOD) & set(vocabulary.BAD)
    assert not set(vocabulary.LIKE) & set(vocabulary.DISLIKE)
    assert not set(vocabulary.PRAISE) & set(vocabulary.BLAME)
