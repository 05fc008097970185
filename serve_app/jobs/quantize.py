"""int8 with one activation scale per token, in operators that every ONNX Runtime has.

Each product of an activation with constant weights becomes

    rows [tokens, K] ── s = max|row| / 127 ─────────────────▶ s [tokens]
    rows ── QuantizeLinear(s, zero point 128, axis 0) ──────▶ uint8 [tokens, K]
         ── MatMulInteger(int8 weights [K, N]) ─────────────▶ int32 [tokens, N]
         ── DequantizeLinear(s, axis 0) ── * weight scales ─▶ float32 [tokens, N]

A token's scale is its own, so its answer does not move with the texts it is batched with. What
several products read is quantised once, and their weights are joined to one product. The stream
of tokens stays flat, [batch * sequence, n], and takes its three dimensions back only where an
operator mixes tokens.

A row of zeros has the scale 0: whatever byte 0 / 0 becomes, times 0 it is 0.
"""

from collections import defaultdict
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import onnx
from onnx import numpy_helper

from serve_app.jobs.errors import PrepareError
from serve_app.jobs.firsttoken import is_tokenwise, last_axis, token_shapes
from serve_app.jobs.graph import Array, Graph

PAIR_BOUND = 128
"""Largest |w[2k]| + |w[2k+1]|. Processors without VNNI add two neighbouring products in 16 bits:
255 * 128 stays under 32,768, so they compute what the others do."""

ZERO_POINT = 128
GELU = frozenset({"Gelu", "BiasGelu", "FastGelu"})
GELU_MINIMUM = 0.17
"""GELU never falls below -0.17, so its zero point need not halve the range."""
GELU_ZERO_POINT = 32


@dataclass
class Quantised:
    """The rewritten graph, how many products became int8, and how many stayed float32."""

    model: onnx.ModelProto
    products: int
    left: int


def quantize(model: onnx.ModelProto) -> Quantised:
    """Rewrite a float32 graph.

    Args:
        model: from `export.fuse`, or any graph with `input_ids` [batch, sequence].

    Raises:
        PrepareError: the graph has no product that could be rewritten.
    """
    return _Rewrite(model).run()


def quantize_weights(weights: Array) -> tuple[npt.NDArray[np.int8], npt.NDArray[np.float32]]:
    """One scale a column, as large as the pair bound asks.

    Args:
        weights: float [K, N].

    Returns:
        int8 [K, N] and float32 [N], whose product is near the weights.

    Raises:
        PrepareError: the weights are not finite.
    """
    if not np.isfinite(weights).all():
        raise PrepareError("a weight matrix holds NaN or infinity")
    exact = weights.astype(np.float64)
    magnitude = np.abs(exact)
    scale = np.maximum(_pairs(magnitude).max(axis=0) / PAIR_BOUND, magnitude.max(axis=0) / 127)
    scale = np.where(scale == 0, 1.0, scale).astype(np.float32)
    # rounding in float64 by the float32 scale that is stored can overstep the bound by one
    quantised = np.rint(exact / scale).clip(-127, 127).astype(np.int8)
    for _ in range(2):
        over = _pairs(np.abs(quantised.astype(np.int32))) > PAIR_BOUND
        even = quantised[0::2]
        even[over] -= np.sign(even[over])
    return quantised, scale


def largest_pair(quantised: npt.NDArray[np.int8]) -> int:
    """Largest |w[2k]| + |w[2k+1]| of int8 weights [K, N] over all pairs and columns."""
    return int(_pairs(np.abs(quantised.astype(np.int32))).max())


def check_pairs(model: onnx.ModelProto) -> int:
    """Hold every integer product of a graph to the pair bound; returns how many there are.

    Raises:
        PrepareError: a weight matrix would saturate on processors without VNNI.
    """
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    products = [node for node in model.graph.node if node.op_type == "MatMulInteger"]
    for node in products:
        found = largest_pair(numpy_helper.to_array(constants[node.input[1]]))
        if found > PAIR_BOUND:
            raise PrepareError(
                f"{node.input[1]} has neighbouring weights of {found} together, more than"
                f" {PAIR_BOUND}: processors without VNNI would saturate"
            )
    return len(products)


def _pairs(magnitude: Array) -> Array:
    """Sums of rows 2k and 2k + 1; a last row without a neighbour stands for itself."""
    if len(magnitude) % 2:
        magnitude = np.concatenate([magnitude, np.zeros_like(magnitude[:1])])
    return np.asarray(magnitude[0::2] + magnitude[1::2])


@dataclass(frozen=True)
class _Joined:
    """The product of several, [tokens, sum of widths]; its parts are cut out when they are read."""

    tensor: str
    widths: list[int]
    outputs: list[str]


