"""The files that `sentiment score` labels: their rows, columns and faults, and as a Ray data set.

All of a file is looked through before the long part begins: that takes seconds for what the model
takes an hour for, and a fault in the last line would end the job near its end.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from serve_app.jobs.kinds import KINDS
from serve_app.jobs.output import ADDED, ScoreError, Stamps, absolute, place

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True)
class Inputs:
    """Files of one kind.

    Attributes:
        files: paths, absolute, or addresses such as `s3://bucket/reviews.csv`.
        text, ident: the columns with the texts and, where there is one, the rows' ids.
    """

    files: list[str]
    kind: str
    text: str
    ident: str | None

    def stamps(self) -> Stamps:
        """Of each file that is there.

        Raises:
            ScoreError: it cannot be looked at.
        """
        from pyarrow.fs import FileSelector, FileType

        found: Stamps = {}
        for file in self.files:
            files, path = place(file)
            try:
                infos = files.get_file_info([path])
                if infos[0].type == FileType.Directory:
                    infos = files.get_file_info(FileSelector(path, recursive=True))
            except OSError as error:
                raise ScoreError(f"{file} cannot be read: {_said(error)}") from error
            found |= {
                info.path: [info.size, info.mtime_ns]
                for info in infos
                if info.type == FileType.File
            }
        return found

    def look_through(self) -> "Found":
        """Read all of them once.

        Raises:
            ScoreError: one cannot be read, lacks a column, has one of those to be added, or a row
                without an id.
        """
        import pyarrow as pa

        look = {"ndjson": self._ndjson, "parquet": self._parquet}.get(self.kind, self._separated)
        rows, types = 0, []
        for file in self.files:
            try:
                count, schema = look(file)
            except (pa.ArrowException, UnicodeDecodeError) as error:
                raise ScoreError(f"{file} does not read as {self.kind}: {_said(error)}") from error
            except OSError as error:
                raise ScoreError(f"{file} cannot be read: {_said(error)}") from error
            rows += count
            types.append(schema)
        if not rows:
            raise ScoreError(f"{', '.join(self.files)}: no rows.")
        return Found(rows, self._joined(types))

    def data(self, found: "Found") -> Any:
        """The files as a Ray data set."""
        import ray.data

        if self.kind == "parquet":
            return ray.data.read_parquet(self.files)
        if self.kind == "ndjson":
            from serve_app.jobs.ndjson import NdjsonSource

            return ray.data.read_datasource(NdjsonSource(self.files, found.types))
        parse, convert = self._options
        return ray.data.read_csv(
            self.files, file_extensions=None, parse_options=parse, convert_options=convert
        )

    @property
    def _options(self) -> tuple[Any, Any]:
        """How CSV and TSV are parsed and converted."""
        import pyarrow as pa
        from pyarrow import csv

        if self.kind == "tsv":
            parse = csv.ParseOptions(delimiter="\t", quote_char=False)
        else:
            parse = csv.ParseOptions(newlines_in_values=True)
        # A guessed type would change what is written: "007" would be 7.
        return parse, csv.ConvertOptions(default_column_type=pa.string())

    def _separated(self, file: str) -> "tuple[int, pa.Schema]":
        from pyarrow import csv

        parse, convert = self._options
        files, path = place(file)
        # In one thread a message names its row.
        read = csv.ReadOptions(use_threads=False)
        with (
            files.open_input_stream(path) as stream,
            csv.open_csv(stream, read, parse, convert) as reader,
        ):
            self._require(file, reader.schema.names)
            return self._counted(file, reader), reader.schema

    def _parquet(self, file: str) -> "tuple[int, pa.Schema]":
        import pyarrow.dataset as ds

        files, path = place(file)
        data = ds.dataset(path, filesystem=files, format="parquet")
        self._require(file, data.schema.names)
        if self.ident is None:
            return data.count_rows(), data.schema
        return self._counted(file, data.to_batches(columns=[self.ident])), data.schema

    def _ndjson(self, file: str) -> "tuple[int, pa.Schema]":
        from serve_app.jobs.ndjson import LineError, numbered, schema_of

        count = 0

        def rows(stream: Any) -> Iterator[dict[str, Any]]:
            nonlocal count
            for line, row in numbered(stream):
                if self.ident is not None and row.get(self.ident) in (None, ""):
                    other = "" if self.ident in row else f"; it has {', '.join(row)}"
                    raise LineError(f"line {line} has no {self.ident!r}{other}")
                count += 1
                yield row

        files, path = place(file)
        try:
            with files.open_input_stream(path) as stream:
                types = schema_of(rows(stream), self.text)
        except LineError as error:
            raise ScoreError(f"{file}, {error}.") from None
        if count:
            self._require(file, types.names)
        return count, types

    def _joined(self, types: "Sequence[pa.Schema]") -> "pa.Schema":
        """Of all files; NDJSON alone says by itself which types its columns have."""
        import pyarrow as pa

        if self.kind != "ndjson":
            return types[0]
        from serve_app.jobs.ndjson import joined

        found = joined(types)
        if self.ident is not None:
            kind = found.field(self.ident).type
            if not (pa.types.is_string(kind) or pa.types.is_integer(kind)):
                raise ScoreError(f"{self.files[0]}: {self.ident!r} must be texts or whole numbers.")
        return found

    def _counted(self, file: str, batches: "Iterator[pa.RecordBatch]") -> int:
        """The rows; each must have an id."""
        import pyarrow as pa
        import pyarrow.compute as pc

        count = 0
        for batch in batches:
            if self.ident is not None:
                ids = batch.column(self.ident)
                missing = pc.is_null(ids, nan_is_null=True)
                if pa.types.is_string(ids.type) or pa.types.is_large_string(ids.type):
                    missing = pc.or_(missing, pc.fill_null(pc.equal(ids, ""), fill_value=True))
                first = pc.index(missing, value=True).as_py()
                if first >= 0:
                    raise ScoreError(
                        f"{file}, row {count + first + 1} has no {self.ident!r}: each row needs"
                        " one."
                    )
            count += batch.num_rows
        return count

    def _require(self, file: str, columns: Sequence[str]) -> None:
        for option, name in (("text", self.text), ("id", self.ident)):
            if name is not None and name not in columns:
                raise ScoreError(
                    f"{file} has no column {name!r}; --{option}-column names one of:"
                    f" {', '.join(columns)}."
                )
        taken = [name for name in ADDED if name in columns]
        if taken:
            raise ScoreError(f"{file} has a column {taken[0]!r} already.")


@dataclass(frozen=True)
class Found:
    """What the files hold.

    Attributes:
        rows: of all of them.
        types: of the columns.
    """

    rows: int
    types: "pa.Schema"


def inputs(files: Sequence[str], text: str, ident: str | None) -> Inputs:
    """The files by the endings of their names; a folder is taken to hold Parquet files.

    Raises:
        ScoreError: they are of several kinds, or of none, or cannot be looked at.
    """
    kinds = {_kind(file) for file in files}
    if len(kinds) > 1:
        raise ScoreError(f"The files are of several kinds: {', '.join(sorted(kinds))}.")
    return Inputs([absolute(file) for file in files], kinds.pop(), text, ident)


def _kind(file: str) -> str:
    try:
        if Path(file).is_dir():
            return "parquet"
    except OSError as error:  # a folder above it is closed to us
        raise ScoreError(f"{file} cannot be read: {error.strerror}.") from None
    name = file.lower().removesuffix(".gz").rpartition("/")[2]
    ending = name.rpartition(".")[2] if "." in name else "parquet"
    if ending not in KINDS:
        raise ScoreError(f"{file} is no .ndjson, .jsonl, .csv, .tsv or .parquet file.")
    return KINDS[ending]


def _said(error: Exception) -> str:
    text = " ".join(str(error).split())
    if isinstance(error, UnicodeDecodeError) or "invalid UTF8" in text:
        return "it is not UTF-8 text; save it as UTF-8."
    return text.rstrip(".") + "."
