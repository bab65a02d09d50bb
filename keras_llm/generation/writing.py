"""The loop that writes one token after the other, as XLA compiles it: static shapes, a cache, an end when all rows have
ended.

N = rows, L = tokens to write, V = vocabulary.
"""

from typing import Any, NamedTuple

import tensorflow as tf

from keras_llm.generation.protocol import StepByStep
from keras_llm.generation.sampling import Sampling, choose


class Writing(NamedTuple):
    """Where a text is that is being written.

    Attributes:
        position: int32 ``()``, where the last token stands.
        last: int32 ``(N,)``, the last token of each row.
        done: bool ``(N,)``, rows that have ended.
        seen: bool ``(N, V)``, tokens that count as repeated; ``(N, 0)`` when none do.
        cache: the model's.
    """

    position: tf.Tensor
    last: tf.Tensor
    done: tf.Tensor
    seen: tf.Tensor
    cache: Any


def begin(model: StepByStep, inputs: Any, longest: int, start_id: int | None, penalised: bool) -> tuple[Any, Writing]:
    """Let the model read the inputs.

    Args:
        model: see :class:`StepByStep`.
        inputs: what it takes, N rows. Without a start token they are an int tensor ``(N, S)`` whose last column is
            the last token of each prompt.
        longest: tokens that will be written at most.
        start_id: the token before the first.
        penalised: keep account of the tokens that were there.

    Returns:
        The model's memory, and the beginning.
    """
    memory, cache, position = model.start(inputs, longest)
    rows = tf.nest.flatten(inputs)[0].shape[0]
    last = inputs[:, -1] if start_id is None else tf.fill([rows], start_id)
    last, seen = tf.cast(last, "int32"), tf.zeros((rows, 0), "bool")
    if penalised:
        first, _ = model.step(last, tf.constant(position), memory, cache)  # its width is V; XLA drops the rest
        seen = tf.zeros_like(first, "bool")
        if start_id is None:
            for column in range(inputs.shape[1]):
                seen = marked(seen, tf.cast(inputs[:, column], "int32"))
    return memory, Writing(tf.constant(position), last, tf.zeros([rows], "bool"), seen, cache)


def go_on(
    model: StepByStep,
    memory: Any,
    writing: Writing,
    steps: int,
    end_ids: tuple[int, ...],
    sampling: Sampling,
    numbers: Any,
    seed: tf.Tensor,
) -> tuple[tf.Tensor, Writing]:
    """Write some tokens more.

    Args:
        model, memory, writing: of :func:`begin`, or of the last call.
        steps: L, tokens at most; fewer when all rows end.
        end_ids: tokens that end a row.
        sampling, numbers: see :func:`choose`.
        seed: int32 ``(2,)``; the token at a position is drawn by it and the position, however the steps are divided.

    Returns:
        int32 ``(N, L)``: the tokens, an end token among them, then 0; and where the text is now.
    """

    def write(step, writing: Writing, outputs):
        position, last, done, seen, cache = writing
        logits, cache = model.step(last, position, memory, cache)
        token = choose(logits, sampling, numbers, seen, seed + tf.stack([0, position]))
        token = tf.where(done, 0, token)  # (N,)
        if seen.shape[1]:
            seen = marked(seen, token)
        outputs = tf.tensor_scatter_nd_update(outputs, [[step]], [token])
        return step + 1, Writing(position + 1, token, done | is_end(token, end_ids), seen, cache), outputs

    _, writing, outputs = tf.while_loop(
        lambda step, writing, outputs: ~tf.reduce_all(writing.done),
        write,
        (0, writing, tf.zeros((steps, writing.last.shape[0]), "int32")),
        maximum_iterations=steps,
    )
    return tf.transpose(outputs), writing


def is_end(token: tf.Tensor, end_ids: tuple[int, ...]) -> tf.Tensor:
    """Whether each of the tokens is one that ends a text: bool of their shape."""
    return tf.reduce_any(token[..., None] == tf.constant(end_ids, "int32", (len(end_ids),)), axis=-1)


def marked(seen: tf.Tensor, token: tf.Tensor) -> tf.Tensor:
    """``seen`` ``(N, V)`` with the token of each row ``(N,)`` in it."""
    return seen | (token[:, None] == tf.range(seen.shape[1]))
