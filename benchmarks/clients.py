"""What clients say, as their makers ship them: `python -m benchmarks.clients` prints a transcript.

Each is a few lines that a user would type, run in a process of its own against a service that is
started for it. Node's client is left out where it is not installed (the suite installs it).
"""

import argparse
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.catalog import SERVICE
from benchmarks.graphs import BUNDLED
from benchmarks.servers import Server

NODE = Path(".cache/node")
SHELL = {
    "curl": """curl -si {url}/auto/infer -H 'Content-Type: application/json' \\
  -d '{{"input": ["A lovely, moving film.", "A dull and pointless mess."]}}'""",
    "curl, a stream": """printf '%s\\n' '{{"input": "A lovely film.", "id": "a"}}' 'oops' |
  curl -s {url}/onnx/stream -H 'Content-Type: application/x-ndjson' --data-binary @-""",
}
PYTHON = {
    "requests": """import requests

answer = requests.post("{url}/transformers/infer", json={{"input": "A dull mess."}})
print(answer.status_code, answer.json(), answer.headers["Server-Timing"])
answer = requests.post("{url}/transformers/infer", json={{"input": " "}})
print(answer.status_code, answer.json()["detail"])""",
    "huggingface_hub": """from huggingface_hub import InferenceClient

client = InferenceClient(model="{url}/onnx")
print(client.text_classification("A lovely, moving film."))
print(client.text_classification("A dull mess.", top_k=1, function_to_apply="none"))""",
    "tritonclient": """import numpy as np
import tritonclient.http as triton

client = triton.InferenceServerClient("{host}")
text = triton.InferInput("text", [2], "BYTES")
text.set_data_from_numpy(np.array(["A lovely film.", "A dull mess."], dtype=object))
result = client.infer("onnx", [text], request_id="42")
print(result.as_numpy("label"), result.as_numpy("score"), result.get_response()["id"])""",
}
SCRIPT = """import {{ textClassification }} from "@huggingface/inference";
const endpointUrl = "{url}/onnx";
console.log(await textClassification({{ endpointUrl, inputs: "A lovely, moving film." }}));
try {{ await textClassification({{ endpointUrl, inputs: " " }}); }}
catch (error) {{ console.log(error.message); }}"""


def transcript(url: str) -> str:
    """Markdown: what was typed, and what came of it."""
    host = url.removeprefix("http://")
    environment = {**os.environ, "HF_HUB_DISABLE_TELEMETRY": "1"}
    parts: list[str] = []

    def add(name: str, language: str, typed: str, command: Sequence[str], folder: Path) -> None:
        lines = typed.format(url=url, host=host)
        run = subprocess.run(
            [*command, lines],
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        said = run.stdout.replace("\r", "").strip().replace(url, "http://127.0.0.1:8000")
        shown = lines.replace(url, "http://127.0.0.1:8000").replace(host, "127.0.0.1:8000")
        parts.append(f"## {name}\n\n```{language}\n{shown}\n```\n\n```text\n{said}\n```")

    here = Path()
    for name, typed in SHELL.items():
        add(name, "sh", typed, ["bash", "-c"], here)
    for name, typed in PYTHON.items():
        add(name, "python", typed, [sys.executable, "-c"], here)
    if (NODE / "node_modules").exists():
        script = ["node", "--input-type=module", "--eval"]
        add("@huggingface/inference", "js", SCRIPT, script, NODE)
    return "\n\n".join(parts)


def main(argv: Sequence[str] | None = None) -> int:
    """Print the transcript, or write it below a title."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.clients", description=__doc__)
    parser.add_argument("--model", type=Path, default=BUNDLED)
    parser.add_argument("--output", type=Path, help="such as docs/clients.md")
    options = parser.parse_args(argv)
    with Server(SERVICE, "int8", options.model) as server:
        said = transcript(server.at("/").rstrip("/"))
    if options.output:
        title = (
            "# Real clients\n\nWritten by `python -m benchmarks.clients --output docs/clients.md`."
        )
        options.output.write_text(f"{title}\n\n{said}\n", encoding="utf-8")
    print(said)
    return 0


if __name__ == "__main__":
    sys.exit(main())
