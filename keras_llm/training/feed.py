"""What the loop eats: stacks of batches of one shape, from arrays or from a ``tf.data.Dataset``."""

import itertools
import queue
import threading
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf
from keras import tree

NO_ROWS = "There are no rows to train, score or predict on."
AHEAD = 8  # batches of a Dataset that are made in advance
STACK_BYTES = 64 * 2**20  # a stack larger than this would only move memory about


class Stack(NamedTuple):
    """Up to ``capacity`` batches of one shape, for one call of a compiled program."""

    arrays: Any  # (x, y[, sample_weight]), each leaf (capacity, batch, ...)
    steps: int  # how many of them are real
    new_epochs: tuple[int, ...] = ()  # those with which a further epoch begins


class Feed:
    """Batches in stacks, from ``(x, y[, sample_weight])`` arrays or a batched ``tf.data.Dataset``.

    Args:
        data: tuple of arrays (each may be a dict or tuple of arrays), or a ``tf.data.Dataset`` of batches.
        batch_size: rows a batch, for arrays; the last batch may be smaller and is not dropped.
        shuffle_seed: reshuffle arrays before each epoch, the same way for the same seed and epoch; None keeps order.
        class_weight: weight of each integer class in the loss.
        sample_weight: weight of each row, ``(n,)``, for arrays.

    Raises:
        ValueError: for arrays of unequal length, no rows, texts instead of numbers, or weights given twice.
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
        if isinstance(data, list):
            raise ValueError("Give the data as a tuple, (x, y), not as a list.")
        self.shuffle_seed, self.batch_size, self.class_weight = shuffle_seed, batch_size, class_weight
        self._next_pass: Iterator | None = None
        if isinstance(data, tf.data.Dataset):
            if sample_weight is not None:
                raise ValueError("A Dataset carries its own sample weights: yield (x, y, sample_weight).")
            refuse_what_does_not_compile(tree.flatten(data.element_spec))
            self.dataset, self.arrays = data.prefetch(AHEAD).with_options(_options()), None
            cardinality = int(data.cardinality())
            if cardinality == tf.data.INFINITE_CARDINALITY:
                raise ValueError("The Dataset never ends: bound an epoch with .take(steps).")
            self.num_batches = cardinality if cardinality >= 0 else None
            return
        self.dataset = None
        parts = data if isinstance(data, tuple) else (data,)
        if sample_weight is not None:
            parts = (*parts, sample_weight)
        parts = tree.map_structure(as_array, parts)
        refuse_what_does_not_compile(tree.flatten(parts))
        self.arrays = self._weighted(parts)
        lengths = {len(array) for array in tree.flatten(self.arrays)}
        if len(lengths) != 1:
            raise ValueError(f"Inputs, labels and weights differ in length: {sorted(lengths)} rows.")
        self.num_rows = lengths.pop()
        if self.num_rows == 0:
            raise ValueError(NO_ROWS)
        self.num_batches = -(-self.num_rows // batch_size)

    def first_batch(self) -> Any:
        """One batch, to build a model with."""
        for batch in self.batches(epoch=0):
            return batch
        raise ValueError(NO_ROWS)

    def stacks(self, epochs: range, capacity: int, steps_wanted, start: int = 0) -> Iterator[Stack]:
        """The batches of some epochs, in order, in stacks.

        Args:
            epochs: numbers of the epochs; they decide the shuffling. A stack may hold the end of one and the next.
            capacity: batches that a stack has room for.
            steps_wanted: function without arguments that says how many batches to put into the next stack.
            start: batches to leave out at the beginning of the first.
        """
        waiting: list[Any] = []
        new_epochs: list[int] = []
        for epoch in epochs:
            first = epoch != epochs[0]
            for batch in self.batches(epoch, 0 if first else start):
                if waiting and (len(waiting) >= steps_wanted() or shapes(batch) != shapes(waiting[0])):
                    yield stacked(waiting, capacity, new_epochs)
                    waiting, new_epochs = [], []
                if first:
                    new_epochs.append(len(waiting))
                    first = False
                waiting.append(batch)
        if waiting:
            yield stacked(waiting, capacity, new_epochs)

    def batches(self, epoch: int, start: int = 0) -> Iterator[Any]:
        """The batches of an epoch from number ``start`` on, in order, as tuples ``(x[, y[, sample_weight]])``."""
        if self.dataset is not None:
            batches, self._next_pass = self.iterator(), None
            for batch in itertools.islice(batches, start, None):
                yield self._weighted(batch if isinstance(batch, tuple) else (batch,))
            return
        order = np.arange(self.num_rows)
        if self.shuffle_seed is not None:
            np.random.default_rng((self.shuffle_seed, epoch)).shuffle(order)
        for row in range(start * self.batch_size, self.num_rows, self.batch_size):
            rows = order[row : row + self.batch_size]
            yield tree.map_structure(lambda array: array[rows], self.arrays)  # noqa: B023

    def iterator(self) -> Iterator:
        """The next pass over the Dataset, from which nothing was drawn: a checkpoint saves and sets its state."""
        if self._next_pass is None:
            self._next_pass = self.dataset.as_numpy_iterator()
        return self._next_pass

    def _weighted(self, parts: tuple) -> tuple:
        if self.class_weight is None:
            return parts
        if len(parts) != 2:
            raise ValueError("class_weight goes with (x, y): labels, and no sample weights beside them.")
        labels = parts[1].argmax(-1) if parts[1].ndim > 1 and parts[1].shape[-1] > 1 else parts[1].reshape(-1)
        weights = np.ones(len(labels), "float32")
        for label, weight in self.class_weight.items():
            weights[labels == label] = weight
        return (*parts, weights)


def ahead(stacks: Iterator[Stack]) -> Iterator[Stack]:
    """The same stacks, the next one made in a thread while the caller works with the last."""
    made: queue.Queue = queue.Queue(maxsize=1)
    over = threading.Event()  # the caller wants no more

    def hand_over(item: Any) -> None:
        while not over.is_set():
            try:
                return made.put(item, timeout=0.1)
            except queue.Full:
                continue

    def make() -> None:
        try:
            for stack in stacks:
                hand_over(stack)
                if over.is_set():
                    return
            hand_over(None)
        except BaseException as error:
            hand_over(error)  # it belongs to the caller

    worker = threading.Thread(target=make, name="keras_llm input", daemon=True)
    worker.start()
    try:
        while (item := made.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            yield item
    finally:
        over.set()
        worker.join(timeout=1.0)  # a Dataset that is waiting for its next batch is left alone


def _options() -> tf.data.Options:
    """Without TensorFlow's tuning of the pipeline: its thread sleeps ever longer between two looks, and at the end of
    each pass everybody waits until it has woken, up to ten seconds.
    """
    options = tf.data.Options()
    options.autotune.enabled = False
    return options


def as_array(values: Any) -> np.ndarray:
    """An array whose floats have Keras's own width, as ``model.fit`` makes them."""
    array = np.asarray(values)
    return array.astype(keras.backend.floatx(), copy=False) if array.dtype.kind == "f" else array


