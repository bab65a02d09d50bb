"""Fixtures of the checkpoints' tests; a test file asks for them with ``pytest_plugins``."""

import keras
import numpy as np
import pytest

from tests.stopped_training import fresh, reset, state, train


@pytest.fixture(scope="module")
def whole() -> tuple[list[np.ndarray], dict]:
    """What a training that nobody stops ends in: its variables and its history."""
    model = train(fresh())
    assert model.history.epoch == [0, 1, 2, 3, 4]  # best in the third epoch, stopped two later
    return state(model), model.history.history


@pytest.fixture(scope="module")
def compiled_once() -> tuple[keras.Model, list[np.ndarray]]:
    model = fresh()
    return model, state(model)


@pytest.fixture
def start(compiled_once):
    """Makes the untrained model, without compiling it each time."""

    def anew() -> keras.Model:
        model, values = compiled_once
        reset(model, values)
        return model

    return anew
