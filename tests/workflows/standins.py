"""Programs that stand for what cannot be here: a cluster, an account, a registry, signatures.

Each writes its arguments to a log and answers as far as our scripts read what it says. All else
that a step runs is the real thing.
"""

import base64
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from kuberay.deploy_check import SECRETS
from serve_app.serve_config import ROOT
from tests.deployed import workers_pool

PROGRAM = """#!/bin/sh
name=$(basename "$0")
[ -t 0 ] || case "$name $*" in *" -f -"*) given=$(cat) ;; esac
echo "$name" $* >> "$STANDINS/log"
case " $REFUSES " in *" $name "*) echo "$name refuses" >&2; exit 1 ;; esac
case "$name $*" in
    "kubectl get -f -"*) echo '{"kind": "List", "items": []}' ;;
    *activeServiceStatus*) cat "$STANDINS/active" ;;
    "kubectl -n sentiment patch rayservice "*) echo sentiment-2 > "$STANDINS/active" ;;
    *jsonpath*) cat "$STANDINS/key" ;;
    "kubectl get secret "*) cat "$STANDINS/secret-$3" ;;
    "kubectl get "*) cat "$STANDINS/$2" 2> /dev/null || true ;;
    *"--dry-run=client -o yaml"*) printf 'apiVersion: v1\\nkind: Secret\\n' ;;
    "kubectl "*" port-forward "*) exec sleep 60 ;;
    "kubectl -n "*" run probe-"*) case "$2 $*" in default*|*10001*) exit 1 ;; esac ;;
    "kubectl -n callers logs load") echo "400 answers, 0 errors" ;;
    curl*) echo '[{"label": "POSITIVE", "score": 0.9}]' ;;
esac
"""
NAMES = ("kubectl", "helm", "kind", "docker", "cosign", "aws", "curl")


class StandIns:
    """A folder of stand-ins, first in the PATH of what `run` starts."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "bin").mkdir()
        for name in NAMES:
            program = folder / "bin" / name
            program.write_text(PROGRAM)
            program.chmod(0o755)
        python = folder / "bin" / "python"
        python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
        python.chmod(0o755)
        (folder / "active").write_text("sentiment-1\n")
        (folder / "key").write_text(base64.b64encode(b"10.0.0.1").decode())
        for name, key in SECRETS.items():
            self.answer(f"secret-{name}", {"data": {key: "eA=="}})
        self.answer("nodes", {"items": [{"status": {"allocatable": {"cpu": "4"}}}]})
        self.answer("nodepool", workers_pool())

    def answer(self, name: str, value: Any) -> None:
        (self.folder / name).write_text(json.dumps(value))

    def environment(self, **more: str) -> dict[str, str]:
        return {
            **os.environ,
            "PATH": f"{self.folder / 'bin'}:{os.environ['PATH']}",
            "STANDINS": str(self.folder),
            # make: the environment is there, and its programs are these.
            "MAKEFLAGS": f"-o .venv/delivery BIN={self.folder / 'bin'}",
            **more,
        }

    def run(self, script: str, **more: str) -> "subprocess.CompletedProcess[str]":
        """Run the text of a step as GitHub's runner does."""
        return subprocess.run(
            ["bash", "-e", "-o", "pipefail", "-c", script],
            env=self.environment(**more),
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )

    @property
    def log(self) -> list[str]:
        path = self.folder / "log"
        return path.read_text().splitlines() if path.exists() else []
