"""The baseline that each language model of this course has to beat: counts of the last few tokens."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np


class NgramModel:
    """Probability of the next token from the ``order`` − 1 tokens before it, by interpolated Witten–Bell smoothing.

    A context c that was met n(c) times, with t(c) different tokens after it, gives the token w

        P(w | c) = (n(c, w) + t(c) · P(w | c without its first token)) / (n(c) + t(c))

    and the shortest one, without any token, falls back on 1 / vocabulary_size: no token is impossible, and the
    probabilities of all tokens after a context add up to 1. Witten–Bell needs no tuning and no held-out text, and
    does not break down on letters, where each order has been seen, as Kneser–Ney's continuation counts do.

    Counting is sorting: an n-gram is one 64-bit hash, its count a place in a sorted array, so that millions of tokens
    take seconds. (Two n-grams share a hash with a probability of about one in a million for 6 million n-grams.)

    Args:
        order: n, 1 or more; 6 is good for letters, 3 for words.
        vocabulary_size: number of token ids.

    Example:
        >>> model = NgramModel(2, vocabulary_size=3).fit([[0, 1, 0, 1, 0, 2]])
        >>> (2 ** -model.bits([[0, 1], [0, 0]])).round(3)[1::2]  # after a 0, there came a 1 twice and a 2 once
        array([0.533, 0.178])

    Source: Witten and Bell 1991, method C; Chen and Goodman 1999, section 2.6.
    """

    def __init__(self, order: int, vocabulary_size: int) -> None:
        if order < 1 or vocabulary_size < 1:
            raise ValueError(f"order={order} and vocabulary_size={vocabulary_size} must be 1 or more.")
        self.order, self.vocabulary_size = order, vocabulary_size
        # For each order: n-grams and how often, contexts and how often, and after how many of their n-grams.
        self._counts: list[tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]] = []

    def fit(self, sequences: Iterable[Sequence[int]]) -> NgramModel:
        """Counts the n-grams of sequences of ids in [0, vocabulary_size); none reaches from one into the next."""
        ids, starts = self._flat(sequences)
        self._counts = []
        for order in range(1, self.order + 1):
            grams, contexts = self._hashes(ids, starts, order)
            grams, first, counts = np.unique(grams, return_index=True, return_counts=True)
            before, place = np.unique(contexts[first], return_inverse=True)
            kinds = np.bincount(place)
            times = np.bincount(place, weights=counts)
            self._counts.append((grams, counts, before, times, kinds))
        return self

    def bits(self, sequences: Iterable[Sequence[int]]) -> np.ndarray:
        """−log2 of the probability of each token given those before it in its sequence, ``(tokens,)``, all in a row.

        Raises:
            ValueError: when there is no token, an id is outside the vocabulary, or the model was not fitted.
        """
        if not self._counts:
            raise ValueError("Fit the model first.")
        ids, starts = self._flat(sequences)
        probability = np.full(len(ids), 1 / self.vocabulary_size)
        for order, (grams, counts, before, times, kinds) in enumerate(self._counts, start=1):
            gram, context = self._hashes(ids, starts, order)
            n_gram = _look_up(grams, counts, gram)
            n, t = _look_up(before, times, context), _look_up(before, kinds, context)
            known = n > 0
            probability[known] = (n_gram[known] + t[known] * probability[known]) / (n[known] + t[known])
        return -np.log2(probability)

    def _flat(self, sequences: Iterable[Sequence[int]]) -> tuple[np.ndarray, np.ndarray]:
        """All ids in a row, and for each the number of ids before it in its sequence."""
        arrays = [np.asarray(sequence, dtype=np.int64) for sequence in sequences]
        ids = np.concatenate(arrays) if arrays else np.zeros(0, np.int64)
        if not len(ids):
            raise ValueError("There is no token.")
        if ids.min() < 0 or ids.max() >= self.vocabulary_size:
            raise ValueError(f"The ids {ids.min()} to {ids.max()} are not all below {self.vocabulary_size}.")
        return ids, np.concatenate([np.arange(len(array)) for array in arrays])

    def _hashes(self, ids: np.ndarray, places: np.ndarray, order: int) -> tuple[np.ndarray, np.ndarray]:
        """Hash of the n-gram that ends at each token, and of its context; at a start they are shorter, and marked."""
        context = np.full(len(ids), np.uint64(order))
        for back in range(order - 1, 0, -1):
            earlier = np.zeros(len(ids), np.uint64)
            earlier[back:] = ids[:-back].astype(np.uint64) + np.uint64(1)
            context = _mixed(context, np.where(places >= back, earlier, np.uint64(0)))
        return _mixed(context, ids.astype(np.uint64) + np.uint64(1)), context


def _mixed(state: np.ndarray, new: np.ndarray) -> np.ndarray:
    """A 64-bit hash of a hash and a number (the finaliser of SplitMix64); overflow is meant."""
    with np.errstate(over="ignore"):
        z = state * np.uint64(0x9E3779B97F4A7C15) + new + np.uint64(0x632BE59BD9B4E019)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return z ^ (z >> np.uint64(31))


def _look_up(keys: np.ndarray, values: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """The value of each wanted key, 0.0 when it is not there; keys are sorted."""
    place = np.searchsorted(keys, wanted).clip(max=len(keys) - 1)
    return np.where(keys[place] == wanted, values[place], 0).astype("float64")
