"""Token ids as rectangles, and rectangles as batches."""

from collections.abc import Sequence
from itertools import chain
from math import ceil
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

if TYPE_CHECKING:
    import tensorflow as tf


def pad_sequences_to(
    token_ids: Sequence[Sequence[int]],
    sequence_length: int,
    *,
    keep: Literal["head", "tail", "both"] = "head",
    padding_id: int = 0,
) -> np.ndarray:
    """Cuts and right-pads sequences to one length.

    Args:
        token_ids: n sequences of any lengths.
        sequence_length: length of each row of the result, at least 1.
        keep: which end of a longer sequence stays; "both" keeps half of each and drops the middle.
        padding_id: fills the shorter ones, on the right.

    Returns:
        int32 array ``(n, sequence_length)``.

    Example:
        >>> pad_sequences_to([[5, 6, 7], [8]], 2)
        array([[5, 6],
               [8, 0]], dtype=int32)
    """
    if sequence_length < 1 or keep not in ("head", "tail", "both"):
        raise ValueError(f"sequence_length={sequence_length!r} must be at least 1, keep={keep!r} head, tail or both.")
    tail = {"head": 0, "tail": sequence_length, "both": sequence_length // 2}[keep]
    head = sequence_length - tail
    cut = [ids if len(ids) <= sequence_length else [*ids[:head], *ids[len(ids) - tail :]] for ids in token_ids]
    lengths = np.array([len(ids) for ids in cut], dtype=np.int64)
    padded = np.full((len(cut), sequence_length), padding_id, dtype=np.int32)
    is_token = np.arange(sequence_length) < lengths[:, None]  # (n, sequence_length)
    padded[is_token] = np.fromiter(chain.from_iterable(cut), dtype=np.int32, count=int(lengths.sum()))
    return padded


def length_for(lengths: Sequence[int], share: float = 0.95, maximum: int | None = None) -> int:
    """The sequence length that holds ``share`` of the texts whole, rounded up to a multiple of 8.

    Args:
        lengths: tokens of each text.
        share: in (0, 1].
        maximum: the result is at most this.

    Example:
        >>> length_for([3, 9, 12, 700], share=0.75)
        16
    """
    if not len(lengths) or not 0 < share <= 1:
        raise ValueError(f"needs lengths and a share in (0, 1], got {len(lengths)} lengths and share={share!r}.")
    # The small number keeps 0.95 * 20, which is 19.000000000000004 in some orders of rounding, at 19.
    covered = int(np.sort(lengths)[max(0, ceil(share * len(lengths) - 1e-9) - 1)])
    rounded = max(8, ceil(covered / 8) * 8)
    return rounded if maximum is None else min(rounded, maximum)


def batches(
    inputs: Any,
    labels: np.ndarray | None = None,
    *,
    batch_size: int,
    shuffle_seed: int | None = None,
    sample_weight: np.ndarray | None = None,
) -> "tf.data.Dataset":
    """Arrays as a dataset of batches; nothing is dropped, so that only the last batch may be smaller.

    Args:
        inputs: an array, or a tuple or dict of arrays, whose first axis counts the n examples.
        labels: array ``(n, ...)``; without it the batches are inputs alone.
        batch_size: examples a batch.
        shuffle_seed: shuffles all examples anew in each epoch, in an order fixed by the seed and TensorFlow's global
            seed; None keeps the order.
        sample_weight: array ``(n,)``, third element of each batch; needs labels.

    Returns:
        Batches ``inputs``, ``(inputs, labels)`` or ``(inputs, labels, sample_weight)``. The batch axis is static when
        ``batch_size`` divides n.

    Raises:
        ValueError: no examples, arrays of different lengths, or weights without labels.
    """
    import tensorflow as tf

    if sample_weight is not None and labels is None:
        raise ValueError("sample_weight needs labels.")
    if labels is None:
        arrays = inputs
    else:
        arrays = (inputs, labels) if sample_weight is None else (inputs, labels, sample_weight)
    sizes = {len(array) for array in tf.nest.flatten(arrays)}
    if len(sizes) != 1 or sizes == {0}:
        raise ValueError(f"the arrays must have one and the same number of examples, at least 1; got {sorted(sizes)}.")
    (size,) = sizes
    tensors = tf.nest.map_structure(tf.convert_to_tensor, arrays)
    # Row numbers are shuffled, not rows: cheap for any n, and a checkpoint of the iterator stays small.
    rows = tf.data.Dataset.range(size)
    if shuffle_seed is not None:
        rows = rows.shuffle(size, seed=shuffle_seed, reshuffle_each_iteration=True)
    rows = rows.batch(batch_size, drop_remainder=size % batch_size == 0)
    return rows.map(lambda row: tf.nest.map_structure(lambda tensor: tf.gather(tensor, row), tensors)).prefetch(
        tf.data.AUTOTUNE
    )
