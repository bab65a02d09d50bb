"""What a training is made of: where it stands, and all the state that a checkpoint must hold and put back."""

import json
import re
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import callbacks as kc
from keras.src.backend.common import global_state
from keras.src.random import seed_generator

from keras_llm.training.feed import Feed

# What Keras's callbacks remember from one epoch to the next.
REMEMBERED: dict[type, tuple[str, ...]] = {
    kc.EarlyStopping: ("wait", "stopped_epoch", "best", "best_epoch", "best_weights"),
    kc.ReduceLROnPlateau: ("wait", "best", "cooldown_counter"),
    kc.ModelCheckpoint: ("best", "_current_epoch", "_last_batch_seen", "_batches_seen_since_last_saving"),
    kc.SwapEMAWeights: ("_ema_weights_in_model",),
    kc.TensorBoard: ("_global_train_batch", "_global_test_batch", "_previous_epoch_iterations"),
}
GLOBAL_SEED = "keras.random's generator"


@dataclass
class Progress:
    """Where a training stands. The loop keeps it, and hands it to callbacks as ``params["training"]``.

    Attributes:
        feeds: ``"training"``, and ``"validation"`` if there is any.
        settings: what else decides the bits of the result, name to JSON value.
        callbacks: all of them, in the order in which they are called.
        epoch: the epoch under way, from 0.
        step: its steps that are done.
        total: steps of all epochs that are done.
        logs: of the last step in this epoch.
        interrupted: somebody wants the training to stop.
    """

    feeds: dict[str, Feed]
    settings: dict[str, Any]
    callbacks: list[kc.Callback] = field(default_factory=list)
    epoch: int = 0
    step: int = 0
    total: int = 0
    logs: dict[str, Any] = field(default_factory=dict)
    interrupted: bool = False

    def advance(self, steps: int, logs: dict[str, Any]) -> None:
        self.step, self.total, self.logs = self.step + steps, self.total + steps, logs

    def begin(self, epoch: int) -> None:
        self.epoch, self.step, self.logs = epoch, 0, {}


def capture(model: keras.Model, progress: Progress) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """The state of a training as JSON values and arrays."""
    # np.array alone fails on a variable that is one bfloat16.
    arrays = {name: np.array(variable.numpy()) for name, variable in variables_of(model).items()}
    generator = global_state.get_global_attribute(seed_generator.GLOBAL_SEED_GENERATOR)
    if generator is not None:
        arrays[GLOBAL_SEED] = np.array(generator.state)
    memories = []
    for number, callback in enumerate(remembering(progress.callbacks)):
        memory = _memory_of(callback)
        for key, value in memory.items():
            if isinstance(value, list) and value and all(isinstance(each, np.ndarray) for each in value):
                memory[key] = {"arrays": [f"callback {number}, {key} {i}" for i in range(len(value))]}
                arrays |= zip(memory[key]["arrays"], value, strict=True)
        memories.append(memory)
    state = {
        "progress": {"epoch": progress.epoch, "step": progress.step, "total": progress.total, "logs": progress.logs},
        "history": {"epoch": model.history.epoch, "history": model.history.history},
        "stop_training": model.stop_training,
        "callbacks": memories,
    }
    return json.loads(json.dumps(state, default=lambda value: np.asarray(value).tolist())), arrays


def put_back(model: keras.Model, progress: Progress, state: dict[str, Any], arrays: dict[str, np.ndarray]) -> None:
    """Make a training what it was when :func:`capture` looked at it."""
    for name, variable in variables_of(model).items():
        variable.assign(arrays[name])
    if GLOBAL_SEED in arrays:
        seed_generator.global_seed_generator().state.assign(arrays[GLOBAL_SEED])
    for callback, memory in zip(remembering(progress.callbacks), state["callbacks"], strict=True):
        for key, value in memory.items():
            if isinstance(value, dict) and value.keys() == {"arrays"}:
                memory = {**memory, key: [arrays[name] for name in value["arrays"]]}
        _remind(callback, memory)
    for name, value in state["progress"].items():
        setattr(progress, name, value)
    model.history.epoch = list(state["history"]["epoch"])
    model.history.history = {name: list(values) for name, values in state["history"]["history"].items()}
    model.stop_training = state["stop_training"]


