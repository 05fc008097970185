import io
from dataclasses import replace

import pandas as pd

from tests.ui.stand_in import info
from tests.ui.test_compare import answer, comparison
from ui import history
from ui.answers import Info, Score
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
    assert history.totals([SLOW, EVEN, HALF]) == history.Totals(2, 2, "server time", 2, 13.0, 8.0)


def test_totals_mix_no_server_times_with_round_trips() -> None:
    untold = comparison(answer("transformers", round_trip=80.0), answer("onnx", round_trip=70.0))
    assert history.totals([SLOW, untold]) == history.Totals(2, 2, "server time", 1, 9.0, 3.0)
    assert history.totals([untold]) == history.Totals(1, 1, "round trip", 1, 80.0, 70.0)


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


def test_a_row_keeps_what_it_was_answered_with() -> None:
    asked = replace(SLOW, info=Info.model_validate(info()))
    row = history.table([asked]).iloc[0]
    told = ["basis", "model", "torch_precision", "torch_threads", "onnx_precision", "onnx_threads"]
    assert row[told].tolist() == ["server time", "bundled/small", "fp32", 1, "int8", 1]


def test_a_spreadsheet_runs_no_text() -> None:
    asked = Comparison("=HYPERLINK(1)", SLOW.answers)
    written = history.csv(history.table([asked, SLOW])).decode()
    assert ",'=HYPERLINK(1)," in written
    assert ",text," in written
