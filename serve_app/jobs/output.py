"""The folder that `sentiment score` writes, here or in object storage: whose it is, and how far.

*.parquet      the scored rows, in no order
_job.json      what they are of; at the end also how many
_checkpoint/   Ray Data's list of the rows that are done; gone at the end

Readers of Parquet folders pass over names that begin with an underscore.
"""

import json
from pathlib import Path
from typing import Any

LABEL, SCORE, ERROR = "prediction", "prediction_score", "prediction_error"
"""The columns that are added."""
JOB = "_job.json"
CHECKPOINT = "_checkpoint"


class ScoreError(Exception):
    """The job cannot be done; the message is one sentence that says why and what helps."""


class Output:
    """The folder.

    Args:
        address: a path, or an address such as `s3://bucket/folder`.
    """

    def __init__(self, address: str) -> None:
        from pyarrow.fs import FileSystem

        local = "://" not in address
        self.address = str(Path(address).resolve()) if local else address.rstrip("/")
        uri = Path(self.address).as_uri() if local else self.address
        self.checkpoint = f"{self.address}/{CHECKPOINT}"
        self._files, self._folder = FileSystem.from_uri(uri)

    def is_done(self, job: dict[str, Any]) -> bool:
        """Whether there is nothing left to do.

        Raises:
            ScoreError: it holds something else, or a part that cannot be gone on with.
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
            return True
        if job["id_column"] is None and self._parts():
            raise ScoreError(
                f"{self.address} holds a part of a run without --id-column, which nothing can go"
                " on with; remove it."
            )
        return False

    def take(self, job: dict[str, Any]) -> None:
        """Make the folder the job's own; so it may be already."""
        self._files.create_dir(self._folder, recursive=True)
        self._write({"job": job})

    def end(self, seconds: float) -> str:
        """Write down that the job is done; how much that was, in words.

        Args:
            seconds: that this run took.
        """
        import pyarrow.dataset as ds

        rows = errors = 0
        if self._parts():
            scored = ds.dataset(self._folder, filesystem=self._files, format="parquet")
            rows = scored.count_rows()
            errors = scored.count_rows(filter=ds.field(ERROR).is_valid())
        summary = {"rows": rows, "errors": errors, "seconds": seconds}
        self._write({**(self._job() or {}), "summary": summary})
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
        return [info.base_name for info in found]

    def _job(self) -> dict[str, Any] | None:
        try:
            with self._files.open_input_file(f"{self._folder}/{JOB}") as file:
                job: dict[str, Any] = json.loads(file.readall())
                return job
        except FileNotFoundError:
            return None

    def _write(self, job: dict[str, Any]) -> None:
        with self._files.open_output_stream(f"{self._folder}/{JOB}") as file:
            file.write(json.dumps(job, indent=1).encode())


def _in_words(summary: dict[str, Any]) -> str:
    rows, errors, seconds = summary["rows"], summary["errors"], summary["seconds"]
    return f"{rows:,} rows, {errors:,} with errors, {seconds:.0f} s."
