"""Keras's callbacks in the loop, what is printed, and what is said when the loss is no longer a number."""

import csv

import keras
import numpy as np
import pytest
from keras import callbacks

from keras_llm.errors import WorkError
from keras_llm.training import fit
from keras_llm.training.pace import sees_each_batch
from tests.examples import Batches, X, Y, perceptron

GIVEN = {"batch_size": 8, "verbose": 0}


class Log(callbacks.Callback):
    """Sets the rate by hand, and remembers weights and the order of the calls."""

    def __init__(self, rates=()) -> None:
        super().__init__()
        self.rates, self.weights, self.calls = rates, [], []

    def on_train_begin(self, logs=None) -> None:
        self.calls.append("begin")

    def on_epoch_begin(self, epoch, logs=None) -> None:
        self.calls.append(epoch)
        if self.rates:
            self.model.optimizer.learning_rate = self.rates[epoch]

    def on_epoch_end(self, epoch, logs=None) -> None:
        self.weights.append(self.model.get_weights())
        self.calls.append(sorted(logs))

    def on_train_end(self, logs=None) -> None:
        self.calls.append("end")


def test_hooks_are_called_in_keras_order(model) -> None:
    log = Log()
    history = fit(model, (X, Y), epochs=2, validation_data=(X, Y), callbacks=[log], **GIVEN)
    names = ["accuracy", "loss", "val_accuracy", "val_loss"]
    assert log.calls == ["begin", 0, names, 1, names, "end"]
    assert history.epoch == [0, 1] and history is model.history
    assert sorted(history.history) == names


def test_a_callback_of_batches_sees_each_batch(model) -> None:
    seen, numbers = Batches(), []
    fit(model, (X, Y), callbacks=[seen], **GIVEN)
    assert [row[0] for row in seen.rows] == [0, 1, 2, 3, 4]
    by_lambda = callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: numbers.append(batch))
    fit(model, (X, Y), callbacks=[by_lambda], **GIVEN)
    assert numbers == [0, 1, 2, 3, 4]
    few = Batches()  # a number of steps that the user gives stands: the last batch of each program is seen
    fit(model, (X, Y), callbacks=[few], steps_per_program=5, **GIVEN)
    assert [row[0] for row in few.rows] == [3, 4]


@pytest.mark.parametrize(
    ("callback", "expected"),
    [
        (callbacks.EarlyStopping(), False),
        (callbacks.TerminateOnNaN(), False),
        (callbacks.CSVLogger("x.csv"), False),
        (callbacks.LambdaCallback(on_epoch_end=print), False),
        (callbacks.LambdaCallback(on_train_batch_begin=print), True),
        (callbacks.ModelCheckpoint("x.keras"), False),
        (callbacks.ModelCheckpoint("x.keras", save_freq=2), True),
        (callbacks.BackupAndRestore("x"), False),
        (callbacks.BackupAndRestore("x", save_freq=2), True),
        (callbacks.TensorBoard("x"), False),
        (callbacks.TensorBoard("x", update_freq="batch"), True),
        (callbacks.TensorBoard("x", profile_batch=2), True),
    ],
    ids=lambda value: type(value).__name__,
)
def test_only_callbacks_of_batches_slow_the_loop_down(callback, expected) -> None:
    assert sees_each_batch(callback) is expected


def test_early_stopping_stops_and_restores_the_best(model) -> None:
    log = Log(rates=[0.1, 0.1, 20.0, 20.0, 20.0, 20.0])  # from the third epoch on it gets worse
    stop = callbacks.EarlyStopping("val_loss", patience=2, restore_best_weights=True)
    losses = fit(model, (X, Y), epochs=6, validation_data=(X, Y), callbacks=[log, stop], **GIVEN).history["val_loss"]
    best = int(np.argmin(losses))
    assert len(losses) == best + 3 <= 5
    for value, expected in zip(model.get_weights(), log.weights[best], strict=True):
        np.testing.assert_array_equal(value, expected)


def test_learning_rates_of_callbacks_reach_the_compiled_update(model) -> None:
    log = Log()
    scheduler = callbacks.LearningRateScheduler(lambda epoch: [0.0, 0.5][epoch])
    history = fit(model, (X, Y), epochs=2, callbacks=[scheduler, log], **GIVEN).history
    np.testing.assert_array_equal(log.weights[0][0], perceptron().get_weights()[0])  # a rate of nought
    assert np.abs(log.weights[1][0] - log.weights[0][0]).max() > 0.1
    assert history["learning_rate"] == [0.0, 0.5]


