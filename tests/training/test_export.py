from pathlib import Path

import pytest

from training.errors import TrainingError
from training.export import export
from training.start import load_model, load_tokenizer


def test_a_disk_that_fills_under_the_tokenizer_is_told(
    start: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokenizer = load_tokenizer(start)

    def full(_folder: Path) -> None:
        tokenizer.backend_tokenizer.save("/dev/full")

    monkeypatch.setattr(tokenizer, "save_pretrained", full)
    with pytest.raises(TrainingError, match=r"Could not write .*model: No space left on device"):
        export(load_model(start, 0), b"weights", tokenizer, tmp_path / "model", "card")
    assert list(tmp_path.iterdir()) == []
