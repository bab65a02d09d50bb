"""Checkpoints that are damaged or of another training, folders that cannot be written, full disks and signals."""

import errno
import os
import re
import signal
import time
from concurrent.futures import ThreadPoolExecutor

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_llm.errors import InputError
from keras_llm.training import Checkpoint, fit, storage
from tests.examples import perceptron
from tests.stopped_training import DATA, StopAt, Stopped, assert_ended_in, train

pytest_plugins = ["tests.stopped_training_fixtures"]


def cut(folder) -> None:
    path = folder / "arrays.npz"
    path.write_bytes(path.read_bytes()[:-9])


def alter(folder) -> None:
    path = folder / "arrays.npz"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


DAMAGES = {
    "arrays.npz has .* bytes instead of": cut,
    "arrays.npz has another sha256": alter,
    "arrays.npz is missing": lambda folder: (folder / "arrays.npz").unlink(),
    "state.json is missing": lambda folder: (folder / "state.json").unlink(),
    "state.json has another sha256": lambda folder: (folder / "state.json").write_bytes(
        b"x" * (folder / "state.json").stat().st_size
    ),
    "manifest.json is missing": lambda folder: (folder / "manifest.json").unlink(),
    "manifest.json cannot be read": lambda folder: (folder / "manifest.json").write_text('{"state.json": {'),
    "manifest.json cannot be read: ": lambda folder: (folder / "manifest.json").write_text("[1]"),
}


@pytest.mark.parametrize("message", DAMAGES)
def test_a_damaged_checkpoint_is_named_and_the_one_before_is_taken(message, whole, start, tmp_path, capsys) -> None:
    train(start(), tmp_path, StopAt(step=15))
    before, newest = storage.names(tmp_path)[-2:]
    assert newest == "step-00000014"
    DAMAGES[message](tmp_path / newest)
    capsys.readouterr()
    assert_ended_in(whole, train(start(), tmp_path))
    (line,) = capsys.readouterr().out.splitlines()
    assert newest in line and before not in line
    assert re.search(message, line), line


def test_when_none_is_whole_the_training_does_not_begin_anew_in_silence(start, tmp_path, capsys) -> None:
    train(start(), tmp_path, StopAt(step=11))
    for name in storage.names(tmp_path):
        cut(tmp_path / name)
    with pytest.raises(InputError, match=r"No checkpoint in .* is whole: remove") as caught:
        train(start(), tmp_path)
    assert "\n" not in str(caught.value)
    assert len(capsys.readouterr().out.splitlines()) == len(storage.names(tmp_path)) > 1


def wider() -> keras.Model:
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(5), keras.layers.Dense(1)])
    model.compile("adam", "binary_crossentropy", metrics=["accuracy"])
    return model


def clipped() -> keras.Model:
    return perceptron(keras.optimizers.Adam(clipnorm=1.0), dropout=0.4)


OTHER = {
    r"the model's sequential/dense/kernel is \(4, 5\) here and \(4, 3\) in the checkpoint": {"model": wider},
    "the optimizer is SGD here and Adam": {"model": lambda: perceptron("sgd", dropout=0.4)},
    "the optimizer's clipnorm is 1.0 here and None": {"model": clipped},
    "the optimizer's learning_rate is 0.5": {"model": lambda: perceptron(keras.optimizers.Adam(0.5), dropout=0.4)},
    "the optimizer's gradient_accumulation_steps is 2": {
        "model": lambda: perceptron(keras.optimizers.Adam(gradient_accumulation_steps=2), dropout=0.4)
    },
    "the model's accuracy/total is absent here": {"model": lambda: perceptron(dropout=0.4, metrics=[])},
    "the batch_size is 16 here and 8 in": {"batch_size": 16},
    "the seed is 4 here and 3 in": {"seed": 4},
    "the shuffle is False": {"shuffle": False},
    r"the training data's array 1 is \(32, 4\) float32 with sha256": {"data": (DATA[0] + 1, DATA[1])},
    r"the training data's array 1 is \(31, 4\) float32": {"data": (DATA[0][:31], DATA[1][:31])},
    "the training data's element_spec": {"data": tf.data.Dataset.from_tensor_slices(DATA).batch(8)},
    "the validation data's array 1 is absent": {"validation_data": None},
    "the tokenizer is 3c4d here and 1a2b in": {"identity": {"tokenizer": "3c4d"}},
    "the tokenizer is absent here": {"identity": {}},
}


