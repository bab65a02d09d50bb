"""Going on after an interruption, in the same bits: the whole state of a training, saved as it goes."""

import json
import math
import time
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from keras.callbacks import Callback

from keras_llm.errors import InputError
from keras_llm.training.identity import difference, identity_of
from keras_llm.training.state import Progress, capture, dataset_position, go_to, put_back
from keras_llm.training.storage import Saved, latest, name_of, prepare, tidy, write


class Checkpoint(Callback):
    """Save a training at each epoch's end and inside long epochs, and go on from there when it is started again.

    A training that was stopped or killed at any moment and is started again with the same folder ends in the same
    bits, weights and history, as one that nobody stopped. Saved are the weights, the optimizer, the metrics, the random
    generators, the place in the data, the history, and what Keras's callbacks remember, EarlyStopping with its best
    weights among them; a callback of your own takes part with ``get_state()``, which gives a dict of JSON values
    and lists of arrays, and ``set_state(dict)``. A ``tf.data.Dataset`` goes on exactly if its order follows from
    its seeds.

    The first Ctrl-C or SIGTERM stops the training after the running program, with a checkpoint, by
    KeyboardInterrupt; a second one stops at once. A full disk costs a checkpoint, not the training.

    Args:
        folder: for the checkpoints of this one training; made if need be. Each is a folder ``step-00001234``
            (``step-00001280-epoch-2`` at an epoch's end) with ``arrays.npz``, ``state.json`` and ``manifest.json``, the
            size and SHA-256 of each file. Remove the folder to start the training anew.
        every_steps: save inside an epoch, at the end of the first program at least so many steps after the last save.
        every_minutes: the same in minutes of 60 seconds; None saves only by steps and epochs.
        keep: how many of the last checkpoints stay.
        monitor: the log whose best checkpoint stays too; ``best.json`` names it. Epochs without that log have no best.
        mode: whether the best ``monitor`` is the smallest, "min", or the largest, "max".
        identity: what else a resume must agree in, as JSON values; for instance a tokenizer's fingerprint.

    Raises:
        InputError: when the folder cannot be written, no checkpoint in it is whole, or they are of another training:
            other variables, optimizer, data, settings or identity; the first difference is named. Another number of
            epochs is fine.

    Example:
        >>> fit(model, data, callbacks=[Checkpoint("unfinished", every_minutes=5)])  # doctest: +SKIP
    """

    def __init__(
        self,
        folder: str | Path,
        every_steps: int | None = None,
        every_minutes: float | None = 10.0,
        keep: int = 3,
        monitor: str = "val_loss",
        mode: str = "min",
        identity: dict[str, Any] | None = None,
    ) -> None:
        super().__init__()
        if keep < 1 or mode not in ("min", "max") or (every_steps is not None and every_steps < 1):
            raise ValueError("keep and every_steps are at least 1, and mode is 'min' or 'max'.")
        self.folder, self.every_steps, self.every_minutes, self.keep = Path(folder), every_steps, every_minutes, keep
        self.monitor, self.mode = monitor, mode
        self.identity = dict(identity or {})

    def on_train_begin(self, logs: dict | None = None) -> None:
        if "training" not in self.params:
            raise ValueError("Checkpoint works with keras_llm.training.fit: model.fit does not say where it is.")
        self.progress: Progress = self.params["training"]
        self.best: dict[str, Any] | None = None
        self.resumed: Saved | None = None
        self.failed = self.lost = False
        about = identity_of(self.model, self.progress, self.identity)
        self.about = json.loads(json.dumps(about, default=str))  # as it will be read back
        prepare(self.folder)
        saved = latest(self.folder)
        if saved is None:
            self._note_positions()
        else:
            self._restore(saved)
        self._saved_now()

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        if self.resumed is not None and self.progress.step:
            # Other callbacks have begun an epoch that had begun already, and changed the learning rate for instance.
            put_back(self.model, self.progress, self.resumed.state, self.resumed.arrays)
        self.resumed = None

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        progress = self.progress
        if self.model.stop_training or progress.step == progress.feeds["training"].num_batches:
            return  # the epoch's end is near and saves more
        if not np.isfinite((logs or {}).get("loss", 0.0)):
            return  # the loop says so; nobody wants to go on from here
        due = self.every_steps is not None and progress.total - self.saved_step >= self.every_steps
        due |= self.every_minutes is not None and time.monotonic() - self.saved_time >= 60 * self.every_minutes
        if (due or progress.interrupted) and self.positions is not None:
            self._save(name_of(progress.total))
        if progress.interrupted:
            raise KeyboardInterrupt

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        name, value = name_of(self.progress.total, epoch + 1), (logs or {}).get(self.monitor, math.nan)
        sign = 1 if self.mode == "min" else -1
        best = self.best
        if math.isfinite(value) and (best is None or sign * value < sign * best["value"]):
            best = {"checkpoint": name, "monitor": self.monitor, "value": float(value)}
        self._note_positions()
        self._save(name, best)
        if self.progress.interrupted:
            raise KeyboardInterrupt

    def _saved_now(self) -> None:
        self.saved_step, self.saved_time = self.progress.total, time.monotonic()

    def _save(self, name: str, best: dict[str, Any] | None = None) -> None:
        best = best or self.best
        state, arrays = capture(self.model, self.progress)
        state |= {"about": self.about, "best": best}
        positions = self.positions or {}
        files = {f"{kind}.{file}": content for kind, each in positions.items() for file, content in each.items()}
        try:
            write(self.folder, name, arrays, state, files)
            self.best = best
            tidy(self.folder, name, self.keep, best)
            self.failed = False
        except OSError as error:
            self._warn(error)
        self._saved_now()

    def _warn(self, error: OSError) -> None:
        if not self.failed:  # once for a disk that stays full
            print(
                f"Warning: no checkpoint could be written into {self.folder} ({error.strerror or error}): the training "
                "goes on, and tries again later."
            )
        self.failed = True

    def _note_positions(self) -> None:
        """Where the next pass over each Dataset begins; None when that of the training data cannot be saved."""
        feeds = self.progress.feeds
        self.positions: dict[str, dict[str, bytes]] | None = {}
        try:
            for kind in feeds:
                self.positions[kind] = dataset_position(feeds[kind])
        except tf.errors.OpError as error:
            if "training" in self.positions:
                return  # the validation data begins anew, in any order
            self.positions = None
            if not self.lost:
                print(
                    "Warning: the place in this Dataset cannot be saved: checkpoints come at the end of epochs only, "
                    "and a resume begins a new pass, which may be in another order "
                    f"({str(error).strip().splitlines()[0]})."
                )
            self.lost = True

    def _restore(self, saved: Saved) -> None:
        found = difference(self.about, saved.state["about"])
        if found is not None:
            raise InputError(
                f"The checkpoints in {self.folder} are of another training: {found}; go on with the same, or give "
                "another folder."
            )
        self.about = saved.state["about"]
        self._note_positions()
        for kind, feed in self.progress.feeds.items():
            start = f"{kind}."
            files = {n.removeprefix(start): content for n, content in saved.files.items() if n.startswith(start)}
            if files:
                try:
                    go_to(feed, files)
                except (tf.errors.OpError, AssertionError, ValueError) as error:
                    raise InputError(
                        f"The checkpoints in {self.folder} are of another training: the {kind} Dataset is built in "
                        "another way here; build the same, or give another folder."
                    ) from error
                self.positions = {**(self.positions or {}), kind: files}
        put_back(self.model, self.progress, saved.state, saved.arrays)
        self.resumed, self.best = saved, saved.state["best"]
        try:
            tidy(self.folder, saved.path.name, self.keep, self.best)
        except OSError as error:
            self._warn(error)