class _Rewrite:
    """One pass over the nodes in order.

    A tensor of tokens has up to two forms under its old name, `flat` [tokens, n] and `wide`
    [batch, sequence, n]; the other one is made when a node asks for it.
    """

    def __init__(self, model: onnx.ModelProto) -> None:
        self.kinds = token_shapes(model)
        self.graph = Graph(model)
        self.graph.sort()
        self.producers = self.graph.producers()
        self.flat: dict[str, str] = {}
        self.wide: dict[str, str] = {}
        self.joined: dict[str, _Joined] = {}
        self.zero_points: dict[tuple[str, int], str] = {}
        self.shape: str | None = None
        self.axis = self.graph.constant(np.array([1], dtype=np.int64), "axis")

    def run(self) -> Quantised:
        nodes, self.graph.nodes = self.graph.nodes, []
        groups: dict[str, list[onnx.NodeProto]] = defaultdict(list)
        for node in nodes:
            if self._is_product(node):
                groups[node.input[0]].append(node)
        if not groups:
            raise PrepareError("the graph has no product of tokens with constant weights")
        left = 0
        for node in nodes:
            if not self._is_product(node):
                left += node.op_type == "MatMul" and node.input[1] in self.graph.constants
                self._keep(node)
            elif node is groups[node.input[0]][0]:
                self._product(groups[node.input[0]])
        return Quantised(self.graph.model(), sum(map(len, groups.values())), left)

    def _is_product(self, node: onnx.NodeProto) -> bool:
        if node.op_type != "MatMul" or not is_tokenwise(self.graph, node, self.kinds):
            return False
        return bool(self.graph.constants[node.input[1]].dtype == np.float32)

    def _keep(self, node: onnx.NodeProto) -> None:
        """Take a node over, flat where the tokens that reach it are flat already."""
        flat = is_tokenwise(self.graph, node, self.kinds) and any(
            name in self.flat or name in self.joined for name in node.input
        )
        form = self._flat if flat else self._wide
        node.input[:] = [form(name) for name in node.input]
        if flat:
            self.flat[node.output[0]] = node.output[0]
            last_axis(node)
        self.graph.nodes.append(node)

    def _product(self, nodes: list[onnx.NodeProto]) -> None:
        """Quantise what the nodes read, multiply once, give each its part."""
        source = nodes[0].input[0]
        weights = [self.graph.constants[node.input[1]] for node in nodes]
        quantised, scales = quantize_weights(np.concatenate(weights, axis=1))
        rows = self._flat(source)
        scale, zero_point = self._scale(rows, source)
        points = self._zero_points(scale, self.kinds[source], zero_point)
        graph = self.graph
        activation = graph.add("QuantizeLinear", [rows, scale, points], axis=0)[0]
        point = graph.constant(np.array(zero_point, dtype=np.uint8), "zero_point")
        factors = [activation, graph.constant(quantised, "weights"), point]
        integers = graph.add("MatMulInteger", factors)[0]
        by_row = graph.add("DequantizeLinear", [integers, scale], axis=0)[0]
        result = graph.add("Mul", [by_row, graph.constant(scales, "scales")])[0]
        outputs = [node.output[0] for node in nodes]
        if len(outputs) == 1:
            self.flat[outputs[0]] = result
        else:
            joined = _Joined(result, [weight.shape[1] for weight in weights], outputs)
            self.joined |= dict.fromkeys(outputs, joined)

    def _scale(self, rows: str, source: str) -> tuple[str, int]:
        """Scale of each row, float32 [tokens], and the zero point that goes with it."""
        graph = self.graph

        def number(value: float) -> str:
            return graph.constant(np.array(value, dtype=np.float32), "number")

        if source in self.producers and self.producers[source].op_type in GELU:
            largest = graph.add("ReduceMax", [rows, self.axis], keepdims=0)[0]
            upper = graph.add("Mul", [largest, number(1 / (255 - GELU_ZERO_POINT))])[0]
            lower = number(GELU_MINIMUM / GELU_ZERO_POINT)
            return graph.add("Max", [upper, lower])[0], GELU_ZERO_POINT
        magnitude = graph.add("Abs", [rows])[0]
        largest = graph.add("ReduceMax", [magnitude, self.axis], keepdims=0)[0]
        return graph.add("Mul", [largest, number(1 / 127)])[0], ZERO_POINT

    def _zero_points(self, scale: str, kind: str, value: int) -> str:
        """The zero point once a row, uint8 [tokens]: QuantizeLinear wants it like its scale."""
        if (kind, value) not in self.zero_points:
            length = self.graph.add("Shape", [scale])[0]
            fill = numpy_helper.from_array(np.array([value], dtype=np.uint8))
            made = self.graph.add("ConstantOfShape", [length], value=fill)[0]
            self.zero_points[kind, value] = made
        return self.zero_points[kind, value]

    def _flat(self, name: str) -> str:
        """A tensor of tokens as [batch * sequence, n]; what holds no tokens as it is."""
        if name not in self.flat:
            if name in self.joined:
                self._split(self.joined[name], self.flat, self.joined[name].tensor)
            elif self.kinds.get(name) == "tokens":
                self.wide[name] = name
                self.flat[name] = self.graph.add("Flatten", [name], axis=2)[0]
            else:
                return name
        return self.flat[name]

    def _wide(self, name: str) -> str:
        """A tensor of tokens as [batch, sequence, n]; what holds no tokens as it is."""
        if self.kinds.get(name) != "tokens":
            return self._flat(name)
        if name not in self.wide:
            if name in self.joined:
                self._split(self.joined[name], self.wide, self._reshape(self.joined[name].tensor))
            elif name in self.flat:
                self.wide[name] = self._reshape(self.flat[name])
            else:
                return name
        return self.wide[name]

    def _split(self, joined: _Joined, form: dict[str, str], tensor: str) -> None:
        widths = self.graph.constant(np.array(joined.widths, dtype=np.int64), "widths")
        parts = self.graph.add("Split", [tensor, widths], outputs=len(joined.widths), axis=-1)
        form.update(zip(joined.outputs, parts, strict=True))

    def _reshape(self, tensor: str) -> str:
        if self.shape is None:
            size = self.graph.add("Shape", ["input_ids"])[0]
            rest = self.graph.constant(np.array([-1], dtype=np.int64), "rest")
            self.shape = self.graph.add("Concat", [size, rest], axis=0)[0]
        return self.graph.add("Reshape", [tensor, self.shape])[0]
