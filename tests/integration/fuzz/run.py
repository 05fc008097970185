"""Schemathesis against a running service, with the hooks of this folder."""

import os
import re
import subprocess
import sys
from pathlib import Path

from serve_app.serve_config import ROOT


def cases_that_pass(url: str, folder: Path, *options: str) -> int:
    """How many requests were generated of the document at `url`; each passed every check.

    Args:
        folder: an empty one; schemathesis writes its cache where it is, and reads a configuration
            from there.
        options: of its command line.
    """
    command = [
        *(sys.executable, "-m", "schemathesis.cli", "run", f"{url}/openapi.json"),
        *("--checks", "all", "--mode", "all", "--continue-on-failure"),
        *("--phases", "examples,coverage,fuzzing,stateful"),
        *("--request-timeout", "30", "--generation-database", "none", "--no-color"),
        *options,
    ]
    run = subprocess.run(
        command,
        cwd=folder,
        env={
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "SCHEMATHESIS_HOOKS": "tests.integration.fuzz.hooks",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    summary = run.stdout + run.stderr
    print(summary)
    assert run.returncode == 0, summary
    generated = re.search(r"(\d+) generated, (\d+) passed", summary)
    assert generated is not None, summary
    assert generated[1] == generated[2]
    return int(generated[1])
