"""`sentiment score` with a real Ray: every row once, whatever the format, also after a kill."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import psutil
import pyarrow as pa
import pytest

from serve_app.engine.artifacts import Artifacts
from serve_app.engine.backend import Encoded
from serve_app.engine.batcher import Budget
from serve_app.engine.loading import load
from serve_app.engine.postprocess import apply
from serve_app.jobs.output import ADDED, ERROR, LABEL, PRECISION, SCORE, TRUNCATED, ScoreError
from serve_app.jobs.score import Scorer, neighbours, parser, score
from tests.jobs.conftest import ROOT

ALONE = {name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"}
WORDS = "the film was very good bad great awful not and but i it".split()


def texts(count: int) -> list[str]:
    return [" ".join(WORDS[: 1 + n % 13]) + f" {n}" for n in range(count)]


def start(*arguments: str | Path) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "serve_app.cli", "score", *map(str, arguments)],
        cwd=ROOT,
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
        env=ALONE,
    )


def run(*arguments: str | Path) -> tuple[int, str]:
    process = start(*arguments)
    _, said = process.communicate(timeout=200)
    return process.returncode, said


def scored(folder: Path) -> pd.DataFrame:
    return pd.concat(map(pd.read_parquet, sorted(folder.glob("*.parquet"))), ignore_index=True)


def expected(prepared: Path, backend: str, given: list[str]) -> pd.DataFrame:
    """Each text by itself, as a replica answers it."""
    artifacts = Artifacts(prepared)
    loaded, _ = load(backend, artifacts, 1)  # type: ignore[arg-type]
    scores = [apply(loaded.logits(loaded.encode([text])), "softmax")[0] for text in given]
    labels = [artifacts.manifest.labels[row.argmax()] for row in scores]
    return pd.DataFrame({LABEL: labels, SCORE: [row.max() for row in scores]})


ENDING = """
import signal, sys
from serve_app.jobs import score
from serve_app.jobs.stopping import Stopped

def end(*_):
    raise Stopped(signal.SIGINT)

