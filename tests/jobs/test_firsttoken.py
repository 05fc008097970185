"""The last layer computed for the first token only: less work, the same answer."""

from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import pytest

from serve_app.engine.onnx_backend import onnx_run
from serve_app.jobs import classifier, export
from serve_app.jobs.firsttoken import keep_first_token, token_shapes
from serve_app.jobs.graph import observe
from tests.jobs import tiny


@pytest.fixture(scope="module")
def fused(model: Path) -> onnx.ModelProto:
    return export.fuse(export.export(classifier.load(model, "tiny").model), tiny.HEADS, tiny.WIDTH)


def rows_of_products(model: onnx.ModelProto, batch: int, tokens: int) -> Counter[int]:
    """How many products give how many rows."""
    shapes = observe(model, batch, tokens)
    products = [node for node in model.graph.node if node.op_type == "MatMul"]
    return Counter(int(np.prod(shapes[node.output[0]][:-1])) for node in products)


def test_the_last_layer_is_narrowed_to_one_token_a_text(fused: onnx.ModelProto) -> None:
    # first layer: 6 products of all tokens; last layer: keys and values of all, the rest of one
    assert rows_of_products(fused, batch=4, tokens=9) == {36: 6 + 2, 4: 4}


def test_narrowing_again_changes_nothing(fused: onnx.ModelProto) -> None:
    again = keep_first_token(fused)

    assert Counter(node.op_type for node in again.graph.node) == Counter(
        node.op_type for node in fused.graph.node
    )


def test_shapes_are_told_by_what_follows_the_batch(fused: onnx.ModelProto) -> None:
    kinds = token_shapes(fused)

    assert set(kinds.values()) == {"tokens", "rows"}
    assert kinds["logits"] == "rows"


def test_an_unfused_graph_keeps_its_answers(model: Path, tmp_path: Path) -> None:
    plain = export.export(classifier.load(model, "tiny").model)
    narrowed = keep_first_token(plain)
    generator = np.random.default_rng(0)
    ids = generator.integers(5, 100, (3, 11))
    mask = np.ones_like(ids)
    mask[1, 4:] = 0
    feed = {"input_ids": ids, "attention_mask": mask}
    for name, graph in (("plain", plain), ("narrowed", narrowed)):
        onnx.save(graph, str(tmp_path / name))

    answers = [onnx_run(tmp_path / name, 1)(feed) for name in ("plain", "narrowed")]

    np.testing.assert_allclose(answers[0], answers[1], atol=1e-5)
