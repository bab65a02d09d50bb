"""Whether a checkpoint and a training that would go on from it are the same one, and if not, in what they differ."""

import hashlib
from typing import Any

import keras
import numpy as np
from keras import tree
from keras.callbacks import Callback

from keras_llm.training.feed import Feed
from keras_llm.training.state import Progress, remembering, variables_of

FORMAT = 1  # of state.json
ANY = "anything"  # agrees with every value
SAMPLE_BYTES = 64 * 2**20  # of each array that are hashed, so that a corpus of many gigabytes costs no time


def identity_of(model: keras.Model, progress: Progress, own: dict[str, Any]) -> dict[str, Any]:
    """What two trainings must share to be the same one: words for a message, to JSON values.

    Args:
        model: built and compiled, as it is before a checkpoint is restored.
        progress: its data, settings and callbacks count; where it stands does not.
        own: what the user adds.
    """
    about: dict[str, Any] = {"the format of checkpoints": FORMAT}
    about |= {f"the {name}": value for name, value in own.items()}
    about["the dtype policy"] = model.dtype_policy.name
    variables = {name: _described(variable) for name, variable in variables_of(model).items()}
    about |= {name: value for name, value in variables.items() if name.startswith("the model's")}
    about |= _optimizer(model.optimizer)
    about |= variables
    about |= {f"the {name}": value for name, value in progress.settings.items()}
    for kind, feed in progress.feeds.items():
        about |= {f"the {kind} data's {name}": value for name, value in _data(feed).items()}
    about["the list of callbacks that remember"] = _names(remembering(progress.callbacks))
    return about


def difference(here: dict[str, Any], there: dict[str, Any]) -> str | None:
    """The first thing in which a training differs from the checkpoint, in words; None when they are the same."""
    for name in {**here, **there}:
        ours, theirs = here.get(name, "absent"), there.get(name, "absent")
        if ours != theirs and ANY not in (ours, theirs):
            return f"{name} is {ours} here and {theirs} in the checkpoint"
    return None


def _described(variable: Any) -> str:
    return f"{tuple(variable.shape)}" + ("" if variable.dtype == "float32" else f" {variable.dtype}")


def _optimizer(optimizer: keras.Optimizer) -> dict[str, Any]:
    about = {"the optimizer": type(optimizer).__name__}
    # After some steps the learning rate may be what a callback has made of it; then the checkpoint's one is right.
    fresh = int(optimizer.iterations) == 0
    for name, value in _flat(optimizer.get_config()).items():
        last = name.rpartition(".")[2]
        if last != "name":
            about[f"the optimizer's {name}"] = value if fresh or last != "learning_rate" else ANY
    return about


def _flat(config: Any, prefix: str = "") -> dict[str, Any]:
    """A nested configuration as one dict with dotted names, its values fit for JSON."""
    if isinstance(config, dict):
        parts = [_flat(value, f"{prefix}.{name}" if prefix else str(name)) for name, value in config.items()]
        return {name: value for part in parts for name, value in part.items()}
    return {prefix: config if isinstance(config, bool | int | float | str | None) else str(config)}


def _data(feed: Feed) -> dict[str, Any]:
    """A cheap fingerprint: of arrays shape, dtype and content, of a Dataset what it yields and how many batches."""
    if feed.dataset is not None:
        return {"element_spec": str(feed.dataset.element_spec), "cardinality": int(feed.dataset.cardinality())}
    about: dict[str, Any] = {}
    for number, array in enumerate(tree.flatten(feed.arrays), 1):
        rows = max(2, SAMPLE_BYTES // max(1, array[:1].nbytes))
        sample = array if rows >= len(array) else array[np.linspace(0, len(array) - 1, rows).astype(int)]
        content = hashlib.sha256(np.ascontiguousarray(sample)).hexdigest()[:16]
        about[f"array {number}"] = f"{array.shape} {array.dtype} with sha256 {content}"
    return about


def _names(callbacks: list[Callback]) -> str:
    return ", ".join(type(callback).__name__ for callback in callbacks) or "empty"
