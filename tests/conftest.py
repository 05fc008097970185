"""What all tests share: the prepared bundled model, the data, and no silent skips in CI."""

import os
from pathlib import Path

import hypothesis
import pytest

from serve_app.ray_environment import set_environment

set_environment()  # before any test imports Ray
OURS = ("SENTIMENT_TEST_", "SENTIMENT_NO_SKIP", "SENTIMENT_FUZZ_", "SENTIMENT_REHEARSAL_")
for name in [name for name in os.environ if name.startswith("SENTIMENT_")]:
    if not name.startswith(OURS):
        del os.environ[name]  # a developer's own setting
# A busy machine's time is no property of the code.
hypothesis.settings.register_profile("suite", deadline=None)
hypothesis.settings.load_profile("suite")

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def prepared() -> Path:
    """The bundled model as `sentiment prepare` makes it; made once and kept."""
    from serve_app.jobs.prepare import main

    folder = ROOT / ".cache" / "prepared" / "sst2-minilm"
    assert main(["--model", str(ROOT / "models" / "sst2-minilm"), "--output", str(folder)]) == 0
    return folder


@pytest.fixture(scope="session")
def data() -> Path:
    """See `data_folder`."""
    return data_folder()


def data_folder() -> Path:
    """The folder with `sst2/`, `cr/` and `checklist/`, from SENTIMENT_TEST_DATA."""
    folder = os.environ.get("SENTIMENT_TEST_DATA")
    if not folder:
        pytest.skip("SENTIMENT_TEST_DATA names no folder with the data sets")
    return Path(folder)


@pytest.hookimpl(tryfirst=True)
def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, exitstatus: int, config: pytest.Config
) -> None:
    skipped = len(terminalreporter.stats.get("skipped", []))
    if skipped and os.environ.get("SENTIMENT_NO_SKIP"):
        terminalreporter.write_line(f"{skipped} tests were skipped where none may be", red=True)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    skipped = len(reporter.stats.get("skipped", [])) if reporter else 0
    if skipped and os.environ.get("SENTIMENT_NO_SKIP") and session.exitstatus == 0:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
