"""What the tests of checkpoints share: one small training that is stopped and gone on with."""

import keras
import numpy as np
from keras.callbacks import Callback, EarlyStopping

from keras_llm.training import Checkpoint, fit
from tests.examples import X, Y, perceptron

DATA = (X[:32], Y[:32])  # four batches of 8
RATES = [0.1, 0.05, 0.02, 9.0, 9.0, 9.0, 9.0, 9.0]  # the third epoch is the best


class Stopped(Exception):
    """Somebody ended the training."""


class Rates(Callback):
    """Sets a learning rate an epoch."""

    def on_epoch_begin(self, epoch, logs=None) -> None:
        self.model.optimizer.learning_rate = RATES[epoch]


class StopAt(Callback):
    """Ends the training after so many steps, or, with ``epoch``, at that epoch's end before it is saved."""

    def __init__(self, step: int | None = None, epoch: int | None = None) -> None:
        super().__init__()
        self.step, self.epoch = step, epoch

    def on_train_batch_end(self, batch, logs=None) -> None:
        if self.params["training"].total == self.step:
            raise Stopped

    def on_epoch_end(self, epoch, logs=None) -> None:
        if epoch == self.epoch:
            raise Stopped


def state(model: keras.Model) -> list[np.ndarray]:
    return [np.array(v) for v in (*model.variables, *model.optimizer.variables)]


def reset(model: keras.Model, values: list[np.ndarray]) -> None:
    for variable, value in zip((*model.variables, *model.optimizer.variables), values, strict=True):
        variable.assign(value)


def fresh() -> keras.Model:
    model = perceptron(dropout=0.4)
    model.optimizer.build(model.trainable_variables)
    return model


def train(
    model, folder=None, stop_at: Callback | None = None, data=DATA, every_steps=2, identity=None, **options
) -> keras.Model:
    """A training with dropout, Adam, shuffling and early stopping, perhaps stopped."""
    callbacks = [Rates(), EarlyStopping("val_loss", patience=2, restore_best_weights=True)]
    callbacks += [] if folder is None else [Checkpoint(folder, every_steps, identity=identity)]
    callbacks += [] if stop_at is None else [stop_at]
    given = {"validation_data": DATA, "epochs": 8, "batch_size": 8, "seed": 3, "verbose": 0, "steps_per_program": 1}
    try:
        fit(model, data, callbacks=callbacks, **{**given, **options})
    except Stopped:
        assert stop_at is not None
    return model


def assert_same_state(model: keras.Model, expected: list[np.ndarray]) -> None:
    for value, other in zip(state(model), expected, strict=True):
        np.testing.assert_array_equal(value, other)


def assert_ended_in(whole: tuple[list[np.ndarray], dict], model: keras.Model) -> None:
    assert_same_state(model, whole[0])
    assert model.history.history == whole[1]
    assert model.history.epoch == [0, 1, 2, 3, 4]