@pytest.fixture(scope="module")
def stopped(tmp_path_factory):
    """The checkpoints of a training that ended after its first epoch."""
    folder = tmp_path_factory.mktemp("stopped")
    train(perceptron(dropout=0.4), folder, epochs=1, identity={"tokenizer": "1a2b"})
    return folder


@pytest.mark.parametrize("message", OTHER)
def test_checkpoints_of_another_training_are_refused_with_the_difference_named(message, stopped) -> None:
    options = {"identity": {"tokenizer": "1a2b"}, **OTHER[message]}
    model = options.pop("model", lambda: perceptron(dropout=0.4))()
    before = storage.names(stopped)
    with pytest.raises(InputError, match=rf"{stopped} are of another training: {message}") as caught:
        train(model, stopped, **options)
    assert "\n" not in str(caught.value)
    assert storage.names(stopped) == before


def test_a_resume_in_the_session_that_was_stopped_takes_the_learning_rate_that_a_callback_set(start, tmp_path) -> None:
    model = train(start(), tmp_path, StopAt(step=6))
    assert float(model.optimizer.learning_rate) != 0.001 and int(model.optimizer.iterations) == 6
    assert train(model, tmp_path).history.epoch == [0, 1, 2, 3, 4]


def test_callbacks_that_remember_must_be_the_same(start, tmp_path) -> None:
    train(start(), tmp_path, epochs=1)
    with pytest.raises(InputError, match="callbacks that remember is empty here and EarlyStopping in the"):
        fit(start(), DATA, validation_data=DATA, batch_size=8, seed=3, callbacks=[Checkpoint(tmp_path)], verbose=0)


def test_a_dataset_that_is_built_otherwise_is_refused(start, tmp_path) -> None:
    data = tf.data.Dataset.from_tensor_slices(DATA)
    train(start(), tmp_path, StopAt(step=3), data.shuffle(32, seed=1).batch(8))
    with pytest.raises(InputError, match="the training Dataset is built in another way"):
        train(start(), tmp_path, data=data.batch(8))


def test_a_folder_that_cannot_be_written_is_refused_before_the_training(start, tmp_path) -> None:
    file = tmp_path / "file"
    file.touch()
    for folder in (file, file / "below", "/proc/checkpoints"):
        with pytest.raises(InputError, match=f"Checkpoints cannot be written into {folder} .*another folder") as caught:
            train(start(), folder, StopAt(step=1))
        assert "\n" not in str(caught.value)


def test_what_a_kill_left_half_written_is_removed(whole, start, tmp_path) -> None:
    train(start(), tmp_path, StopAt(step=7))
    half = tmp_path / "partial.step-00000099"
    half.mkdir()
    (half / "arrays.npz").write_bytes(b"PK half a file")
    (tmp_path / "partial.best.json").write_text("{")
    (tmp_path / "partial.mine").touch()
    assert_ended_in(whole, train(start(), tmp_path))
    assert {path.name for path in tmp_path.glob("partial.*")} == {"partial.mine"}


