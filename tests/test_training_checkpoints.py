"""Checkpoint: a training that was stopped anywhere ends in the bits of one that was never stopped."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import callbacks

from keras_llm.training import Checkpoint, fit, storage
from tests.examples import perceptron
from tests.stopped_training import DATA, StopAt, Stopped, assert_ended_in, assert_same_state, reset, state, train

pytest_plugins = ["tests.stopped_training_fixtures"]


def test_another_model_object_ends_in_the_same_bits(whole, start, tmp_path) -> None:
    stopped = train(start(), tmp_path, StopAt(step=11))
    assert stopped.history.epoch == [0, 1] and storage.names(tmp_path)[-1] == "step-00000010"
    keras.utils.set_random_seed(99)  # nothing may hang on it …
    other = perceptron(dropout=0.4)  # … nor on the names that Keras numbers through
    other.set_weights([weight + 1 for weight in other.get_weights()])
    assert_ended_in(whole, train(other, tmp_path))


@pytest.mark.parametrize("step", [1, 3, 7, 15, 18])  # before the first save, in an epoch, while patience runs out
def test_stopped_after_any_step_it_ends_in_the_same_bits(step, whole, start, tmp_path) -> None:
    train(start(), tmp_path / "deep" / "down", StopAt(step))
    assert bool(storage.names(tmp_path / "deep" / "down")) is (step > 2)
    assert_ended_in(whole, train(start(), tmp_path / "deep" / "down"))


@pytest.mark.parametrize("epoch", [0, 2, 4])
def test_stopped_at_the_end_of_an_epoch_it_ends_in_the_same_bits(epoch, whole, start, tmp_path) -> None:
    train(start(), tmp_path, StopAt(epoch=epoch), every_steps=None)
    assert len(storage.names(tmp_path)) == min(epoch, 3)
    assert_ended_in(whole, train(start(), tmp_path))


def test_finished_training_gives_its_model_without_training(whole, start, tmp_path) -> None:
    assert_ended_in(whole, train(start(), tmp_path))
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.npz")}
    assert_ended_in(whole, train(start(), tmp_path, StopAt(step=21)))
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.npz")} == before


def test_more_epochs_go_further(whole, start, tmp_path) -> None:
    assert train(start(), tmp_path, epochs=2).history.epoch == [0, 1]
    assert_ended_in(whole, train(start(), tmp_path, epochs=8))


def test_how_steps_are_grouped_into_programs_changes_no_bit(whole, start, tmp_path) -> None:
    assert_ended_in(whole, train(start(), steps_per_program=7))
    train(start(), tmp_path, StopAt(step=6), steps_per_program=3, every_steps=1)
    assert_ended_in(whole, train(start(), tmp_path, steps_per_program="auto"))


def test_the_last_and_the_best_are_kept(whole, start, tmp_path) -> None:
    train(start(), tmp_path)
    last = ["step-00000016-epoch-4", "step-00000018", "step-00000020-epoch-5"]
    assert storage.names(tmp_path) == ["step-00000012-epoch-3", *last]
    best = json.loads((tmp_path / "best.json").read_text())
    assert best == {"checkpoint": "step-00000012-epoch-3", "monitor": "val_loss", "value": min(whole[1]["val_loss"])}


def test_a_checkpoint_comes_after_minutes_too(start, tmp_path) -> None:
    fit(start(), DATA, batch_size=8, callbacks=[Checkpoint(tmp_path, every_minutes=0, keep=9)], verbose=0)
    assert storage.names(tmp_path)[0] == "step-00000001" and len(storage.names(tmp_path)) > 1
    assert not (tmp_path / "best.json").exists()  # no validation data


def test_a_checkpoint_is_forgotten_when_it_is_no_longer_given(start, tmp_path) -> None:
    train(start(), tmp_path, StopAt(epoch=3))
    model = train(start(), tmp_path, StopAt(epoch=4))  # it went on at the fourth epoch and was stopped once more
    history = fit(model, DATA, batch_size=8, verbose=0)
    assert history.epoch == [0] and len(history.history["loss"]) == 1


# --- other data, optimizers and callbacks ---------------------------------------------------------------------------


def shuffled() -> tf.data.Dataset:
    return tf.data.Dataset.from_tensor_slices(DATA).shuffle(32, seed=7, reshuffle_each_iteration=True).batch(8)


@pytest.mark.parametrize("step", [3, 8, 10, 13])  # 8: saved at the end of an epoch
def test_a_dataset_that_shuffles_goes_on_in_its_order(step, start, tmp_path) -> None:
    end = train(start(), data=shuffled(), validation_data=shuffled())
    expected = state(end), end.history.history
    assert len(set(expected[1]["loss"])) == 5
    train(start(), tmp_path, StopAt(step), shuffled(), validation_data=shuffled())
    assert_ended_in(expected, train(start(), tmp_path, data=shuffled(), validation_data=shuffled()))


def test_a_dataset_of_unknown_length_goes_on_after_its_epochs_last_step(start, tmp_path) -> None:
    def unknown() -> tf.data.Dataset:
        return shuffled().filter(lambda x, y: True)

    assert unknown().cardinality() == tf.data.UNKNOWN_CARDINALITY
    end = train(start(), data=unknown())
    expected = state(end), end.history.history
    train(start(), tmp_path, StopAt(epoch=1), unknown(), every_steps=4)
    assert storage.names(tmp_path)[-1] == "step-00000008"
    assert_ended_in(expected, train(start(), tmp_path, data=unknown(), every_steps=4))


def test_a_dataset_whose_place_cannot_be_saved_is_named(start, tmp_path, capsys) -> None:
    data = shuffled().map(lambda x, y: (x + tf.random.normal((), dtype=x.dtype), y))
    assert train(start(), tmp_path, data=data, epochs=2).history.epoch == [0, 1]
    (line,) = capsys.readouterr().out.splitlines()
    assert "place in this Dataset cannot be saved" in line and "RandomStandardNormal is stateful" in line
    assert storage.names(tmp_path) == ["step-00000004-epoch-1", "step-00000008-epoch-2"]
    assert train(start(), tmp_path, data=data, epochs=3).history.epoch == [0, 1, 2]


def averaged() -> keras.Model:
    """Averaged weights, a loss scale, accumulated gradients, and a schedule."""
    rates = keras.optimizers.schedules.CosineDecay(0.0, 20, warmup_target=0.05, warmup_steps=4)
    adam = keras.optimizers.Adam(rates, use_ema=True, ema_momentum=0.9, gradient_accumulation_steps=2)
    return perceptron(keras.optimizers.LossScaleOptimizer(adam, dynamic_growth_steps=3), dropout=0.4)


def test_averages_scales_schedules_and_accumulated_gradients_go_on(tmp_path) -> None:
    model = averaged()
    model.optimizer.build(model.trainable_variables)
    first = state(model)

    def run(folder=None, stop_at=None) -> tuple[list[np.ndarray], dict]:
        reset(model, first)
        calls = [] if folder is None else [Checkpoint(folder, every_steps=1)]
        calls += [callbacks.SwapEMAWeights(swap_on_epoch=True), *([] if stop_at is None else [stop_at])]
        options = {"validation_data": DATA, "epochs": 4, "batch_size": 8, "verbose": 0, "steps_per_program": 1}
        try:
            fit(model, DATA, callbacks=calls, **options)
        except Stopped:
            assert stop_at is not None
        return state(model), model.history.history

    values, history = run()
    run(tmp_path, StopAt(step=6))
    run(tmp_path, StopAt(epoch=2))
    assert run(tmp_path)[1] == history
    assert_same_state(model, values)


class Counter(callbacks.Callback):
    """A callback of the user's own, with a number and arrays to remember."""

    def __init__(self) -> None:
        super().__init__()
        self.count, self.seen = 0, []

    def on_train_batch_end(self, batch, logs=None) -> None:
        self.count += 1
        self.seen.append(np.full(2, self.count))

    def get_state(self) -> dict:
        return {"count": self.count, "seen": self.seen}

    def set_state(self, values: dict) -> None:
        self.count, self.seen = values["count"], list(values["seen"])


