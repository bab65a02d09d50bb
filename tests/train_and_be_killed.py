"""A small training with everything that a checkpoint must hold, in a process that dies where it is told.

    python -m tests.train_and_be_killed FOLDER [--epochs 12] [--patience 2] [--die arrays:2]

Prints a line a program, and at the end a digest of all variables and the history as JSON. ``--die PLACE:N`` kills the
process in the writing of its N-th checkpoint: when only its ``arrays`` are written, before the ``rename`` of the whole,
before the ``prune`` of old ones, or in the middle of this ``pruning``.
"""

import argparse
import hashlib
import json
import os
import shutil
import signal
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
from keras import callbacks, layers

from keras_llm.layers import LSTM, Dropout
from keras_llm.training import Checkpoint, checkpoints, fit

STEPS = 8  # an epoch, the last with a smaller batch
PLACES = ("arrays", "rename", "prune", "pruning")


class Noise(layers.Layer):
    """Draws from Keras's own generator, as a layer without a seed does."""

    def call(self, inputs, training: bool = False):
        return inputs + 0.1 * keras.random.normal(keras.ops.shape(inputs)) if training else inputs


class Report(callbacks.Callback):
    """Says how far the training is, slowly enough for a kill to meet it."""

    def on_train_batch_end(self, batch, logs=None) -> None:
        print(f"step {self.params['training'].total}", flush=True)
        time.sleep(0.01)


def die_at(place: str, number: int) -> None:
    """Have this process kill itself at a place in the writing of its ``number``-th checkpoint."""
    calls = 0

    def dying(function, after: bool = False):
        def call(*args, **options):
            nonlocal calls
            calls += 1
            if calls == number and not after:
                os.kill(os.getpid(), signal.SIGKILL)
            result = function(*args, **options)
            if calls == number:
                os.kill(os.getpid(), signal.SIGKILL)
            return result

        return call

    if place == "arrays":
        np.savez = dying(np.savez, after=True)
    elif place == "rename":
        Path.rename = dying(Path.rename)
    elif place == "prune":
        checkpoints.tidy = dying(checkpoints.tidy)
    else:
        shutil.rmtree = dying(shutil.rmtree)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--patience", type=int, default=2)
    parser.add_argument("--die")
    options = parser.parse_args()
    keras.utils.set_random_seed(5)
    draw = np.random.default_rng(0)
    x = draw.integers(1, 20, (80, 6)).astype("int32")
    y = (x[:, 0] > x[:, 1]).astype("int32")
    parts = [layers.Embedding(20, 4), Noise(), LSTM(4), Dropout(0.3), layers.Dense(1, activation="sigmoid")]
    model = keras.Sequential([keras.Input((6,), dtype="int32"), *parts])
    model.compile(keras.optimizers.Adam(0.05, global_clipnorm=1.0), "binary_crossentropy", metrics=["accuracy", "auc"])
    stop = callbacks.EarlyStopping("val_loss", patience=options.patience, restore_best_weights=True)
    slower = callbacks.LearningRateScheduler(lambda epoch, rate: rate * 0.9)
    if options.die:
        place, number = options.die.split(":")
        die_at(place, int(number))
    history = fit(
        model,
        (x[:60], y[:60]),
        validation_data=(x[60:], y[60:]),
        epochs=options.epochs,
        batch_size=8,
        steps_per_program=2,
        callbacks=[stop, slower, Report(), Checkpoint(options.folder, every_steps=3, keep=2)],
        verbose=0,
    )
    bits = hashlib.sha256()
    for variable in (*model.variables, *model.optimizer.variables):
        bits.update(np.array(variable).tobytes())
    end = {"variables": bits.hexdigest(), "best epoch": stop.best_epoch, "epochs": history.epoch}
    print(json.dumps({**end, "history": history.history}))


if __name__ == "__main__":
    main()
