"""int8 with a scale per token: the pair bound, the integers, the same answer in any company."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from serve_app.engine.certificate import BATCH_BOUND
from serve_app.engine.onnx_backend import onnx_run
from serve_app.engine.postprocess import apply
from serve_app.jobs import classifier
from serve_app.jobs.candidates import export_and_fuse
from serve_app.jobs.errors import PrepareError
from serve_app.jobs.quantize import (
    PAIR_BOUND,
    check_pairs,
    largest_pair,
    quantize,
    quantize_weights,
)
from serve_app.jobs.texts import fixed_texts
from serve_app.jobs.verify import Run, Sample, tokenize

Floats = npt.NDArray[np.float32]


def random_weights(seed: int, inputs: int, outputs: int, size: float) -> Floats:
    """Weights with a heavy tail, as trained ones have."""
    generator = np.random.default_rng(seed)
    return (generator.standard_t(2, (inputs, outputs)) * size).astype(np.float32)


@given(
    seed=st.integers(0, 2**32 - 1),
    inputs=st.integers(1, 67),
    outputs=st.integers(1, 5),
    size=st.floats(1e-6, 1e4),
)
@settings(max_examples=200)
def test_weights_keep_the_pair_bound_and_stay_near(
    seed: int, inputs: int, outputs: int, size: float
) -> None:
    weights = random_weights(seed, inputs, outputs, size)

    quantised, scale = quantize_weights(weights)

    assert largest_pair(quantised) <= PAIR_BOUND
    assert np.abs(quantised.astype(np.int32)).max() <= 127
    # half a step by rounding, one more where a pair had to give way
    assert (np.abs(quantised * scale.astype(np.float64) - weights) <= 1.51 * scale).all()


def test_ties_do_not_overstep_the_pair_bound() -> None:
    halves = np.array([[63.5], [64.5], [0.5], [127.0]], dtype=np.float32)

    quantised, _ = quantize_weights(halves)

    assert largest_pair(quantised) == PAIR_BOUND


def test_a_column_of_zeros_stays_zero() -> None:
    quantised, scale = quantize_weights(np.zeros((4, 2), dtype=np.float32))

    assert not quantised.any()
    assert np.isfinite(scale).all()


def test_weights_that_are_not_finite_are_refused() -> None:
    with pytest.raises(PrepareError, match="NaN or infinity"):
        quantize_weights(np.array([[np.nan]], dtype=np.float32))


@pytest.mark.parametrize("rows", [1, 2, 7, 33])
@pytest.mark.parametrize("pair", [(64, 64), (127, 1), (-64, -64), (-1, -127), (127, -1)])
@pytest.mark.parametrize("zero_point", [128, 32])
def test_the_integer_product_is_exact_in_the_worst_case(
    rows: int, pair: tuple[int, int], zero_point: int
) -> None:
    weights = np.tile(np.array(pair, dtype=np.int8)[:, None], (192, 48))
    assert largest_pair(weights) == PAIR_BOUND
    activation = np.full((rows, 384), 255, dtype=np.uint8)
    activation[rows // 2] = 0
    node = helper.make_node("MatMulInteger", ["a", "w", "z"], ["y"])
    graph = helper.make_graph(
        [node],
        "product",
        [helper.make_tensor_value_info("a", TensorProto.UINT8, [None, 384])],
        [helper.make_tensor_value_info("y", TensorProto.INT32, [None, 48])],
        [
            numpy_helper.from_array(weights, "w"),
            numpy_helper.from_array(np.array(zero_point, dtype=np.uint8), "z"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 19)], ir_version=9)
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )

    product = session.run(None, {"a": activation})[0]

    expected = (activation.astype(np.int32) - zero_point) @ weights.astype(np.int32)
    assert (product == expected).all()


def embedding_model(table: Floats, weights: list[Floats], *, gelu: bool = False) -> onnx.ModelProto:
    """tokens -> rows of a table -> products that share them -> [batch, sequence, sum of widths]."""
    nodes = [helper.make_node("Gather", ["table", "input_ids"], ["embedded"])]
    source = "embedded"
    if gelu:
        nodes.append(helper.make_node("Gelu", [source], ["active"], domain="com.microsoft"))
        source = "active"
    parts = [f"part{number}" for number in range(len(weights))]
    for number, part in enumerate(parts):
        nodes.append(helper.make_node("MatMul", [source, f"w{number}"], [part]))
    nodes.append(helper.make_node("Concat", parts, ["logits"], axis=-1))
    constants = {"table": table} | {f"w{number}": weight for number, weight in enumerate(weights)}
    graph = helper.make_graph(
        nodes,
        "embedding",
        [helper.make_tensor_value_info("input_ids", TensorProto.INT64, ["batch", "sequence"])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", "sequence", None])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    opsets = [helper.make_opsetid("", 19), helper.make_opsetid("com.microsoft", 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=9)


def run(model: onnx.ModelProto, ids: npt.NDArray[np.int64]) -> Floats:
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    result: Floats = session.run(None, {"input_ids": ids})[0]
    return result


def test_products_that_share_an_input_become_one() -> None:
    table = random_weights(1, 50, 24, 1.0)
    weights = [random_weights(seed, 24, width, 0.1) for seed, width in ((2, 8), (3, 5), (4, 8))]
    model = embedding_model(table, weights)

    made = quantize(model)

    assert (made.products, made.left) == (3, 0)
    operators = [node.op_type for node in made.model.graph.node]
    assert operators.count("MatMulInteger") == operators.count("QuantizeLinear") == 1
    assert "MatMul" not in operators
    ids = np.arange(21).reshape(3, 7)
    rows = table[ids]
    scale = np.abs(rows).max(axis=-1, keepdims=True).astype(np.float32) / np.float32(127)
    integers = np.rint(rows / scale).astype(np.int32)
    quantised, scales = quantize_weights(np.concatenate(weights, axis=1))
    expected = (integers @ quantised.astype(np.int32)) * scale * scales
    np.testing.assert_allclose(run(made.model, ids), expected, rtol=1e-5, atol=1e-5)


def test_gelu_uses_the_range_below_zero_that_it_has() -> None:
    table = random_weights(1, 50, 24, 1.0)
    model = embedding_model(table, [random_weights(2, 24, 8, 0.1)], gelu=True)
    ids = np.arange(50).reshape(5, 10)

    made = quantize(model)

    difference = np.abs(run(made.model, ids) - run(model, ids))
    assert difference.max() < 0.02 * np.abs(run(model, ids)).max()


def test_a_row_of_zeros_gives_zeros() -> None:
    table = random_weights(1, 8, 24, 1.0)
    table[3] = 0
    model = quantize(embedding_model(table, [random_weights(2, 24, 8, 0.1)])).model

    result = run(model, np.array([[3, 1], [3, 3]]))

    assert np.isfinite(result).all()
    assert not result[0, 0].any()
    assert not result[1].any()
    assert result[0, 1].any()


def test_a_graph_without_products_is_refused() -> None:
    node = helper.make_node("Gather", ["table", "input_ids"], ["logits"])
    graph = helper.make_graph(
        [node],
        "lookup",
        [helper.make_tensor_value_info("input_ids", TensorProto.INT64, ["batch", "sequence"])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", "sequence", 4])],
        [numpy_helper.from_array(random_weights(0, 9, 4, 1.0), "table")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 19)], ir_version=9)

    with pytest.raises(PrepareError, match="no product"):
        quantize(model)


def test_weights_past_the_pair_bound_are_found() -> None:
    model = quantize(
        embedding_model(random_weights(1, 50, 24, 1.0), [np.eye(24, dtype="f4")])
    ).model
    assert check_pairs(model) == 1
    for tensor in model.graph.initializer:
        if tensor.data_type == TensorProto.INT8:
            loud = np.full((24, 24), 100, dtype=np.int8)
            tensor.CopyFrom(numpy_helper.from_array(loud, tensor.name))

    with pytest.raises(PrepareError, match="200 together"):
        check_pairs(model)


@pytest.fixture(scope="module")
def int8(model: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, Sample]:
    """The tiny BERT in int8 and the fixed texts."""
    loaded = classifier.load(model, "tiny")
    _, fused, _ = export_and_fuse(loaded)
    path = tmp_path_factory.mktemp("int8") / "int8.onnx"
    onnx.save(quantize(fused[0]).model, str(path))
    texts = fixed_texts()
    return onnx_run(path, threads=1), tokenize(loaded.tokenizer, texts, len(texts), [], loaded.pad)


@given(data=st.data())
@settings(max_examples=60)
def test_a_text_has_one_answer_in_any_company(
    data: st.DataObject, int8: tuple[Run, Sample]
) -> None:
    call, sample = int8
    number = data.draw(st.integers(0, sample.fixed - 1))
    company = data.draw(st.lists(st.integers(0, sample.fixed - 1), max_size=12))
    place = data.draw(st.integers(0, len(company)))
    batch = [*company[:place], number, *company[place:]]

    alone = apply(call(sample.feed([number])), "softmax")[0]
    among = apply(call(sample.feed(batch)), "softmax")[place]

    assert np.abs(alone - among).max() <= BATCH_BOUND
    assert np.abs(alone - among).max() <= 1e-5  # what it is in truth: the order of float sums


@pytest.mark.parametrize("length", [2, 5, 64])
def test_padding_alone_moves_nothing(length: int, int8: tuple[Run, Sample]) -> None:
    call, sample = int8
    feed = sample.feed([0])
    padded = {
        name: np.pad(
            values, ((0, 0), (0, length)), constant_values=sample.pad * (name == "input_ids")
        )
        for name, values in feed.items()
    }
    if padded["input_ids"].shape[1] > 64:
        padded = {name: values[:, :64] for name, values in padded.items()}

    np.testing.assert_allclose(call(padded), call(feed), atol=1e-5)
