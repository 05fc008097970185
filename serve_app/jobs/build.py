"""From a model that was fetched to all the files of a prepared folder, each part checked.

torch in float32 -> ONNX, fused -> compared with torch -> int8 -> compared -> manifest.
"""

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from serve_app.engine.artifacts import (
    GOLDEN,
    MANIFEST,
    ONNX,
    TORCH,
    Artifacts,
    Golden,
    Manifest,
    Measured,
    Precision,
    sha256,
)
from serve_app.engine.certificate import BATCH_BOUND
from serve_app.engine.loading import BACKENDS, load
from serve_app.engine.onnx_backend import onnx_run
from serve_app.jobs import candidates, classifier, verify
from serve_app.jobs.errors import PrepareError, one_line, out_of_space
from serve_app.jobs.fingerprint import versions
from serve_app.jobs.labelled import COLUMNS, Labelled, read
from serve_app.jobs.progress import Steps
from serve_app.jobs.source import Source
from serve_app.jobs.texts import fixed_texts, golden_texts
from serve_app.jobs.verify import Probabilities, Run, Sample, Verdict

FEW = 32
"""Texts by which it is seen whether torch's answers depend on the batch."""


@dataclass(frozen=True)
class Order:
    """What is to be built.

    Attributes:
        source: where the model comes from, named in the manifest and in messages.
        labelled: file that accuracy is measured with.
        precision: "auto", "fp32" or "int8".
        fingerprint: of all that went in.
    """

    source: Source
    labelled: Path | None
    precision: str
    fingerprint: str


@dataclass(frozen=True)
class Graphs:
    """What became of the ONNX side."""

    measured: dict[Precision, Measured]
    served: Precision
    threshold: float
    notes: list[str]


def build(order: Order, fetched: Path, target: Path, steps: Steps) -> Manifest:
    """Write every file of a prepared folder.

    Args:
        fetched: the model in transformers' layout.
        target: an empty folder.

    Raises:
        PrepareError: the model cannot be loaded, exported or made to agree with torch.
        LabelledError: the file has a label that the model has not.
    """
    with steps.step("loading it in torch"):
        loaded = classifier.load(fetched, order.source.model_id)
        classifier.write(loaded, target / TORCH)
    labelled = Labelled([], None)
    if order.labelled:
        labelled = read(order.labelled, *COLUMNS, loaded.labels)
    fixed = fixed_texts()
    texts = fixed + labelled.texts
    with steps.step(f"asking torch about {len(texts)} texts"):
        classes = labelled.labels or []
        sample = verify.tokenize(loaded.tokenizer, texts, len(fixed), classes, loaded.pad)
        run = verify.torch_run(loaded.model)
        reference = _reference(loaded, run, sample, order.source.model_id)
        golden = _golden(loaded, run)
    (target / GOLDEN).write_text(golden.model_dump_json(indent=1) + "\n", encoding="utf-8")
    graphs = _graphs(order, loaded, sample, reference, target / ONNX, steps)
    with steps.step("writing the manifest"):
        manifest = Manifest(
            model_id=order.source.model_id,
            revision=order.source.revision,
            licence=order.source.licence,
            labels=loaded.labels,
            problem_type=loaded.problem_type,
            max_length=loaded.max_length,
            parameters=loaded.parameters,
            precision=graphs.served,
            torch_accuracy=verify.accuracy(reference, sample),
            measured=graphs.measured,
            notes=graphs.notes,
            auto_threshold=graphs.threshold,
            fingerprint=order.fingerprint,
            versions=versions(),
            files=_digests(target),
        )
        text = manifest.model_dump_json(indent=2)
        (target / MANIFEST).write_text(f"{text}\n", encoding="utf-8")
    with steps.step("loading it as replicas do"):
        artifacts = Artifacts(target, verify=False)
        try:
            for name in BACKENDS:
                load(name, artifacts, threads=1)
        except Exception as error:
            if out_of_space(error):
                raise
            raise PrepareError(f"no replica would serve it: {one_line(error)}") from error
    return manifest


def _reference(
    loaded: classifier.Classifier, run: Run, sample: Sample, where: str
) -> Probabilities:
    """Torch's answers.

    Raises:
        PrepareError: it fails on some text, or its answers are not the text's alone.
    """
    few = verify.first(sample, min(FEW, sample.fixed))
    try:
        reference = verify.predict(run, sample, sample.sorted(), loaded.problem_type)
        alone = verify.predict(run, few, few.alone(), loaded.problem_type)
        strangers = verify.predict(run, few, few.strangers(), loaded.problem_type)
    except Exception as error:
        if out_of_space(error):
            raise
        raise PrepareError(f"{where} does not run in torch: {one_line(error)}") from error
    if not np.isfinite(reference).all():
        raise PrepareError(f"{where} answers with what is no number: its weights are damaged")
    drift = float(np.abs(alone - strangers).max())
    if drift > BATCH_BOUND:
        raise PrepareError(
            f"{where} answers by {drift:.1g} otherwise where its text is padded to the length of"
            " others: it cannot be served in batches"
        )
    return reference


def _graphs(
    order: Order,
    loaded: classifier.Classifier,
    sample: Sample,
    reference: Probabilities,
    folder: Path,
    steps: Steps,
) -> Graphs:
    """Export, fuse and quantise; what does not hold its bounds is not kept."""
    folder.mkdir()
    threads = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 2

    def judge(path: Path) -> Verdict:
        run = onnx_run(path, threads)
        return verify.measure(run, reference, sample, loaded.problem_type)

    with steps.step("exporting and fusing it"):
        plain, fused, notes = candidates.export_and_fuse(loaded)
    with steps.step("comparing fp32 with torch"):
        path = folder / "fp32.onnx"
        kept, verdict, more = candidates.first_that_agrees(path, [*fused, plain], judge)
        notes += more
    measured: dict[Precision, Measured] = {"fp32": verdict.measured}
    if order.precision == "fp32":
        return Graphs(measured, "fp32", verdict.threshold, notes)
    with steps.step("quantising it"):
        quantised, more = candidates.quantised(kept)
        notes += more
    with steps.step("comparing int8 with torch"):
        better, faults = candidates.hold(folder / "int8.onnx", quantised, judge)
    if better is None:
        reasons = "; ".join(faults)
        if order.precision == "int8":
            raise PrepareError(f"{order.source.model_id} cannot be served in int8: {reasons}")
        return Graphs(measured, "fp32", verdict.threshold, [*notes, f"No int8: {reasons}."])
    measured["int8"] = better.measured
    return Graphs(measured, "int8", better.threshold, notes)


def _golden(loaded: classifier.Classifier, run: Run) -> Golden:
    """Torch's answers to each golden text alone."""
    texts = golden_texts()
    sample = verify.tokenize(loaded.tokenizer, texts, len(texts), [], loaded.pad)
    answers = verify.predict(run, sample, sample.alone(), loaded.problem_type)
    return Golden(texts=texts, probabilities=answers.tolist())


def _digests(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): sha256(path) for path in files}
