"""The folder that `sentiment score` writes, here or in object storage: whose it is, and how far.

*.parquet      the scored rows, in no order
_job.json      what they are of; at the end also how many
_checkpoint/   Ray Data's list of the rows that are done; gone at the end

Readers of Parquet folders pass over names that begin with an underscore.
"""

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from serve_app.engine.artifacts import Precision
from serve_app.jobs.folder import lock

if TYPE_CHECKING:
    from pyarrow.fs import FileSystem

Stamps = dict[str, list[int | None]]
"""Of input files, by path: bytes, and when written in ns since 1970."""
LABEL, SCORE, ERROR = "prediction", "prediction_score", "prediction_error"
TRUNCATED, PRECISION = "prediction_truncated", "prediction_precision"
ADDED = (LABEL, SCORE, ERROR, TRUNCATED, PRECISION)
"""The columns that are added."""
JOB = "_job.json"
NEW_JOB = "_job.json.new"
CHECKPOINT = "_checkpoint"


class ScoreError(Exception):
    """The job cannot be done; the message is one sentence that says why and what helps."""


def absolute(address: str) -> str:
    """A path by its place, so that it means the same from another folder; an address as it is."""
    return address.rstrip("/") if "://" in address else str(Path(address).resolve())


def place(address: str) -> "tuple[FileSystem, str]":
    """The file system that an address or a path is on, and its path there.

    Raises:
        ScoreError: no file system is known by that name, or it cannot be reached.
    """
    import pyarrow as pa
    from pyarrow.fs import FileSystem

    try:
        uri = address if "://" in address else Path(address).as_uri()
        found: tuple[FileSystem, str] = FileSystem.from_uri(uri)
        return found
    except (pa.ArrowException, OSError) as error:
        raise ScoreError(f"{address} cannot be reached: {error}") from error


class Output:
    """The folder.

    Args:
        address: a path, or an address such as `s3://bucket/folder`.
    """

    def __init__(self, address: str) -> None:
        self.address = absolute(address)
        self.checkpoint = f"{self.address}/{CHECKPOINT}"
        self._files, self._folder = place(self.address)
        self._lock: int | None = None

    def is_done(self, job: dict[str, Any], stamps: Stamps) -> bool:
        """Whether there is nothing left to do.

        Args:
            stamps: what tells the input files, of those that are there, from later ones.

        Raises:
            ScoreError: it holds something else, what has changed since, or a part that cannot be
                gone on with.
        """
        found = self._job()
        if found is None:
            if self._names():
                raise ScoreError(f"{self.address} holds other files; name an empty folder.")
            return False
        if found["job"] != job:
            other = next(name for name in job if found["job"].get(name) != job[name])
            raise ScoreError(
                f"{self.address} was begun with another {other.replace('_', ' ')}"
                f" ({found['job'].get(other)}); name an empty folder."
            )
        if "summary" in found:
            for file, stamp in found["inputs"].items():
                if stamps.get(file, stamp) != stamp:
                    raise ScoreError(
                        f"{self.address} has the answers to {file} as it was before it changed;"
                        " name an empty folder."
                    )
            return True
        if job["id_column"] is None and self._parts():
            raise ScoreError(
                f"{self.address} holds a part of a run without --id-column, which nothing can go"
                " on with; remove it."
            )
        return False

    def take(self, job: dict[str, Any]) -> None:
        """Make the folder the job's own; so it may be already.

        Raises:
            ScoreError: another process writes there. In object storage that is not seen.
        """
        if self._job() is None:
            self._files.create_dir(self._folder, recursive=True)
            self._write({"job": job})
        if self._lock is None and "://" not in self.address:
            self._lock = lock(Path(self._folder))
            if self._lock is None:
                raise ScoreError(f"Another `sentiment score` writes to {self.address} just now.")

    def leave(self) -> None:
        """Let another process take it."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def end(self, rows: int, seconds: float, stamps: Stamps) -> str:
        """Write down that the job is done; how much that was, in words.

        Args:
            rows: that there were to score.
            seconds: that this run took.
            stamps: of the files it read.

        Raises:
            ScoreError: rows are missing.
        """
        import pyarrow.dataset as ds

        scored = ds.dataset(self._folder, filesystem=self._files, format="parquet")
        job = self._job() or {}
        count = scored.count_rows()
        if count < rows:
            raise ScoreError(
                f"{rows - count:,} of {rows:,} rows were left out, since others had their"
                f" {job['job']['id_column']!r}: it must be another in each row. Begin anew in an"
                " empty folder."
            )
        if count > rows:
            raise ScoreError(
                f"{self.address} has {count:,} rows, and there are {rows:,}: two jobs have written"
                " to it at the same time. Begin anew in an empty folder."
            )
        summary = {
            "rows": count,
            "errors": scored.count_rows(filter=ds.field(ERROR).is_valid()),
            "truncated": scored.count_rows(filter=ds.field(TRUNCATED)),
            "precisions": {
                name: amount
                for name in get_args(Precision)
                if (amount := scored.count_rows(filter=ds.field(PRECISION) == name))
            },
            "seconds": seconds,
        }
        self._write({**job, "inputs": stamps, "summary": summary})
        if CHECKPOINT in self._names():
            self._files.delete_dir(f"{self._folder}/{CHECKPOINT}")
        return _in_words(summary)

    def summary(self) -> str:
        """In words, once the job is done."""
        return _in_words((self._job() or {})["summary"])

    def _parts(self) -> list[str]:
        return [name for name in self._names() if name.endswith(".parquet")]

    def _names(self) -> list[str]:
        from pyarrow.fs import FileSelector

        found = self._files.get_file_info(FileSelector(self._folder, allow_not_found=True))
        return [info.base_name for info in found if info.base_name != NEW_JOB]

    def _job(self) -> dict[str, Any] | None:
        try:
            with self._files.open_input_file(f"{self._folder}/{JOB}") as file:
                job: dict[str, Any] = json.loads(file.readall())
                return job
        except FileNotFoundError:
            return None
        except ValueError as error:
            raise ScoreError(f"{self.address}/{JOB} is broken: {error}") from error

    def _write(self, job: dict[str, Any]) -> None:
        # Beside its place first: half a file would leave the rows that are done to nobody.
        with self._files.open_output_stream(f"{self._folder}/{NEW_JOB}") as file:
            file.write(json.dumps(job, indent=1).encode())
        self._files.move(f"{self._folder}/{NEW_JOB}", f"{self._folder}/{JOB}")


def _in_words(summary: dict[str, Any]) -> str:
    parts = [f"{summary['rows']:,} rows", f"{summary['errors']:,} with errors"]
    if summary["truncated"]:
        parts.append(f"{summary['truncated']:,} longer than the model reads")
    if len(summary["precisions"]) > 1:
        parts += [f"{count:,} in {name}" for name, count in summary["precisions"].items()]
    return f"{', '.join(parts)}; the last run took {summary['seconds']:.0f} s."
