"""Editing a graph: order, what is dropped, what branches of control flow hold on to."""

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from serve_app.jobs.graph import DOMAINS, Graph, observe, reads


def model(nodes: list[onnx.NodeProto]) -> onnx.ModelProto:
    graph = helper.make_graph(
        nodes,
        "example",
        [helper.make_tensor_value_info("input_ids", TensorProto.INT64, ["batch", "sequence"])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(np.array([1, 2], dtype=np.float32), "pair")],
    )
    opsets = [helper.make_opsetid("", DOMAINS[""])]
    return helper.make_model(graph, opset_imports=opsets, ir_version=9)


def cast(source: str, target: str) -> onnx.NodeProto:
    return helper.make_node("Cast", [source], [target], to=TensorProto.FLOAT)


def test_nodes_are_ordered_and_the_unused_dropped() -> None:
    unordered = model(
        [
            helper.make_node("Add", ["float", "float"], ["logits"]),
            helper.make_node("Neg", ["float"], ["unused"]),
            cast("input_ids", "float"),
        ]
    )

    graph = Graph(unordered)
    edited = graph.model()

    assert [node.op_type for node in edited.graph.node] == ["Cast", "Add"]
    assert not edited.graph.initializer
    assert len(unordered.graph.node) == 3  # what was handed in stays


def test_constants_become_initializers() -> None:
    value = numpy_helper.from_array(np.array([3], dtype=np.float32))
    made = Graph(
        model(
            [
                helper.make_node("Constant", [], ["three"], value=value),
                cast("input_ids", "float"),
                helper.make_node("Mul", ["float", "three"], ["logits"]),
            ]
        )
    )

    assert made.constants["three"] == 3
    assert [tensor.name for tensor in made.model().graph.initializer] == ["three"]


def test_a_branch_holds_on_to_what_it_reads() -> None:
    def branch(op: str) -> onnx.GraphProto:
        output = helper.make_tensor_value_info(op, TensorProto.FLOAT, None)
        return helper.make_graph([helper.make_node(op, ["float"], [op])], op, [], [output])

    choice = helper.make_node(
        "If", ["yes"], ["logits"], then_branch=branch("Neg"), else_branch=branch("Abs")
    )
    graph = Graph(model([choice, cast("input_ids", "float")]))
    graph.constants["yes"] = np.array(True)

    edited = graph.model()

    assert reads(choice) == ["yes", "float", "float"]
    assert graph.captured() == {"float"}
    assert len(graph.readers()["float"]) == 2
    assert [node.op_type for node in edited.graph.node] == ["Cast", "If"]
    session = onnxruntime.InferenceSession(edited.SerializeToString())
    assert session.run(None, {"input_ids": np.array([[5]])})[0] == -5


def test_what_nothing_makes_is_named() -> None:
    graph = Graph(model([helper.make_node("Neg", ["nowhere"], ["logits"])]))

    with pytest.raises(ValueError, match="Neg reads nowhere"):
        graph.sort()


def test_a_cycle_is_refused() -> None:
    one = helper.make_node("Neg", ["second"], ["first"])
    two = helper.make_node("Neg", ["first"], ["second"])
    out = helper.make_node("Neg", ["first"], ["logits"])

    with pytest.raises(ValueError, match="cycle"):
        Graph(model([one, two, out])).sort()


def test_shapes_are_those_of_a_real_run() -> None:
    doubled = helper.make_node("Concat", ["float", "float"], ["logits"], axis=1)

    shapes = observe(model([cast("input_ids", "float"), doubled]), batch=3, tokens=5)

    assert shapes == {"float": (3, 5), "logits": (3, 10)}
