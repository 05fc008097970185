"""`sentiment score`: label every row of files of any size with Ray Data, on all CPUs of a cluster.

The way offline: the classifier that the service runs, certified on each CPU it runs on, with no
server. Rows keep their columns, those of CSV and TSV files as texts, and gain `prediction`,
`prediction_score`, `prediction_error`, `prediction_truncated` and `prediction_precision`. Files may
lie in object storage; `RAY_ADDRESS` names a cluster, else one is started here.
"""

import argparse
import os
import sys
import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from serve_app.api.errors import ProblemError
from serve_app.api.schemas import check_text
from serve_app.engine.artifacts import ArtifactError, Artifacts
from serve_app.engine.backend import Encoded
from serve_app.engine.batcher import Budget
from serve_app.engine.loading import BACKENDS, BackendName, load
from serve_app.engine.postprocess import DEFAULT_FUNCTION, apply, rank
from serve_app.jobs import preflight
from serve_app.jobs.arguments import positive
from serve_app.jobs.output import (
    ERROR,
    LABEL,
    PRECISION,
    SCORE,
    TRUNCATED,
    Output,
    ScoreError,
)
from serve_app.jobs.rows import Inputs, inputs
from serve_app.jobs.source import DEFAULT_MODEL, prepared
from serve_app.jobs.stopping import Stopped, stoppable
from serve_app.ray_environment import keeping_sigterm

if TYPE_CHECKING:
    import pyarrow as pa

ROWS = 1024
"""Of one task: enough to find neighbours in length, few enough to lose by a kill."""
BUDGET = Budget()
SPARE_CPUS = 2
"""Reserved beside the models', in number: Ray Data's tasks that read and write, and the one that
leaves out finished rows. Without them a job that goes on waits for itself."""


class Scorer:
    """Labels batches of rows; Ray Data keeps one in each of its processes.

    Raises:
        ArtifactError: the prepared folder is not on this node, or altered.
        NotCertifiedError: the model does not answer on this node as it did at preparation.
    """

    def __init__(self, model: str, backend: BackendName, column: str) -> None:
        artifacts = Artifacts(model)
        self._backend, _ = load(backend, artifacts, threads=1)
        self._labels = artifacts.manifest.labels
        self._function = DEFAULT_FUNCTION[artifacts.manifest.problem_type]
        self._column = column

    def __call__(self, rows: "pa.Table") -> "pa.Table":
        """The rows with the columns that are added; a bad text has an error in place of a label."""
        import pyarrow as pa

        texts = rows.column(self._column).to_pylist()
        errors = [_fault(text, self._column) for text in texts]
        truncated = [False] * len(texts)
        good = [row for row, error in enumerate(errors) if error is None]
        labels: list[str | None] = [None] * len(texts)
        scores: list[float | None] = [None] * len(texts)
        encoded = self._backend.encode([texts[row] for row in good])
        for row, one in zip(good, encoded, strict=True):
            truncated[row] = one.truncated
        for batch in neighbours(encoded, BUDGET):
            logits = self._backend.logits([encoded[index] for index in batch])
            best = rank(apply(logits, self._function), self._labels, top_k=1)
            for index, (top,) in zip(batch, best, strict=True):
                labels[good[index]], scores[good[index]] = top["label"], top["score"]
        # With their types: those of a part without an error, or with nothing else, would be others.
        for name, values, kind in (
            (LABEL, labels, pa.string()),
            (SCORE, scores, pa.float64()),
            (ERROR, errors, pa.string()),
            (TRUNCATED, truncated, pa.bool_()),
            (PRECISION, [self._backend.precision] * len(texts), pa.string()),
        ):
            rows = rows.append_column(name, pa.array(values, kind))
        return rows


def neighbours(encoded: Sequence[Encoded], budget: Budget) -> Iterator[list[int]]:
    """Indices of the texts by length, in batches within the budget: padding is computed too."""
    batch: list[int] = []
    tokens = 0
    for index in sorted(range(len(encoded)), key=lambda index: len(encoded[index])):
        length = len(encoded[index])
        if batch and not budget.allows(len(batch) + 1, length, tokens + length):
            yield batch
            batch, tokens = [], 0
        batch.append(index)
        tokens += length
    if batch:
        yield batch


def _fault(text: Any, column: str) -> str | None:
    try:
        check_text(text, column)
    except ProblemError as error:
        return error.detail
    return None


