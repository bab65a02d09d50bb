"""Which word translates which? Learned from sentence pairs alone: IBM Model 1, and the phrases that its links allow."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

ROUNDS = 8  # of expectation and maximisation; the likelihood hardly moves after five
LONGEST = 4  # words of a phrase
Links = set[tuple[int, int]]  # (left, right) word indices of one pair


@dataclass(frozen=True, eq=False)  # no ==: comparing arrays gives an array, not a truth value
class WordTable:
    """The probabilities p(right word | left word) of Model 1; left word 0 is "none".

    Attributes:
        left: id of each left word, from 1 on.
        right: the right words, by their ids.
        keys: left id · number of right words + right id of each entry, sorted; int ``(entries,)``.
        probabilities: floats ``(entries,)``; those of one left word add up to 1.
        links: for each pair, for each right word, the index of its left word, -1 for none.
        likelihoods: log-likelihood of the right sides (nats) before each round, without the constant of the lengths.
    """

    left: dict[str, int]
    right: list[str]
    keys: np.ndarray
    probabilities: np.ndarray
    links: list[list[int]]
    likelihoods: list[float]

    def given(self, word: str) -> list[tuple[str, float]]:
        """The right words and their probabilities, the most probable first; empty for a word that was never seen."""
        here = self.left.get(word, -1) * len(self.right)
        rows = slice(*np.searchsorted(self.keys, (here, here + len(self.right))))
        found = zip(self.keys[rows] - here, self.probabilities[rows], strict=True)
        return sorted(((self.right[i], float(p)) for i, p in found), key=lambda entry: (-entry[1], entry[0]))


def model_1(left: Sequence[Sequence[str]], right: Sequence[Sequence[str]]) -> WordTable:
    """IBM Model 1: each right word comes from one left word, or from none; which, is learned from co-occurrence.

    Args:
        left, right: sentences as words; pair k is ``left[k]``, ``right[k]``.

    Example:
        >>> model_1([["the", "house"], ["the"]], [["das", "Haus"], ["das"]]).links
        [[0, 1], [0]]

    Source: Brown et al. 1993, section 4.2.
    """
    left_number: dict[str, int] = {}
    right_number: dict[str, int] = {}
    sides = [
        (np.append(0, _ids(a, left_number, 1)), _ids(b, right_number, 0)) for a, b in zip(left, right, strict=True)
    ]
    words = len(right_number)
    # Every (left word, right word) of every pair in one long row, the left ones of a right word side by side.
    keys = np.concatenate([(a[None, :] * words + b[:, None]).ravel() for a, b in sides])
    lengths = np.concatenate([np.full(len(b), len(a)) for a, b in sides])  # left words of each right word
    entries, place = np.unique(keys, return_inverse=True)
    target = np.repeat(np.arange(len(lengths)), lengths)  # the right word that each place belongs to
    _, left_of = np.unique(entries // max(1, words), return_inverse=True)
    table = np.ones(len(entries))
    likelihoods = []
    for _ in range(ROUNDS):
        table = table / np.bincount(left_of, table)[left_of]  # p(right | left) adds up to 1
        given = table[place]
        total = np.bincount(target, given)
        likelihoods.append(float(np.log(total / lengths).sum()))
        table = np.bincount(place, given / total[target], len(entries))  # how often an entry was used, in expectation
    table = table / np.bincount(left_of, table)[left_of]
    return WordTable(left_number, [*right_number], entries, table, _links(table[place], sides), likelihoods)


def _ids(words: Sequence[str], number: dict[str, int], first: int) -> np.ndarray:
    return np.array([number.setdefault(word, len(number) + first) for word in words], dtype=np.int64)


def _links(given: np.ndarray, sides: Sequence[tuple[np.ndarray, np.ndarray]]) -> list[list[int]]:
    """The most probable left word of each right word."""
    links, here = [], 0
    for a, b in sides:
        own = given[here : here + len(a) * len(b)].reshape(len(b), len(a))
        here += own.size
        # The two "the" of a sentence are equally probable: the one at the nearer place is taken, and "none" at last.
        far = np.abs(np.linspace(0, 1, len(b))[:, None] - np.append(9, np.linspace(0, 1, len(a) - 1)))
        links.append(((own * (1 - 1e-6 * far)).argmax(axis=1) - 1).tolist())
    return links


def grown(forward: Links, backward: Links) -> Links:
    """Links on which both directions agree, then their neighbours on which one insists, then words still without any.

    Source: Koehn, Och and Marcu 2003, section 3, the heuristic known as grow-diag-final-and.
    """
    links, either = forward & backward, forward | backward
    while True:
        lefts, rights = {i for i, _ in links}, {j for _, j in links}
        new = {
            (i, j)
            for i, j in either - links
            if (i not in lefts or j not in rights)
            and any((i + di, j + dj) in links for di in (-1, 0, 1) for dj in (-1, 0, 1))
        }
        if not new:
            break
        links |= new
    for i, j in (*sorted(forward), *sorted(backward)):
        if i not in lefts and j not in rights:
            links.add((i, j))
            lefts.add(i)
            rights.add(j)
    return links


def phrase_pairs(links: Links, length: int) -> Iterator[tuple[int, int, int, int]]:
    """The spans ``(start, end, first, last)`` that are linked to one another and to nothing outside.

    Args:
        links: of one pair.
        length: words of the left sentence.

    Example:
        >>> list(phrase_pairs({(0, 1), (1, 0)}, 2))
        [(0, 1, 1, 2), (0, 2, 0, 2), (1, 2, 0, 1)]
    """
    for start in range(length):
        for end in range(start + 1, min(start + LONGEST, length) + 1):
            inside = [j for i, j in links if start <= i < end]
            if not inside:
                continue
            first, last = min(inside), max(inside) + 1
            if all(start <= i < end for i, j in links if first <= j < last):
                yield start, end, first, last
