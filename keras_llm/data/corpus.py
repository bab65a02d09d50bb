"""Running text in three parts, read from the disk anew in each pass and never held in memory as a whole.

One pass at the beginning hashes each document; what stays is one byte a document, the part that it belongs to.
"""

import hashlib
from array import array
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np

from keras_llm.data.splits import normalise
from keras_llm.errors import InputError

VALIDATION_FRACTION = TEST_FRACTION = 0.05  # of the documents: a language model wants text more than exact figures
TRAIN, VALIDATION, TEST, LEFT_OUT = range(4)

Documents = Callable[[], Iterator[str]]


@dataclass(frozen=True, eq=False)
class CorpusPart:
    """The documents of one part, in the order of the corpus. Each ``for`` loop reads them anew, one after the other.

    Attributes:
        documents: how many; also ``len(part)``.
        characters: in all of them.
    """

    documents: int
    characters: int
    _read: Documents = field(repr=False)  # gives all documents of the corpus
    _parts: np.ndarray = field(repr=False)  # (documents of the corpus,), which part each belongs to
    _part: int = field(repr=False)

    def __iter__(self) -> Iterator[str]:
        return (text for text, part in zip(self._read(), self._parts, strict=True) if part == self._part)

    def __len__(self) -> int:
        return self.documents

    def take(self, characters: int | None) -> list[str]:
        """Documents spread over the whole part, until they have so many characters together; the last one is cut there.

        The first documents would be no sample: a corpus is often in the order of time.

        Args:
            characters: how many, at least 1; None, or as many as there are or more, takes all.
        """
        if characters is None or characters >= self.characters:
            return list(self)
        if characters < 1:
            raise ValueError(f"characters must be at least 1, got {characters}.")
        taken, room, seen = [], characters, 0
        for text in self:
            seen += len(text)
            if (characters - room) * self.characters < characters * seen:  # we are behind our share of what went by
                taken.append(text[:room])
                room -= len(taken[-1])
                if not room:
                    break
        return taken


@dataclass(frozen=True, eq=False)
class CorpusData:
    """A corpus whose train, validation and test parts share no document.

    Attributes:
        name: of the corpus or the file.
        language: ``"en"``, ``"zh"`` or ``"other"``.
        train, validation, test: the parts.
        provenance: where the text is from and what was dropped; ``["warnings"]`` is a list of sentences.
    """

    name: str
    language: str
    train: CorpusPart
    validation: CorpusPart
    test: CorpusPart
    provenance: dict = field(default_factory=dict)

    def summary(self) -> str:
        """Documents and characters of each part, as a small table of plain text."""
        parts = {"train": self.train, "validation": self.validation, "test": self.test}
        lines = [f"{self.name} ({self.language})", f"{'':10}{'documents':>12}{'characters':>14}"]
        lines += [f"{name:10}{len(part):>12,}{part.characters:>14,}" for name, part in parts.items()]
        return "\n".join(lines)


def corpus_of(
    name: str,
    language: str,
    read: Documents,
    provenance: dict,
    *,
    validation_fraction: float | None = None,
    test_fraction: float | None = None,
    seed: int = 0,
    read_test: Documents | None = None,
    where: str | None = None,
) -> CorpusData:
    """Split the documents of a corpus. Equal documents, compared by letters and digits alone, count once.

    Args:
        name, language, provenance: see :class:`CorpusData`.
        read: gives all documents, in the same order each time; called again for each pass.
        validation_fraction, test_fraction: shares of the distinct documents, in [0, 1); 0.05 each by default. A
            share above 0 gets at least one document.
        seed: of the split; which part a document falls into does not hang on the order of the corpus.
        read_test: the test part, when it comes from elsewhere; it stays whole, and its documents are dropped from
            the others.
        where: how messages call the corpus; by default its name.

    Raises:
        InputError: a fraction is out of range, or there are fewer documents than parts.
    """
    fractions = {"validation": VALIDATION_FRACTION if validation_fraction is None else validation_fraction}
    if read_test is None:
        fractions["test"] = TEST_FRACTION if test_fraction is None else test_fraction
    if any(not 0 <= share < 1 for share in fractions.values()) or sum(fractions.values()) >= 1:
        raise InputError(
            "validation_fraction and test_fraction must lie in [0, 1) and leave something to train on, "
            f"got {', '.join(map(str, fractions.values()))}."
        )
    places, lengths = _survey(read, seed)
    distinct, first = np.unique(places, return_index=True)
    duplicates, overlap, test_part = len(places) - len(distinct), 0, None
    if read_test is not None:
        test_places, test_lengths = _survey(read_test, seed)
        here = np.isin(distinct, test_places, invert=True)
        overlap, first = len(first) - int(here.sum()), first[here]
        whole = np.full(len(test_places), TEST, np.uint8)
        test_part = CorpusPart(len(whole), int(test_lengths.sum()), read_test, whole, TEST)

    counts = [max(1, int(len(first) * share + 0.5)) if share else 0 for share in fractions.values()]
    if len(first) <= sum(counts):
        raise InputError(
            f"{where or name}: the text is too short to be split: it has {len(first)} distinct paragraph(s)"
            f"{' that the test file lacks' if read_test else ''}, and each part needs one; bring more text, or part "
            "it with blank lines."
        )
    parts = np.full(len(places), LEFT_OUT, np.uint8)
    parts[first] = TRAIN
    start = 0
    for part, count in zip((VALIDATION, TEST), counts, strict=False):
        parts[first[start : start + count]] = part  # np.unique has put them in the order of their hashes
        start += count
    train, validation, test = (
        CorpusPart(int((parts == part).sum()), int(lengths[parts == part].sum()), read, parts, part)
        for part in (TRAIN, VALIDATION, TEST)
    )
    test = test_part or test
    warnings = []
    if duplicates:
        warnings.append(f"{duplicates:,} document(s) of {name} left out: they repeat an earlier one.")
    if overlap:
        warnings.append(f"{overlap:,} document(s) of {name} left out: they stand in the test file.")
    facts = {
        "rows": len(train) + len(validation) + len(test),
        "characters": train.characters + validation.characters + test.characters,
        "dropped_duplicates": duplicates,
        "dropped_overlap": overlap,
        "split": {"seed": seed, **fractions},
        "warnings": warnings,
    }
    return CorpusData(name, language, train, validation, test, provenance | facts)


def _survey(read: Documents, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Of each document a hash of its letters and digits with the seed, uint64, and its length, uint64."""
    places, lengths = array("Q"), array("Q")
    for text in read():
        digest = hashlib.sha256(f"{seed}:{normalise(text)}".encode()).digest()
        places.append(int.from_bytes(digest[:8], "big"))
        lengths.append(len(text))
    return np.array(places, dtype=np.uint64), np.array(lengths, dtype=np.uint64)
