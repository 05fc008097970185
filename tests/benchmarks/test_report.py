"""Tables from records, and the document they go into."""

import json
from pathlib import Path

import pytest

from benchmarks import cost, proxies, report, scaling, spikes
from benchmarks.records import Agreement, Candidate, Run, machine, number, write
from tests.benchmarks.made_up import DRIFTING, cell, run_of


def test_the_table_has_medians_spreads_ratios_and_set_ups() -> None:
    said = report.table(run_of(*DRIFTING), DRIFTING)
    assert "| this service | ONNX int8 | 2 × 1 | ≤ 8 | **240** (150–300) | 1.00× |" in said
    assert "| plain file | ONNX int8 | 40 × 1 | none | **120** (75.0–150) | 2.00× |" in said
    assert "| plain file | ONNX int8, ordinary dynamic | 40 × 1 | none | **160**" in said
    assert "1.50×" in said
    assert "| slow one | torch fp32 | 1 × 2 | none | **24.0** (15.0–30.0) | – |" in said


def test_the_best_alternative_may_run_ordinary_dynamic_int8_and_is_named() -> None:
    said = report.against_best(run_of(*DRIFTING), DRIFTING)
    row = next(line for line in said.splitlines() if "this" not in line and "plain" in line)
    assert "plain file, 40 × 1, ONNX int8, ordinary dynamic | 160 | **1.50×**" in row


def test_two_set_ups_that_do_the_same_tell_what_a_ratio_is_worth() -> None:
    alone = [
        cell(server, rate, 0, concurrency=1)
        for server, rate in (("fastapi", 30.0), ("fastapi-two", 20.0), ("ours", 10.0))
    ]
    assert "Their ratios here, 1.50, are" in report.repeatability(alone)
    assert report.repeatability(DRIFTING) == ""


def test_the_share_of_the_limit_is_taken_within_a_round() -> None:
    run = run_of(*DRIFTING, *(cell("ours", 10.0, n, texts_each=32) for n in range(3)))
    run.limits = [
        Candidate("small", "int8", "window 16", 2, 1, 4, [400.0, 200.0, 320.0]),
        Candidate("small", "int8", "window 16", 1, 2, 4, [100.0, 100.0, 100.0]),
        Candidate("small", "int8", "window 64", 2, 1, 8, [400.0, 400.0, 400.0]),
        Candidate("small", "int8", "sorted", 2, 1, 8, [500.0, 500.0, 500.0]),
    ]
    said = report.shares(run)
    assert "| single | 16 | 240 | 320 | window 16 (2 × 1, batches of 4) | **0.75** |" in said
    assert "| lists of 32 | 16 | 320 | 500 | sorted (2 × 1, batches of 8) | **0.64** |" in said
    assert report.shares(run) in report.bench(run)


def test_what_could_not_be_measured_is_said() -> None:
    run = run_of(*DRIFTING)
    run.failures["bentoml"] = "no environment"
    run.agreements.append(Agreement("small", "plain", "dynamic", 9, 2, 3, 0.21))
    run.agreements.append(Agreement("small", "slow", "torch", 3, 3, 0, 0.0))
    said = report.bench(run)
    assert "- bentoml: no environment" in said
    assert "| small | plain file | ONNX int8, ordinary dynamic | 2 of 9 | 3 | 2.1e-01 |" in said
    assert "| small | slow one | torch fp32 | 3 of 3 | – | – |" in said


def test_a_server_without_an_answer_breaks_no_table() -> None:
    dead = cell("plain", 0.0001, 0, p50=None, p95=None, p99=None, cpu_ms=None, errors=9)
    said = report.bench(run_of(DRIFTING[0], dead))
    assert "| – | – | – | 9 | – |" in said


def test_tails_are_told_only_where_all_clients_had_an_answer() -> None:
    few = cell("plain", 5.0, 0, requests=150, concurrency=256)
    ours = cell("ours", 9.0, 0, requests=256, concurrency=256)
    table, *_ = (part for part in report.bench(run_of(ours, few)).split("\n\n") if "ours ÷" in part)
    assert table.splitlines()[-1].endswith("| – | – |")
    assert few.latency("p99") is None
    assert ours.latency("p99") == ours.p99


def test_a_latency_that_too_few_answers_tell_is_not_told() -> None:
    few = cell("ours", 9.0, 0, requests=99)
    assert few.latency("p50") == few.p50
    assert few.latency("p95") == few.p95
    assert few.latency("p99") is None


def test_only_what_stands_between_the_markers_is_replaced() -> None:
    document = "# Title\n<!-- a -->\nold\n<!-- /a -->\ntail\n<!-- b -->\nb\n<!-- /b -->\n"
    assert report.rewrite(document, "a", "\nnew\n") == document.replace("old", "new")
    with pytest.raises(ValueError, match="has no <!-- c -->"):
        report.rewrite(document, "c", "new")


