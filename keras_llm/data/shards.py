"""Examples on disk: TFRecord shards with an index that knows each file's size and sha256.

    folder/index.json, shard-00000-of-00002.tfrecord, shard-00001-of-00002.tfrecord

Tokenise once, write, and train from the files in every later run. A TFRecord file checks each record but not that all
are there: one that was cut between two records reads as a shorter one. The index finds that out.
"""

import json
import struct
from dataclasses import dataclass
from functools import cached_property
from math import prod
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_llm.data.download import file_sha256
from keras_llm.errors import InputError

if TYPE_CHECKING:
    import tensorflow as tf

INDEX, FORMAT, VERSION = "index.json", "keras_llm shards", 1
VARIES = "varies"  # in the index, the length of an axis that differs from example to example
HEADER, FOOTER = 12, 4  # bytes of a record before its data (length, checksum) and after (checksum)


@dataclass(frozen=True)
class Feature:
    """What all examples have under one name.

    Attributes:
        dtype: as NumPy calls it.
        shape: of one example; None as the first axis is a length that varies.
        longest: the largest first axis, 1 for a number.
    """

    dtype: str
    shape: tuple[int | None, ...]
    longest: int


@dataclass(frozen=True)
class Shard:
    """One TFRecord file."""

    name: str
    num_examples: int
    num_bytes: int
    sha256: str


@dataclass(frozen=True)
class Shards:
    """A folder of shards, from :func:`write_shards` or :func:`open_shards`; ``len()`` counts the examples.

    Attributes:
        folder: where the files are.
        features: what an example holds, by name.
        files: the shards in order.
    """

    folder: Path
    features: dict[str, Feature]
    files: tuple[Shard, ...]

    def __len__(self) -> int:
        return sum(file.num_examples for file in self.files)

    @property
    def num_bytes(self) -> int:
        """Size of all files together, without the index."""
        return sum(file.num_bytes for file in self.files)

    def records(self, rows: np.ndarray) -> np.ndarray:
        """The serialised ``tf.train.Example`` of some examples, by number: an object array of bytes, ``(len(rows),)``.

        Reads from any place in any order, so that shuffling needs no examples in memory.
        """
        shard_of, begin, length = self._places[:, rows]
        found = np.empty(len(rows), dtype=object)
        for shard in np.unique(shard_of):
            with (self.folder / self.files[shard].name).open("rb", buffering=0) as file:
                for row in np.flatnonzero(shard_of == shard):
                    file.seek(begin[row])
                    found[row] = file.read(length[row])
        return found

    def parse(self, records: "tf.Tensor", sequence_length: int | None = None) -> dict[str, "tf.Tensor"]:
        """Serialised examples ``(batch,)`` as dense tensors ``(batch, ...)`` by name, in the dtypes they came in.

        Args:
            records: strings, as :meth:`records` gives them.
            sequence_length: what varying features are cut or padded to with 0, on the right; None takes the longest
                of all the shards' examples. Either way each batch has the same shape: XLA compiles once.
        """
        import tensorflow as tf

        def stored(dtype: str) -> "tf.DType":
            return tf.float32 if dtype.startswith("float") else tf.int64

        wanted = {
            name: tf.io.RaggedFeature(stored(feature.dtype), row_splits_dtype=tf.int64)
            if None in feature.shape
            else tf.io.FixedLenFeature(feature.shape, stored(feature.dtype))
            for name, feature in self.features.items()
        }
        parsed = tf.io.parse_example(records, wanted)
        for name, feature in self.features.items():
            if None in feature.shape:
                shape = (sequence_length or feature.longest, *feature.shape[1:])
                parsed[name] = tf.reshape(parsed[name].to_tensor(shape=(None, prod(shape))), (-1, *shape))
                parsed[name] = tf.ensure_shape(parsed[name], (records.shape[0], *shape))
            parsed[name] = tf.cast(parsed[name], feature.dtype)
        return parsed

    @cached_property
    def _places(self) -> np.ndarray:
        """Where each example's data is, int64 ``(3, examples)``: number of the shard, first byte, bytes."""
        tables = []
        for number, file in enumerate(self.files):
            places, begin = [], 0
            with (
                (self.folder / file.name).open("rb") as opened,
                mmap(opened.fileno(), 0, access=ACCESS_READ) as content,
            ):
                while begin + HEADER <= len(content):
                    (length,) = struct.unpack_from("<Q", content, begin)
                    places.append((number, begin + HEADER, length))
                    begin += HEADER + length + FOOTER
                whole = begin == len(content)
            if not whole or len(places) != file.num_examples:
                raise _damaged(self.folder, f"{file.name} does not hold {file.num_examples} whole records")
            tables.append(np.array(places, dtype=np.int64).T)
        return np.concatenate(tables, axis=1)


def open_shards(folder: str | Path, verify: bool = True) -> Shards:
    """The shards of a folder, after a check that they are the ones that were written.

    Args:
        folder: what :func:`write_shards` wrote. Hidden files in it are not looked at.
        verify: compare the sha256 of each file too, not only names and sizes: reads everything once, about a second
            a gigabyte.

    Raises:
        InputError: there are no shards, or a file is missing, cut, changed or not in the index.
    """
    folder = Path(folder).resolve()
    try:
        index = json.loads((folder / INDEX).read_text(encoding="utf-8"))
        found = {path.name: path.stat().st_size for path in folder.iterdir() if not path.name.startswith(".")}
    except FileNotFoundError as error:
        raise InputError(f"{folder} holds no shards (it has no {INDEX}): give a folder of write_shards.") from error
    except OSError as error:
        raise InputError(f"The shards in {folder} cannot be read ({error.strerror}).") from error
    except ValueError as error:
        raise _damaged(folder, f"{INDEX} is no JSON") from error
    shards = Shards(folder, *_read_index(folder, index))
    names = {INDEX, *(file.name for file in shards.files)}
    if strangers := sorted(found.keys() - names):
        raise InputError(f"{folder} holds {strangers[0]}, which is not in its {INDEX}: move that file elsewhere.")
    for file in shards.files:
        if file.name not in found:
            raise _damaged(folder, f"{file.name} is missing")
        if found[file.name] != file.num_bytes:
            raise _damaged(folder, f"{file.name} has {found[file.name]} bytes instead of {file.num_bytes}")
        if verify and file_sha256(folder / file.name) != file.sha256:
            raise _damaged(folder, f"{file.name} has changed (its sha256 is another)")
    return shards


def _read_index(folder: Path, index: Any) -> tuple[dict[str, Feature], tuple[Shard, ...]]:
    try:
        if (index["format"], index["version"]) != (FORMAT, VERSION):
            raise InputError(
                f"{folder / INDEX} is of format {index['format']!r}, version {index['version']!r}, not {FORMAT!r}, "
                f"version {VERSION}: write the shards again."
            )
        features = {
            name: Feature(**{**about, "shape": tuple(None if axis == VARIES else int(axis) for axis in about["shape"])})
            for name, about in index["features"].items()
        }
        files = tuple(Shard(**about) for about in index["shards"])
        whole = {"num_examples": sum(f.num_examples for f in files), "num_bytes": sum(f.num_bytes for f in files)}
        if any(index[name] != total or total < 1 for name, total in whole.items()):
            raise ValueError("totals")
        if any(Path(file.name).name != file.name for file in files):
            raise ValueError("names")
    except InputError:
        raise
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise _damaged(folder, f"{INDEX} is not as it was written") from error
    return features, files


def _damaged(folder: Path, how: str) -> InputError:
    return InputError(f"The shards in {folder} are damaged: {how}; write them again.")
