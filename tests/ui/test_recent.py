import pytest

from ui.recent import ERROR_S, Recent


def test_it_asks_again_only_once_the_value_is_old() -> None:
    now, asked = [0.0], [0]

    def ask() -> int:
        asked[0] += 1
        return asked[0]

    recent = Recent(ask, 2.0, clock=lambda: now[0])
    assert [recent.get(), recent.get()] == [1, 1]
    now[0] = 2.0
    assert recent.get() == 2


def test_an_error_is_told_to_all_who_wait_and_then_forgotten() -> None:
    now, asked = [0.0], [0]

    def ask() -> str:
        asked[0] += 1
        if asked[0] == 1:
            raise ValueError("no")
        return "yes"

    recent = Recent(ask, 60.0, clock=lambda: now[0])
    for _ in range(3):
        with pytest.raises(ValueError, match="no"):
            recent.get()
    assert asked == [1]
    now[0] = ERROR_S
    assert recent.get() == "yes"
