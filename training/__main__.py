"""Train the bundled model: `python -m training --data DIR --output models/sst2-minilm`."""

import argparse
import sys
from pathlib import Path

from training.arguments import add_data, data_folder
from training.errors import TrainingError
from training.evaluate import table
from training.loop import InterruptedRunError
from training.memory import keep_freed_memory
from training.opinions import SHIPPED
from training.production import Order, produce
from training.recipe import Recipe, override
from training.start import start_folder
from training.stopping import INTERRUPTED, stop_asked, watch_signals


def main(arguments: list[str] | None = None) -> int:
    given = _parser().parse_args(arguments)
    keep_freed_memory()
    watch_signals()
    try:
        output: Path = given.output
        order = Order(
            data=data_folder(given),
            output=output,
            start=given.start or start_folder(),
            work=given.work or output.with_name(f".{output.name}.training"),
            recipe=override(Recipe(), given.set),
            teacher=given.teacher,
            stopping=stop_asked,
        )
        figures = produce(order)
    except InterruptedRunError as stop:
        print(f"training: {stop}; the same command goes on from there.", file=sys.stderr)
        return INTERRUPTED
    except TrainingError as error:
        print(f"training: {error}", file=sys.stderr)
        return 1
    print("\n".join(table(figures)))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m training", description=__doc__)
    add_data(parser)
    parser.add_argument("--output", type=Path, required=True, help="the model folder to write")
    parser.add_argument(
        "--teacher",
        type=Path,
        default=SHIPPED,
        help="what `python -m training.teacher` wrote; the bundled model's if not given",
    )
    parser.add_argument("--start", type=Path, help="starting weights, if not the package's")
    parser.add_argument("--work", type=Path, help="where checkpoints go; hidden beside the output")
    parser.add_argument(
        "--set", action="append", default=[], metavar="NAME=VALUE", help="try another recipe"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
