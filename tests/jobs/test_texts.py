"""The fixed texts and the golden ones."""

from serve_app.jobs.texts import GOLDEN, fixed_texts, golden_texts


def test_the_fixed_texts_are_many_and_varied() -> None:
    texts = fixed_texts()

    assert len(texts) == len(set(texts)) == 128
    words = [len(text.split()) for text in texts]
    assert min(words) == 1
    assert sum(count > 600 for count in words) >= 2  # past 512 tokens, whatever the tokenizer
    assert any(not text.isascii() for text in texts)
    assert fixed_texts() == texts


def test_the_golden_texts_are_of_all_lengths() -> None:
    golden = golden_texts()

    assert len(golden) == len(set(golden)) == GOLDEN
    assert set(golden) <= set(fixed_texts())
    assert min(map(len, golden)) < 10
    assert max(map(len, golden)) > 3000
