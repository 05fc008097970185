"""What is told of both backends' answers on the model card's sets."""

from benchmarks.accuracy import measured, table
from benchmarks.records import machine
from training import evaluate
from training.data import Row
from training.evaluate import CONTRACTED, DEV

ROWS = [Row("good", 1), Row("fine", 1), Row("bad", 0), Row("poor", 0)]
TORCH = [0.9, 0.8, 0.1, 0.2]


def test_each_backend_is_held_against_the_goal_and_against_the_other() -> None:
    sets = [
        measured(
            evaluate.TestSet(DEV, ROWS), {"transformers": TORCH, "onnx": [0.9, 0.79, 0.1, 0.6]}
        ),
        measured(evaluate.TestSet(CONTRACTED, ROWS), {"transformers": TORCH, "onnx": TORCH}),
    ]
    *_, dev, contracted, _, close = table({"machine": machine(), "sets": sets}).splitlines()
    assert dev == f"| {DEV} | 4 | 1.0000 | 0.7500 | 0.9106 | no | 1 | 5.0e-03 |"
    assert (
        contracted
        == f"| {CONTRACTED} | 4 | 1.0000 | 1.0000 | 0.9970 / 0.7470 | yes | 0 | 0.0e+00 |"
    )
    assert close.endswith("a median of 0.005, not met.")
