"""The course's ``fit`` beside ``Model.fit``: where Python's share is all there is, and where the work is."""

from collections.abc import Callable

import keras
import numpy as np

from keras_llm.models import LSTMClassifier
from keras_llm.training import fit
from tests.benchmarks import interleaved

STEPS = 20  # of the LSTM in one call


def main(rounds: int) -> None:
    print(interleaved("Perceptron 2-10-1 of D1: 3 samples, batch 1, 100 epochs", loops(perceptron), rounds))
    title = f"LSTM classifier of D0: batch 64, length 48, {STEPS} steps"
    print(interleaved(title, loops(lstm_classifier), rounds))


def loops(task: Callable) -> dict[str, Callable[[], object]]:
    """The same task for three loops, each with its own model."""

    def keras_fit(jit_compile: bool) -> Callable[[], object]:
        model, (x, y), options = task(jit_compile)
        return lambda: model.fit(x, y, verbose=0, shuffle=False, **options)

    def own_fit() -> Callable[[], object]:
        model, data, options = task(False)
        return lambda: fit(model, data, verbose=0, shuffle=False, **options)

    return {
        "Model.fit": keras_fit(False),
        "Model.fit, jit_compile=True": keras_fit(True),
        "keras_llm.training.fit": own_fit(),
    }


def perceptron(jit_compile: bool) -> tuple[keras.Model, tuple, dict]:
    """Document D1, section 5: two inputs, ten hidden units, one output."""
    keras.utils.set_random_seed(0)
    hidden, output = keras.layers.Dense(10, activation="relu"), keras.layers.Dense(1, activation="sigmoid")
    model = keras.Sequential([keras.Input((2,)), hidden, output])
    model.compile("sgd", "binary_crossentropy", jit_compile=jit_compile)
    data = np.array([[0.1, 0.2], [0.3, 0.4], [0.5, 0.6]], "float32"), np.array([0, 1, 0])
    return model, data, {"batch_size": 1, "epochs": 100}


def lstm_classifier(jit_compile: bool) -> tuple[keras.Model, tuple, dict]:
    """Document D0, section 5.2, at the length of a sentence."""
    keras.utils.set_random_seed(0)
    model = LSTMClassifier()
    model.compile("adam", model.loss_name, jit_compile=jit_compile)
    draw = np.random.default_rng(0)
    x = draw.integers(1, 10_000, (64 * STEPS, 48)).astype("int32")
    x[::2, 24:] = 0
    return model, (x, draw.integers(0, 2, len(x))), {"batch_size": 64}
