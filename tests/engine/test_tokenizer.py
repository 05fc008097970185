"""Tokens of a long text without tokenizing all of it: the same as of the whole."""

import json
import threading
import time
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Encoding, decoders, models, normalizers, pre_tokenizers, processors, trainers
from tokenizers import Tokenizer as FastTokenizer

from serve_app.engine.backend import Encoded
from serve_app.engine.tokenizer import AMPLE, Tokenizer

LENGTH = 12
CORPUS = [
    "a lovely, moving film.",
    "dull and pointless",
    "don't  see it twice",
    "Ünïcode — 映画 🎬",
] * 9


def _bpe() -> FastTokenizer:
    """As RoBERTa's."""
    made = FastTokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    made.train_from_iterator(CORPUS, trainers.BpeTrainer(vocab_size=400, initial_alphabet=alphabet))
    return made


def _unigram() -> FastTokenizer:
    """As XLM-RoBERTa's."""
    made = FastTokenizer(models.Unigram())
    made.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Replace("  ", " ")])
    made.pre_tokenizer = pre_tokenizers.Metaspace()
    made.train_from_iterator(
        CORPUS, trainers.UnigramTrainer(vocab_size=120, unk_token="<unk>", special_tokens=["<unk>"])
    )
    return made


def _no_words() -> FastTokenizer:
    """Without anything that splits: a cut may change any token."""
    made = FastTokenizer(models.BPE())
    made.train_from_iterator(CORPUS, trainers.BpeTrainer(vocab_size=200))
    return made


@pytest.fixture(scope="module", params=["WordPiece", "BPE", "Unigram", "no words"])
def folder(
    request: pytest.FixtureRequest, prepared: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    if request.param == "WordPiece":
        return prepared / "torch"
    made = {"BPE": _bpe, "Unigram": _unigram, "no words": _no_words}[request.param]()
    vocabulary = made.get_vocab()
    first = "a"
    made.post_processor = processors.TemplateProcessing(
        single=f"{first} $A {first}", special_tokens=[(first, vocabulary[first])]
    )
    target = tmp_path_factory.mktemp("tokenizer")
    made.save(str(target / "tokenizer.json"))
    return target


@cache
def served(folder: Path) -> Tokenizer:
    return Tokenizer(folder, LENGTH, 0)


@cache
def _as_it_is(folder: Path, length: int) -> FastTokenizer:
    tokenizer = FastTokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(length)
    return tokenizer


def whole(folder: Path, text: str, length: int = LENGTH) -> Encoded:
    encoding = _as_it_is(folder, length).encode(text)
    return Encoded(encoding.ids, bool(encoding.overflowing))


PIECES = st.sampled_from(
    [" ", "  ", "\n", ".", "'s", "don't", "film", "lovely", "映画", "e\u0301", "🎬", "x" * 50]
)


@given(st.lists(st.one_of(PIECES, st.text(max_size=6)), max_size=400).map("".join))
def test_a_long_texts_tokens_are_those_of_the_whole(folder: Path, text: str) -> None:
    assert served(folder).encode([text, "short", text * 3]) == [
        whole(folder, text),
        whole(folder, "short"),
        whole(folder, text * 3),
    ]


def test_a_text_of_megabytes_costs_no_more_than_its_beginning(prepared: Path) -> None:
    tokenizer = Tokenizer(prepared / "torch", 512, 0)
    text = "a " * 2_000_000
    begin = time.process_time()
    (encoded,) = tokenizer.encode([text])
    assert time.process_time() - begin < 1  # the whole takes over ten seconds
    assert encoded == whole(prepared / "torch", text[: 512 * AMPLE], 512)
    assert encoded.truncated


@pytest.mark.parametrize("text", ["1" * 4_000_000, " " * 4_000_000, "\x01" * 4_000_000])
def test_what_hardly_becomes_tokens_is_read_so_far_and_holds_nobody_up(
    text: str, prepared: Path
) -> None:
    tokenizer = Tokenizer(prepared / "torch", 512, 0)
    turns = 0
    ended = threading.Event()

    def turn() -> None:
        nonlocal turns
        while not ended.wait(0.001):
            turns += 1

    other = threading.Thread(target=turn)
    other.start()
    begin = time.process_time()
    (encoded,) = tokenizer.encode([text])
    took = time.process_time() - begin
    ended.set()
    other.join()
    assert encoded.truncated
    assert took < 4, "the whole takes ten seconds"
    assert turns > 5, "whoever tokenizes holds the interpreter's lock for none of it"


def test_where_the_end_is_kept_it_is_the_texts_end(prepared: Path, tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_bytes((prepared / "torch" / "tokenizer.json").read_bytes())
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"truncation_side": "left"}))
    tokenizer = Tokenizer(tmp_path, LENGTH, 0)
    (long,) = tokenizer.encode(["dull " * 1000 + "but lovely"])
    (short,) = tokenizer.encode(["but lovely"])
    assert long.ids[-3:] == short.ids[-3:]


def test_texts_are_tokenized_one_by_one_on_the_caller_s_thread(folder: Path) -> None:
    """Several at once would wait for threads of the whole process, whatever these have to do."""
    it = Tokenizer(folder, LENGTH, pad_id=0)
    sizes: list[int] = []
    fast = it._tokenizer

    class Noted:
        @staticmethod
        def encode_batch(texts: list[str]) -> list[Encoding]:
            sizes.append(len(texts))
            found: list[Encoding] = fast.encode_batch(texts)
            return found

    it._tokenizer = Noted
    assert it.encode(CORPUS[:4]) == [it.encode([text])[0] for text in CORPUS[:4]]
    assert set(sizes) == {1}
