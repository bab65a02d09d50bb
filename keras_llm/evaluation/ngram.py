"""The baseline that each language model of this course has to beat: counts of the last few tokens."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

# Discounts of counts 1, 2 and more, where there are too few n-grams to estimate them: those of the KenLM program.
FALLBACK = (0.5, 1.0, 1.5)


class NgramModel:
    """Probability of the next token from the ``order`` − 1 tokens before it, by modified Kneser–Ney smoothing.

    A context c that was met n(c) times gives the token w

        P(w | c) = (n(c, w) − D(n(c, w)) + D(c) · P(w | c without its first token)) / n(c)

    where D is a discount for n-grams met once, twice, or more often, and D(c) is all that was taken from those of c.
    The shortest context, without any token, falls back on 1 / vocabulary_size: no token is impossible, and the
    probabilities of all tokens after a context add up to 1. Below the highest order n counts how many different tokens
    stood before an n-gram, not how often it occurred: "Francisco" is frequent, but after "San" alone.

    It is the smoothing that is hardest to beat without anything to tune. Bits of a held-out token, beside those of
    Witten–Bell, which is as short: English letters, order 6, 1.56 and 1.59; Chinese characters, order 4, 5.79 and 6.21;
    English BPE with 8,000 ids, order 3, 6.68 and 6.94.

    Counting is sorting: an n-gram is one 64-bit hash, its count a place in a sorted array, so that six million letters
    at order 6 take 5 s and half a gigabyte. (Two n-grams share a hash with a probability of about one in a million.)

    Args:
        order: n, 1 or more; 6 is good for letters, 3 for words.
        vocabulary_size: number of token ids.

    Example:
        >>> model = NgramModel(2, vocabulary_size=3).fit([[0, 1, 0, 1, 0, 2]])
        >>> (2 ** -model.bits([[0, 1], [0, 0]])).round(3)[1::2]  # after a 0, there came a 1 twice and a 2 once
        array([0.479, 0.208])

    Source: Kneser and Ney 1995; Chen and Goodman 1999, section 3.
    """

    def __init__(self, order: int, vocabulary_size: int) -> None:
        if order < 1 or vocabulary_size < 1:
            raise ValueError(f"order={order} and vocabulary_size={vocabulary_size} must be 1 or more.")
        self.order, self.vocabulary_size = order, vocabulary_size
        # For each order: n-grams and their discounted counts, contexts, their counts, and what was taken from them.
        self._counts: list[tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]] = []

    def fit(self, sequences: Iterable[Sequence[int]]) -> NgramModel:
        """Counts the n-grams of sequences of ids in [0, vocabulary_size); none reaches from one into the next."""
        ids, places = self._flat(sequences)
        self._counts = []
        counted = np.ones(len(ids), bool)  # places whose n-gram is counted: all of them at the highest order
        for order in range(self.order, 0, -1):
            grams, contexts = self._hashes(ids, places, order)
            here = np.flatnonzero(counted)
            grams, first, counts = np.unique(grams[here], return_index=True, return_counts=True)
            first = here[first]
            taken = _discounts(counts)
            before, place = np.unique(contexts[first], return_inverse=True)
            times, left = (np.bincount(place, weights=weights) for weights in (counts, taken))
            self._counts.insert(0, (grams, counts - taken, before, times, left))
            # The next order counts each n-gram of this one once; what begins a sequence has nothing before it, so it
            # is counted as often as it occurs.
            counted = places < order - 2
            counted[first] = True
        return self

    def bits(self, sequences: Iterable[Sequence[int]]) -> np.ndarray:
        """−log2 of the probability of each token given those before it in its sequence, ``(tokens,)``, all in a row.

        Raises:
            ValueError: when there is no token, an id is outside the vocabulary, or the model was not fitted.
        """
        if not self._counts:
            raise ValueError("Fit the model first.")
        ids, places = self._flat(sequences)
        probability = np.full(len(ids), 1 / self.vocabulary_size)
        for order, (grams, counts, before, times, left) in enumerate(self._counts, start=1):
            gram, context = self._hashes(ids, places, order)
            n = _look_up(before, times, context)
            shared = _look_up(grams, counts, gram) + _look_up(before, left, context) * probability
            probability = np.divide(shared, n, out=probability, where=n > 0)
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


def _discounts(counts: np.ndarray) -> np.ndarray:
    """What is taken from each count, estimated from how many n-grams occur once, twice, three and four times."""
    rare = np.bincount(counts[counts < 5], minlength=5)
    taken = np.array(FALLBACK)
    if rare[1:].all():
        share = rare[1] / (rare[1] + 2 * rare[2])
        estimated = np.array([j - (j + 1) * share * rare[j + 1] / rare[j] for j in (1, 2, 3)])
        if (estimated > 0).all():
            taken = estimated
    return taken[np.minimum(counts, 3) - 1]


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
