"""Beam search as a loop that XLA compiles: static shapes, a cache, and an end when every row has one.

N = inputs, K = beams, L = longest output, V = vocabulary.
"""

from typing import Any

import tensorflow as tf
from keras import tree

from keras_llm.generation.protocol import StepByStep
from keras_llm.generation.sampling import NEVER
from keras_llm.generation.writing import begin, is_end


def beam_search(
    model: StepByStep,
    inputs: Any,
    max_length: int,
    start_id: int | None,
    end_ids: tuple[int, ...],
    num_beams: int = 4,
    length_penalty: float | tf.Tensor = 1.0,
) -> tf.Tensor:
    """The K best beginnings, kept side by side; each step keeps the K best of all their continuations.

    A beginning is scored by the sum of its tokens' log-probabilities over ``((5 + length) / 6) ** length_penalty``, so
    that a longer one does not lose for having more factors. One that has ended stays among the K with its score.

    Args:
        model, inputs, start_id: as in :func:`keras_llm.generation.writing.begin`.
        max_length: L, tokens to write at most, the end token among them.
        end_ids: tokens that end an output.
        num_beams: K, at least 1.
        length_penalty: 0 takes the most probable output, which is often too short; larger values favour longer ones.

    Returns:
        int32 ``(N, L)``: the best of the K, up to its end token and with it, then 0.

    Source: Graves 2012; the length penalty of Wu et al. 2016, section 7.
    """
    memory, (first_position, last, *_, cache) = begin(model, inputs, max_length, start_id, penalised=False)
    count = last.shape[0]
    cache = tree.map_structure(lambda kept: tf.repeat(kept, num_beams, axis=0), cache)  # (N·K, ...)
    shape = (count, num_beams)

    def penalty(length):
        return ((5.0 + tf.cast(length, "float32")) / 6.0) ** length_penalty

    def write(step, last, done, sums, lengths, outputs, cache):
        logits, cache = model.step(tf.reshape(last, [-1]), first_position + step, memory, cache)
        vocabulary = logits.shape[-1]
        steps = tf.reshape(tf.nn.log_softmax(logits), (*shape, vocabulary))  # (N, K, V)
        # Of a beam that has ended, only padding goes on, at no cost.
        only_padding = tf.where(tf.range(vocabulary) == 0, 0.0, NEVER)  # (V,)
        steps = tf.where(done[..., None], only_padding, steps)
        candidates = sums[..., None] + steps  # (N, K, V)
        new_lengths = tf.where(done, lengths, step + 1)  # (N, K)
        ranks = candidates / penalty(new_lengths)[..., None]
        _, best = tf.math.top_k(tf.reshape(ranks, (count, -1)), num_beams)  # (N, K) into K·V
        beam, token = best // vocabulary, best % vocabulary
        sums = tf.gather(tf.reshape(candidates, (count, -1)), best, batch_dims=1)
        done = tf.gather(done, beam, batch_dims=1) | is_end(token, end_ids)
        lengths = tf.gather(new_lengths, beam, batch_dims=1)
        outputs = tf.gather(outputs, beam, batch_dims=1)  # (N, K, L)
        here = tf.range(max_length) == step
        outputs = tf.where(here, token[..., None], outputs)
        rows = tf.reshape(beam + num_beams * tf.range(count)[:, None], [-1])  # (N·K,)
        cache = tree.map_structure(lambda kept: tf.gather(kept, rows), cache)
        return step + 1, token, done, sums, lengths, outputs, cache

    # All beams begin alike, so the first step may choose from the first alone.
    first = tf.tile(tf.constant([[0.0] + [NEVER] * (num_beams - 1)]), (count, 1))
    *_, sums, lengths, outputs, _ = tf.while_loop(
        lambda step, last, done, *_: ~tf.reduce_all(done),
        write,
        (
            0,
            tf.repeat(last[:, None], num_beams, axis=1),
            tf.zeros(shape, "bool"),
            first,
            tf.zeros(shape, "int32"),
            tf.zeros((*shape, max_length), "int32"),
            cache,
        ),
        maximum_iterations=max_length,
    )
    best = tf.argmax(sums / penalty(lengths), axis=1, output_type="int32")  # (N,)
    return tf.gather(outputs, best, batch_dims=1)
