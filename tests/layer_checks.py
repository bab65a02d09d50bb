"""What must hold of attention, whichever layer does it. Each check fails for a layer that does not do it."""

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from keras_llm.layers import DecoderBlock, EncoderBlock

B, T, S, D, H, WIDE = 3, 5, 7, 8, 2, 12


def normal(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng([seed, *shape]).normal(size=shape).astype("float32")


X, MEMORY = normal(B, T, D), normal(B, S, D)
REAL = np.arange(T) < np.array([[5], [3], [2]])  # the rest is padding
MEMORY_REAL = np.arange(S) < np.array([[4], [7], [1]])
INPUTS = {EncoderBlock: [X], DecoderBlock: [X, MEMORY]}


def with_random_weights(layer: keras.layers.Layer, *shapes: tuple) -> keras.layers.Layer:
    """Build a layer and give it weights that are nowhere zero or one, biases and norms too."""
    layer.build(*shapes)
    layer.set_weights([normal(*w.shape, seed=number) * 0.5 for number, w in enumerate(layer.weights)])
    return layer


def random_block(kind: type, **options) -> EncoderBlock:
    inputs = INPUTS[DecoderBlock if issubclass(kind, DecoderBlock) else EncoderBlock]
    return with_random_weights(kind(H, WIDE, **options), *(array.shape for array in inputs))


def outputs_and_gradients(call, inputs: list, weights: list = (), jit_compile: bool = False) -> list[np.ndarray]:
    """All outputs, then the gradients of inputs and weights, for a loss that weighs each number differently."""

    def run(*inputs):
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            outputs = tf.nest.flatten(call(*inputs))
            loss = tf.add_n([tf.reduce_sum(y * tf.constant(normal(*y.shape), y.dtype)) for y in outputs])
        return [*outputs, *tape.gradient(loss, [*inputs, *(w.value for w in weights)], unconnected_gradients="zero")]

    run = tf.function(run, jit_compile=True) if jit_compile else run
    return [np.array(array) for array in run(*map(tf.constant, inputs))]


def assert_close(left, right, atol: float = 5e-6) -> None:
    for a, b in zip(left, right, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=atol)


def assert_is_the_formula(attention) -> None:
    """``attention(query, key, value, mask)`` gives softmax(QKᵀ/√d) V and the weights, as NumPy does it word by word."""
    query, key, value = normal(2, 3, 4), normal(2, 5, 4), normal(2, 5, 6)
    mask = np.random.default_rng(1).random((2, 3, 5)) < 0.7
    outputs, weights = attention(query, key, value, mask)
    for b, t in np.ndindex(2, 3):
        seen = np.flatnonzero(mask[b, t])
        raised = np.exp([query[b, t] @ key[b, s] / 2 for s in seen])  # 2 = √4
        np.testing.assert_allclose(weights[b, t].numpy()[seen], raised / raised.sum(), rtol=1e-4)
        np.testing.assert_allclose(outputs[b, t], raised @ value[b, seen] / raised.sum(), rtol=1e-4, atol=1e-6)
    assert not weights.numpy()[~mask].any()


def assert_sees_only(call, x: np.ndarray, mask: np.ndarray) -> None:
    """Rows of ``call(x)`` depend on those rows of ``x`` that ``mask (B, rows, rows of x)`` allows, and on no other."""
    x = tf.constant(x)
    for row in range(mask.shape[1]):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = call(x)[:, row]
            loss = tf.reduce_sum(y * normal(*y.shape))
        gradient = np.abs(tape.gradient(loss, x, unconnected_gradients="zero")).max(axis=-1)  # (B, rows of x)
        np.testing.assert_array_equal(gradient > 0, mask[:, row])
        # Not only the gradient: whatever stands where it must not look changes nothing.
        changed = tf.where(mask[:, row, :, None], x, 100 * normal(*x.shape, seed=1))
        np.testing.assert_allclose(call(changed)[:, row], y, atol=1e-5)


def assert_causal(call, x: np.ndarray) -> None:
    length = x.shape[1]
    assert_sees_only(call, x, np.broadcast_to(np.tri(length, dtype=bool), (len(x), length, length)))


def assert_reads_the_memory(call, x: np.ndarray, memory: np.ndarray, memory_mask: np.ndarray) -> None:
    """Each row of ``call(x, memory)`` depends on all that is real in the memory, and on nothing else there."""
    assert_sees_only(lambda m: call(x, m), memory, np.repeat(memory_mask[:, None], x.shape[1], axis=1))


def assert_residual_added_once(block, *inputs: np.ndarray) -> None:
    """Sub-layers that give 0 leave a pre-norm block that gives its input back."""
    outputs = [w for w in block.weights if "output" in w.path or "out_of" in w.path]
    assert len(outputs) in (4, 6)
    kept = [np.array(w) for w in outputs]
    for weight in outputs:
        weight.assign(ops.zeros_like(weight))
    try:
        np.testing.assert_allclose(block(*inputs), inputs[0], atol=1e-6)
    finally:
        for weight, value in zip(outputs, kept, strict=True):
            weight.assign(value)
