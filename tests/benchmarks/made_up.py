"""Small made-up results."""

from typing import Any

from benchmarks.records import Cell, Run, machine


def cell(server: str, rate: float, number_of_round: int, **changes: Any) -> Cell:
    values: dict[str, Any] = {
        "model": "small",
        "server": server,
        "precision": "int8",
        "texts_each": 1,
        "concurrency": 16,
        "round": number_of_round,
        "requests": 100,
        "errors": 0,
        "requests_per_second": rate,
        "p50": 10.0,
        "p95": 20.0,
        "p99": 3000 / rate,
        "cpu_ms": 5.0,
        "memory_mb": 1234.0,
    }
    return Cell(**(values | changes))


SERVERS = {
    "ours": {"title": "this service", "workers": 2, "threads": 1, "batch": 8, "batching": "≤ 8"},
    "plain": {"title": "plain file", "workers": 0, "threads": 1, "batch": 1, "batching": "none"},
    "slow": {"title": "slow one", "workers": 1, "threads": 2, "batch": 1, "batching": "none"},
}


def run_of(*cells: Cell) -> Run:
    return Run(
        options={"small": {"rounds": 3, "seconds": 5.0}},
        machine=machine(),
        servers=SERVERS,
        cells=list(cells),
    )


DRIFTING = [
    cell(server, rate * speed, number_of_round, precision=precision)
    for number_of_round, speed in enumerate((1.0, 0.5, 0.8))
    for server, rate, precision in (
        ("ours", 300.0, "int8"),
        ("plain", 150.0, "int8"),
        ("plain", 200.0, "dynamic"),
        ("slow", 30.0, "torch"),
    )
]


PARTS: dict[str, Any] = {
    "machine": machine(),
    "model": "small",
    "rounds": 3,
    "texts": 100,
    "rows": 4000,
    "lone": [
        {"precision": precision, "torch": 20.0, "onnx": onnx, "torch_in_process": 19.0}
        for precision, onnx in (("int8", 4.0), ("fp32", 10.0))
        for _ in range(3)
    ],
    "busy": [{"whole": whole, "in_process": 3.0} for whole in (3.6, 3.8, 4.0)],
    "bulk": [
        {"lists": 380.0, "stream": 360.0},
        {"lists": 180.0, "stream": 180.0},
        {"lists": 396.0, "stream": 384.0},
    ],
    "limits": [
        {
            **{"model": "small", "precision": "int8", "way": "window 256"},
            **{"workers": 2, "threads": 1, "batch": 4, "rates": [400.0, 200.0, 400.0]},
        }
    ],
}
"""As `benchmarks.parts` writes it; the machine was half as fast in the second round."""
