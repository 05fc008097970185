from hypothesis import given
from hypothesis import strategies as st

from serve_app.engine.fair_queue import FLOWS, FairQueue


def drain(queue: FairQueue[str]) -> list[str]:
    return [queue.pop() for _ in range(len(queue))]


def test_lists_advance_side_by_side() -> None:
    queue: FairQueue[str] = FairQueue()
    queue.add(["a0", "a1", "a2"])
    queue.add(["b0", "b1", "b2"])
    assert drain(queue) == ["a0", "b0", "a1", "b1", "a2", "b2"]


def test_with_longer_turns_short_lists_go_whole_and_long_ones_take_turns() -> None:
    queue: FairQueue[str] = FairQueue(turn=2)
    queue.add(["a0", "a1", "a2", "a3", "a4"])
    queue.add(["b0", "b1"])
    assert [queue.pop(), queue.pop(), queue.pop()] == ["a0", "a1", "b0"]
    queue.add(["c0", "c1", "c2"])
    assert drain(queue) == ["b1", "c0", "c1", "a2", "a3", "c2", "a4"]


def test_parts_of_a_request_share_its_turns() -> None:
    queue: FairQueue[str] = FairQueue(turn=4)
    for part in ("abc", "def"):
        queue.add(part, flow="list")
    queue.add("123", flow="another")
    assert "".join(drain(queue)) == "abcd123ef"


@given(
    st.lists(st.tuples(st.lists(st.integers(), max_size=20), st.booleans()), max_size=10),
    st.integers(1, 8),
)
def test_every_item_leaves_once_and_each_request_in_its_order(
    requests: list[tuple[list[int], bool]], turn: int
) -> None:
    queue: FairQueue[tuple[int, int, int]] = FairQueue(turn)
    left: list[tuple[int, int, int]] = []
    for number, (request, pop) in enumerate(requests):
        queue.add((number, index, item) for index, item in enumerate(request))
        if queue and pop:
            left.append(queue.pop())
    left += [queue.pop() for _ in range(len(queue))]
    for number, (request, _) in enumerate(requests):
        assert [item for n, _, item in left if n == number] == request


@given(st.integers(1, 300), st.integers(0, 299))
def test_a_single_waits_for_at_most_one_text_of_a_list(length: int, gone: int) -> None:
    queue: FairQueue[str] = FairQueue()
    queue.add(["bulk"] * length)
    for _ in range(min(gone, length)):
        queue.pop()
    queue.add(["single"])
    assert "single" in [queue.pop() for _ in range(min(2, len(queue)))]


def test_a_request_in_parts_has_one_share() -> None:
    queue: FairQueue[str] = FairQueue()
    for part in ("abcd", "efgh"):
        queue.add(part, flow="list")
    assert queue.pop() == "a"
    queue.add("1")
    queue.add("xyz")
    assert [queue.pop() for _ in range(len(queue))] == list("1xbyczdefgh")


def test_of_equal_turns_the_beginning_of_a_request_goes_first() -> None:
    queue: FairQueue[str] = FairQueue()
    queue.add("abc")
    assert queue.pop() == "a"
    assert queue.pop() == "b"
    queue.add("1")
    assert queue.pop() == "1"


def test_requests_that_are_over_are_forgotten() -> None:
    queue: FairQueue[int] = FairQueue()
    for flow in range(5000):
        queue.add([flow], flow)
        queue.pop()
    assert len(queue._flows) == FLOWS


def test_what_is_not_wanted_any_more_is_forgotten() -> None:
    queue: FairQueue[str] = FairQueue()
    queue.add("abcd")
    queue.add("123")
    queue.keep(lambda item: item not in "a3c")
    assert drain(queue) == ["1", "b", "2", "d"]