def test_reduce_on_plateau_lowers_the_rate(model) -> None:
    plateau = callbacks.ReduceLROnPlateau("loss", factor=0.1, patience=1, min_delta=100.0)
    history = fit(model, (X, Y), epochs=3, callbacks=[plateau], **GIVEN).history
    np.testing.assert_allclose(history["learning_rate"], [1e-3, 1e-3, 1e-4], rtol=1e-5)
    assert float(model.optimizer.learning_rate) == pytest.approx(1e-5)


def test_checkpoints_and_logs_are_written(model, tmp_path) -> None:
    log, path = Log(rates=[0.1, 20.0]), tmp_path / "best.keras"
    writers = [
        callbacks.ModelCheckpoint(path, "val_loss", save_best_only=True),
        callbacks.CSVLogger(tmp_path / "log.csv"),
        callbacks.TensorBoard(tmp_path / "board"),
    ]
    history = fit(model, (X, Y), epochs=2, validation_data=(X, Y), callbacks=[log, *writers], **GIVEN).history
    best = keras.saving.load_model(path).get_weights()
    for value, expected in zip(best, log.weights[int(np.argmin(history["val_loss"]))], strict=True):
        np.testing.assert_array_equal(value, expected)
    rows = list(csv.DictReader((tmp_path / "log.csv").open()))
    assert [float(row["val_loss"]) for row in rows] == pytest.approx(history["val_loss"])
    assert {file.parent.name for file in tmp_path.glob("board/*/events*")} == {"train", "validation"}


def test_initial_epoch_goes_on_counting(model) -> None:
    assert fit(model, (X, Y), epochs=5, initial_epoch=3, **GIVEN).epoch == [3, 4]
    assert fit(model, (X, Y), epochs=1, **GIVEN).epoch == [0]


def test_backup_and_restore_goes_on_and_is_forgotten_afterwards(model, tmp_path) -> None:
    def interrupt(epoch, logs) -> None:
        if epoch == 2:
            raise KeyboardInterrupt

    data, end = (X, Y), callbacks.LambdaCallback(on_epoch_begin=interrupt)
    with pytest.raises(KeyboardInterrupt):
        fit(model, data, epochs=4, callbacks=[callbacks.BackupAndRestore(tmp_path / "b"), end], **GIVEN)
    resumed = fit(model, data, epochs=4, callbacks=[callbacks.BackupAndRestore(tmp_path / "b")], **GIVEN)
    assert resumed.epoch == [2, 3]
    assert fit(model, data, epochs=1, **GIVEN).epoch == [0]


@pytest.mark.parametrize(
    ("verbose", "pattern", "lines"), [(0, None, 0), (1, "5/5", 2), (2, "5/5 - ", 4)], ids=["silent", "bar", "lines"]
)
def test_verbose(model, capsys, verbose, pattern, lines) -> None:
    keras.utils.enable_interactive_logging()
    fit(model, (X, Y), epochs=2, batch_size=8, verbose=verbose)
    printed = capsys.readouterr().out
    if not lines:
        assert printed == ""
    else:
        assert printed.count(pattern) >= 2 and "Epoch 2/2" in printed and "loss: 0." in printed
        assert ("\b" in printed or "\r" in printed or "━" in printed) is (verbose == 1)


def test_a_loss_that_is_no_number_ends_the_training_and_keeps_what_was_finished(model) -> None:
    with pytest.raises(WorkError, match=r"nan at step 2 of epoch 3, with learning rate inf: lower") as caught:
        fit(model, (X, Y), epochs=5, shuffle=False, callbacks=[Log([0.1, 0.1, np.inf, 0.1, 0.1])], **GIVEN)
    assert "\n" not in str(caught.value)
    assert model.history.epoch == [0, 1] and len(model.history.history["loss"]) == 2


def test_the_learning_rate_of_a_schedule_is_that_of_the_step() -> None:
    rates = keras.optimizers.schedules.PiecewiseConstantDecay([0, 1, 2], [0.1, 1e30, 0.3, 0.4])
    model = perceptron(keras.optimizers.SGD(rates), loss="mse")
    model.layers[-1].activation = keras.activations.linear
    with pytest.raises(WorkError, match=r"(inf|nan) at step 3 of epoch 1, with learning rate 0.3:"):
        fit(model, (X[:32], Y[:32]), shuffle=False, steps_per_program=4, **GIVEN)


def test_terminate_on_nan_ends_quietly(model) -> None:
    log = Log([0.1, np.inf, 0.1, 0.1])
    history = fit(model, (X, Y), epochs=4, callbacks=[log, callbacks.TerminateOnNaN()], **GIVEN)
    assert history.epoch == [0, 1] and np.isnan(history.history["loss"][1])
