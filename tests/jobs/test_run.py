"""What `sentiment run` prepares; how it serves is in tests/integration."""

from pathlib import Path

import pytest

from serve_app.engine.artifacts import Artifacts
from serve_app.jobs import run
from serve_app.local_cluster import ClusterError


def test_the_model_is_prepared_as_it_was_asked_for(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(run, "prepared_folder", lambda _: tmp_path / "out")
    asked = run._parser().parse_args([f"--model={model}", "--precision=fp32"])
    assert Artifacts(run._prepare(asked)).manifest.precision == "fp32"
    pinned = run._parser().parse_args([f"--model={model}", "--revision=v1"])
    with pytest.raises(ClusterError, match="could not be prepared"):
        run._prepare(pinned)
    assert "--revision is for models of the hub" in capfd.readouterr().err
