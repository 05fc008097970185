"""`POST /{backend}/infer` as a client meets it."""

import asyncio
import json
import random
from contextlib import suppress
from pathlib import Path
from statistics import median
from typing import Any

import aiohttp
import pytest
import requests
from transformers import pipeline

from serve_app.telemetry import TOKENS
from tests.integration.conftest import Service
from tests.integration.exported import counted
from tests.integration.waiting import until

BACKENDS = ("transformers", "onnx")
both = pytest.mark.parametrize("backend", BACKENDS)

GOOD, BAD = "A lovely, moving film.", "A dull and pointless mess."
TOKENS_OF_GOOD = 8
"""Of its words and signs, and the two that every text has."""


def positive(item: dict[str, Any]) -> float:
    """The score of that label, whichever one was answered."""
    score = float(item["score"])
    return score if item["label"] == "POSITIVE" else 1 - score


@both
def test_a_text_gets_its_label_and_score(service: Service, backend: str) -> None:
    answer = service.post(f"/{backend}/infer", {"input": GOOD})
    assert answer.status_code == 200
    (prediction,) = answer.json()
    assert prediction["label"] == "POSITIVE"
    assert 0.5 < prediction["score"] < 1
    assert prediction.keys() == {"label", "score"}


@both
def test_a_list_is_answered_in_order(service: Service, backend: str) -> None:
    texts = [GOOD, BAD] * 20
    answer = service.post(f"/{backend}/infer", {"input": texts})
    assert [item["label"] for item in answer.json()] == ["POSITIVE", "NEGATIVE"] * 20


@both
def test_the_headers_of_the_contract(service: Service, backend: str) -> None:
    answer = service.post(f"/{backend}/infer", {"input": GOOD}, headers={"X-Request-Id": "mine-1"})
    headers = answer.headers
    assert headers["X-Backend"] == backend
    assert headers["X-Batch-Size"] == "1"
    assert headers["X-Model"] == "sst2-minilm"
    assert headers["Content-Type"] == "application/json"
    assert "X-Truncated" not in headers
    # `requests` joins repeated headers with a comma.
    assert headers["X-Request-Id"] == "mine-1"
    made = service.post(f"/{backend}/infer", {"input": GOOD}).headers["X-Request-Id"]
    assert made
    assert "," not in made


def timing(answer: requests.Response) -> dict[str, float]:
    parts = (part.split(";dur=") for part in answer.headers["Server-Timing"].split(", "))
    return {name: float(value) for name, value in parts}


@both
def test_the_timing_names_parts_that_fit_into_the_whole(service: Service, backend: str) -> None:
    answer = service.post(f"/{backend}/infer", {"input": [GOOD] * 30})
    parts = timing(answer)
    assert list(parts) == ["queue", "tokenize", "inference", "total"]
    assert parts["inference"] > 0
    assert parts["queue"] + parts["tokenize"] + parts["inference"] <= parts["total"] + 1
    assert parts["total"] <= answer.elapsed.total_seconds() * 1000


def test_both_backends_agree_with_the_pipeline_and_each_other(
    service: Service, prepared: Path
) -> None:
    texts = [
        text for text in json.loads((prepared / "golden.json").read_text())["texts"] if text.strip()
    ]
    reference = pipeline("text-classification", model=str(prepared / "torch"), device="cpu")(
        texts, truncation=True
    )
    answers = {
        backend: service.post(f"/{backend}/infer", {"input": texts}).json() for backend in BACKENDS
    }
    for want, torch, onnx in zip(reference, answers["transformers"], answers["onnx"], strict=True):
        assert torch["label"] == want["label"]
        assert torch["score"] == pytest.approx(want["score"], abs=1e-5)
        assert positive(onnx) == pytest.approx(positive(want), abs=0.06)
    flips = sum(
        want["label"] != onnx["label"]
        for want, onnx in zip(reference, answers["onnx"], strict=True)
    )
    assert flips <= 2


REFUSED = [
    ("no JSON", b"{", 400, None),
    ("not UTF-8", b'{"input": "\xff"}', 400, None),
    ("nothing", b"", 400, None),
    ("deep nesting", b'{"input": ' + b"[" * 100_000, 400, None),
    ("not an object", b"[]", 422, None),
    ("no input", b"{}", 422, "input"),
    ("unknown field", b'{"input": "a", "inptu": "b"}', 422, "inptu"),
    ("number", b'{"input": 5}', 422, "input"),
    ("null", b'{"input": null}', 422, "input"),
    ("object", b'{"input": {}}', 422, "input"),
    ("empty text", b'{"input": ""}', 422, "input"),
    ("blank text", b'{"input": " \\t\\n "}', 422, "input"),
    ("empty list", b'{"input": []}', 422, "input"),
    ("list with a number", b'{"input": ["a", 5]}', 422, "input[1]"),
    ("list with a blank", b'{"input": ["a", "b", " "]}', 422, "input[2]"),
    ("list in a list", b'{"input": [["a"]]}', 422, "input[0]"),
    ("lone surrogate", b'{"input": "a \\ud800 b"}', 422, "input"),
    ("surrogate in a list", b'{"input": ["a", "\\udfff"]}', 422, "input[1]"),
    ("too many texts", json.dumps({"input": ["a"] * 257}).encode(), 422, "input"),
    ("10 MB", json.dumps({"input": "a" * 10_000_000}).encode(), 413, None),
]


