"""Pairs of English phrases that mean the same, or do not: what two phrases share in other languages.

    "Charge complete"    -> "Laden abgeschlossen"  \\
    "Finished charging"  -> "Laden abgeschlossen"  /  one translation: a paraphrase

Nobody wrote these pairs down. Translators of one program met many ways to say a thing, and wrote down one; that is a
judgement on meaning by people who knew nothing of this use of it, and now and then a wrong one.
"""

import random
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from keras_llm.data.datasets import load
from keras_llm.data.splits import normalise

CATALOGS = ("home_assistant_en_de", "home_assistant_en_fr", "home_assistant_en_zh")
SHARES = {"validation": 0.1, "test": 0.2}  # of the groups of phrases that paraphrases connect


@dataclass(frozen=True)
class PhrasePairs:
    """Two phrases a row, and whether they mean the same.

    Attributes:
        firsts, seconds: n phrases each.
        labels: int32 ``(n,)``: 1 where they do.
    """

    firsts: tuple[str, ...]
    seconds: tuple[str, ...]
    labels: np.ndarray

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, n: int | None) -> "PhrasePairs":
        """The first ``n`` rows, which lie in no order; None, or more than there are, keeps all."""
        return PhrasePairs(self.firsts[:n], self.seconds[:n], self.labels[:n])


def load_paraphrases(seed: int = 0) -> dict[str, PhrasePairs]:
    """Paraphrases from the catalogs of translations, in three parts that share no phrase.

    Half of the pairs have label 0. Those are hard ones: the two phrases share a word, and are about as long
    as those of the paraphrase before.

    Args:
        seed: of the split and of the pairs with label 0.

    Returns:
        ``train``, ``validation`` and ``test``.

    Raises:
        InputError: a catalog cannot be had.

    Source: Bannard and Callison-Burch 2005, "Paraphrasing with bilingual parallel corpora".
    """
    translations = []
    for name in CATALOGS:
        dataset = load(name)
        for part in (dataset.train, dataset.validation, dataset.test):
            translations += [(source, f"{name} {target}") for source, target in zip(*part.sides, strict=True)]
    return paraphrases_of(translations, seed)


def paraphrases_of(translations: Iterable[tuple[str, str]], seed: int = 0) -> dict[str, PhrasePairs]:
    """The same from any pairs of a phrase and its translation."""
    phrases: dict[str, str] = {}  # the first spelling of each
    by_translation: dict[str, set[str]] = defaultdict(set)
    for source, target in translations:
        plain = normalise(source)
        phrases.setdefault(plain, source)
        by_translation[target].add(plain)
    same = {pair for group in by_translation.values() for pair in _pairs(sorted(group))}
    group_of = _groups(sorted(phrases), same)
    draw = random.Random(seed)
    places = {group: draw.random() for group in sorted(set(group_of.values()))}
    parts: dict[str, list[tuple[str, str, int]]] = {"train": [], "validation": [], "test": []}
    members: dict[str, dict[str, list[str]]] = {part: defaultdict(list) for part in parts}

    def part_of(phrase: str) -> str:
        place = places[group_of[phrase]]
        if place < SHARES["test"]:
            return "test"
        return "validation" if place < SHARES["test"] + SHARES["validation"] else "train"

    for phrase in sorted(phrases):
        for word in set(phrase.split()):
            members[part_of(phrase)][word].append(phrase)
    for first, second in sorted(same):
        part = part_of(first)
        parts[part].append((first, second, 1))
        near = [
            other
            for word in sorted(set(first.split()))
            for other in members[part][word]
            if group_of[other] != group_of[first] and abs(len(other.split()) - len(second.split())) <= 1
        ]
        if near:
            parts[part].append((first, draw.choice(near), 0))
    result = {}
    for part, rows in parts.items():
        draw.shuffle(rows)
        firsts, seconds, labels = zip(*rows, strict=True) if rows else ((), (), ())
        spelled = [tuple(phrases[plain] for plain in side) for side in (firsts, seconds)]
        result[part] = PhrasePairs(*spelled, np.array(labels, "int32"))
    return result


def _pairs(group: Sequence[str]) -> Iterable[tuple[str, str]]:
    return ((first, second) for place, first in enumerate(group) for second in group[place + 1 :])


def _groups(phrases: Sequence[str], same: Iterable[tuple[str, str]]) -> dict[str, int]:
    """The number of the group of each phrase: those that a chain of paraphrases connects are in one."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    row_of = {phrase: row for row, phrase in enumerate(phrases)}
    edges = np.array([(row_of[first], row_of[second]) for first, second in same] or np.zeros((0, 2)), "int64")
    graph = coo_array((np.ones(len(edges)), edges.T), shape=(len(phrases), len(phrases)))
    return dict(zip(phrases, connected_components(graph, directed=False)[1].tolist(), strict=True))
