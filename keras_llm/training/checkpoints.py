"""Going on after an interruption: the whole state of a training in one file, after each epoch."""

import json
from pathlib import Path

import numpy as np
from keras.callbacks import Callback, EarlyStopping

from keras_llm.errors import InputError


class EpochCheckpoint(Callback):
    """Save a training after each epoch and go on from there when it is started again.

    The file holds weights, optimizer, random generators of dropout, the history so far and what early stopping
    remembers, so that a resumed training ends in the same bits as one that was never stopped (batches of arrays are
    shuffled from seed and epoch alone). It is replaced atomically: a kill leaves the file of the epoch before.

    Args:
        path: the file, for instance ``unfinished/document.npz``. Remove it when the training is done.
        early_stopping: the training's EarlyStopping, if it has one; it must stand before this callback.

    Raises:
        InputError: when the file belongs to another model, optimizer or early stopping, or is damaged.

    Example:
        >>> stop = EarlyStopping(patience=2, restore_best_weights=True)
        >>> fit(model, data, callbacks=[stop, EpochCheckpoint("training.npz", stop)])  # doctest: +SKIP
    """

    def __init__(self, path: str | Path, early_stopping: EarlyStopping | None = None) -> None:
        super().__init__()
        self.path, self.early_stopping = Path(path), early_stopping
        self.history: dict[str, list[float]] = {}

    def on_train_begin(self, logs: dict | None = None) -> None:
        self.history = {}
        if self.path.exists():
            self._restore()

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        for name, value in (logs or {}).items():
            self.history.setdefault(name, []).append(np.asarray(value).tolist())
        arrays = {f"model_{i}": np.array(v) for i, v in enumerate(self.model.variables)}
        arrays |= {f"optimizer_{i}": np.array(v) for i, v in enumerate(self.model.optimizer.variables)}
        state = {"epoch": epoch + 1, "history": self.history, "stopped": self.model.stop_training}
        stop = self.early_stopping
        if stop is not None:
            state["early_stopping"] = {name: getattr(stop, name) for name in ("wait", "best", "best_epoch")}
            arrays |= {f"best_{i}": array for i, array in enumerate(stop.best_weights or [])}
        self.path.parent.mkdir(parents=True, exist_ok=True)
        partial = self.path.with_suffix(".partial.npz")
        np.savez(partial, state=json.dumps(state, default=float), **arrays)
        partial.replace(self.path)

    def _restore(self) -> None:
        variables = [*self.model.variables, *self.model.optimizer.variables]
        names = [f"model_{i}" for i in range(len(self.model.variables))]
        names += [f"optimizer_{i}" for i in range(len(self.model.optimizer.variables))]
        try:
            with np.load(self.path, allow_pickle=False) as file:
                arrays = {name: file[name] for name in file.files}
            state = json.loads(str(arrays.pop("state")))
        except Exception as error:  # a zip file breaks in many ways
            raise InputError(f"{self.path} is damaged ({error}): remove it to start this training anew.") from error
        shapes = {name: tuple(v.shape) for name, v in zip(names, variables, strict=True)}
        other_shapes = shapes != {name: a.shape for name, a in arrays.items() if not name.startswith("best_")}
        if other_shapes or (self.early_stopping is not None and "early_stopping" not in state):
            raise InputError(f"{self.path} belongs to another training: remove it, or choose another output folder.")
        for name, variable in zip(names, variables, strict=True):
            variable.assign(arrays[name])
        self.history = state["history"]
        self.model.history.history = {name: list(values) for name, values in self.history.items()}
        self.model._initial_epoch = state["epoch"]
        self.model.stop_training = state["stopped"]
        stop = self.early_stopping
        if stop is not None:
            for name, value in state["early_stopping"].items():
                setattr(stop, name, value)
            best = [arrays[f"best_{i}"] for i in range(sum(name.startswith("best_") for name in arrays))]
            stop.best_weights = best or None
