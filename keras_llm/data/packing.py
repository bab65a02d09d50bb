"""Packing: several documents in one row instead of padding, kept apart in attention and loss."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Packed:
    """Rows that hold one or more documents each, from :func:`pack`; three int32 arrays ``(n, sequence_length)``.

    Attributes:
        token_ids: the documents one after the other, then 0 = padding.
        segment_ids: which document of its row each token belongs to: 1, 2, …, and 0 for padding.
        positions: place of each token in its document, from 0; 0 for padding.
    """

    token_ids: np.ndarray
    segment_ids: np.ndarray
    positions: np.ndarray

    def __len__(self) -> int:
        return len(self.token_ids)


def pack(token_ids: Sequence[Sequence[int]], sequence_length: int) -> Packed:
    """Packs documents into few rows: best-fit decreasing, the longest first, each into the fullest row it fits.

    A document longer than a row is cut into pieces of ``sequence_length`` tokens and a shorter last one. Each piece is
    then a document of its own: it does not see the piece before it, and its positions begin at 0. An empty document
    leaves nothing. Rows come out with the longest documents first: shuffle them for training.

    Args:
        token_ids: n documents of any lengths, without padding.
        sequence_length: tokens a row, at least 1.

    Raises:
        ValueError: ``sequence_length`` is below 1, there are no tokens, or a document holds the id 0.

    Example:
        >>> pack([[5, 6, 7, 8], [9, 10, 11], [12]], 4).token_ids
        array([[ 5,  6,  7,  8],
               [ 9, 10, 11, 12]], dtype=int32)

    Source: Johnson et al. 1974, "Worst-case performance bounds for simple one-dimensional packing algorithms" (at most
    11/9 of the fewest rows possible, and a few); Ding et al. 2024, "Fewer truncations improve language modeling", for
    language models; Krell et al. 2021, "Efficient sequence packing without cross-contamination", for the masks.
    """
    if sequence_length < 1:
        raise ValueError(f"sequence_length={sequence_length!r} must be at least 1.")
    documents = [np.asarray(ids, dtype=np.int32) for ids in token_ids]
    for number, ids in enumerate(documents):
        if not ids.all():
            raise ValueError(f"token_ids[{number}] holds the id 0, which is padding: give documents without padding.")
    # (document, first token, tokens) of each piece, the longest first; sorted() keeps the order of equal ones.
    pieces = [
        (number, begin, min(sequence_length, len(ids) - begin))
        for number, ids in enumerate(documents)
        for begin in range(0, len(ids), sequence_length)
    ]
    if not pieces:
        raise ValueError("there are no tokens to pack.")
    pieces.sort(key=lambda piece: -piece[2])
    rows = _best_fit([length for _, _, length in pieces], sequence_length)
    shape = (max(rows) + 1, sequence_length)
    packed = Packed(*(np.zeros(shape, dtype=np.int32) for _ in range(3)))
    used, segments = [0] * shape[0], [0] * shape[0]
    for row, (number, begin, length) in zip(rows, pieces, strict=True):
        place = slice(used[row], used[row] + length)
        used[row] += length
        segments[row] += 1
        packed.token_ids[row, place] = documents[number][begin : begin + length]
        packed.segment_ids[row, place] = segments[row]
        packed.positions[row, place] = np.arange(length)
    return packed


def _best_fit(lengths: Sequence[int], room: int) -> list[int]:
    """The row of each length, when each goes into the row with the least room that is enough, or else a new one."""
    rows_with: dict[int, list[int]] = defaultdict(list)  # room left → rows
    rooms = 0  # bit r is set when there is a row with room r: one shift finds the least that is enough
    rows, count = [], 0
    for length in lengths:
        if enough := rooms >> length:
            left = length + (enough & -enough).bit_length() - 1
            row = rows_with[left].pop()
            if not rows_with[left]:
                rooms ^= 1 << left
        else:
            row, left, count = count, room, count + 1
        rows.append(row)
        if left > length:
            rows_with[left - length].append(row)
            rooms |= 1 << (left - length)
    return rows


def attention_mask(segment_ids: Any, causal: bool = True) -> Any:
    """Which token may look at which in packed rows: only at its own document, and with ``causal`` not ahead.

    Args:
        segment_ids: int ``(batch, time)`` as in :class:`Packed`; 0 = padding.
        causal: True for a language model.

    Returns:
        bool ``(batch, time, time)``, query before key, True = may look: the ``attention_mask`` of
        ``keras.layers.MultiHeadAttention``. A row of padding is False everywhere. A NumPy array gives one, a tensor a
        tensor, also inside a Keras model or ``tf.data``.

    Example:
        >>> attention_mask(np.array([[1, 1, 2]])).astype(int)
        array([[[1, 0, 0],
                [1, 1, 0],
                [0, 0, 1]]])
    """
    if isinstance(segment_ids, np.ndarray):
        ops = np
    else:
        from keras import ops
    query, key = segment_ids[:, :, None], segment_ids[:, None, :]
    mask = ops.logical_and(ops.equal(query, key), ops.not_equal(key, 0))  # (batch, time, time)
    if causal:
        place = ops.cumsum(ops.ones_like(segment_ids), axis=1)  # 1, 2, …, also where the length is not yet known
        mask = ops.logical_and(mask, ops.greater_equal(place[:, :, None], place[:, None, :]))
    return mask


def next_tokens(packed: Packed) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Inputs and labels of a causal language model; label 0 does not count (``SparseCrossentropy(ignore_class=0)``).

    Returns:
        ``{"token_ids", "segment_ids", "positions"}`` and the labels, each int32 ``(n, sequence_length)``. The label of
        a token is the one after it; the last of each document has 0, for what follows it is another document.

    Example:
        >>> next_tokens(pack([[5, 6, 7], [8, 9]], 6))[1]
        array([[6, 7, 0, 9, 0, 0]], dtype=int32)
    """
    segments = packed.segment_ids
    labels = np.zeros_like(packed.token_ids)
    labels[:, :-1] = np.where(segments[:, 1:] == segments[:, :-1], packed.token_ids[:, 1:], 0)
    return {"token_ids": packed.token_ids, "segment_ids": segments, "positions": packed.positions}, labels
