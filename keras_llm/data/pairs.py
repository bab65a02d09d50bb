"""Sentence pairs for translation, in three parts that share no source sentence."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import regex

from keras_llm.data.splits import fingerprints
from keras_llm.errors import InputError

VALIDATION_FRACTION, TEST_FRACTION = 0.05, 0.1  # of the distinct sources
FAIR_TEST, MOST_OF_ALL = 1_000, 0.25  # by default so many sources to test on, for BLEU on fewer says little
LEAST = 20  # distinct sources, below which no part would mean anything
LEAST_WORDS = 3  # of a source in a program's catalog: shorter ones are labels, good to learn words from
MOST_CHARACTERS = 200  # of one: longer ones are whole paragraphs
MARKUP = regex.compile(r"\]\(|https?:|[`<>]|\*\*|%[sd(]|&[a-z]+;")  # links, code, tags, C formats

Pair = tuple[str, str]


@dataclass(frozen=True)
class PairPart:
    """Sentences and their translations.

    Attributes:
        sources: n sentences.
        targets: n translations, in the same order.
    """

    sources: tuple[str, ...]
    targets: tuple[str, ...]

    def __post_init__(self) -> None:
        if len(self.sources) != len(self.targets):
            raise ValueError(f"{len(self.sources)} sources, but {len(self.targets)} targets.")

    def __len__(self) -> int:
        return len(self.sources)

    @property
    def sides(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        return self.sources, self.targets

    def take(self, n: int | None, seed: int = 0) -> "PairPart":
        """A sample in the order of the part, the same one each time.

        Args:
            n: pairs to keep; None, or as many as there are or more, keeps all.
            seed: another seed takes other pairs.
        """
        if n is None or n >= len(self):
            return self
        pairs = list(zip(*self.sides, strict=True))
        # By hash: a user's test file may be sorted by length, and the labels of a catalog stand at the end.
        places = fingerprints(map("\t".join, pairs), seed)[1]
        return _part(pairs[row] for row in sorted(sorted(range(len(pairs)), key=places.__getitem__)[:n]))


@dataclass(frozen=True)
class TranslationData:
    """Pairs of sentences whose train, validation and test parts share no source.

    Attributes:
        name: of the dataset or the file.
        source_language, target_language: ``"en"``, ``"zh"``, ``"de"`` … or ``"other"``.
        train, validation, test: the parts; in the two latter each source stands once.
        provenance: where the pairs are from and what was dropped; ``["warnings"]`` is a list of sentences.
    """

    name: str
    source_language: str
    target_language: str
    train: PairPart
    validation: PairPart
    test: PairPart
    provenance: dict = field(default_factory=dict)

    def take(
        self, *, train: int | None = None, validation: int | None = None, test: int | None = None, seed: int = 0
    ) -> "TranslationData":
        """The same data cut small; None leaves a part whole. See :meth:`PairPart.take`."""
        sizes = {"train": train, "validation": validation, "test": test}
        parts = {name: getattr(self, name).take(size, seed) for name, size in sizes.items()}
        return replace(
            self, **parts, provenance=self.provenance | {"taken": {name: len(part) for name, part in parts.items()}}
        )

    def summary(self) -> str:
        """Pairs of each part and the mean length of a sentence, as a small table of plain text."""
        parts = {"train": self.train, "validation": self.validation, "test": self.test}
        lines = [f"{self.name} ({self.source_language} → {self.target_language})"]
        lines.append(f"{'':10}{'pairs':>9}{'words a source':>17}{'characters a source':>22}{'… a target':>13}")
        for name, part in parts.items():
            words = np.mean([len(text.split()) for text in part.sources] or [0])
            source, target = (np.mean([len(text) for text in side] or [0]) for side in (part.sources, part.targets))
            lines.append(f"{name:10}{len(part):>9,}{words:>17.1f}{source:>22.1f}{target:>13.1f}")
        return "\n".join(lines)


def pairs_of(
    name: str,
    languages: tuple[str, str],
    pairs: Iterable[Pair],
    provenance: dict,
    *,
    validation_fraction: float | None = None,
    test_fraction: float | None = None,
    seed: int = 0,
    test_pairs: Sequence[Pair] | None = None,
    training_only: Iterable[Pair] = (),
    where: str | None = None,
) -> TranslationData:
    """Split pairs by their sources: all translations of one sentence fall into one part.

    Sources count as the same when they share letters and digits; a pair that repeats another is dropped.

    Args:
        name, languages, provenance: see :class:`TranslationData`.
        pairs: sources and targets, each on one line and not empty.
        validation_fraction, test_fraction: shares of the distinct sources, in [0, 1). By default 0.05 and 0.1, the
            latter at least 1,000 sources as long as these are no more than a quarter.
        seed: of the split, which does not hang on the order of the pairs.
        test_pairs: the test part, when it comes from elsewhere; it stays as it is, and its sources are dropped from
            the others.
        training_only: further pairs to train on, unless their source is held out.
        where: how messages call the pairs; by default their name.

    Raises:
        InputError: a fraction is out of range, or there are too few pairs.
    """
    shares = [VALIDATION_FRACTION if validation_fraction is None else validation_fraction]
    if test_pairs is None:
        shares.append(TEST_FRACTION if test_fraction is None else test_fraction)
    if any(not 0 <= share < 1 for share in shares) or sum(shares) >= 1:
        raise InputError(
            "validation_fraction and test_fraction must lie in [0, 1) and leave something to train on, "
            f"got {', '.join(map(str, shares))}."
        )
    pairs = list(pairs)
    distinct = list(dict.fromkeys(pairs))
    identities, places = fingerprints((source for source, _ in distinct), seed)
    outside = frozenset(fingerprints((source for source, _ in test_pairs or ()), seed)[0])
    targets_of: dict[bytes, list[Pair]] = {}
    place_of: dict[bytes, bytes] = {}
    for identity, place, pair in zip(identities, places, distinct, strict=True):
        if identity not in outside:
            targets_of.setdefault(identity, []).append(pair)
            place_of[identity] = place
    order = sorted(targets_of, key=place_of.__getitem__)
    if len(order) < LEAST:
        raise InputError(
            f"{where or name}: {len(order)} distinct source sentence(s)"
            f"{' that the test file lacks' if test_pairs else ''} are too few to train and test on: bring at least "
            f"{LEAST}, better thousands."
        )
    counts = [max(1, int(len(order) * share + 0.5)) if share else 0 for share in shares]
    if test_pairs is None and test_fraction is None:
        counts[1] = max(counts[1], min(FAIR_TEST, int(len(order) * MOST_OF_ALL)))
        shares[1] = round(counts[1] / len(order), 4)
    if sum(counts) >= len(order):
        raise InputError(
            f"{where or name}: nothing is left to train on when {sum(counts)} of {len(order)} distinct source "
            "sentences are held out: bring more pairs, or make validation_fraction and test_fraction smaller."
        )
    validation, test = order[: counts[0]], order[counts[0] : sum(counts)]
    held = outside.union(validation, test)
    labels = list(training_only)
    further = list(dict.fromkeys(labels))
    identities_of_more = fingerprints((source for source, _ in further), seed)[0]
    more = [pair for identity, pair in zip(identities_of_more, further, strict=True) if identity not in held]
    train = _part([*(pair for identity in order[sum(counts) :] for pair in sorted(targets_of[identity])), *more])
    held_out = [_part(min(targets_of[identity]) for identity in part) for part in (validation, test)]
    if test_pairs is not None:
        held_out[1] = _part(test_pairs)
    overlap = len(set(identities) & outside)
    warnings = []
    if repeated := len(pairs) - len(distinct) + len(labels) - len(further):
        warnings.append(f"{repeated:,} pair(s) of {name} left out: they repeat an earlier one.")
    if overlap:
        warnings.append(f"{overlap:,} source(s) of {name} left out: they stand in the test file.")
    if others := sum(len(targets_of[each]) - 1 for each in order[: sum(counts)]):
        warnings.append(f"{others:,} pair(s) of {name} left out: other translations of what is held out.")
    facts = {
        "rows": len(train) + sum(map(len, held_out)),
        "dropped_duplicates": repeated,
        "dropped_overlap": overlap,
        "dropped_held_out": len(further) - len(more),
        "training_only": len(more),
        "dropped_other_translations": others,
        "split": {"seed": seed, **dict(zip(("validation", "test"), shares, strict=False))},
        "warnings": warnings,
    }
    return TranslationData(name, *languages, train, *held_out, provenance | facts)


def cleaned(pairs: Iterable[Pair], target_language: str) -> tuple[list[Pair], list[Pair], dict[str, int]]:
    """The sentences of a program's catalog, on one line each; its labels of one or two words; what was left out.

    Placeholders such as ``{name}`` stay: they must come through a translation unharmed.
    """
    sentences: list[Pair] = []
    labels: list[Pair] = []
    dropped = dict.fromkeys(("untranslated", "no_letter", "markup", "too_long", "wrong_script"), 0)
    for source, target in pairs:
        source, target = " ".join(source.split()), " ".join(target.split())
        words = regex.sub(r"\{[^}]*\}", " ", source).split()
        if not target or source.casefold() == target.casefold():
            dropped["untranslated"] += 1
        elif not regex.search(r"\p{L}", " ".join(words)):
            dropped["no_letter"] += 1
        elif MARKUP.search(source):
            dropped["markup"] += 1
        elif len(source) > MOST_CHARACTERS:
            dropped["too_long"] += 1
        elif target_language == "zh" and not regex.search(r"\p{Han}", target):
            dropped["wrong_script"] += 1
        else:
            (labels if len(words) < LEAST_WORDS else sentences).append((source, target))
    return sentences, labels, dropped


def _part(pairs: Iterable[Pair]) -> PairPart:
    pairs = list(pairs)
    return PairPart(tuple(source for source, _ in pairs), tuple(target for _, target in pairs))
