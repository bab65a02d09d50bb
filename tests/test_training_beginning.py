"""One compiled model, trained several times from the same beginning."""

import keras
import numpy as np

from keras_llm.layers import Dropout
from keras_llm.training import Beginning, fit

X = np.random.default_rng(0).normal(size=(32, 4)).astype("float32")
Y = X[:, :1]


def test_a_training_from_the_beginning_is_the_same_one_and_compiles_nothing() -> None:
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(8), Dropout(0.5), keras.layers.Dense(1)])
    model.compile(keras.optimizers.Adam(1e-2), "mse")
    beginning = Beginning(model)
    weights, losses, programs = [], [], []
    for seed in (1, 1, 2):
        beginning.put_back(seed)
        history = fit(model, (X, Y), epochs=3, batch_size=8, verbose=0)
        weights.append(model.get_weights())
        losses.append(history.history["loss"])
        programs.append(history.program)
    assert losses[0] == losses[1] != losses[2]
    for first, second in zip(weights[0], weights[1], strict=True):
        np.testing.assert_array_equal(first, second)
    assert programs[0]["traces"] == programs[2]["traces"] == 1
    assert int(model.optimizer.iterations) == 12
