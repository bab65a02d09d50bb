"""The course's LSTM beside Keras's, op by op and under XLA: one training step of the document's network.

Embedding(10000, 256), two LSTMs of 128 units, Dense(1): document D0, section 5.2; half of the texts half padded.
"""

from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf

from keras_llm.layers import LSTM
from tests.benchmarks import interleaved

SIZES = [(32, 500), (64, 48)]  # batch, length


def main(rounds: int) -> None:
    for batch, length in SIZES:
        candidates = {
            f"{owner} LSTM, {'XLA' if jit_compile else 'op by op'}": step(layer, batch, length, jit_compile)
            for owner, layer in (("keras", keras.layers.LSTM), ("own", LSTM))
            for jit_compile in (False, True)
        }
        print(interleaved(f"One training step, batch {batch}, length {length}", candidates, rounds))


def step(layer: type[keras.Layer], batch: int, length: int, jit_compile: bool) -> Callable[[], np.ndarray]:
    """A function that trains on one batch and waits for the loss."""
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((length,), dtype="int32"),
            keras.layers.Embedding(10_000, 256, mask_zero=True),
            layer(128, return_sequences=True),
            layer(128),
            keras.layers.Dense(1, activation="sigmoid"),
        ]
    )
    optimizer = keras.optimizers.Adam()
    optimizer.build(model.trainable_variables)
    draw = np.random.default_rng(0)
    ids = draw.integers(1, 10_000, (batch, length)).astype("int32")
    ids[: batch // 2, length // 2 :] = 0
    x, y = tf.constant(ids), tf.constant(draw.integers(0, 2, (batch, 1)).astype("float32"))

    @tf.function(jit_compile=jit_compile)
    def train():
        with tf.GradientTape() as tape:
            loss = keras.ops.mean(keras.losses.binary_crossentropy(y, model(x, training=True)))
        variables = [variable.value for variable in model.trainable_variables]
        optimizer.apply(tape.gradient(loss, variables), model.trainable_variables)
        return loss

    return lambda: train().numpy()
