"""EpochCheckpoint: an interrupted training ends in the bits of one that was never stopped."""

import keras
import numpy as np
import pytest
from keras.callbacks import EarlyStopping, LambdaCallback

from keras_llm.errors import InputError
from keras_llm.training import EpochCheckpoint, fit
from tests.examples import X, Y, perceptron

DATA = (X[:32], Y[:32])


class Rates(keras.callbacks.Callback):
    """Learning rates under which the third epoch is the best."""

    def on_epoch_begin(self, epoch, logs=None) -> None:
        self.model.optimizer.learning_rate = [0.1, 0.05, 0.02, 9.0, 9.0, 9.0, 9.0, 9.0][epoch]


def state(model: keras.Model) -> list[np.ndarray]:
    return [np.array(v) for v in (*model.variables, *model.optimizer.variables)]


def fresh() -> keras.Model:
    model = perceptron(dropout=0.4)
    model.optimizer.build(model.trainable_variables)
    return model


def train(model, path=None, interrupt_at: int | None = None, **options) -> keras.Model:
    """A training with dropout, Adam, shuffling and early stopping, perhaps interrupted before an epoch is saved."""

    def interrupt(epoch, logs) -> None:
        if epoch == interrupt_at:
            raise KeyboardInterrupt

    stop = EarlyStopping("val_loss", patience=2, restore_best_weights=True)
    callbacks = [Rates(), stop, LambdaCallback(on_epoch_end=interrupt)]
    callbacks += [] if path is None else [EpochCheckpoint(path, stop)]
    given = {"validation_data": DATA, "epochs": 8, "batch_size": 8, "seed": 3, "verbose": 0, **options}
    try:
        fit(model, DATA, callbacks=callbacks, **given)
    except KeyboardInterrupt:
        assert interrupt_at is not None
    return model


@pytest.fixture(scope="module")
def whole() -> tuple[list[np.ndarray], dict]:
    """What a training that nobody interrupts ends in: its variables and its history."""
    model = train(fresh())
    assert model.history.epoch == [0, 1, 2, 3, 4]  # best in the third epoch, stopped two later
    return state(model), model.history.history


@pytest.fixture(scope="module")
def _compiled_once() -> tuple[keras.Model, list[np.ndarray]]:
    model = fresh()
    return model, state(model)


@pytest.fixture
def start(_compiled_once):
    """Makes the untrained model, without compiling it each time."""

    def anew() -> keras.Model:
        model, values = _compiled_once
        for variable, value in zip((*model.variables, *model.optimizer.variables), values, strict=True):
            variable.assign(value)
        return model

    return anew


def assert_ended_in(whole: tuple[list[np.ndarray], dict], model: keras.Model) -> None:
    for value, expected in zip(state(model), whole[0], strict=True):
        np.testing.assert_array_equal(value, expected)
    assert model.history.history == whole[1]
    assert model.history.epoch == [0, 1, 2, 3, 4]


def test_another_process_ends_in_the_same_bits(whole, start, tmp_path) -> None:
    path = tmp_path / "unfinished" / "document.npz"
    interrupted = train(start(), path, interrupt_at=2)
    assert interrupted.history.epoch == [0, 1] and path.exists()
    keras.utils.set_random_seed(99)  # nothing may hang on it …
    other = keras.models.clone_model(interrupted)  # … nor on what the new model begins with
    other.compile("adam", "binary_crossentropy", metrics=["accuracy"])
    assert_ended_in(whole, train(other, path))


@pytest.mark.parametrize("epoch", [0, 3, 4])  # before the first save, while patience runs out, at the last epoch
def test_resumed_training_ends_in_the_same_bits(epoch, whole, start, tmp_path) -> None:
    path = tmp_path / "document.npz"
    train(start(), path, interrupt_at=epoch)
    assert path.exists() is (epoch > 0)
    assert_ended_in(whole, train(start(), path))


def test_finished_training_gives_its_model_without_training(whole, start, tmp_path) -> None:
    path, epochs = tmp_path / "done.npz", []
    assert_ended_in(whole, train(start(), path))
    model, stop = start(), EarlyStopping("val_loss", patience=2, restore_best_weights=True)
    count = LambdaCallback(on_epoch_begin=lambda epoch, logs: epochs.append(epoch))
    fit(model, DATA, epochs=8, callbacks=[stop, count, EpochCheckpoint(path, stop)], verbose=0)
    assert epochs == []
    assert_ended_in(whole, model)


def test_a_kill_while_saving_leaves_the_epoch_before(whole, start, tmp_path, monkeypatch) -> None:
    path, savez, saved = tmp_path / "document.npz", np.savez, []

    def killed_at_the_third(file, **arrays) -> None:
        saved.append(file)
        if len(saved) < 3:
            return savez(file, **arrays)
        file.write_bytes(b"PK half a file")
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(np, "savez", killed_at_the_third)
        train(start(), path, interrupt_at=7)
    assert {file.name for file in tmp_path.iterdir()} == {path.name, saved[-1].name}  # the half file lies there
    assert_ended_in(whole, train(start(), path))


@pytest.mark.parametrize("damage", ["empty", "cut", "text", "other arrays"])
def test_a_damaged_file_is_named(damage, start, tmp_path) -> None:
    path = tmp_path / "document.npz"
    train(start(), path, epochs=1)
    content = path.read_bytes()
    if damage == "other arrays":
        np.savez(path, weights=np.zeros(3))
    else:
        path.write_bytes({"empty": b"", "cut": content[: len(content) // 2], "text": b"not a zip file"}[damage])
    with pytest.raises(InputError, match=r"document\.npz is damaged .* remove it") as caught:
        train(start(), path)
    assert "\n" not in str(caught.value)


def test_a_file_of_another_training_is_refused(start, tmp_path) -> None:
    path = tmp_path / "document.npz"
    train(start(), path, epochs=1)
    wider = keras.Sequential([keras.Input((4,)), keras.layers.Dense(5), keras.layers.Dense(1)])
    wider.compile("adam", "mse")
    same_weights_other_optimizer = perceptron("sgd", dropout=0.4)
    for model in (wider, same_weights_other_optimizer):
        with pytest.raises(InputError, match=r"document\.npz belongs to another"):
            fit(model, DATA, callbacks=[EpochCheckpoint(path)], verbose=0)
    path.unlink()
    fit(start(), DATA, batch_size=8, callbacks=[EpochCheckpoint(path)], verbose=0)  # without early stopping
    with pytest.raises(InputError, match="belongs to another"):
        train(start(), path)


def test_a_checkpoint_is_forgotten_when_it_is_no_longer_given(start, tmp_path) -> None:
    path = tmp_path / "document.npz"
    train(start(), path, interrupt_at=3)
    model = train(start(), path, interrupt_at=4)  # it went on at the fourth epoch and was interrupted once more
    history = fit(model, DATA, batch_size=8, verbose=0)
    assert history.epoch == [0] and len(history.history["loss"]) == 1
