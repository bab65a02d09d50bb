"""keras_llm.layers: one position after the other, with a cache, the blocks give what they give at once."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import ops

from keras_llm.layers import DecoderBlock, EncoderBlock
from tests.layer_checks import INPUTS, MEMORY, MEMORY_REAL, B, D, H, T, X, normal, random_block

BOTH = pytest.mark.parametrize("kind", [EncoderBlock, DecoderBlock])


def cast(x: np.ndarray, block):
    return ops.cast(x, block.compute_dtype)


def step_by_step(block, x, *memory, jit_compile: bool = False) -> np.ndarray:
    step = tf.function(block.step, jit_compile=True) if jit_compile else block.step
    cache, rows = cast(100 * normal(len(x), 2, H, T + 2, D // H), block), []  # whatever stands in the cache
    for position in range(T):
        y, cache = step(cast(x[:, position : position + 1], block), cache, tf.constant(position), *memory)
        rows.append(ops.cast(y, "float32"))
    return np.concatenate(rows, axis=1)


def stepped_and_whole(block, jit_compile: bool = False) -> tuple[np.ndarray, np.ndarray]:
    if isinstance(block, DecoderBlock):
        stepped = step_by_step(block, X, block.remember(cast(MEMORY, block)), MEMORY_REAL, jit_compile=jit_compile)
        return stepped, block(X, MEMORY, memory_mask=MEMORY_REAL)
    return step_by_step(block, X, jit_compile=jit_compile), block(X, use_causal_mask=True)


OPTIONS = {"plain": {}, "post-norm": {"pre_norm": False}, "rotary": {"rotary": True}}
OPTIONS["rotary, fused, xla"] = {"rotary": True, "fused": True}


@BOTH
@pytest.mark.parametrize("case", OPTIONS)
def test_step_by_step_is_the_causal_whole(kind, case) -> None:
    stepped, whole = stepped_and_whole(random_block(kind, **OPTIONS[case]), jit_compile="xla" in case)
    np.testing.assert_allclose(stepped, whole, atol=1e-5)


def test_beams_share_a_memory() -> None:
    block, x = random_block(DecoderBlock), normal(2 * B, T, D)
    stepped = step_by_step(block, x, block.remember(MEMORY), MEMORY_REAL)
    repeated = {"memory": np.repeat(MEMORY, 2, axis=0), "memory_mask": np.repeat(MEMORY_REAL, 2, axis=0)}
    np.testing.assert_allclose(stepped, block(x, **repeated), atol=1e-5)


@BOTH
@pytest.mark.parametrize("dtype", ["mixed_bfloat16", "bfloat16", "float16"])
def test_narrow_dtypes_stay_near_float32(kind, dtype) -> None:
    block = random_block(kind, dtype=dtype)
    y, expected = block(*INPUTS[kind]), np.array(random_block(kind)(*INPUTS[kind]))
    assert keras.backend.standardize_dtype(y.dtype) == dtype.removeprefix("mixed_")
    near = {"rtol": 0, "atol": 0.02 * abs(expected).max()}
    np.testing.assert_allclose(ops.cast(y, "float32"), expected, **near)
    stepped, whole = stepped_and_whole(block)
    np.testing.assert_allclose(stepped, ops.cast(whole, "float32"), **near)
