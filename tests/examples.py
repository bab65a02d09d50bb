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


def reversals(count: int, seed: int, vocabulary_size: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A language whose translation is the sentence from its end: source, target and labels, ``(count, 6)`` each.

    The ids 0, 1 and 2 are padding, start and end.
    """
    draw = np.random.default_rng(seed)
    source, target, labels = (np.zeros((count, 6), "int32") for _ in range(3))
    for row in range(count):
        words = draw.integers(3, vocabulary_size, draw.integers(2, 6))
        source[row, : len(words) + 1] = [*words, 2]
        target[row, : len(words) + 1] = [1, *words[::-1]]
        labels[row, : len(words) + 1] = [*words[::-1], 2]
    return source, target, labels
