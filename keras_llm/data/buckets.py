"""Batches of texts of similar length: less padding, and few shapes to compile for."""

from collections.abc import Mapping, Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_llm.data.batches import row_numbers

if TYPE_CHECKING:
    import tensorflow as tf


LABELS = object()  # stands for the labels among the named inputs


def bucket_batches(
    token_ids: Sequence[Sequence[int]] | Mapping[str, Sequence[Sequence[int]]],
    labels: Sequence[Any] | None = None,
    *,
    boundaries: Sequence[int],
    batch_size: int | None = None,
    tokens_per_batch: int | None = None,
    shuffle_seed: int | None = None,
    fill: bool = False,
) -> "tf.data.Dataset":
    """Texts sorted into buckets by length; each batch comes from one bucket, padded with 0 to the bucket's length.

    A text goes into the bucket of the first boundary that it does not exceed, and a bucket with enough texts gives a
    batch. What is left at the end of an epoch comes as one smaller batch a bucket: nothing is dropped, and XLA compiles
    for at most two shapes a boundary, the same ones in each epoch.

    Args:
        token_ids: n sequences of any lengths; or several such inputs by name, for instance the sources and targets of a
            translation: the longest of an example decides its bucket.
        labels: array ``(n, ...)``; or labels of tokens: n sequences as long as their text, padded with 0 as it is.
        boundaries: lengths of the batches, ascending. The last must hold the longest text: cut longer ones first.
        batch_size: texts a batch. Give this, or
        tokens_per_batch: tokens a batch at most, padding included, so that short texts make batches of more texts.
        shuffle_seed: as in :func:`keras_llm.data.batches`. Without it the texts of a bucket keep their order.
        fill: fill the smaller batch of a bucket up, so that there is one shape a boundary: for training, not to score.
            With labels of tokens, of which 0 must not count, by rows of zeros; with one label a text by other texts of
            the bucket, which come twice in this epoch.

    Returns:
        Batches int32 ``(batch, boundary)`` (a dict of them by name), with labels ``(token_ids, labels)``. Their number
        is known.

    Raises:
        ValueError: no texts, a text longer than the last boundary, labels that do not fit, such boundaries or sizes, or
            ``fill`` without labels.

    Example:
        >>> [b.shape.as_list() for b in bucket_batches([[5, 6], [7, 7, 7], [8]], boundaries=(2, 4), batch_size=2)]
        [[2, 2], [1, 4]]

    Source: Khomenko et al. 2016, "Accelerating recurrent neural network training using sequence bucketing and multi-GPU
    data parallelization".
    """
    import tensorflow as tf

    inputs = token_ids if isinstance(token_ids, Mapping) else {"token_ids": token_ids}
    if len({len(sequences) for sequences in inputs.values()}) != 1:
        raise ValueError(f"the inputs {', '.join(inputs)} must have one and the same number of sequences.")
    lengths_of = {name: np.array([len(ids) for ids in each], dtype=np.int64) for name, each in inputs.items()}
    lengths = np.max(list(lengths_of.values()), axis=0)
    edges = np.array(boundaries, dtype=np.int64)
    if not len(edges) or edges[0] < 1 or (np.diff(edges) < 1).any():
        raise ValueError(f"boundaries={boundaries!r} must be ascending lengths of at least 1.")
    if not len(lengths) or (labels is not None and len(labels) != len(lengths)):
        raise ValueError("needs at least one text, and a label for each.")
    if lengths.max() > edges[-1]:
        text = int(lengths.argmax())
        raise ValueError(
            f"token_ids[{text}] has {lengths[text]} tokens, the last boundary is {edges[-1]}: cut the text, or add one."
        )
    if tokens_per_batch is None and batch_size is not None and batch_size >= 1:
        sizes = np.full(len(edges), batch_size)
    elif batch_size is None and tokens_per_batch is not None and tokens_per_batch >= edges[-1]:
        sizes = tokens_per_batch // edges
    else:
        raise ValueError(
            f"give batch_size, at least 1, or tokens_per_batch, at least the last boundary; got {batch_size!r} and "
            f"{tokens_per_batch!r}."
        )
    of_tokens = labels is not None and not isinstance(labels, np.ndarray) and hasattr(labels[0], "__len__")
    if fill and labels is None:
        raise ValueError("fill needs labels: without them, the rows that it adds would be taken for texts.")
    bucket_of = np.searchsorted(edges, lengths)  # the first boundary that is not smaller
    parts = {name: _ragged(sequences, lengths_of[name]) for name, sequences in inputs.items()}
    if labels is not None:
        parts[LABELS] = _ragged_labels(labels, list(lengths_of.values())) if of_tokens else tf.convert_to_tensor(labels)

    texts_of = tf.RaggedTensor.from_row_lengths(
        np.argsort(bucket_of, kind="stable"), np.bincount(bucket_of, minlength=len(edges))
    )

    def filled(rows: "tf.Tensor", bucket: "tf.Tensor") -> "tf.Tensor":
        texts = texts_of[bucket]
        count = tf.gather(sizes, bucket) - tf.size(rows, out_type="int64")
        seed = tf.stack([rows[0], rows[-1]])  # another one in each epoch, if the rows are shuffled
        drawn = tf.random.stateless_uniform([count], seed, maxval=tf.size(texts, out_type="int64"), dtype="int64")
        return tf.concat([rows, tf.gather(texts, drawn)], axis=0)

    def examples(rows: "tf.Tensor") -> Any:
        bucket = tf.gather(bucket_of, rows[0])
        if fill and not of_tokens:
            rows = filled(rows, bucket)
        height = tf.gather(sizes, bucket) if fill else tf.size(rows, out_type="int64")
        shape = tf.stack([height, tf.gather(edges, bucket)])
        found = {name: tf.gather(part, rows) for name, part in parts.items()}
        found = {name: f.to_tensor(shape=shape) if isinstance(f, tf.RaggedTensor) else f for name, f in found.items()}
        targets = found.pop(LABELS, None)
        inputs = found if isinstance(token_ids, Mapping) else found["token_ids"]
        return inputs if targets is None else (inputs, targets)

    # What bucket_by_sequence_length is made of, on row numbers: it would move each text through the pipeline.
    rows = row_numbers(len(lengths), shuffle_seed).group_by_window(
        key_func=lambda row: tf.gather(bucket_of, row),
        reduce_func=lambda bucket, window: window.batch(tf.gather(sizes, bucket)),
        window_size_func=lambda bucket: tf.gather(sizes, bucket),
    )
    count = int(np.ceil(np.bincount(bucket_of, minlength=len(edges)) / sizes).sum())
    rows = rows.apply(tf.data.experimental.assert_cardinality(count))
    return rows.map(examples, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True).prefetch(tf.data.AUTOTUNE)


def _ragged(sequences: Sequence[Sequence[int]], lengths: np.ndarray) -> "tf.RaggedTensor":
    import tensorflow as tf

    flat = np.fromiter(chain.from_iterable(sequences), dtype=np.int32, count=int(lengths.sum()))
    return tf.RaggedTensor.from_row_lengths(flat, lengths)


def _ragged_labels(labels: Sequence[Sequence[int]], lengths: list[np.ndarray]) -> "tf.RaggedTensor":
    """Labels of tokens; of each text as many as one of its inputs has tokens."""
    counts = np.array([len(each) for each in labels], dtype=np.int64)
    fits = np.any([counts == each for each in lengths], axis=0)
    if not fits.all():
        number = int(fits.argmin())
        tokens = " or ".join(str(each[number]) for each in lengths)
        raise ValueError(f"labels[{number}] has {counts[number]} labels for {tokens} tokens.")
    return _ragged(labels, counts)