def variables_of(model: keras.Model) -> dict[str, Any]:
    """Everything in a training that TensorFlow holds, by names that are the same in every process.

    Weights, the generators of dropout, metrics, and the optimizer with its slots, counters and learning rate.
    """
    own, slots = [*model.variables, *model.metrics_variables], model.optimizer.variables
    paths = dict(zip([v.path for v in own], without_numbers(v.path for v in own), strict=True))
    # An optimizer names its slots after the variables: adam/dense_7_kernel_momentum.
    flat = {path.replace("/", "_"): new.replace("/", "_") for path, new in paths.items()}

    def renamed(slot: str) -> str:
        known = max((path for path in flat if slot.startswith(f"{path}_")), key=len, default="")
        return flat.get(known, "") + slot.removeprefix(known)

    names = [f"the model's {paths[v.path]}" for v in own]
    names += [f"the optimizer's {'/'.join(map(renamed, path.split('/')))}" for path in (v.path for v in slots)]
    found: dict[str, Any] = {}
    for name, variable in zip(without_numbers(names), [*own, *slots], strict=True):
        if not any(variable is known for known in found.values()):
            while name in found:
                name += "'"
            found[name] = variable
    return found


def without_numbers(paths: Iterable[str]) -> list[str]:
    """Paths as Keras gives them to the first model of a process: ``dense_7/kernel`` becomes ``dense/kernel``."""
    seen: dict[str, list[str]] = {}

    def renamed(part: str) -> str:
        base = re.sub(r"_\d+$", "", part)
        known = seen.setdefault(base, [])
        if part not in known:
            known.append(part)
        number = known.index(part)
        return f"{base}_{number}" if number else base

    return ["/".join(map(renamed, path.split("/"))) for path in paths]


def remembering(callbacks: list[kc.Callback]) -> list[kc.Callback]:
    """The callbacks whose memory a checkpoint must hold: Keras's own, and those with ``get_state``."""
    return [each for each in callbacks if hasattr(each, "get_state") or isinstance(each, tuple(REMEMBERED))]


def _memory_of(callback: kc.Callback) -> dict[str, Any]:
    if hasattr(callback, "get_state"):
        return dict(callback.get_state())
    names = [name for kind, names in REMEMBERED.items() if isinstance(callback, kind) for name in names]
    return {name: getattr(callback, name) for name in names if hasattr(callback, name)}


def _remind(callback: kc.Callback, memory: dict[str, Any]) -> None:
    if hasattr(callback, "set_state"):
        callback.set_state(memory)
        return
    for name, value in memory.items():
        setattr(callback, name, value)


def dataset_position(feed: Feed) -> dict[str, bytes]:
    """Where the next pass over a Dataset begins, as the files of a ``tf.train.Checkpoint``; {} for arrays.

    They are small, because nothing was drawn yet, and hold the seeds of all later shuffles.

    Raises:
        tf.errors.OpError: when something in the Dataset cannot be saved.
    """
    if feed.dataset is None:
        return {}
    with tempfile.TemporaryDirectory() as folder:
        tf.train.Checkpoint(iterator=feed.iterator()).write(f"{folder}/iterator")
        return {path.name: path.read_bytes() for path in Path(folder).iterdir()}


def go_to(feed: Feed, files: dict[str, bytes]) -> None:
    """Put the next pass over a Dataset to where :func:`dataset_position` found it.

    Raises:
        tf.errors.OpError: when the Dataset is built in another way.
    """
    with tempfile.TemporaryDirectory() as folder:
        for name, content in files.items():
            (Path(folder) / name).write_bytes(content)
        tf.train.Checkpoint(iterator=feed.iterator()).read(f"{folder}/iterator").assert_consumed()
