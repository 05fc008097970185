"""Unpack a Parquet file from the standard input to a stream of Arrow on the standard output.

A process of its own: some hundred bytes of Parquet can hold gigabytes, in one value as well as in
many, and what the file says of its size need not be true. Here the system ends what takes too
much, and the page goes on.
"""

import io
import resource
import sys

import pyarrow as pa
import pyarrow.parquet as pq

MEMORY = 600_000_000
"""Bytes this process may take: the file, what is read at a time, and some 120 MB of Python."""
CPU_S = 60
TOO_MUCH = 3
"""The exit status of a file that holds more than it may."""


def unpack(content: bytes, most_rows: int, most_bytes: int) -> None:
    """Write the rows, spelled out, until there are more than `most_rows`.

    Raises:
        MemoryError: they are more than `most_bytes`.
    """
    file = pq.ParquetFile(io.BytesIO(content))
    schema = pa.schema(map(_spelled_out, file.schema_arrow), file.schema_arrow.metadata)
    with pa.ipc.new_stream(sys.stdout.buffer, schema) as written:
        for batch in file.iter_batches(batch_size=1000, use_threads=False):
            rows = batch.cast(schema)
            most_bytes -= pa.ipc.get_record_batch_size(rows)
            if most_bytes < 0:
                raise MemoryError
            written.write_batch(rows)
            most_rows -= rows.num_rows
            if most_rows < 0:
                break


def _spelled_out(field: pa.Field) -> pa.Field:
    """Have values stand where a dictionary has each of them once, for all rows that have it."""
    if pa.types.is_dictionary(field.type):
        return field.with_type(field.type.value_type)
    if "dictionary<" in str(field.type):  # no cast of Arrow's reaches there, and it could be huge
        raise pa.ArrowNotImplementedError("a dictionary within another type")
    return field


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_S, CPU_S))
    try:
        unpack(sys.stdin.buffer.read(), *map(int, sys.argv[1:]))
    except MemoryError:
        sys.exit(TOO_MUCH)
