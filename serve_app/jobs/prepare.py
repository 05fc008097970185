"""`sentiment prepare`: a model from the hub or a folder to the folder that replicas load.

Arguments, what is up to date, and each failure as one sentence; `build` does the work. What is
heavy to import is imported where it is used: a call with nothing to do ends before that.
"""

import argparse
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeGuard

from serve_app.engine.artifacts import MANIFEST, ArtifactError, Artifacts, Manifest
from serve_app.jobs.errors import HubUnreachable, PrepareError, out_of_space
from serve_app.jobs.fingerprint import fingerprint
from serve_app.jobs.folder import refuse_strange, replacing
from serve_app.jobs.labelled import LabelledError, require
from serve_app.jobs.progress import Steps
from serve_app.jobs.source import bundled, identify, prepared_folder
from serve_app.jobs.stopping import Stopped, stoppable


@dataclass(frozen=True)
class Options:
    """What was asked for."""

    model: str | None
    revision: str | None
    output: Path
    labelled: Path | None
    precision: str


def parser() -> argparse.ArgumentParser:
    """The arguments of `sentiment prepare`."""
    result = argparse.ArgumentParser(
        prog="sentiment prepare",
        description="Make the folder that replicas load: torch, ONNX in fp32 and int8, compared"
        " with each other. A second call with nothing changed does nothing.",
        epilog="Private and gated models need HF_TOKEN in the environment; HF_ENDPOINT names"
        " another hub.",
    )
    result.add_argument(
        "--model", metavar="ID_OR_FOLDER", help="hub id or folder (default: the bundled model)"
    )
    result.add_argument("--revision", help="commit, tag or branch of a hub model")
    result.add_argument(
        "--output", type=Path, metavar="DIR", help="default: where `sentiment run` looks for it"
    )
    result.add_argument(
        "--labelled",
        type=Path,
        metavar="FILE",
        help="CSV, TSV or NDJSON with the columns sentence and label, to measure accuracy and label"
        " flips with",
    )
    result.add_argument(
        "--precision",
        choices=("auto", "fp32", "int8"),
        default="auto",
        help="auto: int8 where it holds its bounds, else fp32; int8: fail where it does not",
    )
    return result


def main(argv: Sequence[str] | None = None) -> int:
    """Run `sentiment prepare`.

    Returns:
        0 done or nothing to do, 1 refused with a sentence, 2 wrong arguments, 128 and the signal's
        number after a signal.
    """
    try:
        arguments = parser().parse_args(argv)
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else 2
    options = Options(
        model=arguments.model,
        revision=arguments.revision,
        output=(
            prepared_folder(arguments.model or str(bundled()))
            if arguments.output is None
            else arguments.output.expanduser()
        ),
        labelled=arguments.labelled,
        precision=arguments.precision,
    )
    try:
        with stoppable():
            prepare(options)
    except (PrepareError, LabelledError) as error:
        return _refuse(str(error), 1)
    except Stopped as stop:
        return _refuse(f"stopped by {stop}; nothing was written", stop.code)
    except KeyboardInterrupt:
        return _refuse("interrupted; nothing was written", 130)
    except Exception as error:
        if out_of_space(error):
            return _refuse(
                f"the disk is full, {options.output} was not written; the folder takes about nine"
                " bytes for each of the model's parameters",
                1,
            )
        if isinstance(error, OSError):
            return _refuse(f"{options.output} was not written: {error}", 1)
        raise
    return 0


def prepare(options: Options) -> None:
    """Make the folder, or find it made.

    Raises:
        PrepareError: the model cannot be had, or not in a form that agrees with torch.
        LabelledError: the labelled file does not do.
    """
    start = time.monotonic()
    steps = Steps(8 if options.precision == "fp32" else 10)
    refuse_strange(options.output)
    if options.labelled is not None:  # before a model is fetched
        require(options.labelled)
    present = _present(options, steps)
    if _pinned_and_there(present, options):
        _say_up_to_date(options, present, steps)
        return
    try:
        with steps.step(f"finding {options.model or 'the bundled model'}"):
            source = identify(options.model, options.revision)
    except HubUnreachable as error:
        pinned = present.revision if present is not None else None
        if present is None or options.model is None or pinned is None:
            raise
        if options.revision and not pinned.startswith(options.revision):  # another, or unknown
            raise
        if not _made_of(present, options, options.model, pinned):
            raise
        steps.say(f"{error}; {options.output} stays at revision {pinned}")
        return
    if present is not None and _made_of(present, options, source.model_id, source.digest):
        _say_up_to_date(options, present, steps)
        return
    with steps.step("fetching its files", bars=True):
        fetched = source.fetch()
    # read when torch is loaded: threads that spin while they wait starve each other on shared cores
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    from serve_app.jobs.build import Order, build

    mark = _mark(options, source.model_id, source.digest)
    with replacing(options.output) as scratch:
        order = Order(source, options.labelled, options.precision, mark)
        manifest = build(order, fetched, scratch, steps)
    steps.say(f"{options.output} written in {time.monotonic() - start:.0f} s: {_summary(manifest)}")


def _present(options: Options, steps: Steps) -> Manifest | None:
    """The manifest of an earlier preparation whose files are all as it left them."""
    try:
        return Artifacts(options.output).manifest
    except ArtifactError as error:
        if (options.output / MANIFEST).exists():
            steps.say(f"preparing anew, since {error.what}")
        return None


def _pinned_and_there(present: Manifest | None, options: Options) -> TypeGuard[Manifest]:
    """Whether the very commit asked for is there, so that the hub need not be asked."""
    if present is None or options.model is None or options.revision is None:
        return False
    pinned = present.revision == options.revision
    return pinned and _made_of(present, options, options.model, options.revision)


def _mark(options: Options, model_id: str, digest: str) -> str:
    return fingerprint(model_id, digest, options.precision, options.labelled)


def _made_of(present: Manifest, options: Options, model_id: str, digest: str) -> bool:
    return present.fingerprint == _mark(options, model_id, digest)


def _say_up_to_date(options: Options, present: Manifest, steps: Steps) -> None:
    steps.say(
        f"nothing to do: {options.output} is up to date ({present.model_id} at"
        f" {present.revision}, serves {present.precision})"
    )


def _summary(manifest: Manifest) -> str:
    parts = [f"{manifest.parameters / 1e6:.1f} million parameters, serves {manifest.precision}"]
    for name, found in manifest.measured.items():
        right = "" if found.accuracy is None else f", accuracy {found.accuracy:.4f}"
        parts.append(
            f"{name} flips {found.flips} of {found.texts} labels, moves a probability by up to"
            f" {found.max_difference:.2g} and with its batch by {found.batch_drift:.1g}{right}"
        )
    return "; ".join([*parts, *manifest.notes])


def _refuse(sentence: str, code: int) -> int:
    sys.stderr.write(f"sentiment prepare: {sentence}\n")
    return code


if __name__ == "__main__":
    raise SystemExit(main())
