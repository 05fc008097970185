"""Models of the Hugging Face hub: pinned to a commit, downloaded with resume, held to their hashes.

`HF_ENDPOINT`, `HF_TOKEN`, `HF_HOME` and `HF_HUB_OFFLINE` mean what they mean everywhere.
"""

import contextlib
import hashlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import requests
from huggingface_hub import HfApi, constants, hf_hub_download
from huggingface_hub.errors import (
    EntryNotFoundError,
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from serve_app.engine.artifacts import sha256
from serve_app.jobs.errors import HubUnreachable, PrepareError, out_of_space
from serve_app.jobs.source import CONFIG, needed, read_json, refuse_by_config, shards

TIMEOUT = 10.0
PAUSES = (0.5, 1.0, 2.0, 4.0)
"""Seconds before a busy hub is asked again, or a broken transfer taken up where it broke."""

BUSY = (408, 429, 500, 502, 503, 504)

T = TypeVar("T")


@dataclass(frozen=True)
class HubSource:
    """A model of the hub at one commit.

    Attributes:
        revision: the commit, 40 hex digits, whatever branch or tag was asked for.
        files: name to ("sha256" or "git", hex digest), as the hub lists them.
    """

    model_id: str
    revision: str
    licence: str | None
    files: dict[str, tuple[str, str]]

    @property
    def digest(self) -> str:
        return self.revision

    def fetch(self) -> Path:
        """Download what is needed, or find it in the hub's cache; each file held to its hash.

        Raises:
            PrepareError: the hub refuses, fails or sends something else than it lists.
        """
        names = needed(self.files, self.model_id)
        with _explained(self.model_id, self.revision):
            config = self._download(CONFIG)
            refuse_by_config(read_json(config, self.model_id), self.model_id)
            for name in names:
                path = self._download(name)
                if name.endswith(".index.json"):
                    names += shards(path, self.model_id)
        return config.parent

    def _download(self, name: str) -> Path:
        if name not in self.files:
            raise PrepareError(f"{self.model_id} lists no file {name}")
        path = self._resume(name, force=False)
        if not _matches(path, *self.files[name]):
            # a transfer that broke badly, or a cache that was altered since: once more, from 0
            path = self._resume(name, force=True)
            if not _matches(path, *self.files[name]):
                path.resolve().unlink(missing_ok=True)
                path.unlink(missing_ok=True)
                raise PrepareError(
                    f"{name} of {self.model_id} is not what the hub lists: its"
                    f" {self.files[name][0]} digest differs from {self.files[name][1]}"
                )
        return path

    def _resume(self, name: str, *, force: bool) -> Path:
        """Download one file; a broken transfer goes on where it broke."""

        def download() -> Path:
            path = hf_hub_download(
                self.model_id, name, revision=self.revision, force_download=force
            )
            return Path(path)

        return _patiently(download, (requests.RequestException, OSError))


def _patiently(ask: Callable[[], T], transient: tuple[type[Exception], ...] = ()) -> T:
    """Ask again, a few times and ever later, while the hub is busy or the line breaks.

    Args:
        transient: what else, besides a hub that says it is busy, may pass.
    """
    for pause in PAUSES:
        try:
            return ask()
        except LocalEntryNotFoundError:
            if not transient:
                raise
        except HfHubHTTPError as error:
            if getattr(error.response, "status_code", 0) not in BUSY:
                raise
        except transient as error:
            if out_of_space(error) or isinstance(error, OfflineModeIsEnabled):
                raise
        time.sleep(pause)
    return ask()


def identify_hub(model: str, revision: str | None) -> HubSource:
    """Ask the hub which commit a model is at and which files it has.

    Raises:
        HubUnreachable: the hub does not answer.
        PrepareError: it knows no such model or revision, or does not let us see it.
    """
    with _explained(model, revision):
        info = _patiently(
            lambda: HfApi().model_info(
                model, revision=revision, files_metadata=True, timeout=TIMEOUT
            )
        )
    if info.sha is None:
        raise PrepareError(f"the hub names no commit of {model}")
    files = {
        item.rfilename: ("sha256", item.lfs.sha256) if item.lfs else ("git", item.blob_id or "")
        for item in info.siblings or []
    }
    return HubSource(model, info.sha, _licence(info), files)


def _licence(info: Any) -> str | None:
    named = getattr(info.card_data, "license", None) if info.card_data else None
    if isinstance(named, str):
        return named
    tags = [tag.removeprefix("license:") for tag in info.tags or [] if tag.startswith("license:")]
    return tags[0] if tags else None


def _matches(path: Path, kind: str, digest: str) -> bool:
    """Whether a file has the hash the hub lists: sha256 of large files, git's blob of others.

    Mirrors of the hub may list none for small files; those are taken as they come.
    """
    if kind == "sha256":
        return sha256(path) == digest
    content = path.read_bytes()
    return not digest or hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest() == digest


@contextlib.contextmanager
def _explained(model: str, revision: str | None) -> Iterator[None]:
    """The hub client's errors as one sentence each."""
    hub = constants.ENDPOINT
    try:
        yield
    except GatedRepoError as error:
        raise PrepareError(
            f"{model} is gated: accept its terms on {hub}/{model} and set HF_TOKEN to a token of"
            " that account"
        ) from error
    except RevisionNotFoundError as error:
        raise PrepareError(f"{model} has no revision {revision}") from error
    except RepositoryNotFoundError as error:
        raise PrepareError(
            f"{hub} has no model {model}, or it is private and HF_TOKEN does not open it"
        ) from error
    except HFValidationError as error:
        raise PrepareError(f"{model} is no hub id: {error}") from error
    except OfflineModeIsEnabled as error:
        raise HubUnreachable(f"{model} is not here, and HF_HUB_OFFLINE forbids to ask") from error
    except LocalEntryNotFoundError as error:
        raise HubUnreachable(f"{hub} cannot be reached for {model}") from error
    except EntryNotFoundError as error:
        raise PrepareError(f"{model} lacks a file that it lists: {error}") from error
    except HfHubHTTPError as error:
        status = getattr(error.response, "status_code", "an error")
        if status in (401, 403):
            raise PrepareError(f"{hub} refuses HF_TOKEN for {model} ({status})") from error
        raise HubUnreachable(f"{hub} answers {status} for {model}") from error
    except requests.RequestException as error:
        name = type(error).__name__
        raise HubUnreachable(f"{hub} cannot be reached for {model} ({name})") from error
    except OSError as error:
        if out_of_space(error):
            raise
        raise HubUnreachable(f"the download of {model} broke off: {error}") from error
