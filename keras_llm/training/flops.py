"""How many operations a training step needs: the matrix products of a traced program, counted."""

import math
from collections.abc import Callable

import tensorflow as tf

LOOPS = ("While", "StatelessWhile")
CALLS = ("PartitionedCall", "StatefulPartitionedCall")


class UnknownSize(Exception):
    """A product or a loop whose size the graph does not tell."""


def matrix_flops(graph: tf.Graph) -> int | None:
    """Floating-point operations of all matrix products of a graph, a multiply-add taken as two.

    Products, einsums and convolutions count, those of called functions and of loops too: the body of a loop as often
    as its ``maximum_iterations`` says. All else (softmax, norms, the optimizer) is a few operations an element and not
    counted, as in the papers.

    Args:
        graph: of a ``ConcreteFunction`` that was traced with static shapes.

    Returns:
        The number of operations, or None when a size or the number of a loop's turns is not known: no figure is
        better than a wrong one.

    Source: Chowdhery et al. 2022 (PaLM), appendix B.
    """
    try:
        return _of_graph(graph)
    except UnknownSize:
        return None


def _of_graph(graph: tf.Graph) -> int:
    """Only what leads to an output or an update: TensorFlow writes gradients down that nobody asks for."""
    needed, waiting = set(), [*(tensor.op for tensor in graph.outputs), *graph.control_outputs]
    while waiting:
        op = waiting.pop()
        if op not in needed:
            needed.add(op)
            waiting += [*(tensor.op for tensor in op.inputs), *op.control_inputs]
    return sum(_of_operation(op, graph) for op in needed)


def _of_operation(op: tf.Operation, graph: tf.Graph) -> int:
    if op.type in PRODUCTS:
        return 2 * PRODUCTS[op.type](op)
    if op.type in LOOPS:
        body = _of_function(op.get_attr("body"), graph)
        return body and body * _turns(op)
    if op.type in CALLS:
        return _of_function(op.get_attr("f"), graph)
    if op.type in ("If", "StatelessIf", "Case", "StatelessCase"):
        names = ("then_branch", "else_branch") if op.type.endswith("If") else ("branches",)
        branches = [name for attribute in names for name in _as_list(op.get_attr(attribute))]
        counts = {_of_function(branch, graph) for branch in branches}
        if len(counts) > 1:
            raise UnknownSize
        return counts.pop()
    return 0


def _of_function(function, graph: tf.Graph) -> int:
    # TensorFlow has no public way from an operation to the graph of the function that it calls; the definition alone,
    # which is public, has no shapes.
    return _of_graph(graph._get_function(function.name).graph)


def _turns(loop: tf.Operation) -> int:
    """How often a loop turns; its first two inputs are its counter and its ``maximum_iterations``, -1 for None."""
    limit = loop.inputs[1]
    while limit.op.type in ("Identity", "Max") and limit.op.inputs[0].shape == ():  # Keras: the longest of one length
        limit = limit.op.inputs[0]
    if limit.op.type in LOOPS:  # the loop of a gradient turns as often as the loop that it leads back through
        return _turns(limit.op)
    turns = tf.get_static_value(limit)
    if turns is None or turns < 0:
        raise UnknownSize
    return int(turns)


def _product(op: tf.Operation) -> int:
    names = ("transpose_a", "adj_x")
    transposed = next(op.get_attr(name) for name in names if name in op.node_def.attr)
    return _size(op.outputs[0].shape) * _size(op.inputs[0].shape[-2 if transposed else -1 :][:1])


def _einsum(op: tf.Operation) -> int:
    terms, _, result = op.get_attr("equation").decode().partition("->")
    sizes: dict[str, int] = {}
    for term, tensor in zip(terms.split(","), op.inputs, strict=True):
        if tensor.shape.rank is None:
            raise UnknownSize
        before, dots, after = term.partition("...")
        rest = tensor.shape.rank - len(before) - len(after)
        # Dimensions behind the dots are broadcast from the right: "1" is the last of them.
        labels = [*before, *(str(rest - i) for i in range(rest if dots else 0)), *after]
        for label, size in zip(labels, tensor.shape, strict=True):
            sizes[label] = max(sizes.get(label, 1), _size([size]))
    is_product = len(op.inputs) == 2 and any(label.isalpha() and label not in result for label in sizes)
    return math.prod(sizes.values()) if is_product else 0


def _convolution(filters: Callable, outputs: Callable, kept: int = 1) -> Callable[[tf.Operation], int]:
    """A filter ``(..., channels, outputs)``: each output number costs as much as the filter has numbers for it."""
    return lambda op: _size(outputs(op).shape) * _size(filters(op).shape[:-kept])


def _of_convolutions() -> dict[str, Callable]:
    """Each with the two that make its gradients."""
    found = {}
    for name, version, kept in (("Conv2D", "", 1), ("Conv3D", "V2", 1), ("DepthwiseConv2dNative", "", 2)):
        back_to_input, back_to_filter = f"{name}BackpropInput{version}", f"{name}BackpropFilter{version}"
        found[name] = _convolution(lambda op: op.inputs[1], lambda op: op.outputs[0], kept)
        found[back_to_input] = _convolution(lambda op: op.inputs[1], lambda op: op.inputs[2], kept)
        found[back_to_filter] = _convolution(lambda op: op.outputs[0], lambda op: op.inputs[2], kept)
    return found


def _size(shape) -> int:
    count = tf.TensorShape(shape).num_elements()
    if count is None:
        raise UnknownSize
    return count


def _as_list(value) -> list:
    return value if isinstance(value, list) else [value]


PRODUCTS: dict[str, Callable[[tf.Operation], int]] = {
    **dict.fromkeys(("MatMul", "BatchMatMul", "BatchMatMulV2", "BatchMatMulV3"), _product),
    "Einsum": _einsum,
    **_of_convolutions(),
}
