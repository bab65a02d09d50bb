"""Speculative decoding: a small model guesses some tokens ahead, the large one checks them all in one step.

A step of the large model reads all of its weights from memory, for one token or for five; that is what takes the time.

K = guesses, V = vocabulary.
"""

from typing import Any

import tensorflow as tf

from keras_llm.generation.protocol import StepByStep
from keras_llm.generation.sampling import Sampling, draw, odds
from keras_llm.generation.writing import begin, is_end, marked

TINY = 1e-30  # its logarithm is so low that no noise lifts it


def speculate(
    model: StepByStep,
    draft: StepByStep,
    prompt: tf.Tensor,
    max_length: int,
    guesses: int,
    end_ids: tuple[int, ...],
    sampling: Sampling,
    numbers: Any,
    seed: tf.Tensor,
) -> tf.Tensor:
    """Write one text with the odds of the large model, whatever the small one guesses.

    A guess that the large model finds at least as probable as the small one does is kept; any other with the quotient
    of the two as its probability. At the first that is not kept, a token is drawn from what the large model gives
    more than the small one. So each token has the large model's odds exactly, and a round gives one to K + 1 of them.

    Args:
        model: the large one; it has ``steps`` too, see :class:`StepByStep`.
        draft: the small one, with the same vocabulary.
        prompt: int ``(1, S)``.
        max_length: tokens to write at most.
        guesses: K, of a round.
        end_ids: tokens that end the text.
        sampling, numbers, seed: see :func:`keras_llm.generation.sampling.choose`.

    Returns:
        int32 ``(1, max_length)``: the tokens, an end token among them, then 0.

    Source: Leviathan et al. 2023, algorithm 1.
    """
    memory, first = begin(model, prompt, max_length + guesses, None, True)
    draft_memory, ahead = begin(draft, prompt, max_length + guesses, None, False)
    vocabulary_size = first.seen.shape[1]
    places = tf.range(guesses + 1)  # in a round: the token before it, then the guesses

    def seed_at(position, use: int):
        return seed + tf.stack([0, 3 * position + use])

    def one_round(written, last, done, seen, outputs, cache, draft_cache):
        position = first.position + written

        def guess(place, token, seen, draft_cache, tokens, q):
            logits, draft_cache = draft.step(token, position + place, draft_memory, draft_cache)
            chances = odds(logits, sampling, numbers, seen)  # (1, V)
            tokens = tf.tensor_scatter_nd_update(tokens, [[place]], token)
            q = tf.tensor_scatter_nd_update(q, [[place]], chances)
            token = draw(tf.math.log(chances + TINY), seed_at(position + place, 0))
            return place + 1, token, marked(seen, token), draft_cache, tokens, q

        # One step more than there are guesses, so that the draft has read the last one too, should all be kept.
        tokens, q = tf.zeros([guesses + 1], "int32"), tf.zeros([guesses + 1, vocabulary_size])
        _, _, _, draft_cache, tokens, q = tf.while_loop(
            lambda place, *_: place <= guesses, guess, (0, last, seen, draft_cache, tokens, q)
        )
        q = tf.where((places < guesses)[:, None], q, 0.0)  # behind the last one, no guess

        logits, cache = model.steps(tokens[None, :], position, memory, cache)  # (1, K + 1, V)
        repeated = seen | (tf.cumsum(tf.one_hot(tokens, vocabulary_size)) > 0)
        p = odds(logits[0], sampling, numbers, repeated)  # (K + 1, V)
        guessed = tokens[1:]  # (K,)
        of_guessed = tf.stack([tf.range(guesses), guessed], axis=1)
        chance = tf.random.stateless_uniform([guesses], seed_at(position, 1), alg="philox")
        kept = chance * tf.gather_nd(q, of_guessed) < tf.gather_nd(p, of_guessed)  # (K,)
        count = tf.reduce_sum(tf.math.cumprod(tf.cast(kept, "int32")))  # of the guesses up to the first that is not
        rest = tf.gather(tf.maximum(p - q, 0.0), [count])  # (1, V); a slice would be compiled anew for each count
        own = draw(tf.math.log(rest + TINY), seed_at(position + count, 2))  # (1,)

        new = tf.where(places < count, tf.concat([guessed, own], axis=0), own)  # (K + 1,)
        ends = is_end(new, end_ids) & (places <= count)
        behind_an_end = tf.cumsum(tf.cast(ends, "int32"), exclusive=True) > 0
        new = tf.where((places > count) | behind_an_end, 0, new)
        seen |= tf.reduce_any((new[:, None] == tf.range(vocabulary_size)) & (places <= count)[:, None], axis=0)
        here = written + places
        outputs = tf.tensor_scatter_nd_update(outputs, here[:, None], new)
        return written + count + 1, own, tf.reduce_any(ends), seen, outputs, cache, draft_cache

    _, _, _, _, outputs, *_ = tf.while_loop(
        lambda written, last, done, *_: ~done & (written < max_length),
        one_round,
        (
            0,
            first.last,
            tf.constant(False),
            first.seen,
            tf.zeros([max_length + guesses], "int32"),
            first.cache,
            ahead.cache,
        ),
    )
    return outputs[None, :max_length]
