from training.batches import Encoded, by_length, pad, shuffled

ROWS = [Encoded([1] * length, length % 2, float(length % 2)) for length in (3, 9, 4, 8, 3, 7, 5, 6)]


def test_shuffled_batches_hold_every_row_once_beside_its_neighbours_in_length() -> None:
    batches = shuffled(ROWS, 2, "seed")
    assert sorted(len(row.tokens) for batch in batches for row in batch) == sorted(
        len(row.tokens) for row in ROWS
    )
    assert all(abs(len(batch[0].tokens) - len(batch[-1].tokens)) <= 1 for batch in batches)
    assert batches == shuffled(ROWS, 2, "seed")


def test_by_length_says_where_each_row_stood() -> None:
    batches = list(by_length(ROWS, 3))
    assert sorted(place for places, _rows in batches for place in places) == list(range(len(ROWS)))
    for places, rows in batches:
        assert [ROWS[place] for place in places] == rows


def test_pad_masks_what_it_adds() -> None:
    batch = pad([Encoded([5, 6, 7], 1, 0.75), Encoded([8], 0, 0.0)], padding=0)
    assert batch.input_ids.tolist() == [[5, 6, 7], [8, 0, 0]]
    assert batch.attention_mask.tolist() == [[1, 1, 1], [1, 0, 0]]
    assert batch.targets.tolist() == [[0.25, 0.75], [1.0, 0.0]]