@pytest.mark.parametrize(
    ("body", "status", "field"), [case[1:] for case in REFUSED], ids=[case[0] for case in REFUSED]
)
def test_bad_input_is_refused_with_its_reason(
    service: Service, body: bytes, status: int, field: str | None
) -> None:
    answer = service.post("/onnx/infer", data=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == status
    assert answer.headers["Content-Type"] == "application/problem+json"
    problem = answer.json()
    assert problem["status"] == status
    assert problem["title"]
    assert problem["detail"].endswith(".")
    assert problem.get("field") == field
    assert service.post("/onnx/infer", {"input": GOOD}).status_code == 200


TAKEN = {
    "emoji": "🎬🍿 loved it 😍",
    "right to left": "فيلم رائع جدا",
    "NUL": "great\x00film",
    "10,000 characters": "good film " * 1000,
    "one character": "x",
    "no word known": "☃" * 50,
}


@both
@pytest.mark.parametrize("text", TAKEN.values(), ids=TAKEN.keys())
def test_odd_texts_are_answered_alone_and_in_a_list(
    service: Service, backend: str, text: str
) -> None:
    alone = service.post(f"/{backend}/infer", {"input": text})
    listed = service.post(f"/{backend}/infer", {"input": [text]})
    assert alone.status_code == listed.status_code == 200
    assert alone.json()[0]["score"] == pytest.approx(listed.json()[0]["score"], abs=1e-3)


@both
def test_a_text_past_the_models_length_is_truncated_and_said_so(
    service: Service, backend: str
) -> None:
    answer = service.post(f"/{backend}/infer", {"input": ["good film " * 1000, GOOD]})
    assert answer.headers["X-Truncated"] == "1"


@both
def test_other_methods_and_types_are_refused(service: Service, backend: str) -> None:
    got = service.get(f"/{backend}/infer")
    assert got.status_code == 405
    assert got.headers["Allow"] == "POST"
    assert got.json()["type"] == "urn:sentiment:problem:method-not-allowed"
    form = service.post(f"/{backend}/infer", data={"input": GOOD})
    assert form.status_code == 415
    assert service.post("/other/infer", {"input": GOOD}).status_code == 404


@both
def test_500_concurrent_texts_each_get_their_own_answer(service: Service, backend: str) -> None:
    words = [
        "good",
        "bad",
        "dull",
        "bright",
        "slow",
        "funny",
        "sad",
        "long",
        "warm",
        "cold",
        "rich",
        "thin",
    ]
    dice = random.Random(5)
    texts = [f"{n} " + " ".join(dice.choices(words, k=dice.randint(1, 20))) for n in range(500)]
    known: list[float] = []
    for at in range(0, 500, 100):
        asked = service.post(f"/{backend}/infer", {"input": texts[at : at + 100]})
        known += map(positive, asked.json())
    assert len(set(known)) > 400, "the texts must be told apart by their scores"

    async def ask() -> list[float]:
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=500)) as client:

            async def one(text: str) -> float:
                async with client.post(
                    f"{service.url}/{backend}/infer", json={"input": text}
                ) as answer:
                    assert answer.status == 200, await answer.text()
                    (item,) = await answer.json()
                    return positive(item)

            return await asyncio.gather(*map(one, texts))

    assert asyncio.run(ask()) == pytest.approx(known, abs=1e-4)


def test_the_tokens_that_the_models_were_given_are_counted(service: Service) -> None:
    def given() -> list[float]:
        return [counted(service.metrics, TOKENS, backend=backend) for backend in BACKENDS]

    def is_counted(texts: int) -> bool:
        """Whether so many more, and nothing else, have come to the counts of both."""
        before = given()
        for backend in BACKENDS:
            assert service.post(f"/{backend}/infer", {"input": [GOOD] * texts}).ok
        wanted = [count + TOKENS_OF_GOOD * texts for count in before]
        until(lambda: given() != before)
        with suppress(AssertionError):  # those of an earlier test may still have been on their way
            until(lambda: given() == wanted, 5)
        return given() == wanted

    until(lambda: is_counted(250))


def test_an_answer_does_not_move_with_its_company(service: Service) -> None:
    """onnxruntime#10111: alone, among short and among long neighbours."""
    text = "The second half is better than the first."
    companies = [[], ["short"] * 15, ["long " * 200] * 15, ["mid " * 20, "x", "long " * 100] * 5]
    scores = []
    for company in companies:
        answer = service.post("/onnx/infer", {"input": [*company, text]})
        scores.append(answer.json()[-1]["score"])
    assert max(scores) - min(scores) <= 1e-3


def test_on_sst2_dev_torch_is_the_pipeline_and_onnx_and_auto_are_torch(
    service: Service, prepared: Path, data: Path
) -> None:
    """text-embeddings-inference#605: a server's scores may not differ from transformers'."""
    lines = (data / "sst2" / "dev.tsv").read_text(encoding="utf-8").splitlines()[1:]
    texts = [line.split("\t")[0] for line in lines]
    pipe = pipeline("text-classification", model=str(prepared / "torch"), device="cpu")
    reference = pipe(texts, batch_size=16)

    def ask(backend: str) -> list[dict[str, Any]]:
        pieces = [texts[at : at + 218] for at in range(0, len(texts), 218)]
        return [
            item
            for piece in pieces
            for item in service.post(f"/{backend}/infer", {"input": piece}).json()
        ]

    torch, onnx, auto = ask("transformers"), ask("onnx"), ask("auto")
    assert [item["label"] for item in torch] == [item["label"] for item in reference]
    assert [item["score"] for item in torch] == pytest.approx(
        [item["score"] for item in reference], abs=1e-5
    )
    flips = sum(a["label"] != b["label"] for a, b in zip(torch, onnx, strict=True))
    assert flips <= 4
    pairs = zip(torch, onnx, strict=True)
    assert median(abs(positive(a) - positive(b)) for a, b in pairs) <= 0.005
    assert [item["label"] for item in auto] == [item["label"] for item in torch]
