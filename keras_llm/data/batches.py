"""Token ids as rectangles, and rectangles as batches."""

from collections.abc import Callable, Sequence
from itertools import chain
from math import ceil
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from keras_llm.data.shards import Shards

if TYPE_CHECKING:
    import tensorflow as tf

MOST_SHUFFLED = 1_000_000  # rows that are drawn from at once


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


def wasted(token_ids: Any) -> float:
    """The share of padding, in [0, 1]: places that hold the id 0, or False in a mask.

    Args:
        token_ids: an array of ids or a mask; or an iterable of such arrays, for instance a dataset of batches.

    Raises:
        ValueError: there is nothing to count.

    Example:
        >>> wasted(pad_sequences_to([[5, 6, 7], [8]], 4))
        0.5
    """
    arrays = [token_ids] if isinstance(token_ids, np.ndarray) else map(np.asarray, token_ids)
    counts = [(np.count_nonzero(array), array.size) for array in arrays]
    tokens, places = (sum(column) for column in zip((0, 0), *counts, strict=True))
    if not places:
        raise ValueError("there are no arrays, or they are empty.")
    return 1 - tokens / places


def batches(
    inputs: Any,
    labels: np.ndarray | str | None = None,
    *,
    batch_size: int,
    shuffle_seed: int | None = None,
    sample_weight: np.ndarray | str | None = None,
    sequence_length: int | None = None,
) -> "tf.data.Dataset":
    """Arrays or shards as a dataset of batches; nothing is dropped, so that only the last batch may be smaller.

    Args:
        inputs: an array, or a tuple or dict of arrays, whose first axis counts the n examples. Or the ``Shards`` of
            :func:`open_shards`: then ``labels`` and ``sample_weight`` name features, and the inputs are the others,
            as a dict by name, or the array itself when only one is left. The batches are those of the arrays.
        labels: array ``(n, ...)``, or a feature's name; without it the batches are inputs alone.
        batch_size: examples a batch.
        shuffle_seed: shuffles all examples (of more than a million, each among the next million) anew in each epoch,
            in an order fixed by the seed and TensorFlow's global seed; None keeps the order.
        sample_weight: array ``(n,)``, or a feature's name: third element of each batch; needs labels.
        sequence_length: of shards, the length that each feature of varying length is cut or padded to with 0, on the
            right, in each batch; None takes that of the longest example of all.

    Returns:
        Batches ``inputs``, ``(inputs, labels)`` or ``(inputs, labels, sample_weight)``. The batch axis is static when
        ``batch_size`` divides n, all others always are.

    Raises:
        ValueError: no examples, arrays of different lengths, weights without labels, a feature that the shards lack,
            or a ``sequence_length`` without anything that varies.
        InputError: a file of the shards has changed.

    Example:
        >>> train = batches(open_shards("shards"), "label", batch_size=32, shuffle_seed=0, sequence_length=128)
    """
    import tensorflow as tf

    if sample_weight is not None and labels is None:
        raise ValueError("sample_weight needs labels.")
    targets = [part for part in (labels, sample_weight) if part is not None]
    if isinstance(inputs, Shards):
        size, examples = len(inputs), _examples_of_shards(inputs, targets, sequence_length)
    else:
        if sequence_length is not None:
            raise ValueError("sequence_length goes with shards; arrays have their length: see pad_sequences_to.")
        arrays = (inputs, *targets) if targets else inputs
        sizes = {len(array) for array in tf.nest.flatten(arrays)}
        if len(sizes) != 1 or sizes == {0}:
            raise ValueError(
                f"the arrays must have one and the same number of examples, at least 1; got {sorted(sizes)}."
            )
        (size,) = sizes
        tensors = tf.nest.map_structure(tf.convert_to_tensor, arrays)

        def examples(rows: "tf.Tensor") -> Any:
            return tf.nest.map_structure(lambda tensor: tf.gather(tensor, rows), tensors)

    rows = row_numbers(size, shuffle_seed).batch(batch_size, drop_remainder=size % batch_size == 0)
    return rows.map(examples, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True).prefetch(tf.data.AUTOTUNE)


def row_numbers(size: int, shuffle_seed: int | None) -> "tf.data.Dataset":
    """0 to ``size - 1``, shuffled anew in each epoch when there is a seed.

    Row numbers are shuffled, not rows: 220 bytes each, and a checkpoint of the iterator stays small. Of more than a
    million rows, each is drawn from the next million, so that memory has an end however many there are.
    """
    import tensorflow as tf

    rows = tf.data.Dataset.range(size)
    if shuffle_seed is None:
        return rows
    return rows.shuffle(min(size, MOST_SHUFFLED), seed=shuffle_seed, reshuffle_each_iteration=True)


def _examples_of_shards(
    shards: Shards, targets: Sequence[str], sequence_length: int | None
) -> Callable[["tf.Tensor"], Any]:
    """The function from row numbers ``(batch,)`` to a batch."""
    import tensorflow as tf

    known = all(isinstance(target, str) and target in shards.features for target in targets)
    names = [name for name in shards.features if name not in targets] if known else []
    if not names:
        raise ValueError(
            f"labels and sample_weight name features of {[*shards.features]}, and leave one for inputs: got {targets}."
        )
    varies = any(None in feature.shape for feature in shards.features.values())
    if sequence_length is not None and (sequence_length < 1 or not varies):
        raise ValueError(f"sequence_length={sequence_length} must be at least 1, and some feature must vary in length.")
    shards.records(np.zeros(0, dtype=np.int64))  # finds the records, or what is wrong with them, now

    def examples(rows: "tf.Tensor") -> Any:
        # Without state, so that a checkpoint can hold the iterator: the files do not change.
        records = tf.numpy_function(shards.records, [rows], tf.string, stateful=False)
        records.set_shape(rows.shape)
        found = shards.parse(records, sequence_length)
        inputs = found[names[0]] if len(names) == 1 else {name: found[name] for name in names}
        return (inputs, *(found[target] for target in targets)) if targets else inputs

    return examples
