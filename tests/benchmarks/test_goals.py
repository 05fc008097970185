"""What is reached, from small made-up results."""

from pathlib import Path
from typing import Any

from benchmarks import goals
from benchmarks.goals import GOALS, Goal
from benchmarks.graphs import BUNDLED
from benchmarks.records import Candidate, write
from tests.benchmarks.made_up import PARTS, cell, run_of

SMALL = BUNDLED.name


def row(table: str, what: str) -> str:
    (found,) = (line for line in table.splitlines() if line.startswith(f"| {what}"))
    return found


def test_what_has_no_results_is_not_measured(tmp_path: Path) -> None:
    lines = goals.table(tmp_path).splitlines()[2:]
    assert len(lines) == len(GOALS)
    assert all(line.endswith("| not measured | – |") for line in lines)


def test_a_goal_is_met_at_its_bound() -> None:
    least = Goal("", "", lambda _: None, least=0.95)
    most = Goal("", "", lambda _: None, most=2, unit=" ms")
    assert [least.met(value) for value in (0.94, 0.95)] == [False, True]
    assert [most.met(value) for value in (2, 2.1)] == [True, False]
    assert (least.said, most.said) == ("≥ 0.95", "≤ 2 ms")


def test_every_goal_has_one_bound_and_a_line_of_its_own() -> None:
    assert all((goal.least is None) != (goal.most is None) for goal in GOALS)
    assert len({goal.what for goal in GOALS}) == len(GOALS)


def test_a_comparison_is_held_against_its_goals(tmp_path: Path) -> None:
    def at(server: str, rate: float, **changes: Any) -> Any:
        return cell(server, rate, 0, model=SMALL, **changes)

    run = run_of(
        at("ours", 300.0),
        at("plain", 200.0),
        at("pipeline", 30.0, precision="torch"),
        cell("ours", 30.0, 0, model="other"),
        cell("pipeline", 2.0, 0, model="other", precision="torch"),
        at("ours", 420.0, concurrency=64),
        at("plain", 400.0, concurrency=64),
        at("ours", 100.0, concurrency=1, p50=9.0),
        at("fastapi", 120.0, concurrency=1, p50=6.5),
    )
    run.options = {SMALL: run.options["small"]}
    run.machine["cpu"] = "CPU"
    run.limits = [Candidate(SMALL, "int8", f"window {n}", 2, 1, 4, [400.0 + n]) for n in (16, 64)]
    run.write(tmp_path / "bench.json")
    said = goals.table(tmp_path)
    share = "bundled model, single texts in int8: share of the windowed limit at concurrency"
    assert row(said, f"{share} 16").endswith("| ≥ 0.75 | **0.72** (CPU) | no |")
    assert row(said, f"{share} 64").endswith("| ≥ 0.85 | **0.91** (CPU) | yes |")
    worst = f"{SMALL}, ONNX int8, single, 64; CPU"
    best = "requests/s ÷ the best alternative's"
    assert row(said, f"{best}, each").endswith(f"16 | ≥ 1× | **1.05×** ({worst}) | yes |")
    assert row(said, f"{best}, at").endswith(f"64 | ≥ 1.2× | **1.05×** ({worst}) | no |")
    assert row(said, f"{best}, lists").endswith("32 | ≥ 1.3× | not measured | – |")
    assert (
        f"p50 over the plain file's | ≤ 2 ms | **2.50 ms** ({SMALL}, ONNX int8; CPU) | no |" in said
    )
    pipeline = "pipeline at concurrency 16: ONNX int8 | ≥ 8× | **10.0×**"
    assert f"{pipeline} ({SMALL}; CPU) | yes |" in said


def test_the_other_results_are_held_against_theirs(tmp_path: Path) -> None:
    machine = {"cpu": "CPU"}
    write(tmp_path / "parts.json", PARTS | {"machine": machine})
    write(tmp_path / "footprint.json", {"machine": machine, "idle_cores": 0.171, "ready_s": 14.5})
    limits = [
        Candidate("small", "int8", "window 16", 2, 1, 4, [90.0, 190.0]),
        Candidate("small", "dynamic", "window 16", 2, 1, 4, [100.0, 200.0]),
        Candidate("small", "int8", "window 64", 2, 1, 4, [120.0]),
        Candidate("small", "dynamic", "window 64", 1, 2, 8, [100.0]),
    ]
    write(
        tmp_path / "limit.json",
        {"machine": machine, "rounds": 2, "candidates": [vars(one) for one in limits]},
    )
    said = goals.table(tmp_path)
    assert row(said, "CPU of a request outside").endswith("| ≤ 0.7 ms | **0.80 ms** (CPU) | no |")
    less = "less time of inference than torch's at concurrency 1"
    assert row(said, f"{less}: ONNX fp32").endswith("| ≥ 55 % | **50.0 %** (CPU) | no |")
    assert row(said, f"{less}: ONNX int8").endswith("| ≥ 75 % | **80.0 %** (CPU) | yes |")
    assert row(said, "torch there").endswith("| ≥ 0.9 | **0.95** (CPU) | yes |")
    assert row(said, "lists of 256").endswith("| ≥ 0.95 | **0.95** (CPU) | yes |")
    assert row(said, "streams").endswith("| ≥ 0.95 | **0.90** (CPU) | no |")
    assert row(said, "batch-invariant").endswith("**0.93×** (small, window 16; CPU) | no |")
    assert row(said, "idle").endswith("| ≤ 3 % | **17.1 %** (CPU) | no |")
    assert row(said, "start to ready").endswith("| ≤ 15 s | **14.5 s** (CPU) | yes |")
