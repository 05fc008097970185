"""What a replica says of a call; how it answers one is in tests/integration."""

import numpy as np
import pytest

from serve_app.classifier import _tell
from serve_app.messages import Call, Reply


def test_the_log_names_the_requests_whose_texts_failed(caplog: pytest.LogCaptureFixture) -> None:
    requests = [["fine"], ["fine", "secret"], ["secret", "secret"]]
    call = Call(requests=requests, ingress="i", waiting=0.0, ids=("one", "two", "three"))
    ones = np.ones(5, dtype=np.float32)
    errors = {2: "too odd", 3: "too odd", 4: "too odd"}
    _tell(call, Reply("a", ones[:, None], ones, ones, ones.astype(np.int32), [], errors, 0.0))
    assert "requests two, three: too odd" in caplog.text
    assert "secret" not in caplog.text
