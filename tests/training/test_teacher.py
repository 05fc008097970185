import io
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import MPNetConfig

from tests.training import tiny
from training import teacher as teacher_module
from training import teacher_start
from training.data import split_validation, without_dev
from training.errors import TrainingError
from training.loop import InterruptedRunError
from training.opinions import Opinions
from training.production import Order as Production
from training.production import produce
from training.teacher import TEACHER, Order, Teacher, teach
from training.teacher_start import teacher_folder

RECIPE = replace(
    TEACHER, validation_sentences=20, batch_size=16, max_length=48, checkpoint_steps=4,
    learning_rate=3e-3, precision="float32", transfer_texts=30,
)  # fmt: skip
WORDS = ("<s>", "<pad>", "</s>", "<unk>", "the", "of", "is", "says", "not", ".", ",",
         *tiny.GOOD, *tiny.BAD, *tiny.NOUNS)  # fmt: skip


@pytest.fixture
def teacher(tmp_path: Path) -> Path:
    return write_teacher(tmp_path / "teacher", seed=0)


def write_teacher(folder: Path, seed: int) -> Path:
    """Random weights as the packages have them: a narrow MPNet with its tokenizer."""
    torch.manual_seed(seed)
    config = MPNetConfig(
        vocab_size=len(WORDS), hidden_size=16, num_hidden_layers=2, num_attention_heads=2,
        intermediate_size=32, max_position_embeddings=64,
    )  # fmt: skip
    Teacher(config).mpnet.save_pretrained(folder)
    vocabulary = {word: at for at, word in enumerate(WORDS)}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.enable_padding(length=40)
    tokenizer.save(str(folder / "tokenizer.json"))
    return folder


@pytest.fixture
def order(data: Path, start: Path, teacher: Path, tmp_path: Path) -> Order:
    return Order(data, tmp_path / "opinions.npz", teacher, start, tmp_path / "work", RECIPE)


def training_texts() -> set[str]:
    rows = without_dev(tiny.rows(150, seed=1), tiny.rows(20, seed=2))
    return {row.text for row in split_validation(rows, 20, RECIPE.seed).train}


def judged_rows(opinions: Opinions) -> list[float]:
    found = [opinions.get(text) for text in sorted(training_texts())]
    return [positive for positive in found if positive is not None]


def test_the_teacher_judges_every_training_row_and_the_texts_made(order: Order) -> None:
    assert 0 <= teach(order) <= 1
    opinions = Opinions.read(order.output)
    assert len(judged_rows(opinions)) == len(training_texts())
    assert len(opinions) == len(training_texts()) + 30
    assert all(0 <= positive <= 1 for positive in judged_rows(opinions))


def test_an_interrupted_teacher_goes_on_and_thinks_the_same(order: Order) -> None:
    rest, steps = tiny.Steps(), tiny.Steps()
    with pytest.raises(InterruptedRunError):
        teach(order._replace(stopping=tiny.Steps(6)))
    teach(order._replace(stopping=rest))
    again = order._replace(work=order.work.with_name("again"), output=order.work / "again.npz")
    teach(again._replace(stopping=steps))
    assert rest.taken == steps.taken - 6
    one, other = Opinions.read(order.output), Opinions.read(again.output)
    assert len(one) == len(other)
    assert judged_rows(one) == pytest.approx(judged_rows(other), abs=2e-3)


def test_a_teacher_does_not_go_on_from_what_another_thought(
    order: Order, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(teacher_module, "_ASKED_AT_ONCE", 100)
    asked = tiny.Steps()
    teach(order._replace(stopping=asked, work=tmp_path / "whole"))
    with pytest.raises(InterruptedRunError, match="at text"):
        teach(order._replace(stopping=tiny.Steps(asked.taken - 1)))
    (order.work / "teacher-0.pt").unlink()  # as the command says where it is another's
    other = order._replace(teacher=write_teacher(tmp_path / "other", seed=1))
    teach(other)
    alone = other._replace(work=tmp_path / "alone", output=tmp_path / "alone.npz")
    teach(alone)
    one, two = Opinions.read(other.output), Opinions.read(alone.output)
    assert judged_rows(one) == pytest.approx(judged_rows(two), abs=2e-3)


@pytest.mark.parametrize("lacking", ["config.json", "tokenizer.json", "model.safetensors"])
def test_a_teacher_that_cannot_be_read_is_named(order: Order, lacking: str) -> None:
    (order.teacher / lacking).unlink()
    with pytest.raises(TrainingError, match=r"teacher holds no model"):
        teach(order)


def test_the_student_learns_from_the_file(order: Order, tmp_path: Path) -> None:
    teach(order)
    alone = Production(
        order.data, tmp_path / "alone", order.student, tmp_path / "a", tiny.RECIPE, opinions=None
    )
    taught = alone._replace(output=tmp_path / "taught", opinions=order.output)
    for pupil in (alone, taught):
        produce(pupil)
    weights = [(pupil.output / "model.safetensors").read_bytes() for pupil in (alone, taught)]
    assert weights[0] != weights[1]


def test_missing_packages_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(teacher_start, "PACKAGES", ("no-such-package",))
    with pytest.raises(TrainingError, match=r"no-such-package.* scripts/install"):
        teacher_folder(tmp_path / "folder")
    assert not (tmp_path / "folder").exists()


def test_other_weights_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("all-mpnet-base-v2/model.safetensors", b"other weights")
    halves = iter((content.getvalue()[:100], content.getvalue()[100:]))

    def part(_package: str) -> Path:
        path = tmp_path / "part"
        path.write_bytes(next(halves))
        return path

    monkeypatch.setattr(teacher_start, "PACKAGES", ("one", "two"))
    monkeypatch.setattr(teacher_start, "_part", part)
    with pytest.raises(TrainingError, match="other weights"):
        teacher_folder(tmp_path / "folder")
    assert not (tmp_path / "folder").exists()
