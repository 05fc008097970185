"""Whatever the images install has a wheel for arm64, at the version of the lock."""

import json
import re
import subprocess
import sys
from importlib.metadata import distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from serve_app.serve_config import ROOT

PLATFORMS = ("manylinux_2_28", "manylinux_2_17", "manylinux2014")
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
EXTRAS = {
    extra
    for extras in re.findall(r"(?:ARG EXTRAS=|RUN scripts/install )([\w,]+)", DOCKERFILE)
    for extra in extras.split(",")
}
"""What the Dockerfile's stages install."""


def installed() -> dict[str, str]:
    """Name and version of every package that the extras need, directly or not."""
    found: dict[str, str] = {}
    todo = [("sentiment-service", EXTRAS)]
    seen: set[tuple[str, str]] = set()
    while todo:
        name, extras = todo.pop()
        package = distribution(name)
        found[canonicalize_name(name)] = package.version.split("+")[0]
        for text in package.requires or ():
            needed = Requirement(text)
            wanted = any(
                needed.marker is None or needed.marker.evaluate({"extra": extra})
                for extra in extras | {""}
            )
            key = (needed.name, str(sorted(needed.extras)))
            if wanted and key not in seen:
                seen.add(key)
                todo.append((needed.name, needed.extras))
    del found["sentiment-service"]
    return found


@pytest.mark.long
@pytest.mark.system
def test_every_package_has_a_wheel_for_arm64(tmp_path: Path) -> None:
    packages = installed()
    assert {"ray", "torch", "onnxruntime", "streamlit", "optimum-onnx"} <= set(packages)
    report = tmp_path / "report.json"
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pip", "install", "--dry-run", "--ignore-installed", "--quiet"),
            *("--no-deps", "--only-binary=:all:", "--python-version", "3.11"),
            *(f"--platform={each}_aarch64" for each in PLATFORMS),
            *("--target", str(tmp_path / "target"), "--report", str(report)),
            *(f"{name}=={version}" for name, version in packages.items()),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    wheels = [
        each["download_info"]["url"].rsplit("/", 1)[-1]
        for each in json.loads(report.read_text())["install"]
    ]
    assert len(wheels) == len(packages)
    assert not [wheel for wheel in wheels if "x86_64" in wheel]
    assert sum("aarch64" in wheel for wheel in wheels) > 10
