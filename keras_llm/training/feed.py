"""What the loop eats: stacks of batches of one shape, from arrays or from a ``tf.data.Dataset``."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
from keras import tree

STACK_BYTES = 64 * 2**20  # a stack larger than this would only move memory about


class Stack(NamedTuple):
    """Up to ``capacity`` batches of one shape, for one call of a compiled program."""

    arrays: Any  # (x, y[, sample_weight]), each leaf (capacity, batch, ...)
    steps: int  # how many of them are real


class Feed:
    """Batches in stacks, from ``(x, y[, sample_weight])`` arrays or a batched ``tf.data.Dataset``.

    Args:
        data: tuple of arrays (each may be a dict or tuple of arrays), or a ``tf.data.Dataset`` of batches.
        batch_size: rows a batch, for arrays; the last batch may be smaller and is not dropped.
        shuffle_seed: reshuffle arrays before each epoch, the same way for the same seed and epoch; None keeps order.
        class_weight: weight of each integer class in the loss.
        sample_weight: weight of each row, ``(n,)``, for arrays.

    Raises:
        ValueError: for arrays of unequal length, no rows, or weights given twice.
    """

    def __init__(
        self,
        data: Any,
        batch_size: int = 32,
        shuffle_seed: int | None = None,
        class_weight: Mapping[int, float] | None = None,
        sample_weight: np.ndarray | None = None,
    ) -> None:
        if class_weight is not None and sample_weight is not None:
            raise ValueError("Give class_weight or sample_weight, not both: their product is what you want to pass.")
        self.shuffle_seed, self.batch_size, self.class_weight = shuffle_seed, batch_size, class_weight
        if isinstance(data, tf.data.Dataset):
            if sample_weight is not None:
                raise ValueError("A Dataset carries its own sample weights: yield (x, y, sample_weight).")
            self.dataset, self.arrays = data.prefetch(tf.data.AUTOTUNE), None
            cardinality = int(data.cardinality())
            if cardinality == tf.data.INFINITE_CARDINALITY:
                raise ValueError("The Dataset never ends: bound an epoch with .take(steps).")
            self.num_batches = cardinality if cardinality >= 0 else None
            return
        self.dataset = None
        parts = data if isinstance(data, tuple) else (data,)
        if sample_weight is not None:
            parts = (*parts, sample_weight)
        self.arrays = self._weighted(tree.map_structure(np.asarray, parts))
        lengths = {len(array) for array in tree.flatten(self.arrays)}
        if len(lengths) != 1:
            raise ValueError(f"Inputs, labels and weights differ in length: {sorted(lengths)} rows.")
        self.num_rows = lengths.pop()
        if self.num_rows == 0:
            raise ValueError("There are no rows to train or score on.")
        self.num_batches = -(-self.num_rows // batch_size)

    def first_batch(self) -> Any:
        """One batch, to build a model with."""
        return next(self._batches(epoch=0))

    def stacks(self, epoch: int, capacity: int, steps_wanted) -> Iterator[Stack]:
        """The batches of an epoch, in order, in stacks.

        Args:
            epoch: number of the epoch; it decides the shuffling.
            capacity: batches that a stack has room for.
            steps_wanted: function without arguments that says how many batches to put into the next stack.
        """
        waiting: list[Any] = []
        for batch in self._batches(epoch):
            if waiting and (len(waiting) >= steps_wanted() or shapes(batch) != shapes(waiting[0])):
                yield stacked(waiting, capacity)
                waiting = []
            waiting.append(batch)
        if waiting:
            yield stacked(waiting, capacity)

    def _batches(self, epoch: int) -> Iterator[Any]:
        if self.dataset is not None:
            for batch in self.dataset.as_numpy_iterator():
                yield self._weighted(batch if isinstance(batch, tuple) else (batch,))
            return
        order = np.arange(self.num_rows)
        if self.shuffle_seed is not None:
            np.random.default_rng((self.shuffle_seed, epoch)).shuffle(order)
        for start in range(0, self.num_rows, self.batch_size):
            rows = order[start : start + self.batch_size]
            yield tree.map_structure(lambda array: array[rows], self.arrays)  # noqa: B023

    def _weighted(self, parts: tuple) -> tuple:
        if self.class_weight is None:
            return parts
        if len(parts) == 3:
            raise ValueError("Give class_weight or sample weights in the data, not both.")
        labels = parts[1].argmax(-1) if parts[1].ndim > 1 and parts[1].shape[-1] > 1 else parts[1].reshape(-1)
        weights = np.ones(len(labels), "float32")
        for label, weight in self.class_weight.items():
            weights[labels == label] = weight
        return (*parts, weights)


def shapes(batch: Any) -> list[tuple]:
    return [array.shape for array in tree.flatten(batch)]


def stacked(batches: list[Any], capacity: int) -> Stack:
    """Batches of one shape as one stack, padded with zeros to ``capacity`` so that its shape never changes."""

    def join(*leaves: np.ndarray) -> np.ndarray:
        out = np.zeros((capacity, *leaves[0].shape), leaves[0].dtype)
        for step, leaf in enumerate(leaves):
            out[step] = leaf
        return out

    return Stack(tree.map_structure(join, *batches), len(batches))


def stack_capacity(batch: Any, wanted: int) -> int:
    """``wanted`` steps, or as many as fit into STACK_BYTES."""
    size = sum(array.nbytes for array in tree.flatten(batch))
    return max(1, min(wanted, STACK_BYTES // max(size, 1)))
