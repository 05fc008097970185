"""What a prepared folder was made of, as one digest: the same digest, nothing to do."""

import hashlib
import json
import sys
from importlib import metadata
from pathlib import Path

from serve_app.engine.artifacts import sha256
from serve_app.jobs.errors import PrepareError

PACKAGES = (
    "torch",
    "transformers",
    "tokenizers",
    "optimum",
    "optimum-onnx",
    "onnx",
    "onnxruntime",
    "numpy",
)
"""The libraries that have a part in the result."""

CODE = (
    "jobs/build.py",
    "jobs/candidates.py",
    "jobs/classifier.py",
    "jobs/export.py",
    "jobs/firsttoken.py",
    "jobs/graph.py",
    "jobs/kinds.py",
    "jobs/labelled.py",
    "jobs/quantize.py",
    "jobs/texts.json",
    "jobs/texts.py",
    "jobs/verify.py",
    "engine/artifacts.py",
    "engine/certificate.py",
    "engine/onnx_backend.py",
    "engine/postprocess.py",
    "engine/tokenizer.py",
    "engine/torch_backend.py",
)
"""The files of this package that do."""


def fingerprint(model_id: str, digest: str, precision: str, labelled: Path | None) -> str:
    """Digest of source, arguments, libraries and code.

    Args:
        model_id: the source's name.
        digest: of the source's files, or the hub's commit.
        precision: as asked for.
        labelled: the file that accuracy is measured with.

    Raises:
        PrepareError: the labelled file cannot be read, or a library is missing.
    """
    package = Path(__file__).parents[1]
    try:
        answers = sha256(labelled) if labelled else None
    except OSError as error:
        raise PrepareError(f"{labelled} cannot be read: {error}") from error
    parts = {
        "model": model_id,
        "digest": digest,
        "precision": precision,
        "labelled": answers,
        "versions": versions(),
        "code": {name: sha256(package / name) for name in CODE},
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def versions() -> dict[str, str]:
    """Versions of Python and of the libraries, without importing them.

    Raises:
        PrepareError: one is missing.
    """
    found = {"python": ".".join(map(str, sys.version_info[:3]))}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            raise PrepareError(
                f"{name} is not installed: `pip install -e '.[prepare]'` brings what is needed"
            ) from None
    return found
