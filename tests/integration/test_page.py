"""The page in a real browser, against the real service."""

import os
import subprocess
import sys

import pytest

from tests.conftest import ROOT
from tests.integration.conftest import Service
from tests.ui.browsing import needs_browser

pytestmark = needs_browser


@pytest.mark.timeout(600)
def test_the_pages_browser_tests_pass_against_the_real_service(service: Service) -> None:
    result = subprocess.run(
        # The rest is the same whoever answers, and runs against the stand-in.
        [
            *(sys.executable, "-m", "pytest", "-q", "tests/ui/test_browser.py"),
            *("-k", "typed or cluster"),
        ],
        cwd=ROOT,
        env={**os.environ, "SENTIMENT_UI_TEST_API_URL": service.url},
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )
    assert result.returncode == 0, result.stdout[-4000:]
    assert " passed" in result.stdout
