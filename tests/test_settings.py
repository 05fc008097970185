"""What the environment may not say; that each setting is documented is in tests/docs."""

import pytest
from pydantic import ValidationError

from serve_app.settings import Settings


@pytest.mark.parametrize("value", ["inf", "nan"])
def test_a_number_that_is_none_is_refused(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    """Requests would fail by it, not the start."""
    monkeypatch.setenv("SENTIMENT_TIMEOUT_S", value)
    with pytest.raises(ValidationError, match="finite number"):
        Settings()
