import io

import pandas as pd

from tests.ui.test_compare import answer, comparison
from ui import history
from ui.answers import Score
from ui.compare import Comparison
from ui.errors import TimedOutError

SLOW = comparison(answer("transformers", 9.0), answer("onnx", 3.0))
EVEN = comparison(
    answer("transformers", 4.0), answer("onnx", 5.0, scores=(Score("POSITIVE", 0.7),))
)
HALF = Comparison("text", {"onnx": answer("onnx")}, {"transformers": TimedOutError()})


def test_a_row_has_both_answers_and_how_they_differ() -> None:
    row = history.table([SLOW]).iloc[0]
    assert (row["torch_label"], row["onnx_label"], row["agree"]) == ("POSITIVE", "POSITIVE", True)
    assert (row["torch_ms"], row["onnx_ms"], row["ms_saved"]) == (9.0, 3.0, 6.0)


def test_a_comparison_with_half_an_answer_has_no_row() -> None:
    assert history.table([HALF]).empty
    assert list(history.table([]).columns) == list(history.COLUMNS)


def test_totals_add_up() -> None:
    assert history.totals([SLOW, EVEN, HALF]) == history.Totals(2, 2, 13.0, 8.0)


def test_every_order_sorts() -> None:
    frame = history.table([SLOW, EVEN])
    first = {o: history.ordered(frame, o).iloc[0]["ms_saved"] for o in history.ORDERS}
    assert first["Newest first"] == -1.0
    assert first["Most time saved by ONNX"] == 6.0
    assert first["Least time saved by ONNX"] == -1.0
    assert first["Largest score difference"] == -1.0


def test_the_csv_reads_back() -> None:
    read = pd.read_csv(io.BytesIO(history.csv(history.table([SLOW, EVEN]))))
    assert list(read.columns) == list(history.COLUMNS)
    assert read["onnx_ms"].tolist() == [3.0, 5.0]
    assert read["at"][0].endswith("+0000")


def test_a_spreadsheet_runs_no_text() -> None:
    asked = Comparison("=HYPERLINK(1)", SLOW.answers)
    written = history.csv(history.table([asked, SLOW])).decode()
    assert ",'=HYPERLINK(1)," in written
    assert ",text," in written
