"""The document against the running service: generated requests, right and wrong, find no untruth.

`make fuzz` is the long form: SENTIMENT_FUZZ_CASES says how many cases.
"""

import os
from pathlib import Path

import numpy as np
import pytest
import requests
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from tritonclient.http import InferenceServerClient, InferInput

from serve_app.api.tensors import BINARY, HEADER
from tests.integration.conftest import Service
from tests.integration.fuzz.run import cases_that_pass

CASES = int(os.environ.get("SENTIMENT_FUZZ_CASES", "1000"))
LONG = CASES > 1000
FIXED_CASES, CASES_AN_EXAMPLE = 700, 18
"""Cases that schemathesis makes whatever is asked for, and those that one example more adds."""


@pytest.mark.timeout(7200 if LONG else 300)
def test_the_document_is_true(service: Service, tmp_path: Path) -> None:
    examples = max(20, (CASES - FIXED_CASES) // CASES_AN_EXAMPLE)
    seed = () if LONG else ("--seed", "1")
    cases = cases_that_pass(service.url, tmp_path, "--max-examples", str(examples), *seed)
    assert cases >= CASES


def request() -> tuple[bytes, int]:
    """A binary request as tritonclient makes it, and the length of its JSON."""
    texts = np.array(["A lovely film.", "A dull one."], dtype=np.object_)
    given = InferInput("text", [2], "BYTES")
    given.set_data_from_numpy(texts)
    body, length = InferenceServerClient.generate_request_body([given])
    return body, length


BODY, LENGTH = request()
mangled = st.builds(
    lambda start, end, noise: BODY[:start] + noise + BODY[end:],
    st.integers(0, len(BODY)),
    st.integers(0, len(BODY)),
    st.binary(max_size=8),
)


@settings(
    max_examples=CASES // 4,
    derandomize=not LONG,
    database=None,
    deadline=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
@given(
    path=st.sampled_from(["/onnx/infer", "/onnx", "/v2/models/onnx/infer"]),
    body=mangled | st.binary(max_size=60),
    media=st.sampled_from(["application/json", BINARY, "text/plain", ""]),
    length=st.none() | st.integers(0, len(BODY) + 9) | st.just(LENGTH),
)
@pytest.mark.timeout(3600 if LONG else 300)
def test_bytes_of_any_kind_get_an_answer_or_a_reason(
    service: Service, path: str, body: bytes, media: str, length: int | None
) -> None:
    headers = {} if length is None else {HEADER: str(length)}
    answer = requests.post(
        service.url + path, body, headers={**headers, "Content-Type": media}, timeout=30
    )
    assert answer.status_code in (200, 400, 415, 422)
    if answer.status_code != 200:
        assert answer.json().keys() & {"error", "detail"}
