"""The command itself: what it says where a sub-command cannot begin."""

from types import SimpleNamespace

import pytest

from serve_app import cli
from serve_app.jobs import run, score
from serve_app.jobs.arguments import port, positive


def test_a_package_that_is_missing_is_named(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(name: str) -> object:
        raise ModuleNotFoundError(f"No module named {name!r}", name="psutil")

    monkeypatch.setattr(cli, "import_module", fails)
    assert cli.main(["run"]) == 1
    assert "run needs psutil, which is not installed" in capsys.readouterr().err


def test_an_early_ctrl_c_is_no_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(_: str) -> object:
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "import_module", interrupted)
    assert cli.main(["score"]) == 130


def test_arguments_reach_the_sub_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cli, "import_module", lambda name: SimpleNamespace(main=len))
    assert cli.main(["key", "list", "--file"]) == 2


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["--version"], 0, "."),
        (["help"], 0, "sentiment COMMAND --help says more"),
        ([], 2, "usage:"),
    ],
)
def test_what_it_says_of_itself(
    arguments: list[str], code: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(arguments) == code
    assert said in capsys.readouterr().out


@pytest.mark.parametrize("value", ["0", "-1", "70000", "many"])
def test_a_port_that_is_none_is_refused(value: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        run.main(["--port", value])
    assert stop.value.code == 2
    assert "is no whole number from 1 to 65535" in capsys.readouterr().err


@pytest.mark.parametrize("option", ["--part-rows", "--processes"])
def test_numbers_of_nothing_are_refused(option: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        score.main(["a.csv", "--output", "out", option, "0"])
    assert stop.value.code == 2
    assert "is no whole number of at least 1" in capsys.readouterr().err


def test_numbers_within_their_bounds() -> None:
    assert (port("1"), port("65535"), positive("1")) == (1, 65535, 1)
