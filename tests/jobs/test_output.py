"""The folder of `sentiment score`: two jobs at once."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from serve_app.jobs.output import ERROR, PRECISION, TRUNCATED, Output, ScoreError

JOB = {"id_column": "id"}


def test_a_second_job_at_once_is_refused(tmp_path: Path) -> None:
    first = Output(str(tmp_path / "out"))
    first.take(JOB)
    with pytest.raises(ScoreError, match="Another `sentiment score` writes to"):
        Output(str(tmp_path / "out")).take(JOB)
    first.leave()
    Output(str(tmp_path / "out")).take(JOB)


def test_rows_of_two_jobs_are_not_called_done(tmp_path: Path) -> None:
    output = Output(str(tmp_path / "out"))
    output.take(JOB)
    columns = {ERROR: [None], TRUNCATED: [False], PRECISION: ["int8"]}
    for name in "ab":
        pq.write_table(pa.table(columns), tmp_path / "out" / f"{name}.parquet")
    with pytest.raises(ScoreError, match="has 2 rows, and there are 1"):
        output.end(1, 1.0, {})
    assert "2 rows" in output.end(2, 1.0, {})
