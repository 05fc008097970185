"""The alternatives' own environments, so that ours stays as it is: `python -m benchmarks.venvs`.

Each has a file in benchmarks/peers/requirements/ and a folder in .cache/bench/venvs/. The CPU build
of torch goes in first and by itself, so that nothing else draws in the default one.
"""

import argparse
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.graphs import CACHE

REQUIREMENTS = Path(__file__).parent / "peers" / "requirements"


def python_of(name: str) -> str:
    """The interpreter of an environment, whether or not it is there."""
    return str((CACHE / "venvs" / name / "bin" / "python").absolute())


def ready(name: str) -> bool:
    """Whether the environment is there, made of the file as it is now."""
    done = _done(name)
    return done.exists() and done.read_text(encoding="utf-8") == _wanted(name)


def make(name: str) -> None:
    """Make an environment.

    Raises:
        CalledProcessError: pip could not install it.
    """
    wanted = _wanted(name)
    folder = CACHE / "venvs" / name
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    pip = [python_of(name), "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
    torch = re.search(r"^torch==\S+", wanted, re.MULTILINE)
    if torch:
        cpu = subprocess.run([*pip, f"{torch[0]}+cpu"], capture_output=True)
        if cpu.returncode:
            subprocess.run([*pip, torch[0]], check=True)
    subprocess.run([*pip, "--requirement", REQUIREMENTS / f"{name}.txt"], check=True)
    _done(name).write_text(wanted, encoding="utf-8")


def names() -> list[str]:
    """Every environment that has a file."""
    return sorted(file.stem for file in REQUIREMENTS.glob("*.txt"))


def main(argv: Sequence[str] | None = None) -> int:
    """Make those that are missing; 1 if one of them could not be made."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.venvs", description=__doc__)
    parser.add_argument("names", nargs="*", help=f"which of {', '.join(names())}; all if none")
    failed = []
    for name in parser.parse_args(argv).names or names():
        if ready(name):
            continue
        print(f"{name} …", flush=True)
        try:
            make(name)
        except subprocess.CalledProcessError:
            failed.append(name)
    if failed:
        print(
            f"could not be made: {', '.join(failed)}; the others can be measured", file=sys.stderr
        )
    return int(bool(failed))


def _wanted(name: str) -> str:
    return (REQUIREMENTS / f"{name}.txt").read_text(encoding="utf-8")


def _done(name: str) -> Path:
    return CACHE / "venvs" / name / "made-of.txt"


if __name__ == "__main__":
    sys.exit(main())