def refuse_what_does_not_compile(leaves: list[Any]) -> None:
    """Stop at texts, ragged rows and lists: TensorFlow would abort the process, or complain of something else.

    Args:
        leaves: arrays, or the specs of a Dataset's elements.

    Raises:
        ValueError: when one of them is not an array of numbers with a row an example.
    """
    for leaf in leaves:
        if isinstance(leaf, tf.RaggedTensorSpec | tf.SparseTensorSpec):
            raise ValueError("The Dataset yields ragged or sparse batches: pad them to one length.")
        if tf.as_dtype(leaf.dtype) == tf.string:  # an array of Python objects, as uneven lists give, counts as this
            raise ValueError("A compiled program takes numbers: turn texts into token ids, padded to one length.")
        if leaf.shape == ():
            raise ValueError("Found a single number where rows should be: np.asarray a list, .batch() a Dataset.")


def shapes(batch: Any) -> list[tuple]:
    return [array.shape for array in tree.flatten(batch)]


def stacked(batches: list[Any], capacity: int, new_epochs: Iterable[int] = ()) -> Stack:
    """Batches of one shape as one stack, padded with zeros to ``capacity`` so that its shape never changes."""

    def join(*leaves: np.ndarray) -> np.ndarray:
        out = np.zeros((capacity, *leaves[0].shape), leaves[0].dtype)
        for step, leaf in enumerate(leaves):
            out[step] = leaf
        return out

    return Stack(tree.map_structure(join, *batches), len(batches), tuple(new_epochs))


def stack_capacity(batch: Any, wanted: int) -> int:
    """``wanted`` steps, or as many as fit into STACK_BYTES."""
    size = sum(array.nbytes for array in tree.flatten(batch))
    return max(1, min(wanted, STACK_BYTES // max(size, 1)))