def main(argv: Sequence[str]) -> int:
    """Returns 0, 1 where it was refused with a sentence, 128 and a signal's number after one."""
    options = parser().parse_args(argv)
    try:
        with stoppable():
            score(options)
    except (ScoreError, ArtifactError) as error:
        print(f"sentiment: {error}", file=sys.stderr)
        return 1
    except ConnectionError as error:
        print(f"sentiment: the Ray cluster cannot be reached: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"sentiment: {options.output} cannot be used: {error}", file=sys.stderr)
        return 1
    except Stopped as stop:
        print(f"sentiment: stopped. {_how_to_go_on(options)}", file=sys.stderr)
        return stop.code
    return 0


def parser() -> argparse.ArgumentParser:
    """The arguments of `sentiment score`."""
    result = argparse.ArgumentParser(
        prog="sentiment score",
        description="Label every row of NDJSON, CSV, TSV or Parquet files; writes Parquet.",
        epilog="With --id-column, a run that was broken off goes on where it was: give the same"
        " command again.",
    )
    result.add_argument("files", nargs="+", metavar="FILE", help="or a folder, or s3://…")
    result.add_argument("--output", required=True, metavar="DIR", help="a folder, or s3://…")
    result.add_argument(
        "--model",
        type=prepared,
        default=DEFAULT_MODEL,
        help="one that was prepared, by its folder or as it was named then (default: %(default)s)",
    )
    result.add_argument(
        "--backend", choices=BACKENDS, default="onnx", help="(default: %(default)s)"
    )
    result.add_argument(
        "--text-column", default="input", metavar="NAME", help="(default: %(default)s)"
    )
    result.add_argument(
        "--id-column", metavar="NAME", help="whose values are unique: needed to go on"
    )
    result.add_argument(
        "--part-rows",
        type=positive,
        default=16 * ROWS,
        metavar="N",
        help="of each file that is written: what a kill may cost (default: %(default)s)",
    )
    result.add_argument(
        "--processes",
        type=positive,
        metavar="N",
        help="most at a time, of one CPU each (default: all)",
    )
    return result


def score(options: argparse.Namespace) -> None:
    """Do the job, or what is left of it.

    Raises:
        ScoreError: the files, the columns or the output do not do.
        ArtifactError: the model's folder does not.
    """
    try:
        import ray
        import ray.data
    except ImportError as error:
        raise ScoreError(f"{error.name} is missing: pip install -e '.[score]'") from None
    artifacts = Artifacts(options.model, verify=False)
    files = inputs(options.files, options.text_column, options.id_column)
    output = Output(options.output)
    job = _job(options, files, artifacts)
    stamps = files.stamps()
    if output.is_done(job, stamps):
        print(f"sentiment: {options.output} is done: {output.summary()}", file=sys.stderr)
        return
    found = files.look_through()
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    here = not os.environ.get("RAY_ADDRESS")
    with keeping_sigterm():
        ray.init(
            address="local" if here else None,
            num_cpus=preflight.cpus() + SPARE_CPUS if here else None,
            logging_level="WARNING",
            log_to_driver=False,
        )
    try:
        output.take(job)
        if options.id_column:  # what is read from here on leaves out the rows that are done
            from ray.data.checkpoint import CheckpointConfig

            # Ray would delete it before the job's end is written down, and the rows were done anew.
            ray.data.DataContext.get_current().checkpoint_config = CheckpointConfig(
                options.id_column, output.checkpoint, delete_checkpoint_on_success=False
            )
        processes = options.processes or _processes(int(ray.cluster_resources().get("CPU", 0)))
        start = time.monotonic()
        files.data(found).repartition(target_num_rows_per_block=options.part_rows).map_batches(
            Scorer,
            fn_constructor_args=(str(artifacts.folder), options.backend, options.text_column),
            batch_size=min(ROWS, options.part_rows),
            batch_format="pyarrow",
            num_cpus=1,
            compute=ray.data.ActorPoolStrategy(min_size=1, max_size=processes),
        ).write_parquet(output.address)
        summary = output.end(found.rows, time.monotonic() - start, stamps)
    except ray.exceptions.RayError as error:
        raise ScoreError(f"{_last_line(error)} {_how_to_go_on(options)}") from error
    finally:
        output.leave()
        ray.shutdown()
    print(f"sentiment: {options.output} is done: {summary}", file=sys.stderr)


def _processes(cpus: int) -> int:
    if cpus <= SPARE_CPUS:
        raise ScoreError(f"The cluster has {cpus} CPUs; at least {SPARE_CPUS + 1} are needed.")
    return cpus - SPARE_CPUS


def _job(options: argparse.Namespace, files: Inputs, artifacts: Artifacts) -> dict[str, Any]:
    """All that decides what is written."""
    return {
        "files": files.files,
        "text_column": options.text_column,
        "id_column": options.id_column,
        "backend": options.backend,
        "model": artifacts.manifest.model_id,
        "fingerprint": artifacts.manifest.fingerprint,
    }


def _how_to_go_on(options: argparse.Namespace) -> str:
    if options.id_column:
        return "The same command goes on from here."
    return "Without --id-column it cannot go on; begin anew in an empty folder."


def _last_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1].rstrip(".") + "." if lines else f"{type(error).__name__}."
