"""Where the model comes from: the bundled folder, another folder, or a hub id.

A source is identified before anything is fetched, so that a preparation with nothing to do ends
early.
"""

import hashlib
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from serve_app.engine.artifacts import sha256
from serve_app.jobs.errors import HubUnreachable, PrepareError

ROOT = Path(__file__).resolve().parents[2]
BUNDLED = Path("models") / "sst2-minilm"
PREPARED = Path(".cache") / "prepared"
"""Where prepared models are kept, below the repository's root."""
DEFAULT_MODEL = ROOT / PREPARED / BUNDLED.name
CONFIG = "config.json"
TOKENIZER = (
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.txt",
    "vocab.json",
    "merges.txt",
    "spm.model",
    "sentencepiece.bpe.model",
    "spiece.model",
    "bpe.codes",
)
ATTENTION = ("attn_implementation", "_attn_implementation", "_attn_implementation_internal")
WEIGHTS = ("model.safetensors", "pytorch_model.bin")


class Source(Protocol):
    """A model that was found, not yet fetched."""

    @property
    def model_id(self) -> str: ...

    @property
    def revision(self) -> str | None: ...

    @property
    def licence(self) -> str | None: ...

    @property
    def digest(self) -> str:
        """Changes whenever the model's files do."""
        ...

    def fetch(self) -> Path:
        """A folder with the model in transformers' layout."""
        ...


@dataclass(frozen=True)
class LocalSource:
    """A folder on this machine; its revision is the digest of its files."""

    folder: Path
    model_id: str
    revision: str | None
    licence: str | None
    digest: str

    def fetch(self) -> Path:
        return self.folder


def identify(model: str | None, revision: str | None) -> Source:
    """Find a model without fetching it.

    Args:
        model: a folder, a hub id such as `owner/name`, or None for the bundled model.
        revision: branch, tag or commit of a hub model.

    Raises:
        PrepareError: there is no such model, or the hub cannot be asked.
    """
    folder = bundled() if model is None else Path(model).expanduser()
    if folder.is_dir():
        if revision is not None:
            raise PrepareError(f"{folder} is a folder; --revision is for models of the hub")
        return identify_folder(folder)
    if model is None or folder.exists() or not re.fullmatch(r"[\w.-]+(/[\w.-]+)?", model):
        raise PrepareError(f"{folder} is no folder with a model, and no hub id either")
    if model.startswith((".", "/")):
        raise PrepareError(f"there is no folder {folder}")
    from serve_app.jobs.hub import identify_hub

    try:
        return identify_hub(model, revision)
    except HubUnreachable as error:
        raise HubUnreachable(f"{error}; there is no folder of that name here either") from error


def bundled() -> Path:
    """The bundled model's folder: beside the package in a checkout, else in the working folder."""
    beside = ROOT / BUNDLED
    return beside if beside.is_dir() else BUNDLED


def prepared_folder(model: str) -> Path:
    """Where a folder or a hub id is prepared to, unless another place is named."""
    folder = Path(model).expanduser()
    if not folder.is_dir():
        return ROOT / PREPARED / model.replace("/", "--")
    where = folder.resolve()
    if where == ROOT / BUNDLED:
        return ROOT / PREPARED / where.name
    # Of `checkpoint-500` there is one in each run.
    return ROOT / PREPARED / f"{where.name}-{hashlib.sha256(bytes(where)).hexdigest()[:8]}"


def prepared(model: str) -> Path:
    """The folder that a model was prepared to, by that folder or by what it was prepared from."""
    folder = Path(model).expanduser()
    from_hub = not folder.exists() and model.count("/") == 1
    if from_hub or (folder / CONFIG).is_file():
        return prepared_folder(model)
    return folder


