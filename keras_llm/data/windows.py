"""Running token ids as rows for a language model: cut one after the other, or at random places without end."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import tensorflow as tf


def windows(token_ids: Sequence[int], context_length: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows that cover the ids once, and the next id of each place.

    Args:
        token_ids: ids one after the other, ``(n,)``.
        context_length: T, tokens in a row.

    Returns:
        Inputs and labels, int32 ``((n - 1) // T, T)`` each, so that each id but the first is a label once. What does
        not fill a row at the end is left out.

    Raises:
        ValueError: there are not enough ids for one row.

    Example:
        >>> windows([5, 6, 7, 8, 9], 2)[1]
        array([[6, 7],
               [8, 9]], dtype=int32)
    """
    ids = np.asarray(token_ids, dtype=np.int32)
    rows = (len(ids) - 1) // context_length
    if context_length < 1 or rows < 1:
        raise ValueError(f"{len(ids)} ids do not fill a row of {context_length} and its labels.")
    cut = rows * context_length
    return ids[:cut].reshape(rows, -1), ids[1 : cut + 1].reshape(rows, -1)


def random_windows(
    token_ids: Sequence[int], context_length: int, *, batch_size: int, steps: int, seed: int
) -> "tf.data.Dataset":
    """Batches of rows that begin anywhere, drawn anew in each pass.

    Args:
        token_ids: ids one after the other, ``(n,)``.
        context_length: T, tokens in a row.
        batch_size: rows a batch.
        steps: batches of a pass, which is what ``fit`` calls an epoch.
        seed: fixes the places of all passes, together with TensorFlow's global seed.

    Returns:
        Batches int32 ``(batch_size, T)`` of inputs and of labels.

    Raises:
        ValueError: there are not enough ids for one row.

    Source: the way that Karpathy's nanoGPT reads its text.
    """
    import tensorflow as tf

    ids = np.asarray(token_ids, dtype=np.int32)
    places = len(ids) - context_length
    if min(context_length, batch_size, steps) < 1 or places < 1:
        raise ValueError(f"{len(ids)} ids do not fill a row of {context_length} and its labels.")
    ids = tf.constant(ids)

    def rows(numbers: "tf.Tensor") -> tuple["tf.Tensor", "tf.Tensor"]:
        begins = tf.cast(numbers % places, "int32")  # (batch,)
        found = tf.gather(ids, begins[:, None] + tf.range(context_length + 1))  # (batch, T + 1)
        return found[:, :-1], found[:, 1:]

    numbers = tf.data.Dataset.random(seed=seed, rerandomize_each_iteration=True).take(steps * batch_size)
    return numbers.batch(batch_size, drop_remainder=True).map(rows).prefetch(tf.data.AUTOTUNE)