def test_callbacks_go_on_with_what_they_remember(start, tmp_path) -> None:
    def run(folder, name, stop_at=None) -> list:
        plateau = callbacks.ReduceLROnPlateau("loss", factor=0.5, patience=2, min_delta=100.0)
        slower = callbacks.LearningRateScheduler(lambda epoch, rate: rate * 0.9)
        best = callbacks.ModelCheckpoint(tmp_path / f"{name}.keras", "val_loss", save_best_only=True)
        calls = [Checkpoint(folder, every_steps=1), plateau, slower, best, counter := Counter()]
        calls += [] if stop_at is None else [stop_at]
        try:
            fit(start(), DATA, validation_data=DATA, epochs=7, batch_size=8, callbacks=calls, verbose=0)
        except Stopped:
            assert stop_at is not None
        rates = calls[0].model.history.history["learning_rate"]
        return [plateau.wait, plateau.best, best.best, counter.count, np.array(counter.seen).tolist(), rates]

    expected = run(tmp_path / "whole", "whole")
    for stop_at in (StopAt(step=6), StopAt(epoch=3), StopAt(step=22)):
        run(tmp_path / "stopped", "stopped", stop_at)
    assert run(tmp_path / "stopped", "stopped") == expected
    assert expected[3] == 28 and len({*expected[-1]}) == 7


def test_numbers_that_npz_does_not_know_come_back(tmp_path) -> None:
    storage.prepare(tmp_path)
    numbers = {"half": [1.5, -2.0], "one": 3.0}
    arrays = {name: np.array(keras.Variable(value, dtype="bfloat16").numpy()) for name, value in numbers.items()}
    storage.write(tmp_path, storage.name_of(1), arrays, {"a": 1}, {"more": b"bytes"})
    saved = storage.latest(tmp_path)
    assert saved.state == {"a": 1} and saved.files == {"more": b"bytes"}
    for name, array in arrays.items():
        assert saved.arrays[name].dtype == array.dtype and saved.arrays[name].tolist() == array.tolist()