def test_a_full_disk_costs_the_checkpoint_and_not_the_training(whole, start, tmp_path, monkeypatch, capsys) -> None:
    savez, calls = np.savez, []

    def full(file, **arrays) -> None:
        calls.append(file)
        if 3 <= len(calls) <= 6:
            file.write(b"PK half a file")
            raise OSError(errno.ENOSPC, "No space left on device")
        savez(file, **arrays)

    with monkeypatch.context() as patch:
        patch.setattr(np, "savez", full)
        train(start(), tmp_path, StopAt(step=15))
    (line,) = capsys.readouterr().out.splitlines()  # one for four failures in a row
    assert re.match(rf"Warning: .*{tmp_path} \(No space left on device\): the training goes on", line)
    names = storage.names(tmp_path)
    assert len(calls) == 7 and names[-1] == "step-00000014"
    assert not list(tmp_path.glob("partial*"))
    assert_ended_in(whole, train(start(), tmp_path))


# --- Ctrl-C and a polite kill ---------------------------------------------------------------------------------------


class SendAt(keras.callbacks.Callback):
    """Sends this process signals after a step, with a pause before each further one."""

    def __init__(self, step: int, *signals: int, pause: float = 0.0, validating: bool = False) -> None:
        super().__init__()
        self.step, self.signals, self.pause, self.validating = step, signals, pause, validating

    def on_train_batch_end(self, batch, logs=None) -> None:
        if not self.validating and self.params["training"].total == self.step:
            self.send()

    def on_test_begin(self, logs=None) -> None:
        if self.validating and self.params["training"].total == self.step:
            self.send()

    def send(self) -> None:
        for number in self.signals:
            os.kill(os.getpid(), number)
            time.sleep(self.pause)


@pytest.fixture
def handlers():
    """The handlers of before, which must be there again."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield before
    assert {number: signal.getsignal(number) for number in before} == before


@pytest.mark.parametrize(
    ("sender", "newest"),
    [
        (SendAt(5, signal.SIGINT), "step-00000005"),
        (SendAt(9, signal.SIGTERM, signal.SIGTERM, signal.SIGINT), "step-00000009"),  # as a wrapper sends them
        (SendAt(8, signal.SIGTERM), "step-00000008-epoch-2"),  # at an epoch's end its validation comes first
        (SendAt(8, signal.SIGTERM, validating=True), "step-00000008-epoch-2"),
        (SendAt(20, signal.SIGTERM, validating=True), "step-00000020-epoch-5"),  # the last one
    ],
)
def test_the_first_signal_writes_a_checkpoint(sender, newest, whole, start, tmp_path, handlers) -> None:
    with pytest.raises(KeyboardInterrupt):
        train(start(), tmp_path, sender, every_steps=None)
    assert storage.names(tmp_path)[-1] == newest
    assert_ended_in(whole, train(start(), tmp_path))


def test_a_second_signal_stops_at_once(start, tmp_path, handlers, capfd) -> None:
    model, seen = start(), []
    late = keras.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: seen.append(batch))
    with pytest.raises(KeyboardInterrupt):
        fit(
            model,
            DATA,
            batch_size=8,
            verbose=0,
            steps_per_program=1,
            callbacks=[SendAt(2, signal.SIGTERM, signal.SIGTERM, pause=1.1), late, Checkpoint(tmp_path)],
        )
    assert len(seen) == 1 and storage.names(tmp_path) == []
    assert "once more stops at once" in capfd.readouterr().err


def test_other_threads_ignored_signals_and_failing_trainings_keep_their_handlers(start, tmp_path, handlers) -> None:
    with ThreadPoolExecutor() as pool:
        assert pool.submit(train, start(), tmp_path / "thread", epochs=1).result().history.epoch == [0]
    with pytest.raises(Stopped):
        fit(start(), DATA, batch_size=8, callbacks=[StopAt(1), Checkpoint(tmp_path / "fails")], verbose=0)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        train(start(), tmp_path / "ignored", SendAt(1, signal.SIGINT), epochs=1)
    finally:
        signal.signal(signal.SIGINT, handlers[signal.SIGINT])


def test_nothing_changes_without_a_checkpoint(start, handlers) -> None:
    seen = set()
    look = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: seen.add(signal.getsignal(signal.SIGTERM)))
    fit(start(), DATA, batch_size=8, callbacks=[look], verbose=0)
    assert seen == {handlers[signal.SIGTERM]}
