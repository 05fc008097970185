"""Compute only what the head reads: in the last layer, the first token.

Classification heads look at the first token alone, yet the exported graph carries every token
through the last layer's feed-forward part. What works on each token by itself (products with
constant weights, LayerNormalization, GELU, residual sums) gives the same first token when it is
handed the first token only, so the selection is moved up the graph until it meets an operator
that mixes tokens. In attention only the query follows; keys and values need all tokens.
"""

import numpy as np
import onnx

from serve_app.jobs.graph import Graph, observe

ELEMENTWISE = frozenset(
    {"Add", "Sub", "Mul", "Div", "Gelu", "FastGelu", "BiasGelu", "Tanh", "Relu"}
)
BATCH, TOKENS = 3, 7


def token_shapes(model: onnx.ModelProto) -> dict[str, str]:
    """What each tensor holds: "tokens" for [batch, sequence, n], "rows" for [batch, n].

    Tensors of any other shape are left out. Two runs of different size tell a dimension that
    follows the batch from one that happens to equal it.
    """
    first = observe(model, BATCH, TOKENS)
    second = observe(model, BATCH + 2, TOKENS + 4)

    def kind(name: str) -> str | None:
        a, b = first[name], second[name]
        if len(a) == 3 and a[:2] == (BATCH, TOKENS) and b == (BATCH + 2, TOKENS + 4, a[2]):
            return "tokens"
        if len(a) == 2 and a[0] == BATCH and b == (BATCH + 2, a[1]):
            return "rows"
        return None

    # a tensor that a branch of control flow reads keeps its form: the branch is not rewritten
    free = set(first) - Graph(model).captured()
    return {name: found for name in free if (found := kind(name)) is not None}


def is_tokenwise(graph: Graph, node: onnx.NodeProto, kinds: dict[str, str]) -> bool:
    """Whether each token of the output depends on the same token of the inputs alone."""
    kind = kinds.get(node.output[0])
    if kind is None or len([name for name in node.output if name]) != 1:
        return False

    def per_channel(name: str) -> bool:
        value = graph.constants.get(name)
        return value is not None and max((*value.shape[:-1], 1)) == 1

    if node.op_type == "MatMul":
        weight = graph.constants.get(node.input[1])
        return kinds.get(node.input[0]) == kind and weight is not None and weight.ndim == 2
    if node.op_type == "LayerNormalization":
        axis = next((item.i for item in node.attribute if item.name == "axis"), -1)
        return kinds.get(node.input[0]) == kind and axis in (-1, 2)
    if node.op_type in ELEMENTWISE:
        return all(kinds.get(name) == kind or per_channel(name) for name in node.input)
    return False


def last_axis(node: onnx.NodeProto) -> None:
    """Make a LayerNormalization count its axis from the end, so that fewer dimensions suit it."""
    for item in node.attribute:
        if node.op_type == "LayerNormalization" and item.name == "axis":
            item.i = -1


def keep_first_token(model: onnx.ModelProto) -> onnx.ModelProto:
    """The same function of the inputs with less work; the model unchanged where no head
    selects a first token."""
    kinds = token_shapes(model)
    graph = Graph(model)
    graph.sort()
    selections = [node for node in graph.nodes if _selects_first(graph, node, kinds)]
    selected = {id(node) for node in selections}
    readers = graph.readers()
    narrowed: dict[int, onnx.NodeProto] = {}

    def read_narrow(name: str) -> bool:
        return name not in graph.outputs and all(
            id(reader) in selected
            or (id(reader) in narrowed and (not _is_attention(reader) or _queries(reader, name)))
            for reader in readers[name]
        )

    for node in reversed(graph.nodes):
        able = is_tokenwise(graph, node, kinds) or _is_attention(node)
        if able and kinds.get(node.output[0]) == "tokens" and read_narrow(node.output[0]):
            narrowed[id(node)] = node

    made = {node.output[0] for node in narrowed.values()}
    taken: dict[str, str] = {}

    def narrow(name: str) -> str:
        if name in made or kinds.get(name) != "tokens":
            return name
        if name not in taken:
            zero = graph.constant(np.array(0, dtype=np.int64), "first")
            taken[name] = graph.add("Gather", [name, zero], axis=1)[0]
        return taken[name]

    for node in narrowed.values():
        if _is_attention(node):
            _narrow_attention(graph, node, narrow(node.input[0]))
            continue
        node.input[:] = [narrow(name) for name in node.input]
        last_axis(node)
    renamed = {node.output[0]: narrow(node.input[0]) for node in selections}
    graph.remove(selections)
    for node in graph.nodes:
        node.input[:] = [renamed.get(name, name) for name in node.input]
    return graph.model()


def _selects_first(graph: Graph, node: onnx.NodeProto, kinds: dict[str, str]) -> bool:
    if node.op_type != "Gather" or kinds.get(node.input[0]) != "tokens":
        return False
    index = graph.constants.get(node.input[1])
    axis = next((item.i for item in node.attribute if item.name == "axis"), 0)
    return axis == 1 and index is not None and index.ndim == 0 and int(index) == 0


def _is_attention(node: onnx.NodeProto) -> bool:
    return bool(node.op_type == "MultiHeadAttention")


def _queries(node: onnx.NodeProto, name: str) -> bool:
    """Whether an attention reads the tensor as its query and as nothing else."""
    return node.input[0] == name and name not in list(node.input)[1:]


def _narrow_attention(graph: Graph, node: onnx.NodeProto, query: str) -> None:
    """Ask attention one query a text: [batch, n] in and out, [batch, 1, n] within."""
    axis = graph.constant(np.array([1], dtype=np.int64), "axis")
    node.input[0] = graph.add("Unsqueeze", [query, axis])[0]
    wide = f"{node.output[0]}.one"
    graph.add("Squeeze", [wide, axis], outputs=[node.output[0]])
    node.output[0] = wide
