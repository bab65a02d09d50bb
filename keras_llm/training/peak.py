"""The most that this machine's matrix product gives: what a training step's operations are held against."""

import functools
import time
from collections.abc import Callable

import numpy as np
import tensorflow as tf

SIZE = 2048  # rows and columns: large enough that the product is all there is, far under a second on a laptop
SECONDS = 0.4  # of measuring, each way


@functools.cache
def matmul_peak(dtype: str = "float32") -> float:
    """Measure the speed of one large matrix product, once a process.

    The best of several calls, each of TensorFlow's two ways: op by op (oneDNN, on a CPU) and under XLA (Eigen). Neither
    is the faster one for all types and processors. It takes about a second, and as long again on a busy machine.

    Args:
        dtype: type of both factors: ``"float32"``, ``"bfloat16"`` or ``"float16"``.

    Returns:
        Operations a second (a multiply-add is two), of all cores together.

    Source: Chowdhery et al. 2022 (PaLM), appendix B: the share of this peak is the model FLOPs utilisation, MFU.
    """
    # NumPy's own generator, so that the measurement leaves TensorFlow's random state as it was.
    factor = tf.cast(np.random.default_rng(0).standard_normal((SIZE, SIZE), "float32"), dtype)
    ways = (tf.matmul, tf.function(tf.matmul, jit_compile=True))
    return 2 * SIZE**3 / min(_fastest(way, factor) for way in ways)


def _fastest(product: Callable, factor: tf.Tensor) -> float:
    """Seconds of the fastest of the calls that fit into ``SECONDS``, at least two, after one that compiles."""
    product(factor, factor)[0, 0].numpy()
    times: list[float] = []
    while len(times) < 2 or sum(times) < SECONDS:
        start = time.perf_counter()
        product(factor, factor)[0, 0].numpy()  # one number fetched: the product is over, also on a GPU
        times.append(time.perf_counter() - start)
    return min(times)
