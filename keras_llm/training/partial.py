"""Train a part of a model, and keep that part alone: a pretrained model is stored once, each task adds kilobytes."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

import keras
import numpy as np

from keras_llm.errors import InputError


def train_only(model: keras.Model, parts: Sequence[str]) -> int:
    """Freeze all weights but some; compile the model anew afterwards.

    Args:
        model: built.
        parts: a weight is trained when its path contains one of them, for instance ``["head/"]``, ``["bias", "head/"]``
            or ``["block_6/", "head/"]``; ``[""]`` trains all.

    Returns:
        How many numbers are trained.

    Raises:
        ValueError: when a part occurs in no path.
    """
    model.trainable = True  # a frozen layer would have nothing to train, whatever its weights say
    for part in parts:
        if not any(part in weight.path for weight in model.weights):
            raise ValueError(f"{part!r}: no weight of {model.name} has such a path.")
    for weight in model.weights:
        weight.trainable = any(part in weight.path for part in parts)
    return trainable_count(model)


def trainable_count(model: keras.Model) -> int:
    """How many numbers are trained."""
    return sum(int(np.prod(weight.shape)) for weight in model.trainable_weights)


def save_trainable(model: keras.Model, path: str | Path) -> int:
    """Write the trained weights of a model alone: the adapters of a LoRA and its head, or what :func:`train_only` left.

    Args:
        model: built.
        path: a ``.safetensors`` file; it is replaced as a whole.

    Returns:
        Its size in bytes.
    """
    from safetensors.numpy import save_file

    path = Path(path)
    partial = path.with_name(f"partial.{path.name}")
    about = {"frozen": fingerprint(model), "format": "keras_llm trainable weights"}
    try:
        save_file({name: np.array(weight) for name, weight in _trained(model).items()}, partial, about)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
    return path.stat().st_size


def load_trainable(model: keras.Model, path: str | Path) -> None:
    """Give a model the weights that :func:`save_trainable` wrote.

    Args:
        model: built in the same way, with the same frozen weights.
        path: the file.

    Raises:
        InputError: when the file is missing, damaged, or belongs to another model or to other frozen weights.
    """
    from safetensors import SafetensorError, safe_open

    if not Path(path).is_file():
        raise InputError(f"There is no file {path}: give one that save_trainable wrote.")
    try:
        with safe_open(path, framework="np") as file:
            about, values = file.metadata() or {}, {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except SafetensorError as error:
        raise InputError(f"{path} is damaged ({error}): save it again.") from error
    wanted = _trained(model)
    shapes = {name: tuple(weight.shape) for name, weight in wanted.items()}
    if {name: value.shape for name, value in values.items()} != shapes:
        different = sorted(name for name in {*values, *wanted} if name not in values or name not in wanted)
        reason = f"only one of them has {different[0]}" if different else "their shapes differ"
        raise InputError(f"{path} holds weights of another model ({reason}): build the model as it was trained.")
    if about.get("frozen") != fingerprint(model):
        raise InputError(f"{path} was trained beside other frozen weights: load the pretrained model that it had.")
    for name, weight in wanted.items():
        weight.assign(values[name])


def fingerprint(model: keras.Model) -> str:
    """SHA-256 of the frozen weights, in hex."""
    digest = hashlib.sha256()
    for name, weight in _named(model).items():
        if not weight.trainable:
            digest.update(json.dumps([name, list(weight.shape)]).encode())
            digest.update(np.ascontiguousarray(weight).tobytes())
    return digest.hexdigest()


def _named(model: keras.Model) -> dict[str, keras.Variable]:
    """All weights by their place and name; what stands before it in a path has numbers that differ between runs."""
    return {f"{place:03d}/{weight.path.split('/')[-1]}": weight for place, weight in enumerate(model.weights)}


def _trained(model: keras.Model) -> dict[str, keras.Variable]:
    return {name: weight for name, weight in _named(model).items() if weight.trainable}
