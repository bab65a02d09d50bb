"""Outputs for many inputs: in batches of one shape, each generation one XLA program that is compiled once."""

import weakref
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from keras import tree

from keras_llm.generation.protocol import StepByStep
from keras_llm.generation.sampling import GREEDY, Sampling
from keras_llm.generation.search import beam_search
from keras_llm.generation.speculation import speculate
from keras_llm.generation.writing import begin, go_on

# For each model its compiled programs, by what decides them. A program reads the model's weights when it runs, so that
# training goes on without compiling anew.
_PROGRAMS: "weakref.WeakKeyDictionary[Any, dict[tuple, Callable]]" = weakref.WeakKeyDictionary()


def generate(
    model: StepByStep,
    prompt: Any,
    *,
    max_length: int,
    start_id: int | None = None,
    end_id: int | Sequence[int] = (),
    sampling: Sampling = GREEDY,
    seed: int = 0,
    num_beams: int = 1,
    length_penalty: float = 1.0,
    draft: StepByStep | None = None,
    guesses: int = 4,
    batch_size: int = 64,
    jit_compile: bool = True,
) -> np.ndarray:
    """Write an output for each row of the prompt.

    Args:
        model: a model with ``start`` and ``step``, see :class:`StepByStep`.
        prompt: for a model that goes on with a text, int array ``(n, S)`` of token ids, shorter prompts padded with 0
            at the *left*. For one that reads one text and writes another, what it reads, ``(n, S)`` padded with 0 at
            the right or a nest of such arrays; then give a ``start_id``.
        max_length: tokens of an output at most, the end token among them.
        start_id: the token before the first; None: the prompt's last.
        end_id: the token, or the tokens, that end an output; without any each output has ``max_length``.
        sampling: how a token is chosen; the most probable one by default.
        seed: of the draw: the same prompts, settings and seed give the same outputs.
        num_beams: more than 1 is :func:`beam_search`, which draws nothing.
        length_penalty: see :func:`beam_search`.
        draft: a much smaller model with the same vocabulary, which guesses tokens that this one checks, several in one
            step: the same odds, sooner (:func:`keras_llm.generation.speculation.speculate`). One row at a time.
        guesses: tokens that the draft guesses in a round; so many more must fit into both models' context.
        batch_size: rows at once, at most; a smaller last batch is filled up, so that nothing is compiled twice. A
            single smaller batch is filled up to a power of two.
        jit_compile: False runs op by op, for a look inside; its random numbers are others.

    Returns:
        int32 ``(n, max_length)``: the tokens, the end token among them, then 0. The prompt is not in it.

    Raises:
        ValueError: when there are no rows, a number is out of range, or beams are to draw by lot or to be guessed.

    Example:
        >>> ids = generate(model, prompt, max_length=40, sampling=Sampling(temperature=0.8, top_p=0.95))

    Source: document D3, section 3 (output generation) and section 6.3.
    """
    counts = {"max_length": max_length, "num_beams": num_beams, "guesses": guesses, "batch_size": batch_size}
    if min(counts.values()) < 1:
        raise ValueError(", ".join(f"{name}={value}" for name, value in counts.items()) + ": each must be at least 1.")
    if num_beams > 1 and sampling != GREEDY:
        raise ValueError("Beam search draws nothing: leave num_beams at 1, or the sampling away.")
    if draft is not None and (num_beams > 1 or start_id is not None):
        raise ValueError("A draft guesses for one text that goes on: leave num_beams and start_id away.")
    prompt = tree.map_structure(np.asarray, prompt)
    count = len(tree.flatten(prompt)[0])
    if not count:
        raise ValueError("The prompt has no rows: give at least one.")
    end_ids = (end_id,) if isinstance(end_id, int) else tuple(end_id)
    key = ("generate", max_length, start_id, end_ids, sampling.kind, num_beams, jit_compile)
    if draft is not None:
        key += (weakref.ref(draft), guesses)
        small, batch_size = weakref.proxy(draft), 1
    numbers = tf.constant([*sampling.numbers, length_penalty], "float32")

    def written(model, inputs, numbers, seed):
        if num_beams > 1:
            return beam_search(model, inputs, max_length, start_id, end_ids, num_beams, numbers[-1])
        if draft is not None:
            return speculate(model, small, inputs, max_length, guesses, end_ids, sampling, numbers[:-1], seed)
        memory, writing = begin(model, inputs, max_length, start_id, sampling.repetition_penalty != 1)
        return go_on(model, memory, writing, max_length, end_ids, sampling, numbers[:-1], seed)[0]

    batch_size = min(batch_size, 1 << (count - 1).bit_length())
    program = _program(model, key, written, jit_compile)
    found = []
    for first in range(0, count, batch_size):
        rows = np.arange(first, first + batch_size) % count  # beyond the end: rows that are thrown away
        batch = tree.map_structure(lambda array: tf.constant(array[rows]), prompt)  # noqa: B023
        found.append(program(batch, numbers, tf.constant([seed + first, 0])).numpy())
    return np.concatenate(found)[:count]


def stream(
    model: StepByStep,
    prompt: np.ndarray,
    *,
    max_length: int,
    end_id: int | Sequence[int] = (),
    sampling: Sampling = GREEDY,
    seed: int = 0,
    tokens_at_once: int = 8,
) -> Iterator[np.ndarray]:
    """The tokens of :func:`generate`, a few at a time as they are written.

    Args:
        model, end_id, sampling, seed: see there.
        prompt: int array ``(n, S)``, padded with 0 at the left.
        max_length: tokens at most, rounded up to a multiple of ``tokens_at_once``.
        tokens_at_once: tokens of one compiled program; more are faster and come in larger gulps.

    Yields:
        int32 ``(n, tokens_at_once)``, until each row has ended.
    """
    end_ids = (end_id,) if isinstance(end_id, int) else tuple(end_id)
    length = -(-max_length // tokens_at_once) * tokens_at_once

    def read(model, inputs):
        return begin(model, inputs, length, None, sampling.repetition_penalty != 1)

    def write(model, memory, writing, numbers, seed):
        return go_on(model, memory, writing, tokens_at_once, end_ids, sampling, numbers, seed)

    reading = _program(model, ("read", length, sampling.repetition_penalty != 1), read, True)
    writer = _program(model, ("write", tokens_at_once, end_ids, sampling.kind), write, True)
    memory, writing = reading(tf.constant(prompt))
    for _ in range(0, length, tokens_at_once):
        tokens, writing = writer(memory, writing, tf.constant(sampling.numbers), tf.constant([seed, 0]))
        yield tokens.numpy()
        if writing.done.numpy().all():
            return


def _program(model: StepByStep, key: tuple, function: Callable, jit_compile: bool) -> Callable:
    """``function(model, …)`` compiled for this model, once for each key."""
    programs = _PROGRAMS.setdefault(model, {})
    if key not in programs:
        owner = weakref.proxy(model)  # the cache must not keep the model alive

        def bound(*inputs):
            return function(owner, *inputs)

        programs[key] = tf.function(bound, jit_compile=jit_compile, autograph=False)
    return programs[key]