def test_the_command_fills_the_document_and_draws(tmp_path: Path) -> None:
    run_of(*DRIFTING).write(tmp_path / "results" / "bench.json")
    step = scaling.Step(2, 0, 40.0, 39.0, 0, 3.0, 4.0, 9.0, 1.5, 900.0)
    write(
        tmp_path / "results" / "scaling.json",
        {"machine": machine(), "cost_ms": 50.0, "steps": [vars(step)]},
    )
    way = proxies.Step("plain", 64, 0, 5000.0, 0, 12.0, 30.0, 0.2)
    write(
        tmp_path / "results" / "proxies.json",
        {"machine": machine(), "rounds": 1, "seconds": 4.0, "steps": [vars(way)]},
    )
    stretch = {
        "seconds": 20.0,
        "rate": 70.0,
        "requests": 1400,
        "errors": 0,
        "p50": 52.0,
        "p99": 90.0,
    }
    wanted = [[0.0, 1], [10.0, 4], [20.0, 1]]
    write(
        tmp_path / "results" / "spikes.json",
        {"machine": machine(), "cost_ms": 50.0, "stretches": [stretch], "wanted": wanted},
    )
    limits = [
        Candidate("small", precision, way, 2, 1, 2, [300.0, 310.0])
        for precision in ("int8", "dynamic")
        for way in ("one at a time", "window 16")
    ]
    write(
        tmp_path / "results" / "limit.json",
        {"machine": machine(), "rounds": 2, "candidates": [vars(one) for one in limits]},
    )
    document = tmp_path / "benchmarks.md"
    document.write_text("<!-- goals -->\n<!-- /goals -->\n<!-- bench -->\n<!-- /bench -->\n")
    arguments = ("results", "document", "images")
    places = (tmp_path / "results", document, tmp_path / "images")
    report.main(
        [
            part
            for name, path in zip(arguments, places, strict=True)
            for part in (f"--{name}", str(path))
        ]
    )
    said = document.read_text()
    assert said.index("## Goals") < said.index("## Side by side")
    assert "in process | ≥ 1× | **1.00×** (small, one at a time; " in said
    assert f"{report.OTHER_RUN}\n\n![limit](images/limit.svg)" in said
    assert "![bench-small](images/bench-small.svg)" in said
    assert "| 2 | **39.0** (39.0–39.0) | 98% | 3.00 | 4.00 (9.00) | 1.50 | 0 | 900 |" in said
    assert "| 64 | plain | **5,000** (5,000–5,000) | 12.0 | 30.0 | 0.20 | 0 |" in said
    assert "| 20 | 70 | 1 | 1400 | 0 | 52.0 | 90.0 |" in said
    assert "At most 4 replicas were wanted, and their number turned round 1 times" in said
    assert (tmp_path / "images" / "scaling.svg").read_text().startswith("<?xml")


@pytest.mark.parametrize(
    ("targets", "turns"), [([1, 1], 0), ([1, 2, 4], 0), ([1, 4, 4, 1], 1), ([1, 3, 2, 3, 1], 3)]
)
def test_reversals(targets: list[int], turns: int) -> None:
    assert spikes.reversals(targets) == turns


def test_a_model_measured_anew_takes_the_place_of_its_own_figures_alone() -> None:
    run = run_of(*DRIFTING, cell("ours", 1.0, 0, model="large"))
    run.failures = {"small, LitServe, ONNX int8": "it ended", "large, LitServe, ONNX int8": "too"}
    run.begin("small", {"rounds": 1, "seconds": 2.0})
    assert [one.model for one in run.cells] == ["large"]
    assert list(run.failures) == ["large, LitServe, ONNX int8"]
    assert run.options["small"]["rounds"] == 1


def test_a_run_is_read_as_it_was_written(tmp_path: Path) -> None:
    run = run_of(*DRIFTING)
    run.write(tmp_path / "bench.json")
    assert Run.read(tmp_path / "bench.json") == run
    assert [file.name for file in tmp_path.iterdir()] == ["bench.json"]


@pytest.mark.parametrize(
    ("value", "said"),
    [(None, "–"), (0.0, "0.00"), (3.14159, "3.14"), (31.4159, "31.4"), (1234.5, "1,234")],
)
def test_numbers_have_three_figures(value: float | None, said: str) -> None:
    assert number(value) == said


def test_cost_is_the_share_of_an_instance_hour() -> None:
    # 3.6 ms of CPU a text: a million takes one hour of one core, half of a two-core instance.
    assert cost.dollars(0.0036, 2, 0.10) == pytest.approx(0.05)
    cells = [cell("ours", 300.0, n, cpu_ms=32 * 3.6, texts_each=32) for n in range(3)]
    assert cost.cpu_seconds(cells) == pytest.approx(0.0036)
    assert "| small | ONNX int8 | lists of 32 | 3.60 |" in cost.table(run_of(*cells))


def test_records_of_a_finished_run_are_plain_json(tmp_path: Path) -> None:
    run_of(cell("ours", 1.0, 0)).write(tmp_path / "bench.json")
    said = json.loads((tmp_path / "bench.json").read_text())
    assert said["cells"][0]["server"] == "ours"
    assert said["machine"]["versions"]["ray"]
