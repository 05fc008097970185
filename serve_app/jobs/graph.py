"""An ONNX graph that can be edited: who makes a tensor, who reads it, what shape it has when run.

The rewrites of `firsttoken` and `quantize` use it; it knows nothing of either.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper, numpy_helper

Array = npt.NDArray[Any]
Shape = tuple[int, ...]

MICROSOFT = "com.microsoft"
DOMAINS = {"": 19, MICROSOFT: 1}
INPUTS = ("input_ids", "attention_mask", "token_type_ids")
OUTPUT = "logits"


class Graph:
    """A model's main graph as lists and dictionaries instead of protobuf fields.

    Args:
        model: what to edit; it is not changed, `model()` gives the result.
    """

    def __init__(self, model: onnx.ModelProto) -> None:
        self._source = model
        self.nodes: list[onnx.NodeProto] = []
        self.constants: dict[str, Array] = {
            tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer
        }
        for node in model.graph.node:
            if node.op_type == "Constant" and node.attribute[0].name == "value":
                self.constants[node.output[0]] = numpy_helper.to_array(node.attribute[0].t)
            else:
                copy = onnx.NodeProto()
                copy.CopyFrom(node)
                self.nodes.append(copy)
        self.inputs: list[str] = [value.name for value in model.graph.input]
        self.outputs: list[str] = [value.name for value in model.graph.output]
        self._count = 0

    def producers(self) -> dict[str, onnx.NodeProto]:
        """The node that makes each tensor; inputs and constants have none."""
        return {name: node for node in self.nodes for name in node.output}

    def readers(self) -> dict[str, list[onnx.NodeProto]]:
        """The nodes that read each tensor, once for each time they do."""
        found: dict[str, list[onnx.NodeProto]] = defaultdict(list)
        for node in self.nodes:
            for name in reads(node):
                found[name].append(node)
        return found

    def captured(self) -> set[str]:
        """Tensors that the branches of control flow read past their node's inputs."""
        return {name for node in self.nodes for name in _captured(node)}

    def constant(self, value: Array, hint: str) -> str:
        """Store a constant; returns its name."""
        name = self._name(hint)
        self.constants[name] = value
        return name

    def add(
        self,
        op: str,
        inputs: Sequence[str],
        *,
        outputs: Sequence[str] | int = 1,
        **attributes: object,
    ) -> list[str]:
        """Append a node; `sort` puts it in its place. Returns the names of its outputs."""
        names = (
            [self._name(op) for _ in range(outputs)] if isinstance(outputs, int) else list(outputs)
        )
        self.nodes.append(
            helper.make_node(op, list(inputs), names, name=self._name(op), **attributes)
        )
        return names

    def remove(self, nodes: Iterable[onnx.NodeProto]) -> None:
        gone = {id(node) for node in nodes}
        self.nodes = [node for node in self.nodes if id(node) not in gone]

    def sort(self) -> None:
        """Order the nodes by what they need and drop those that nothing needs.

        Raises:
            ValueError: a node reads what nothing makes, or the graph has a cycle.
        """
        producers = self.producers()
        ordered: list[onnx.NodeProto] = []
        state: dict[int, bool] = {}
        stack = [producers[name] for name in reversed(self.outputs)]
        while stack:
            node = stack[-1]
            if state.get(id(node)):
                stack.pop()
                continue
            waiting = []
            for name in reads(node):
                if name in producers:
                    if not state.get(id(producers[name])):
                        waiting.append(producers[name])
                elif name and name not in self.constants and name not in self.inputs:
                    raise ValueError(f"{node.op_type} reads {name}, which nothing makes")
            if not waiting:
                state[id(node)] = True
                ordered.append(node)
                stack.pop()
            elif id(node) in state:
                raise ValueError(f"{node.op_type} stands in a cycle")
            else:
                state[id(node)] = False
                stack.extend(waiting)
        self.nodes = ordered
        used = {name for node in ordered for name in reads(node)}
        self.constants = {name: value for name, value in self.constants.items() if name in used}

    def model(self) -> onnx.ModelProto:
        """The edited model, sorted, with the operator sets it needs and no others."""
        self.sort()
        graph = helper.make_graph(
            self.nodes,
            "classifier",
            list(self._source.graph.input),
            list(self._source.graph.output),
            [numpy_helper.from_array(value, name) for name, value in self.constants.items()],
        )
        domains = {node.domain for node in self.nodes} | {""}
        model: onnx.ModelProto = helper.make_model(
            graph,
            opset_imports=[helper.make_opsetid(domain, DOMAINS[domain]) for domain in domains],
            producer_name="sentiment prepare",
        )
        model.ir_version = 9  # opset 19's own; a newer one shuts out older runtimes for nothing
        return model

    def _name(self, hint: str) -> str:
        self._count += 1
        return f"{hint}.{self._count}"


def reads(node: onnx.NodeProto) -> list[str]:
    """What a node needs: its inputs, and what its branches take from around it."""
    return [*node.input, *_captured(node)]


def _captured(node: onnx.NodeProto) -> list[str]:
    found: list[str] = []
    for attribute in node.attribute:
        if attribute.type != onnx.AttributeProto.GRAPH:
            continue
        own = {tensor.name for tensor in attribute.g.initializer}
        own |= {value.name for value in attribute.g.input}
        own |= {name for inner in attribute.g.node for name in inner.output}
        needed = [name for inner in attribute.g.node for name in reads(inner)]
        needed += [value.name for value in attribute.g.output]
        found += [name for name in needed if name and name not in own]
    return found


def dummy(inputs: Iterable[str], batch: int, tokens: int) -> dict[str, Array]:
    """Inputs of one shape for a run that looks at shapes only: int64 [batch, tokens]."""
    return {
        name: np.ones((batch, tokens), dtype=np.int64)
        if name != "token_type_ids"
        else np.zeros((batch, tokens), dtype=np.int64)
        for name in inputs
    }


def observe(model: onnx.ModelProto, batch: int, tokens: int) -> dict[str, Shape]:
    """The shape of every tensor in one real run.

    Running the model needs no shape rules for fused operators and is never wrong about them.
    """
    import onnxruntime

    everything = onnx.ModelProto()
    everything.CopyFrom(model)
    del everything.graph.output[:]
    names = [name for node in model.graph.node for name in node.output if name]
    everything.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(
        everything.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    feed = dummy((value.name for value in session.get_inputs()), batch, tokens)
    results = session.run(names, feed)
    return {name: tuple(np.shape(value)) for name, value in zip(names, results, strict=True)}
