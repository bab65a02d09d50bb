"""Values as bytes, without pickle: what passes between the grader and a student's process."""

import io
import json
import struct
from collections.abc import Callable
from typing import Any, BinaryIO

import numpy as np


class NoAnswer(Exception):
    """A value of a type that is not sent."""


def pack(value: Any, function_number: Callable[[Callable], int] | None = None) -> bytes:
    """A value as a frame: numbers, texts, arrays, and lists, tuples, sets and dicts of them.

    Args:
        value: what is sent.
        function_number: gives a function a number by which the other side calls back; None: functions are refused.

    Raises:
        NoAnswer: naming a type that has no place in a frame.
    """
    arrays: list[bytes] = []

    def tree(value: Any) -> Any:
        if isinstance(value, np.generic):
            value = value.item() if value.dtype != object else value
        if isinstance(value, int) and value.bit_length() > 1_000:
            raise NoAnswer("int of more than 300 digits")
        if value is None or isinstance(value, bool | int | float | str):
            return value
        for name, kind in (("list", list), ("tuple", tuple), ("set", set | frozenset)):
            if isinstance(value, kind):
                return {name: [tree(each) for each in value]}
        if isinstance(value, dict):
            for key in value:
                if not isinstance(key, bool | int | float | str | tuple | np.generic | None):
                    raise NoAnswer(f"dict with {type(key).__name__} keys")
            return {"dict": [[tree(key), tree(each)] for key, each in value.items()]}
        if callable(value) and function_number is not None:
            return {"function": function_number(value)}
        if hasattr(value, "__array__"):  # of numpy, Keras or TensorFlow
            array = np.asarray(value)
            if array.dtype.kind in "biufcSU" or array.dtype.name == "bfloat16":
                file = io.BytesIO()
                plain = array if array.dtype.kind in "biufcSU" else array.astype("float32")
                np.save(file, plain, allow_pickle=False)
                arrays.append(file.getvalue())
                return {"array": len(arrays) - 1}
        raise NoAnswer(type(value).__name__)

    head = json.dumps(tree(value)).encode()
    parts = [head, *arrays]
    return b"".join([struct.pack(">Q", len(parts)), *(struct.pack(">Q", len(part)) + part for part in parts)])


def unpack(parts: list[bytes], function: Callable[[int], Callable] | None = None) -> Any:
    """The value of a frame's parts; ``function`` makes one that calls back."""

    def value(tree: Any) -> Any:
        if not isinstance(tree, dict):
            return tree
        ((kind, content),) = tree.items()
        if kind == "array":
            return np.load(io.BytesIO(parts[1 + content]), allow_pickle=False)
        if kind == "dict":
            return {value(key): value(each) for key, each in content}
        if kind == "function" and function is not None:
            return function(content)
        return {"list": list, "tuple": tuple, "set": frozenset}[kind](value(each) for each in content)

    return value(json.loads(parts[0]))


class TooLarge(Exception):
    """A frame has too many bytes."""


def read_parts(stream: BinaryIO, at_most: int = 2**31) -> list[bytes]:
    """The parts of the next frame.

    Raises:
        EOFError: the other side has gone.
        TooLarge: when they have more bytes than ``at_most``.
        ValueError: when this is no frame.
    """

    def exactly(count: int) -> bytes:
        found = stream.read(count)
        if found is None or len(found) < count:
            raise EOFError
        return found

    (count,) = struct.unpack(">Q", exactly(8))
    if not 0 < count < 1_000:
        raise ValueError("no frame")
    parts = []
    for _ in range(count):
        (size,) = struct.unpack(">Q", exactly(8))
        at_most -= size
        if at_most < 0:
            raise TooLarge
        parts.append(exactly(size))
    return parts
