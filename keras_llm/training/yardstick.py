"""How fast this machine is, by two short measurements: they turn minutes of one machine into those of another."""

import math
import statistics
import time
from collections.abc import Mapping

import numpy as np
import tensorflow as tf

from keras_llm.training.peak import matmul_peak

STEPS, BATCH, UNITS = 256, 64, 128  # of the recurrence: about those of chapter 3
ROUNDS = 15


def machine_speed() -> dict[str, float]:
    """Measure what trainings are made of: large matrix products, and small ones that wait for each other.

    It takes two or three seconds, and longer on a busy machine.

    Returns:
        ``products``: operations a second of a large matrix product (:func:`matmul_peak`). ``steps``: steps a second of
        a compiled recurrence, each a product of (64, 128) and (128, 512) and a gate, as in an LSTM.
    """
    random = np.random.default_rng(0)  # TensorFlow's random state stays as it was
    state = tf.constant(random.standard_normal((BATCH, UNITS), "float32"))
    kernel = tf.constant(random.standard_normal((UNITS, 4 * UNITS), "float32") / math.sqrt(UNITS))

    @tf.function(jit_compile=True)
    def recurrence(state: tf.Tensor) -> tf.Tensor:
        for _ in tf.range(STEPS):
            new, gate, _, _ = tf.split(state @ kernel, 4, axis=-1)  # (64, 512) -> 4 x (64, 128)
            state = tf.sigmoid(gate) * tf.tanh(new)
        return state

    recurrence(state).numpy()  # compiles
    times = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        recurrence(state).numpy()
        times.append(time.perf_counter() - start)
    return {"products": matmul_peak(), "steps": STEPS / statistics.median(times)}


def times_as_fast(here: Mapping[str, float], there: Mapping[str, float]) -> float:
    """How many times as fast a training is here as there: the geometric mean of the two ratios.

    Args:
        here, there: what :func:`machine_speed` gave on the two machines.

    Example:
        >>> times_as_fast({"products": 4e11, "steps": 9_000}, {"products": 1e11, "steps": 9_000})
        2.0
    """
    return math.exp(statistics.fmean(math.log(here[name] / there[name]) for name in ("products", "steps")))
