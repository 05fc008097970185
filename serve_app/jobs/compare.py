"""`sentiment compare`: torch and ONNX on your labelled texts: answers, speed, and which to run.

Every way to run the prepared model answers the same texts with the same threads, in turns, in one
process and with no server. Flips and |Δp| are against torch; drift is the largest |Δp| of a text
between being alone and being batched with strangers.
"""

import argparse
import io
import json
import math
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from serve_app.engine.artifacts import ArtifactError, Artifacts, Manifest
from serve_app.engine.backend import Backend, Encoded
from serve_app.engine.certificate import certify, cpu_name
from serve_app.engine.loading import open_backend
from serve_app.engine.postprocess import DEFAULT_FUNCTION, apply, flipped, flips
from serve_app.jobs.arguments import positive
from serve_app.jobs.labelled import COLUMNS, Labelled, LabelledError, read
from serve_app.jobs.source import DEFAULT_MODEL, prepared
from serve_app.jobs.verify import FLIPS

COMPANY = 16
"""Texts of a batch in the order of the file, so of unlike lengths: for the drift."""
SIGNIFICANT = 0.05
TELLING = 6
"""Texts that only one of two got right: of fewer no test can say which is the better one."""
SHOWN = 10

Probabilities = npt.NDArray[np.float64]


class CompareError(Exception):
    """Nothing can be compared; the message is one sentence that says why."""


@dataclass(frozen=True)
class Flip:
    """A text that got another label than torch gave."""

    text: str
    torch: str
    torch_score: float
    other: str
    other_score: float


@dataclass(frozen=True)
class Way:
    """One way to run the model.

    Attributes:
        certified: whether the golden texts came out as at preparation on this CPU.
        accuracy: share of the labelled texts answered right.
        p_value: of McNemar's exact test that it is as often right as torch, from the texts that
            only one of them got right.
        discordant: how many these are.
        p50_ms, p95_ms: of one text alone, tokenizing included.
    """

    backend: str
    precision: str
    certified: bool
    accuracy: float | None
    p_value: float | None
    discordant: int
    texts: int
    flips: int
    median_difference: float
    max_difference: float
    batch_drift: float
    p50_ms: float
    p95_ms: float
    flipped: list[Flip]

    @property
    def name(self) -> str:
        return f"{self.backend} {self.precision}"


def compare(artifacts: Artifacts, labelled: Labelled, threads: int, rounds: int) -> list[Way]:
    """Every way to run the model; torch first.

    Args:
        rounds: passes over the texts, one text at a time; in each, every way takes its turn.
    """
    manifest = artifacts.manifest
    backends = [open_backend("transformers", artifacts, threads, "fp32")]
    backends += [open_backend("onnx", artifacts, threads, name) for name in manifest.measured]
    certified = [certify(backend, artifacts).passed for backend in backends]
    took: list[list[list[float]]] = [[] for _ in backends]
    alone: list[Probabilities] = []
    for turn in range(rounds):
        for index, backend in enumerate(backends):
            name = f"{backend.name} {backend.precision}"
            _say(f"round {turn + 1} of {rounds}: {name} on {len(labelled.texts):,} texts …")
            logits, seconds = _one_at_a_time(backend, labelled.texts)
            took[index].append(seconds)
            if turn == 0:
                alone.append(apply(logits, DEFAULT_FUNCTION[manifest.problem_type]))
    ways = []
    for index, backend in enumerate(backends):
        encoded = backend.encode(labelled.texts)
        company = apply(_in_company(backend, encoded), DEFAULT_FUNCTION[manifest.problem_type])
        difference = np.abs(alone[index] - alone[0])
        # Of each text the median of its rounds: what else the machine did is no part of it.
        each = np.median(np.array(took[index]), axis=0) * 1000
        accuracy, p_value, discordant = _accuracy(alone[index], alone[0], labelled)
        ways.append(
            Way(
                backend=backend.name,
                precision=backend.precision,
                certified=certified[index],
                accuracy=accuracy,
                p_value=p_value,
                discordant=discordant,
                texts=len(labelled.texts),
                flips=flips(alone[index], alone[0], manifest.problem_type),
                median_difference=float(np.median(difference.max(axis=1))),
                max_difference=float(difference.max()),
                batch_drift=float(np.abs(alone[index] - company).max()),
                p50_ms=float(np.percentile(each, 50)),
                p95_ms=float(np.percentile(each, 95)),
                flipped=_flipped(alone[index], alone[0], labelled.texts, manifest),
            )
        )
    return ways


