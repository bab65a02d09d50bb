"""A small task and a small model that several test files train."""

import keras
import numpy as np

X = np.random.default_rng(0).normal(size=(38, 4))  # four batches of 8 and one of 6
Y = (X.sum(axis=1) > 0).astype("int64")


def perceptron(optimizer="adam", dropout: float = 0.0, **options) -> keras.Model:
    """Four inputs, three hidden units, a probability; the same weights each time."""
    keras.utils.set_random_seed(1)
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, activation="tanh")])
    if dropout:
        model.add(keras.layers.Dropout(dropout))
    model.add(keras.layers.Dense(1, activation="sigmoid"))
    model.compile(optimizer, **{"loss": "binary_crossentropy", "metrics": ["accuracy"], **options})
    return model


class Batches(keras.callbacks.Callback):
    """Writes down the number and the logs of each batch that it is shown."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: list[list[float]] = []

    def on_train_batch_end(self, batch, logs=None) -> None:
        self.rows.append([batch, *logs.values()])


def assert_same_weights(left: keras.Model, right: keras.Model) -> None:
    for a, b in zip(left.get_weights(), right.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)
