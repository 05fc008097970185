"""The Serve config in the manifests starts a real application, of every overlay."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from kuberay.manifests import overlays
from serve_app.serve_config import ROOT


@pytest.mark.timeout(600)
def test_every_overlay_s_serve_config_starts_and_answers(prepared: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.cluster.application", str(prepared)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-5000:]
    said = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    both = {"transformers": "POSITIVE", "onnx": "POSITIVE"}
    assert said == [{"overlay": name, "labels": both} for name in overlays()]
