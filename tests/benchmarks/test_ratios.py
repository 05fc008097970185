"""Ratios within a round."""

from benchmarks import ratios
from tests.benchmarks.made_up import DRIFTING, cell


def test_ratios_are_taken_within_a_round() -> None:
    ours = [cell("ours", rate, n) for n, rate in enumerate((300.0, 100.0, 200.0))]
    other = [cell("plain", rate, n) for n, rate in enumerate((150.0, 50.0, 100.0))]
    assert ratios.paired(ours, other, lambda c: c.requests_per_second) == 2.0
    assert ratios.paired(ours, [], lambda c: c.requests_per_second) is None
    assert ratios.paired(ours[:1], other[1:], lambda c: c.requests_per_second) is None


def test_the_best_of_the_others_is_one_for_speed_and_one_for_the_tail() -> None:
    wild = [cell("slow", 400.0, n, p99=900.0) for n in range(3)]
    (only,) = ratios.against([*DRIFTING, *wild])
    assert (only.fastest[0].server, only.rate) == ("slow", 0.6)
    # The lowest p99 is the ordinary dynamic one's, whose answers come a third sooner.
    assert (only.steadiest[0].precision, only.tail) == ("dynamic", 1.5)