def verdict(ways: Sequence[Way]) -> str:
    """Which to run, in a sentence with its reasons."""
    torch, *others = ways
    fit = [way for way in others if way.certified and not _worse(way, torch)]
    best = min([torch, *fit], key=lambda way: way.p50_ms)
    if best is torch:
        reasons = ["nothing that may stand in for it is faster"]
    else:
        reasons = [
            f"{torch.p50_ms / best.p50_ms:.1f} times as fast as torch on a lone text",
            f"{best.flips} of its answers are others",
        ]
        if best.accuracy is not None and torch.accuracy is not None:
            reasons.append(
                f"accuracy {best.accuracy - torch.accuracy:+.4f} (p = {best.p_value:.2g})"
            )
            if 0 < best.discordant < TELLING and best.accuracy < torch.accuracy:
                reasons.append(f"which {best.discordant} texts decide: too few to tell, give more")
    for way in others:
        if not way.certified:
            reasons.append(f"{way.name} is not certified on this CPU")
        elif way not in fit and way.accuracy is None:
            reasons.append(f"{way.name} answers {way.flips} of {way.texts} texts otherwise")
        elif way not in fit:
            reasons.append(f"{way.name} is less often right than torch (p = {way.p_value:.2g})")
    return f"Run {best.name}: {', '.join(reasons)}."


