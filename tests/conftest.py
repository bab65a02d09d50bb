"""What the tests share. Nothing here loads TensorFlow before a test asks for it."""

import os
import signal
import warnings

import numpy as np
import pytest

from keras_llm.runs import QUICK_COMPILATION

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("XLA_FLAGS", QUICK_COMPILATION)

# A shell that starts the tests in the background has them ignore Ctrl-C, which some of them send.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def token_ids() -> np.ndarray:
    """Texts of one to six words as ids ``(40, 6)``: 0 is padding, 1 to 19 are words."""
    draw = np.random.default_rng(0)
    ids = draw.integers(1, 20, (40, 6)).astype("int32")
    return np.where(np.arange(6) < draw.integers(1, 7, (40, 1)), ids, 0)


@pytest.fixture(scope="session")
def labels() -> np.ndarray:
    """A class of 0, 1, 2 for each text; ``labels % 2`` for two classes."""
    return np.random.default_rng(1).integers(0, 3, 40)


@pytest.fixture(scope="session")
def keras_hub():
    """The library that our layers are held against; it takes seconds to import."""
    import keras_hub

    return keras_hub


@pytest.fixture(scope="session")
def _compiled_once():
    from keras_llm.training import fit
    from tests.examples import X, Y, perceptron

    model = perceptron()
    model.optimizer.build(model.trainable_variables)
    start = [np.array(v) for v in (*model.variables, *model.optimizer.variables)]
    fit(model, (X, Y), validation_data=(X, Y), batch_size=8, verbose=0)
    return model, start


@pytest.fixture
def model(_compiled_once):
    """The perceptron of ``tests.examples`` as it was before any training, its programs compiled already."""
    model, start = _compiled_once
    for variable, value in zip((*model.variables, *model.optimizer.variables), start, strict=True):
        variable.assign(value)
    return model


@pytest.fixture
def fonts_as_in_a_new_process(monkeypatch):
    """Fonts and the warning are per process; a missing glyph, or any other warning, fails the test."""
    from keras_llm.plots import chinese_font, fonts

    monkeypatch.setattr(fonts, "_registered", {})
    chinese_font.cache_clear()
    fonts._warn_of_missing_font.cache_clear()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield
    chinese_font.cache_clear()
