"""Train the bundled model: `python -m training --data DIR --output models/sst2-minilm`."""

import argparse
import sys
from pathlib import Path

from training.arguments import add_data, add_run, data_folder, work_folder
from training.command import run, stop_asked
from training.evaluate import table
from training.opinions import SHIPPED
from training.production import Order, produce
from training.recipe import Recipe, override
from training.start import start_folder


def main(arguments: list[str] | None = None) -> int:
    given = _parser().parse_args(arguments)
    return run(lambda: print("\n".join(table(produce(_order(given))))))


def _order(given: argparse.Namespace) -> Order:
    return Order(
        data=data_folder(given),
        output=given.output,
        start=given.start or start_folder(),
        work=work_folder(given),
        recipe=override(Recipe(), given.set),
        opinions=given.opinions,
        stopping=stop_asked,
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m training", description=__doc__)
    add_data(parser)
    parser.add_argument("--output", type=Path, required=True, help="the model folder to write")
    parser.add_argument(
        "--opinions",
        type=Path,
        default=SHIPPED,
        help="what `python -m training.teacher` wrote; the bundled model's if not given",
    )
    add_run(parser)
    return parser


if __name__ == "__main__":
    sys.exit(main())