score.Output.end = end
sys.exit(score.main(sys.argv[1:]))
"""


def test_csv_in_parquet_out_with_a_fault_in_its_place_and_a_stop_at_its_very_end(
    prepared: Path, tmp_path: Path
) -> None:
    given = texts(40)
    ids = [*map(str, range(20)), *(f"0{number}" for number in range(20))]  # "7" is not "07"
    frame = pd.DataFrame({"id": ids, "review": given, "stars": 5})
    frame.loc[7, "review"] = "  "  # a part with an error, and one without
    frame.loc[8, "review"] = "12"
    frame.loc[9, "review"] = "good " * 2000
    frame.to_csv(tmp_path / "in.csv", index=False)
    output = tmp_path / "out"
    arguments: list[str | Path] = [tmp_path / "in.csv", "--output", output, "--model", prepared]
    arguments += ("--text-column", "review", "--id-column", "id", "--backend", "transformers")
    arguments += ("--part-rows", "20", "--processes", "1")
    stopped = subprocess.run(
        [sys.executable, "-c", ENDING, *map(str, arguments)],
        cwd=ROOT, stderr=subprocess.PIPE, text=True, timeout=200, check=False, env=ALONE,
    )  # fmt: skip
    assert stopped.returncode == 130, stopped.stderr
    assert "The same command goes on from here." in stopped.stderr
    code, said = run(*arguments)
    assert code == 0, said
    assert "is done: 40 rows, 1 with errors, 1 longer than the model reads" in said
    assert not (output / "_checkpoint").exists()
    rows = pd.read_parquet(output)  # as one: its parts have the same types
    assert sorted(rows["id"]) == sorted(ids)
    assert list(rows.columns) == ["id", "review", "stars", *ADDED]
    rows = rows.set_index("id").loc[ids].reset_index()
    assert rows["review"].tolist() == frame["review"].tolist()
    assert rows["stars"].tolist() == ["5"] * 40
    bad = rows.loc[7]
    assert "blank" in bad[ERROR]
    assert bad[[LABEL, SCORE]].isna().all()
    assert rows.index[rows[TRUNCATED]].tolist() == [9]
    assert set(rows[PRECISION]) == {"fp32"}
    good = rows.drop(index=7)
    assert good[ERROR].isna().all()
    wanted = expected(prepared, "transformers", good["review"].tolist())
    assert good[LABEL].tolist() == wanted[LABEL].tolist()
    assert good[SCORE].tolist() == pytest.approx(wanted[SCORE].tolist(), abs=1e-5)

    parts = set(output.glob("*.parquet"))
    (tmp_path / "in.csv").unlink()  # what is done needs its input no more
    code, said = run(*arguments)
    assert code == 0, said
    assert "is done: 40 rows" in said
    assert set(output.glob("*.parquet")) == parts


def test_a_killed_job_goes_on_and_has_every_row_once(prepared: Path, tmp_path: Path) -> None:
    count = 8_000
    given = texts(count)
    lines = [json.dumps({"id": f"row-{n}", "input": text}) for n, text in enumerate(given)]
    (tmp_path / "in.ndjson").write_text("\n".join(lines) + "\n")
    output = tmp_path / "out"
    arguments: list[str | Path] = [tmp_path / "in.ndjson", "--output", output, "--model", prepared]
    arguments += ("--id-column", "id", "--part-rows", "200", "--processes", "1")
    process = start(*arguments)
    deadline = time.monotonic() + 150
    while len(list((output / "_checkpoint").glob("*_*.parquet"))) < 3:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.01)
    # Workers outlive the group's end for a moment, and would write on beside the next run.
    workers = psutil.Process(process.pid).children(recursive=True)
    os.killpg(process.pid, signal.SIGKILL)
    for worker in workers:
        with contextlib.suppress(psutil.NoSuchProcess):
            worker.kill()
    psutil.wait_procs(workers, 20)
    process.communicate()
    done = list((output / "_checkpoint").glob("*_*.parquet"))
    assert 0 < len(done) < count // 200, "killed in the middle"
    code, said = run(*arguments)
    assert code == 0, said
    rows = scored(output)
    assert sorted(rows["id"]) == sorted(f"row-{n}" for n in range(count))
    some = rows.sample(50, random_state=1)
    wanted = expected(prepared, "onnx", some["input"].tolist())
    assert some[LABEL].tolist() == wanted[LABEL].tolist()
    assert some[SCORE].tolist() == pytest.approx(wanted[SCORE].tolist(), abs=1e-5)
    code, said = run(*arguments[:3], "--model", prepared, "--id-column", "id", "--backend",
                     "transformers")  # fmt: skip
    assert code == 1
    assert "was begun with another backend (onnx)" in said


def test_a_refusal_is_one_sentence_and_leaves_nothing(prepared: Path, tmp_path: Path) -> None:
    output = tmp_path / "out"
    options = ("--output", output, "--model", prepared)
    for name, content, says in (
        ("in.txt", "fine\n", "is no .ndjson, .jsonl, .csv, .tsv or .parquet file."),
        ("none.csv", None, "No such file or directory."),
        ("in.csv", "text\nfine\n", "has no column 'input'; --text-column names one of: text."),
    ):
        if content is not None:
            (tmp_path / name).write_text(content)
        code, said = run(tmp_path / name, *options)
        assert code == 1, said
        last = said.rstrip().splitlines()[-1]
        assert last.startswith("sentiment: ")
        assert last.endswith(says)
        assert not output.exists()


@pytest.mark.parametrize(
    ("cluster", "address"), [(None, "local"), ("", "local"), ("10.0.0.1:6379", None)]
)
def test_a_ray_of_its_own_unless_a_cluster_is_named(
    cluster: str | None,
    address: str | None,
    prepared: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import ray

    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    if cluster is not None:
        monkeypatch.setenv("RAY_ADDRESS", cluster)
    given: dict[str, object] = {}

    def init(**options: object) -> None:
        given.update(options)
        raise ScoreError("No further.")

    monkeypatch.setattr(ray, "init", init)
    path = tmp_path / "in.csv"
    path.write_text("input\nfine\n")
    arguments = [str(path), "--output", str(tmp_path / "out"), "--model", str(prepared)]
    with pytest.raises(ScoreError, match="No further"):
        score(parser().parse_args(arguments))
    assert given["address"] == address
    assert (given["num_cpus"] is None) == (address is None)


def test_a_row_without_a_text_is_told_so(prepared: Path) -> None:
    scorer = Scorer(str(prepared), "onnx", "review")
    for value, kind in ((None, "null"), (3, "a number"), (["a", "b"], "a list")):
        scored = scorer(pa.table({"review": [value]}))
        assert scored[ERROR].to_pylist() == [f"`review` must be a text, not {kind}."]


def test_neighbours_hold_every_text_once_within_the_budget() -> None:
    encoded = [Encoded([1] * (1 + n * 7 % 90)) for n in range(200)]
    budget = Budget(texts=8, tokens=300, padding=0.15)
    batches = list(neighbours(encoded, budget))
    assert sorted(index for batch in batches for index in batch) == list(range(200))
    for batch in batches:
        lengths = [len(encoded[index]) for index in batch]
        assert len(batch) == 1 or budget.allows(len(batch), max(lengths), sum(lengths))
