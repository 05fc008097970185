"""API keys: made once, kept as hashes in a file that is read again when it changes.

A key carries 256 random bits, so nobody can guess it or find it from its hash, and one round of
SHA-256 is enough; the slow hashes made for passwords would cost each request 100 ms of CPU.
"""

import hashlib
import hmac
import json
import logging
import os
import re
import secrets
import tempfile
import time
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from serve_app.api.client import Client, RefusedError, Scope
from serve_app.validation import first_fault

logger = logging.getLogger("ray.serve")

AGAIN_S = 1.0
"""After which a file that could not be read is read again."""

PREFIX = "sentiment_"
"""What every key begins with, for scanners of leaked secrets and to tell a key from a token."""
_KEY = re.compile(PREFIX + r"[A-Za-z0-9_-]{43}")
_HANDLE = 8
_NOBODY = bytes(32)


class KeysError(Exception):
    """The file of keys cannot be used; the message is a sentence."""


class Record(BaseModel):
    """What is kept of a key. Several keys of one name are one client: a key and its successor."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._@-]{0,63}$")]
    scopes: Annotated[tuple[Scope, ...], Field(min_length=1)]
    created: datetime
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]

    @property
    def handle(self) -> str:
        """Names the key where its name does not suffice; tells nothing of it."""
        return self.sha256[:_HANDLE]


class Records(BaseModel):
    """The file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    keys: tuple[Record, ...] = ()


def digest(key: str) -> bytes:
    return hashlib.sha256(key.encode()).digest()


def make(name: str, scopes: Iterable[Scope]) -> tuple[str, Record]:
    """A new key, and what is kept of it."""
    key = PREFIX + secrets.token_urlsafe(32)
    created = datetime.now(UTC).replace(microsecond=0)
    record = Record(name=name, scopes=tuple(scopes), created=created, sha256=digest(key).hex())
    return key, record


def read(path: Path) -> Records:
    """
    Raises:
        KeysError: there is no such file, or it is none of ours.
    """
    try:
        return Records.model_validate_json(path.read_bytes())
    except OSError as error:
        raise KeysError(f"The file of API keys {path} cannot be read: {error.strerror}.") from error
    except ValidationError as error:
        where, what = first_fault(error)
        raise KeysError(
            f"The file of API keys {path} is not valid: {where or 'the file'}: {what}."
        ) from None


def write(path: Path, records: Records) -> None:
    """Replace the file in one step, so that no reader ever sees a part of it.

    Raises:
        KeysError: the new file cannot be given to whom the old one belongs.
    """
    path = path.resolve()  # of a link the target: what the service reads
    before = path.stat() if path.exists() else None
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump(records.model_dump(mode="json"), file, indent=2)
            file.write("\n")
            file.flush()
            os.fsync(file.fileno())
        if before:
            _give(Path(name), before, path)
        Path(name).chmod(before.st_mode & 0o777 if before else 0o600)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _give(file: Path, before: os.stat_result, path: Path) -> None:
    """Give the file that is to replace `path` the owner and group that it had before."""
    made = file.stat()
    if (made.st_uid, made.st_gid) == (before.st_uid, before.st_gid):
        return
    try:
        os.chown(file, before.st_uid, before.st_gid)
    except PermissionError:
        raise KeysError(
            f"The file of API keys {path} belongs to user {before.st_uid} and group"
            f" {before.st_gid}, to whom a new one cannot be given: do this as that user or as root."
        ) from None


class KeyFile:
    """The keys of a file as they are now.

    Raises:
        KeysError: at construction; later a file that cannot be used leaves its last keys in force.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen = self._signature()
        self._keys = _by_handle(read(path))
        self._failed: tuple[int, ...] | None = ()
        self._again = 0.0
        self.fault = ""
        """Why the file could not be read again, as a sentence; empty if it could."""

    def client(self, key: str) -> Client:
        """The client whose key it is.

        Raises:
            RefusedError: nobody's.
        """
        self._refresh()
        if not _KEY.fullmatch(key):
            raise RefusedError("the API key is malformed")
        presented = digest(key)
        handle = presented.hex()[:_HANDLE]
        # The handle is found by a plain look-up: it is no secret. What decides is compared in
        # constant time, and for an unknown handle something is compared too.
        found: Record | None = None
        for record in self._keys.get(handle, (None,)):
            kept = _NOBODY if record is None else bytes.fromhex(record.sha256)
            if hmac.compare_digest(kept, presented):
                found = record
        if found is None:
            raise RefusedError("the API key is not known", f"sha256 {handle}…")
        return Client(f"key:{found.name}", "api-key", frozenset(found.scopes))

    def _refresh(self) -> None:
        seen = self._signature()
        if seen == self._seen or (seen == self._failed and time.monotonic() < self._again):
            return
        try:
            self._keys = _by_handle(read(self._path))
        except KeysError as error:
            fault = f"{error} The keys read before stay in force."
            if fault != self.fault:
                logger.error("%s", fault)
            self.fault = fault
            if isinstance(error.__cause__, OSError):  # it may pass; a key may have been revoked
                self._failed, self._again = seen, time.monotonic() + AGAIN_S
                self._seen = ()  # also where it comes back as it was before
            else:
                self._seen = seen
            return
        self._seen = seen
        self.fault = ""
        logger.info("read the API keys again: %d", sum(map(len, self._keys.values())))

    def state(self) -> str:
        """Empty, or a sentence on why the file could not be read again."""
        self._refresh()
        return self.fault

    def _signature(self) -> tuple[int, ...] | None:
        """Changes when the file is rewritten, replaced, or the link to it points elsewhere."""
        try:
            status = self._path.stat()
        except OSError:
            return None
        # After a read that failed, permissions may be what was mended.
        permissions = status.st_mode, status.st_uid, status.st_gid, status.st_ctime_ns
        return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, *permissions


def _by_handle(records: Records) -> dict[str, list[Record]]:
    keys: dict[str, list[Record]] = {}
    for record in records.keys:
        keys.setdefault(record.handle, []).append(record)
    return keys