def identify_folder(folder: Path) -> LocalSource:
    """Find a model in a folder.

    Raises:
        PrepareError: a needed file is missing or cannot be read.
    """
    try:
        names = needed((path.name for path in folder.iterdir() if path.is_file()), str(folder))
        refuse_by_config(read_json(folder / CONFIG, str(folder)), str(folder))
        for index in [name for name in names if name.endswith(".index.json")]:
            names += shards(folder / index, str(folder))
        digest = hashlib.sha256()
        for name in sorted(names):
            digest.update(f"{name} {sha256(folder / name)}\n".encode())
        licence = _licence(folder / "README.md")
        digest.update(f"licence {licence}\n".encode())
    except OSError as error:
        raise PrepareError(f"{folder} cannot be read as a model: {error}") from error
    return LocalSource(
        folder=folder,
        model_id=folder.resolve().name,
        revision=f"sha256:{digest.hexdigest()[:16]}",
        licence=licence,
        digest=digest.hexdigest(),
    )


def needed(names: Iterable[str], where: str) -> list[str]:
    """Those of a model's files that are read: config, tokenizer and one form of the weights.

    safetensors are preferred; a pickle is taken only where there is nothing else, and is then
    loaded as weights only.

    Raises:
        PrepareError: the config, the weights or the tokenizer is missing.
    """
    have = set(names)
    if CONFIG not in have:
        raise PrepareError(f"{where} has no {CONFIG}: it is no model of transformers")
    tokenizer = [name for name in TOKENIZER if name in have]
    if not tokenizer:
        raise PrepareError(f"{where} has no tokenizer, looked for {', '.join(TOKENIZER)}")
    for weights in WEIGHTS:
        for name in (weights, f"{weights}.index.json"):
            if name in have:
                return [CONFIG, name, *tokenizer]
    raise PrepareError(f"{where} has no weights, looked for {' and '.join(WEIGHTS)}")


def shards(index: Path, where: str) -> list[str]:
    """The weight files that an index names.

    Raises:
        PrepareError: it is no index, or names a file outside its folder.
    """
    found = read_json(index, where)
    named = found.get("weight_map")
    names = sorted({str(name) for name in named.values()}) if isinstance(named, dict) else []
    if not names or any(Path(name).name != name for name in names):
        raise PrepareError(f"{index.name} of {where} is no index of weight files")
    return names


def read_json(path: Path, where: str) -> dict[str, Any]:
    """A file of a model that holds a JSON object.

    Raises:
        PrepareError: it does not.
    """
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise PrepareError(f"{path.name} of {where} is no JSON: {error}") from error
    if not isinstance(found, dict):
        raise PrepareError(f"{path.name} of {where} is no JSON object")
    return found


def refuse_by_config(config: dict[str, Any], where: str) -> None:
    """Refuse, by its config alone, a model that classifies no sequences or brings code to run.

    In transformers before 5 a config can have code fetched from a hub and run, whatever the caller
    says of trust: by `trust_remote_code` of its own (CVE-2026-5241), and by an attention that is a
    repository's (CVE-2026-4372).

    Raises:
        PrepareError: the config names another task, or code.
    """
    for name, value in _entries(config):
        trusts = name == "trust_remote_code" and value
        fetches = name in ATTENTION and isinstance(value, str) and "/" in value
        if trusts or fetches:
            raise PrepareError(
                f"{where} needs code of its own to run, which is not done here: `{name}` in its"
                f" {CONFIG}"
            )
    named = config.get("architectures") or []
    named = [named] if isinstance(named, str) else named
    if named and not any(str(name).endswith("ForSequenceClassification") for name in named):
        raise PrepareError(
            f"{where} holds a {named[0]}, not a sequence classifier; expected a"
            " …ForSequenceClassification"
        )


def _entries(value: object, name: str = "") -> Iterator[tuple[str, object]]:
    """Whatever is in a JSON value, at any depth, by the key it stands under."""
    if isinstance(value, dict):
        for key, inner in value.items():
            # What an attention's own keys are told is the attention's.
            yield from _entries(inner, name if name in ATTENTION else key)
    elif isinstance(value, list):
        for inner in value:
            yield from _entries(inner, name)
    else:
        yield name, value


def _licence(card: Path) -> str | None:
    """What the model card's front matter names as licence."""
    if not card.is_file():
        return None
    front = re.match(r"---\n(.*?)\n---", card.read_text(encoding="utf-8", errors="replace"), re.S)
    found = re.search(r"^license:\s*[\"']?([\w.+-]+)", front.group(1), re.M) if front else None
    return found.group(1) if found else None
