"""The prepared folder: what `sentiment prepare` writes and a replica loads, and nothing else.

manifest.json   what the model is, the sha256 of each file, what preparation measured
golden.json     texts with torch's probabilities, replayed by every replica at its start
torch/          config, safetensors weights, tokenizer
onnx/           fp32.onnx and, where its gate held, int8.onnx
"""

import hashlib
import json
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from serve_app.validation import first_fault

MANIFEST = "manifest.json"
GOLDEN = "golden.json"
TORCH = "torch"
ONNX = "onnx"
FORMAT = 1
AGAIN = "run `sentiment prepare` again"

Precision = Literal["fp32", "int8"]
ProblemType = Literal["single_label_classification", "multi_label_classification"]


class ArtifactError(Exception):
    """The prepared folder is missing, incomplete or altered; the message says which file.

    Args:
        what: the fault.
        remedy: what helps.
    """

    def __init__(self, what: str, remedy: str = "") -> None:
        super().__init__(f"{what}: {remedy}" if remedy else what)
        self.what = what


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


R = TypeVar("R", bound=_Record)


class Measured(_Record):
    """What one precision of the model did on the texts that preparation measured it with."""

    texts: int
    """How many texts were compared with torch."""
    flips: int
    """How many of them got another label than torch gave."""
    max_difference: float
    """Largest |Δp| against torch over all texts and classes."""
    mean_difference: float
    batch_drift: float
    """Largest |Δp| of a text between any two ways of batching it."""
    accuracy: float | None = None
    """Share of the labelled file answered right; None where no file was given."""


class Manifest(_Record):
    """Everything a replica or a client may want to know of the prepared model."""

    format: int = FORMAT
    model_id: str
    revision: str | None
    licence: str | None
    labels: list[str]
    problem_type: ProblemType
    max_length: int
    """Longest input in tokens; what is longer is truncated."""
    parameters: int
    precision: Precision
    """The ONNX precision that is served unless the configuration asks for another."""
    torch_accuracy: float | None = None
    measured: dict[Precision, Measured]
    notes: list[str] = []
    """Sentences on what could not be fused or quantised, and why."""
    auto_threshold: float | None = None
    """Margin of ONNX's two best probabilities below which `auto` also asks torch."""
    fingerprint: str = ""
    """Digest of all the folder was made of; preparation with the same has nothing to do."""
    versions: dict[str, str]
    files: dict[str, str]
    """Relative path to sha256, for every file of the folder but the manifest itself."""


class Golden(_Record):
    """Texts of mixed length with the probabilities that torch in fp32 gave at preparation."""

    texts: list[str]
    probabilities: list[list[float]]


class Artifacts:
    """A prepared folder that was found complete.

    Args:
        folder: what `sentiment prepare` wrote.
        verify: also compare every file's sha256 with the manifest.

    Raises:
        ArtifactError: a file is missing, unreadable or altered.
    """

    def __init__(self, folder: Path | str, *, verify: bool = True) -> None:
        self.folder = Path(folder).resolve()
        manifest = self._read(MANIFEST)
        # Before anything else: a manifest of another format is not valid in this one.
        if isinstance(manifest, dict) and manifest.get("format", FORMAT) != FORMAT:
            said = f"{self.folder} has format {manifest['format']}, this version reads {FORMAT}"
            raise ArtifactError(said, AGAIN)
        self.manifest = self._valid(MANIFEST, manifest, Manifest)
        for name, digest in self.manifest.files.items():
            path = self.folder / name
            if not path.is_file():
                raise ArtifactError(f"{path} is missing", AGAIN)
            if verify and sha256(path) != digest:
                raise ArtifactError(f"{path} was altered since preparation", AGAIN)
        self.golden = self._valid(GOLDEN, self._read(GOLDEN), Golden)

    @property
    def torch(self) -> Path:
        return self.folder / TORCH

    def onnx(self, precision: Precision) -> Path:
        """The ONNX file of a precision.

        Raises:
            ArtifactError: preparation did not write that precision.
        """
        path = self.folder / ONNX / f"{precision}.onnx"
        if precision not in self.manifest.measured:
            have = ", ".join(sorted(self.manifest.measured))
            raise ArtifactError(f"{self.folder} has no {precision} model, only: {have}")
        return path

    def _read(self, name: str) -> Any:
        path = self.folder / name
        try:
            return json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            command = f"`sentiment prepare --model MODEL --output {self.folder}`"
            raise ArtifactError(f"{path} is missing", f"{command} makes it") from None
        except (OSError, ValueError) as error:
            raise ArtifactError(f"{path} cannot be read: {error}") from error

    def _valid(self, name: str, value: Any, record: type[R]) -> R:
        try:
            return record.model_validate(value)
        except ValidationError as error:
            where, what = first_fault(error)
            said = f"{self.folder / name} is not valid ({where or 'the file'}: {what})"
            raise ArtifactError(said, AGAIN) from None


def sha256(path: Path) -> str:
    """Hex digest of a file, read in pieces."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
