"""Numbers that say what a way to cut text costs, and the two laws that all vocabularies follow."""

from collections import Counter
from collections.abc import Hashable, Iterable, Sequence

import numpy as np


def compression(texts: Iterable[str], token_ids: Iterable[Sequence[int]]) -> float:
    """Characters a token: the higher, the shorter the rows that a model has to read.

    Args:
        texts: n texts.
        token_ids: their tokens.

    Raises:
        ValueError: when there is no token.

    Example:
        >>> compression(["good film"], [[7, 9]])
        4.5
    """
    tokens = sum(map(len, token_ids))
    if not tokens:
        raise ValueError("There is no token to divide by.")
    return sum(map(len, texts)) / tokens


def unknown_rate(token_ids: Iterable[Sequence[int]], unknown_id: int | None) -> float:
    """The share of tokens that are unknown, in [0, 1]; 0 where nothing is (``unknown_id`` is None).

    Example:
        >>> unknown_rate([[5, 1, 7], [1]], unknown_id=1)
        0.5
    """
    unknown = tokens = 0
    for ids in token_ids:
        tokens += len(ids)
        unknown += sum(token_id == unknown_id for token_id in ids)
    return unknown / tokens if tokens else 0.0


def vocabulary_growth(tokens: Iterable[Hashable], points: int = 100) -> tuple[np.ndarray, np.ndarray]:
    """How many different tokens there are among the first n, for Heaps' law.

    Args:
        tokens: read once and not kept, but for the different ones.
        points: about how many n to note for each factor of ten, evenly on a logarithmic scale.

    Returns:
        n and the number of different tokens among them, both int64 ``(m,)``; the last n is that of all tokens.

    Example:
        >>> vocabulary_growth(["a", "b", "a", "a"])
        (array([1, 2, 3, 4]), array([1, 2, 2, 2]))

    Source: Heaps 1978, section 7.5; Manning et al. 2008, *Introduction to Information Retrieval*, section 5.1.1.
    """
    seen: set[Hashable] = set()
    found: list[tuple[int, int]] = []
    read, wanted = 0, 1
    for read, token in enumerate(tokens, start=1):
        seen.add(token)
        if read == wanted:
            found.append((read, len(seen)))
            wanted = max(read + 1, round(read * 10 ** (1 / points)))
    if read and (not found or found[-1][0] < read):
        found.append((read, len(seen)))
    if not found:
        raise ValueError("There is no token to count.")
    reads, kinds = np.array(found, dtype=np.int64).T
    return reads, kinds


def rank_frequency(tokens: Iterable[Hashable]) -> np.ndarray:
    """How often each different token occurs, the most frequent first, int64 ``(kinds,)``, for Zipf's law.

    Args:
        tokens: read once and not kept, but for the different ones; or a ``Counter`` of them.

    Example:
        >>> rank_frequency("banana")
        array([3, 2, 1])

    Source: Zipf 1949, chapter 2; Manning et al. 2008, section 5.1.2.
    """
    return np.array(sorted(Counter(tokens).values(), reverse=True), dtype=np.int64)


def fit_power_law(x: np.ndarray, y: np.ndarray, points: int = 200) -> tuple[float, float]:
    """Factor and exponent of y = factor · x^exponent, by least squares of the logarithms.

    Points are taken evenly on the logarithmic scale of x: of a million ranks, half would otherwise be those of words
    that occur once.

    Args:
        x, y: ``(n,)``, above 0, x rising; two or more. The whole curve is fitted: cut it to fit a part.
        points: of x to fit, at most.

    Returns:
        ``(factor, exponent)``.

    Example:
        >>> fit_power_law(np.array([1, 2, 4, 8]), np.array([3, 6, 12, 24]))
        (3.0, 1.0)
    """
    if len(x) != len(y) or len(x) < 2:
        raise ValueError(f"A line needs two points or more, as many x as y; got {len(x)} and {len(y)}.")
    x, y = np.asarray(x, "float64"), np.asarray(y, "float64")
    wanted = np.geomspace(x[0], x[-1], points)
    chosen = np.unique(np.searchsorted(x, wanted).clip(0, len(x) - 1))
    exponent, logarithm = np.polyfit(np.log(x[chosen]), np.log(y[chosen]), 1)
    return round(float(np.exp(logarithm)), 12), round(float(exponent), 12)
