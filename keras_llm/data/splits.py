"""Duplicates and splits, by hash: the same on each machine, whatever the version of NumPy or the order of the file."""

import hashlib
import re
import unicodedata
from collections import Counter
from collections.abc import Hashable, Iterable, Sequence

import numpy as np

from keras_llm.errors import InputError

# For ASCII text, which is most of it, translate + split is three times as fast as the general pattern.
_ASCII_TO_SPACE = {code: " " for code in range(128) if not chr(code).isalnum()}
_NEITHER_LETTER_NOR_DIGIT = re.compile(r"[\W_]+")


def normalise(text: str) -> str:
    """What two texts must share to count as the same: NFKC, case folded, only letters and digits, single spaces.

    A text without any letter or digit, such as ``":-)"``, is itself, stripped.

    Example:
        >>> normalise(" Ｗell -- DONE! ")
        'well done'
    """
    if text.isascii():
        plain = " ".join(text.lower().translate(_ASCII_TO_SPACE).split())
    else:
        folded = unicodedata.normalize("NFKC", text).casefold()
        plain = _NEITHER_LETTER_NOR_DIGIT.sub(" ", folded).strip()
    return plain or text.strip()


def fingerprints(texts: Iterable[str], seed: int) -> tuple[list[bytes], list[bytes]]:
    """Two sha256 digests of each normalised text: its identity, and its place in the order that ``seed`` makes."""
    identities, places = [], []
    for text in texts:
        plain = normalise(text)
        identities.append(hashlib.sha256(plain.encode()).digest())
        places.append(hashlib.sha256(f"{seed}:{plain}".encode()).digest())
    return identities, places


def identities_of(texts: Iterable[str]) -> list[bytes]:
    """The identity of each text: equal for texts that differ only in case, punctuation or white space."""
    return fingerprints(texts, 0)[0]


def deduplicate(identities: Sequence[bytes], labels: Sequence[Hashable]) -> tuple[list[int], int, int]:
    """Which rows to keep: the first of each text, and none of a text that bears two different labels.

    Returns:
        The indices to keep, ascending; the number of repeated rows dropped; the number of ambiguous rows dropped.
    """
    label_of: dict[bytes, Hashable] = {}
    ambiguous = set()
    for identity, label in zip(identities, labels, strict=True):
        if label_of.setdefault(identity, label) != label:
            ambiguous.add(identity)
    kept, seen, dropped_ambiguous = [], set(), 0
    for index, identity in enumerate(identities):
        if identity in ambiguous:
            dropped_ambiguous += 1
        elif identity not in seen:
            seen.add(identity)
            kept.append(index)
    return kept, len(identities) - len(kept) - dropped_ambiguous, dropped_ambiguous


def stratified_split(
    labels: Sequence[int], places: Sequence[bytes], fractions: Sequence[float], classes: Sequence[str], where: str
) -> list[list[int]]:
    """Cuts the rows of each class, in the order of ``places``, into one part a fraction and the rest.

    Args:
        labels: class index of each row.
        places: the second digests of :func:`fingerprints`; they also give the order within a part.
        fractions: share of the parts that are cut off, each in [0, 1), together below 1. A fraction above 0 gets at
            least one row of each class.
        classes: their names, for messages.
        where: file or dataset, for messages.

    Returns:
        Row indices: the rest first, then one list a fraction.

    Raises:
        InputError: a fraction is out of range, or a class has too few rows to be in each part.
    """
    if any(not 0 <= fraction < 1 for fraction in fractions) or sum(fractions) >= 1:
        raise InputError(
            f"validation_fraction and test_fraction must lie in [0, 1) and leave something to train on, "
            f"got {', '.join(map(str, fractions))}."
        )
    rows_of: list[list[int]] = [[] for _ in classes]
    for index in sorted(range(len(labels)), key=lambda row: places[row]):
        rows_of[labels[index]].append(index)
    parts: list[list[int]] = [[] for _ in range(len(fractions) + 1)]
    for name, rows in zip(classes, rows_of, strict=True):
        # Half up, by hand: Python's round() goes to the even neighbour.
        counts = [max(1, int(len(rows) * fraction + 0.5)) if fraction else 0 for fraction in fractions]
        if len(rows) <= sum(counts):
            least = sum(fraction > 0 for fraction in fractions) + 1
            raise InputError(
                f"{where}: the class '{name}' has only {len(rows)} distinct row(s); a split needs at least {least} "
                "of each class, so add rows or leave the class out."
            )
        start = 0
        for part, count in zip(parts[1:], counts, strict=True):
            part.extend(rows[start : start + count])
            start += count
        parts[0].extend(rows[start:])
    return [sorted(part, key=lambda row: places[row]) for part in parts]


def stratified_sample(labels: np.ndarray, places: Sequence[bytes], size: int) -> list[int]:
    """``size`` rows in which each class keeps its share, to the nearest row, and at least one row.

    Args:
        labels: class index of each row, shape ``(n,)``.
        places: digests; the first of each class in this order are taken.
        size: rows wanted, from the number of classes to n.

    Returns:
        Row indices, ascending.
    """
    counts = Counter(labels.tolist())
    exact = {label: size * count / len(labels) for label, count in counts.items()}
    wanted = {label: max(1, int(share)) for label, share in exact.items()}
    # Hand out what rounding down left over, or take back what the minimum of one row gave, where it is least wrong.
    while (missing := size - sum(wanted.values())) != 0:
        step = 1 if missing > 0 else -1
        candidates = [label for label in wanted if 0 < wanted[label] + step <= counts[label]]
        wanted[max(candidates, key=lambda label: (step * (exact[label] - wanted[label]), -label))] += step
    taken = []
    for index in sorted(range(len(labels)), key=lambda row: places[row]):
        if wanted[label := int(labels[index])]:
            wanted[label] -= 1
            taken.append(index)
    return sorted(taken)
