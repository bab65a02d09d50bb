"""Outputs for many inputs: in batches of one shape, each search one XLA program that is compiled once."""

import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf
from keras import tree

from keras_llm.generation.protocol import StepByStep
from keras_llm.generation.search import beam_search, greedy_search

# For each model its compiled searches, by what decides the program. A program reads the model's weights when it runs,
# so that training goes on without compiling anew.
_PROGRAMS: "weakref.WeakKeyDictionary[Any, dict[tuple, Callable]]" = weakref.WeakKeyDictionary()


def generate(
    model: StepByStep,
    prompt: Any,
    *,
    max_length: int,
    start_id: int,
    end_id: int,
    num_beams: int = 1,
    length_penalty: float = 1.0,
    batch_size: int = 64,
    jit_compile: bool = True,
) -> np.ndarray:
    """Write an output for each row of the prompt.

    Args:
        model: a model with ``start`` and ``step``, see :class:`StepByStep`.
        prompt: int array ``(n, S)`` of token ids padded with 0, for a translation the source; or a nest of such arrays.
        max_length: tokens of an output at most, the end token among them.
        start_id: the token before the first.
        end_id: the token that ends an output.
        num_beams: 1 is greedy search, more is :func:`beam_search`.
        length_penalty: see :func:`beam_search`.
        batch_size: rows at once; a smaller last batch is filled up, so that nothing is compiled twice.
        jit_compile: False runs op by op, for a look inside.

    Returns:
        int32 ``(n, max_length)``: the tokens, the end token among them, then 0.

    Raises:
        ValueError: when there are no rows, or a number is out of range.

    Example:
        >>> ids = generate(model, source_ids, max_length=40, start_id=1, end_id=2, num_beams=4)

    Source: document D3, section 3 (output generation); Wu et al. 2016, section 7.
    """
    if min(max_length, num_beams, batch_size) < 1:
        raise ValueError(
            f"max_length={max_length}, num_beams={num_beams}, batch_size={batch_size}: each must be at least 1."
        )
    prompt = tree.map_structure(np.asarray, prompt)
    count = len(tree.flatten(prompt)[0])
    if not count:
        raise ValueError("The prompt has no rows: give at least one.")
    search = _program(model, max_length, start_id, end_id, num_beams, jit_compile)
    found = []
    for first in range(0, count, batch_size):
        rows = np.arange(first, first + batch_size) % count  # beyond the end: rows that are thrown away
        batch = tree.map_structure(lambda array: tf.constant(array[rows]), prompt)  # noqa: B023
        found.append(search(batch, tf.constant(length_penalty, "float32")).numpy())
    return np.concatenate(found)[:count]


def _program(
    model: StepByStep,
    max_length: int,
    start_id: int,
    end_id: int,
    num_beams: int,
    jit_compile: bool,
) -> Callable:
    key = (max_length, start_id, end_id, num_beams, jit_compile)
    programs = _PROGRAMS.setdefault(model, {})
    if key not in programs:
        owner = weakref.proxy(model)  # the cache must not keep the model alive

        @tf.function(jit_compile=jit_compile, autograph=False)
        def search(inputs, length_penalty):
            if num_beams == 1:
                return greedy_search(owner, inputs, max_length, start_id, end_id)
            return beam_search(owner, inputs, max_length, start_id, end_id, num_beams, length_penalty)

        programs[key] = search
    return programs[key]
