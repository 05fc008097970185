"""`/openapi.json` tells all there is: each route, and what each may answer."""

import json
import re
from collections.abc import Iterator
from dataclasses import fields
from typing import Any

import pytest
from fastapi.routing import APIRoute

from serve_app.api.errors import KINDS
from serve_app.api.huggingface import HuggingFaceRequest
from serve_app.api.open_inference_schemas import OpenInferenceRequest
from serve_app.api.schemas import InferRequest
from serve_app.engine.certificate import Certificate
from tests.api.asking import client
from tests.api.world import World

Document = dict[str, Any]


@pytest.fixture(scope="module")
def document() -> Document:
    found: Document = World(max_texts=7).app.openapi()
    return found


def operations(document: Document) -> Iterator[tuple[str, str, Document]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield path, method, operation


async def test_the_document_is_served_and_so_is_its_page(document: Document) -> None:
    async with client(World(max_texts=7).app) as http:
        assert (await http.get("/openapi.json")).json() == json.loads(json.dumps(document))
        page = await http.get("/docs")
    assert page.headers["content-type"].startswith("text/html")
    assert "openapi.json" in page.text
    foreign = [tag for tag in re.findall("<[^>]+>", page.text) if "//" in tag]
    assert len(foreign) == 2
    for tag in foreign:  # an exact version, and of that no other bytes
        assert re.search(r'@\d+\.\d+\.\d+/.* integrity="sha384-[\w+/]{64}" crossorigin>', tag)
    assert page.headers["content-security-policy"].startswith("script-src https://cdn")


async def test_no_other_route_answers() -> None:
    """Starlette's own list against the document: whatever can be matched is told."""
    app = World().app
    told = {(path, method.upper()) for path, method, _ in operations(app.openapi())}
    found = {
        (found.path, method)
        for route in app.routes
        for found in routes_of(route)
        for method in found.methods or ()
    }
    assert told == found


def routes_of(route: Any) -> Iterator[APIRoute]:
    """A route, or those of a router that was included: some versions of FastAPI keep it whole."""
    if isinstance(route, APIRoute):
        yield route
    else:
        for inner in route.original_router.routes:
            yield from routes_of(inner)


def test_every_operation_tells_its_method_errors_and_its_request_id(document: Document) -> None:
    for path, method, operation in operations(document):
        responses = operation["responses"]
        assert "Allow" in responses["405"]["headers"], path
        assert operation["summary"], path
        for status, response in responses.items():
            if status != "200" or method == "get" or "stream" not in path:
                assert "X-Request-Id" in response["headers"], (path, status)
            assert response["content"], (path, status)


def test_inference_operations_tell_every_error_and_header(document: Document) -> None:
    own = {"Server-Timing", "X-Backend", "X-Batch-Size", "X-Model", "X-Truncated"}
    for path, method, operation in operations(document):
        if method == "post" and "stream" not in path:
            statuses = {"200", "400", "405", "413", "415", "422", "500", "503", "504"}
            assert statuses <= operation["responses"].keys(), path
            assert own <= operation["responses"]["200"]["headers"].keys(), path
            assert operation["responses"]["503"]["headers"]["Retry-After"]["required"], path


def test_errors_have_the_shape_of_their_protocol(document: Document) -> None:
    for path, _, operation in operations(document):
        plain = path.startswith("/v2") or (
            path.count("/") == 1 and path[1:] in World().gateway.dispatchers
        )
        for status, response in operation["responses"].items():
            if int(status) >= 400 and path != "/ready":
                (media,) = response["content"]
                assert media == ("application/json" if plain else "application/problem+json"), path


def test_every_reference_leads_somewhere(document: Document) -> None:
    names = set(re.findall(r'"#/components/schemas/(\w+)"', json.dumps(document)))
    assert names == document["components"]["schemas"].keys()
    assert "$defs" not in json.dumps(document)
    assert '"x-' not in json.dumps(document)


def test_a_certificate_is_documented_as_a_replica_has_it(document: Document) -> None:
    told = document["components"]["schemas"]["Certificate"]["properties"]
    assert list(told) == [field.name for field in fields(Certificate)]


def test_a_list_may_have_as_many_texts_as_the_setting_says(document: Document) -> None:
    schemas = document["components"]["schemas"]
    assert schemas["InferRequest"]["properties"]["input"]["anyOf"][1]["maxItems"] == 7
    assert schemas["HuggingFaceRequest"]["properties"]["inputs"]["anyOf"][1]["maxItems"] == 7
    assert schemas["InputTensor"]["properties"]["data"]["maxItems"] == 7


def test_a_list_may_have_no_more_texts_than_the_quota() -> None:
    schemas = World(max_texts=7, quota="5/minute").app.openapi()["components"]["schemas"]
    assert schemas["InferRequest"]["properties"]["input"]["anyOf"][1]["maxItems"] == 5


@pytest.mark.parametrize(
    ("path", "model"),
    [
        ("/onnx/infer", InferRequest),
        ("/onnx", HuggingFaceRequest),
        ("/v2/models/onnx/infer", OpenInferenceRequest),
    ],
)
async def test_the_examples_are_answered(path: str, model: Any) -> None:
    async with client(World().app) as http:
        for example in model.model_json_schema()["examples"]:
            assert (await http.post(path, json=example)).status_code == 200


def test_kinds_have_names_of_their_own() -> None:
    assert len({kind.name for kind in KINDS}) == len(KINDS)


def test_a_stream_tells_the_errors_that_come_before_it_begins(document: Document) -> None:
    for path, _, operation in operations(document):
        if "stream" in path:
            assert operation["responses"].keys() == {"200", "405", "415", "422", "503"}, path
            assert operation["responses"]["503"]["headers"]["Retry-After"]["required"], path