def table(ways: Sequence[Way], count: int, threads: int) -> str:
    """Markdown."""
    lines = [
        f"{count:,} texts, {threads} thread{'s' * (threads > 1)}, {cpu_name()}",
        "",
        "| | accuracy | flips | median \\|Δp\\| | max \\|Δp\\| | moves with its batch by"
        " | p50 ms | p95 ms | torch ÷ it |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for way in ways:
        accuracy = "–" if way.accuracy is None else f"{way.accuracy:.4f}"
        lines.append(
            f"| {way.name} | {accuracy} | {way.flips} | {way.median_difference:.1e} |"
            f" {way.max_difference:.1e} | {way.batch_drift:.1e} | {way.p50_ms:.2f} |"
            f" {way.p95_ms:.2f} | {ways[0].p50_ms / way.p50_ms:.1f}× |"
        )
    for way in ways[1:]:
        if way.flipped:
            lines += ["", f"Where {way.name} answers otherwise than torch:", ""]
            lines += [
                f"- {flip.torch} {flip.torch_score:.3f} → {flip.other} {flip.other_score:.3f}:"
                f" {flip.text[:100]}"
                for flip in way.flipped[:SHOWN]
            ]
            if len(way.flipped) > SHOWN:
                lines.append(f"- … and {len(way.flipped) - SHOWN} more (--json has all)")
    return "\n".join([*lines, "", verdict(ways)])


def mcnemar(only_first: int, only_second: int) -> float:
    """Two-sided p-value of McNemar's exact test: a fair coin over the discordant pairs."""
    count = only_first + only_second
    tail = sum(math.comb(count, k) for k in range(min(only_first, only_second) + 1))
    return min(1.0, 2 * tail / (1 << count))


def main(argv: Sequence[str]) -> int:
    """Print the report; returns 0, 1 where it was refused with a sentence, 130 after Ctrl-C."""
    options = parser().parse_args(argv)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # «Δ» where the terminal knows no such letter
    try:
        if options.json:  # before minutes are spent
            _require_writable(options.json)
        artifacts = Artifacts(options.model)
        # Of several labels a text, or of one, no single one is right.
        several = artifacts.manifest.problem_type == "multi_label_classification"
        label = None if several else options.label_column
        labelled = read(options.file, options.text_column, label, artifacts.manifest.labels)
        ways = compare(artifacts, labelled, options.threads, options.rounds)
    except (CompareError, LabelledError, ArtifactError) as error:
        _say(str(error))
        return 1
    except KeyboardInterrupt:
        _say("stopped; nothing was measured to its end.")
        return 130
    written = options.json is None or _write(options.json, ways)
    print(table(ways, len(labelled.texts), options.threads))
    return 0 if written else 1


def _require_writable(path: Path) -> None:
    try:
        new = not path.exists()
        path.open("a").close()
        if new:  # nothing is left of it where something else is refused
            path.resolve().unlink()
    except OSError as error:
        raise CompareError(f"{path} cannot be written: {error.strerror}.") from None


def _write(path: Path, ways: Sequence[Way]) -> bool:
    try:
        path.write_text(json.dumps([asdict(way) for way in ways], indent=1) + "\n")
    except OSError as error:
        _say(f"{path} was not written: {error.strerror}.")
        return False
    return True


def _say(sentence: str) -> None:
    print(f"sentiment: {sentence}", file=sys.stderr)


def parser() -> argparse.ArgumentParser:
    """The arguments of `sentiment compare`."""
    result = argparse.ArgumentParser(
        prog="sentiment compare",
        description="Torch and ONNX on the texts of a CSV, TSV or NDJSON file: answers, speed, and"
        " which to run. Run it on the machine that is to serve, with nothing else running.",
    )
    result.add_argument("file", type=Path, metavar="FILE")
    result.add_argument(
        "--model",
        type=prepared,
        default=DEFAULT_MODEL,
        help="one that was prepared, by its folder or as it was named then (default: %(default)s)",
    )
    said = "(default: %(default)s)"
    result.add_argument("--text-column", default=COLUMNS[0], metavar="NAME", help=said)
    result.add_argument(
        "--label-column", default=COLUMNS[1], metavar="NAME", help=f"if there is one {said}"
    )
    result.add_argument(
        "--threads", type=positive, default=1, metavar="N", help=f"of each call {said}"
    )
    result.add_argument(
        "--rounds", type=positive, default=3, metavar="N", help=f"passes over the texts {said}"
    )
    result.add_argument("--json", type=Path, metavar="FILE", help="all of it, every flip too")
    return result


def _one_at_a_time(
    backend: Backend, texts: Sequence[str]
) -> tuple[npt.NDArray[np.float32], list[float]]:
    logits, seconds = [], []
    for text in texts:
        start = time.perf_counter()
        logits.append(backend.logits(backend.encode([text])))
        seconds.append(time.perf_counter() - start)
    return np.concatenate(logits), seconds


def _in_company(backend: Backend, encoded: Sequence[Encoded]) -> npt.NDArray[np.float32]:
    pieces = range(0, len(encoded), COMPANY)
    return np.concatenate([backend.logits(encoded[at : at + COMPANY]) for at in pieces])


def _accuracy(
    probabilities: Probabilities, reference: Probabilities, labelled: Labelled
) -> tuple[float | None, float | None, int]:
    if labelled.labels is None:
        return None, None, 0
    right = probabilities.argmax(axis=1) == labelled.labels
    reference_right = reference.argmax(axis=1) == labelled.labels
    only, other = int((right & ~reference_right).sum()), int((~right & reference_right).sum())
    return float(right.mean()), mcnemar(only, other), only + other


def _worse(way: Way, torch: Way) -> bool:
    """Less often right by more than chance; without labels, too often of another opinion."""
    if way.accuracy is None or torch.accuracy is None or way.p_value is None:
        return way.flips > FLIPS * way.texts
    return way.accuracy < torch.accuracy and way.p_value < SIGNIFICANT


def _flipped(
    probabilities: Probabilities,
    reference: Probabilities,
    texts: Sequence[str],
    manifest: Manifest,
) -> list[Flip]:
    ours, torchs = probabilities.argmax(axis=1), reference.argmax(axis=1)
    if manifest.problem_type == "multi_label_classification":
        # The label that has moved farthest of those that are now on the other side of one half.
        crossed = (probabilities > 0.5) != (reference > 0.5)
        ours = torchs = (np.abs(probabilities - reference) * crossed).argmax(axis=1)
    labels = manifest.labels
    return [
        Flip(
            texts[row],
            labels[torchs[row]],
            float(reference[row, torchs[row]]),
            labels[ours[row]],
            float(probabilities[row, ours[row]]),
        )
        for row in np.flatnonzero(flipped(probabilities, reference, manifest.problem_type)).tolist()
    ]
