"""Writing TFRecord shards: example by example, into a folder that is whole or not there."""

import json
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np

from keras_llm.data.download import file_sha256
from keras_llm.data.shards import FORMAT, INDEX, VARIES, VERSION, Feature, Shard, Shards, open_shards
from keras_llm.errors import InputError

# A tf.train.Example holds integers of 64 bits and floats of 32; the index remembers the dtype that they came in.
DTYPES = ("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "float16", "float32")


def write_shards(
    examples: Iterable[Mapping[str, Any]],
    folder: str | Path,
    *,
    examples_per_shard: int = 10_000,
    overwrite: bool = False,
) -> Shards:
    """Writes examples as they come into a new folder, all of them or nothing.

    Args:
        examples: mappings of name to a number, a sequence or an array. All have the same names, dtypes and shapes; only
            the first axis may vary. Plain Python integers become int32, plain floats float32. Never held as a whole.
        folder: must not exist yet; missing parents are made. Until all is written, the files lie beside it in a hidden
            folder ``.<name>.*.part``, which is all that a killed process leaves behind.
        examples_per_shard: examples a file; the last holds the rest. Files of 10 to 100 MB are handy.
        overwrite: replace a folder of shards that is there; never one that holds anything else.

    Returns:
        What :func:`open_shards` returns for the folder.

    Raises:
        InputError: the folder exists or cannot be written, there are no examples, or two of them do not agree.
        ValueError: a value cannot be held, for instance a text or a 64-bit float.

    Example:
        >>> shards = write_shards([{"token_ids": [5, 6, 7], "label": 1}, {"token_ids": [8], "label": 0}], "shards")
        >>> len(shards), shards.features["token_ids"].shape
        (2, (None,))

    Source: document D0, section 3.2.1 (segment, encode, serialise).
    """
    if examples_per_shard < 1:
        raise ValueError(f"examples_per_shard={examples_per_shard!r} must be at least 1.")
    folder = Path(folder).resolve()
    _refuse_to_replace(folder, overwrite)
    partial = folder.with_name(f".{folder.name}.{uuid4().hex[:8]}.part")
    try:
        with _told(folder):
            folder.parent.mkdir(parents=True, exist_ok=True)
            partial.mkdir()
        features, files = _write_files(examples, partial, folder, examples_per_shard)
        shards = Shards(folder, features, files)
        with _told(folder):
            (partial / INDEX).write_text(json.dumps(_index(shards), indent=1) + "\n", encoding="utf-8")
            _refuse_to_replace(folder, overwrite)  # another process may have made it meanwhile
            _move(partial, folder)
    finally:  # after Ctrl-C too
        shutil.rmtree(partial, ignore_errors=True)
    return shards


@contextmanager
def _told(folder: Path) -> Iterator[None]:
    """Tells the user of a folder that cannot be written."""
    import tensorflow as tf

    try:
        yield
    except (OSError, tf.errors.OpError) as error:
        reason = getattr(error, "strerror", None) or getattr(error, "message", None) or error
        raise InputError(f"Cannot write shards to {folder} ({reason}): make room, or give another folder.") from error


def _refuse_to_replace(folder: Path, overwrite: bool) -> None:
    with _told(folder):
        if not folder.exists():
            return
    if not overwrite:
        raise InputError(f"{folder} exists: give a new folder, or replace the shards in it with overwrite=True.")
    try:
        open_shards(folder, verify=False)
    except InputError as error:
        raise InputError(f"{folder} is not replaced, for it is no folder of whole shards; remove it first.") from error


def _move(partial: Path, folder: Path) -> None:
    if not folder.exists():
        partial.rename(folder)
        return
    old = partial.with_suffix(".old")
    folder.rename(old)
    try:
        partial.rename(folder)
    except BaseException:
        old.rename(folder)
        raise
    shutil.rmtree(old, ignore_errors=True)


def _write_files(
    examples: Iterable[Mapping[str, Any]], partial: Path, folder: Path, examples_per_shard: int
) -> tuple[dict[str, Feature], tuple[Shard, ...]]:
    import tensorflow as tf

    features: dict[str, Feature] = {}
    counts: list[int] = []
    writer = None
    try:
        for number, example in enumerate(examples):
            if not isinstance(example, Mapping):
                raise TypeError(f"examples[{number}] is a {type(example).__name__}: give mappings of name to value.")
            arrays = {name: _as_array(value, f"examples[{number}]: {name!r}") for name, value in example.items()}
            _agree(features, arrays, number)
            with _told(folder):
                if number % examples_per_shard == 0:
                    if writer is not None:
                        writer.close()
                    writer = tf.io.TFRecordWriter(str(partial / f"shard-{len(counts):05d}"))
                    counts.append(0)
                writer.write(_serialised(tf.train.Example(), arrays))
            counts[-1] += 1
    finally:
        if writer is not None:
            with _told(folder):
                writer.close()
    if not counts:
        raise InputError(f"There are no examples to write to {folder}: give at least one.")
    for name, feature in features.items():
        if 0 in (feature.longest, *feature.shape[1:]):
            raise InputError(f"{name!r} is empty in each example: leave it out.")
    files = []
    with _told(folder):
        for number, count in enumerate(counts):  # how many files there are is known only now
            path = partial / f"shard-{number:05d}-of-{len(counts):05d}.tfrecord"
            (partial / f"shard-{number:05d}").rename(path)
            files.append(Shard(path.name, count, path.stat().st_size, file_sha256(path)))
    return {name: Feature(f.dtype or "int32", f.shape, f.longest) for name, f in features.items()}, tuple(files)


def _as_array(value: Any, what: str) -> np.ndarray:
    """The value with the dtype that is kept; an empty one without a dtype of its own has dtype object."""
    plain = not isinstance(value, np.ndarray | np.generic) and not hasattr(value, "dtype")
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise ValueError(f"{what} is no rectangle: only the first axis may vary, from example to example.") from error
    if plain and array.size == 0:
        return array.astype(object)
    if plain and array.dtype == "float64":
        return array.astype("float32")
    if plain and array.dtype == "int64":
        if not -(2**31) <= array.min() <= array.max() < 2**31:
            raise ValueError(f"{what} holds an integer too large for int32: give an int64 array.")
        return array.astype("int32")
    if array.dtype.name not in DTYPES:
        raise ValueError(f"{what} has dtype {array.dtype}, which shards cannot hold: give one of {', '.join(DTYPES)}.")
    return array


def _agree(features: dict[str, Feature], arrays: dict[str, np.ndarray], number: int) -> None:
    """Widens ``features`` to what all examples up to this one have in common.

    Raises:
        InputError: when that is not enough.
    """
    if number and arrays.keys() != features.keys():
        raise InputError(
            f"examples[{number}] has the features {sorted(arrays)}, those before it have {sorted(features)}: "
            "give all the same."
        )
    for name, array in arrays.items():
        dtype = "" if array.dtype == object else array.dtype.name
        length = len(array) if array.ndim else 1
        before = features.get(name)
        if before is None:
            features[name] = Feature(dtype, array.shape, length)
            continue
        if dtype and before.dtype and dtype != before.dtype:
            raise InputError(
                f"examples[{number}]: {name!r} is {dtype}, in the examples before {before.dtype}: give one dtype."
            )
        if array.ndim != len(before.shape) or array.shape[1:] != before.shape[1:]:
            raise InputError(
                f"examples[{number}]: {name!r} has shape {array.shape}, in the examples before {before.shape}: "
                "only the first axis may vary."
            )
        if array.shape != before.shape or dtype != before.dtype:
            shape = before.shape if array.shape == before.shape else (None, *before.shape[1:])
            features[name] = Feature(before.dtype or dtype, shape, max(length, before.longest))


def _serialised(example: Any, arrays: dict[str, np.ndarray]) -> bytes:
    for name, array in arrays.items():
        feature = example.features.feature[name]
        values, dtype = (feature.float_list, "float32") if array.dtype.kind == "f" else (feature.int64_list, "int64")
        values.value.extend(array.astype(dtype).ravel().tolist())
    return example.SerializeToString(deterministic=True)


def _index(shards: Shards) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "version": VERSION,
        "num_examples": len(shards),
        "num_bytes": shards.num_bytes,
        "features": {
            name: {**asdict(feature), "shape": [VARIES if axis is None else axis for axis in feature.shape]}
            for name, feature in shards.features.items()
        },
        "shards": [asdict(file) for file in shards.files],
    }
