"""Where a token stands, told in three ways: added sinusoids, added learned vectors, queries and keys that are turned.

Attention by itself treats a sentence as a bag of words: permuted inputs give permuted outputs. B = batch, T = time,
D = width.
"""

import keras
import numpy as np
from keras import layers, ops


def sinusoidal_positions(length: int, width: int, base: float = 10_000.0) -> np.ndarray:
    """The table of the paper: sines in the even columns, cosines in the odd ones, ever slower from left to right.

    PE(pos, 2i) = sin(pos / base^(2i/D)), PE(pos, 2i+1) = cos(pos / base^(2i/D)).

    Args:
        length: T, positions from 0 on.
        width: D.
        base: the slowest wave takes 2π·base positions.

    Returns:
        float32 ``(length, width)``, each number in [-1, 1].

    Example:
        >>> sinusoidal_positions(2, 4).round(2).tolist()
        [[0.0, 1.0, 0.0, 1.0], [0.8399999737739563, 0.5400000214576721, 0.009999999776482582, 1.0]]

    Source: Vaswani et al. 2017, section 3.5; document D3, section 3 ("positional encoding").
    """
    column = np.arange(width)
    angles = np.arange(length)[:, None] / base ** ((column - column % 2) / width)  # (length, width), float64
    return np.where(column % 2, np.cos(angles), np.sin(angles)).astype("float32")


@keras.saving.register_keras_serializable(package="keras_llm")
class SinusoidalPositions(layers.Layer):
    """Adds the table of :func:`sinusoidal_positions` to token vectors; nothing is learned, and no length is the last.

    Args:
        base: see :func:`sinusoidal_positions`.

    Call arguments:
        x: float tensor ``(B, T, D)``.

    Returns:
        ``(B, T, D)``.

    Raises:
        ValueError: when T is not fixed.

    Source: Vaswani et al. 2017, section 3.5.
    """

    def __init__(self, base: float = 10_000.0, **kwargs) -> None:
        super().__init__(**kwargs)
        self.base, self.supports_masking = base, True

    def build(self, x_shape: tuple) -> None:
        refuse_open_length(x_shape)

    def call(self, x):
        return x + self.table(x.shape[1], x.shape[2])

    def table(self, length: int, width: int):
        """``(length, width)`` in the layer's dtype; computed in float64, since bfloat16 cannot count beyond 256."""
        return ops.cast(sinusoidal_positions(length, width, self.base), self.compute_dtype)

    def get_config(self) -> dict:
        return {**super().get_config(), "base": self.base}


@keras.saving.register_keras_serializable(package="keras_llm")
class LearnedPositions(layers.Layer):
    """Adds one learned vector a position to token vectors.

    Args:
        max_length: the longest sequence; there is no vector beyond it.
        initializer: of the vectors.

    Call arguments:
        x: float tensor ``(B, T, D)``, T at most ``max_length``.

    Returns:
        ``(B, T, D)``.

    Raises:
        ValueError: when the sequence is longer than ``max_length``, or its length is not fixed.

    Source: Gehring et al. 2017; Devlin et al. 2019 (BERT), section 3.
    """

    def __init__(self, max_length: int, initializer: str = "glorot_uniform", **kwargs) -> None:
        super().__init__(**kwargs)
        self.max_length, self.supports_masking = max_length, True
        self.initializer = keras.initializers.get(initializer)

    def build(self, x_shape: tuple) -> None:
        refuse_open_length(x_shape)
        shape = (self.max_length, x_shape[-1])
        self.vectors = self.add_weight(name="vectors", shape=shape, initializer=self.initializer)

    def call(self, x):
        return x + self.table(x.shape[1], x.shape[2])

    def table(self, length: int, width: int):
        """``(length, width)`` in the layer's dtype, the vectors of the first positions."""
        if length > self.max_length:
            raise ValueError(f"{length} positions, but vectors for {self.max_length}: cut the text or learn more.")
        return ops.cast(self.vectors, self.compute_dtype)[:length]

    def get_config(self) -> dict:
        initializer = keras.initializers.serialize(self.initializer)
        return {**super().get_config(), "max_length": self.max_length, "initializer": initializer}


def refuse_open_length(x_shape: tuple) -> None:
    """The sum with a table needs to know how many rows of it."""
    if x_shape[1] is None:
        raise ValueError("Positions need a fixed sequence length, such as keras.Input((40,)), got None.")


def rotate(x, start=0, base: float = 10_000.0):
    """Turns each pair of numbers of a query or key by an angle that grows with its position (RoPE).

    After that the product of a query and a key depends on how far they are apart, not on where they stand. Pair i is
    made of the numbers i and i + d/2, and turns by 1/base^(2i/d) radians a position.

    Args:
        x: float tensor ``(..., T, d)``, d even.
        start: position of the first one, an int or an int32 tensor ``()``.
        base: the slowest pair takes 2π·base positions for a turn.

    Returns:
        A tensor like ``x``, each vector as long as it was.

    Raises:
        ValueError: when d is odd.

    Source: Su et al. 2021 (RoFormer), section 3.2.2.
    """
    length, width = ops.shape(x)[-2:]
    if width % 2:
        raise ValueError(f"rotate needs an even width, got {width}.")
    positions = ops.cast(start, "float32") + ops.arange(length, dtype="float32")
    angles = positions[:, None] * (base ** (-np.arange(0, width, 2) / width)).astype("float32")  # (T, d/2)
    cos, sin = ops.cast(ops.cos(angles), x.dtype), ops.cast(ops.sin(angles), x.dtype)
    left, right = ops.split(x, 2, axis=-1)  # (..., T, d/2) each
    return ops.concatenate([left * cos - right * sin, right * cos + left * sin], axis=-1)
