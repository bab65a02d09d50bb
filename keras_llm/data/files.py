"""A user's own files: tables as :class:`ClassificationData`, running text as corpora, pairs as translations."""

import re
from collections.abc import Sequence
from itertools import islice
from os import PathLike
from pathlib import Path

import numpy as np

from keras_llm.data.corpus import CorpusData, corpus_of
from keras_llm.data.datasets import ClassificationData, Part
from keras_llm.data.download import file_sha256
from keras_llm.data.pairs import TranslationData, pairs_of
from keras_llm.data.paragraphs import paragraphs_of
from keras_llm.data.splits import deduplicate, fingerprints, stratified_split
from keras_llm.data.tables import Table, read_pairs, read_table
from keras_llm.errors import InputError

_INTEGER = re.compile(r"[+-]?[0-9]{1,18}")


def from_files(
    train: str | PathLike,
    test: str | PathLike | None = None,
    *,
    task: str | None = None,
    validation_fraction: float | None = None,
    test_fraction: float | None = None,
    seed: int = 0,
    encoding: str = "utf-8",
    name: str | None = None,
) -> ClassificationData | CorpusData | TranslationData:
    """Labelled texts from CSV, TSV or JSONL files with a ``text`` and a ``label``, running text from ``.txt`` files, or
    sentence pairs from TSV files without a header, a source and a target a line, or JSONL with these keys.

    Rows that repeat a text, and texts that bear two different labels, are dropped before the split; so are paragraphs
    of running text that repeat an earlier one. With a test file its rows stay as they are, one prediction for each,
    and a training row whose text is among them is dropped. ``provenance["warnings"]`` says what was dropped.

    Running text may be larger than the memory. Blank lines part its documents, or lines with ``<|endoftext|>``.

    Args:
        train: file to train on; without ``test`` it is split three ways.
        test: file to test on.
        task: ``"classification"``, ``"corpus"`` or ``"translation"``, for a caller that can use only the one; by
            default what the file's name says, which is never translation.
        validation_fraction: share of each class in ``train``, 0.1 by default; of the paragraphs or sources, 0.05.
        test_fraction: the same, 0.2, 0.05 and 0.1 by default; ignored when there is a test file.
        seed: of the split.
        encoding: of the files.
        name: of the dataset; the training file's name by default.

    Raises:
        InputError: a file or a row is wrong, a class has too few rows, there is only one class, the test file has a
            label that training never saw, or the text is too short to be split. The message names file and line.

    Example:
        >>> data = from_files("reviews.csv")
        >>> print(data.summary())
        >>> first = next(iter(from_files("novel.txt").train))
    """
    if task not in (None, "classification", "corpus", "translation"):
        raise ValueError(f"task must be 'classification', 'corpus', 'translation' or None, got {task!r}.")
    if task is None:
        task = "corpus" if Path(train).suffix.lower() == ".txt" else "classification"
    split = {"validation_fraction": validation_fraction, "test_fraction": test_fraction, "seed": seed}
    if task == "translation":
        paths = {"train": Path(train)} | ({"test": Path(test)} if test is not None else {})
        return _translation(paths, encoding, name or Path(train).stem, split)
    if task == "corpus":
        for path in (train, test):
            if path is not None and Path(path).suffix.lower() != ".txt":
                raise InputError(f"{path}: running text comes as .txt; name such a file.")
        return _corpus(Path(train), None if test is None else Path(test), encoding, name or Path(train).stem, split)
    validation_fraction = 0.1 if validation_fraction is None else validation_fraction
    test_fraction = 0.2 if test_fraction is None else test_fraction
    train_path = Path(train)
    table = read_table(train_path, encoding)
    classes = _sorted_classes(table.labels)
    if len(classes) < 2:
        raise InputError(f"{train_path}: all rows bear the label '{classes[0]}'; classification needs two classes.")
    index_of = {label: index for index, label in enumerate(classes)}
    labels = [index_of[label] for label in table.labels]
    files = {"train": _file_facts(train_path, table)}
    warnings = []

    test_part, test_identities = None, frozenset()
    if test is not None:
        test_path = Path(test)
        test_table = read_table(test_path, encoding)
        files["test"] = _file_facts(test_path, test_table)
        test_part = Part(tuple(test_table.texts), _test_labels(test_path, test_table, index_of, train_path))
        test_identities = frozenset(fingerprints(test_table.texts, seed)[0])

    identities, places = fingerprints(table.texts, seed)
    outside = [row for row, identity in enumerate(identities) if identity not in test_identities]
    if not outside:
        raise InputError(f"{train_path}: each text stands in {test} as well, so nothing is left to train on.")
    kept, duplicates, ambiguous = deduplicate([identities[row] for row in outside], [labels[row] for row in outside])
    kept = [outside[row] for row in kept]
    overlap = len(labels) - len(outside)
    if overlap:
        warnings.append(f"{overlap:,} row(s) of {train_path.name} left out: their text stands in the test file.")
    if duplicates:
        warnings.append(f"{duplicates:,} row(s) of {train_path.name} left out: they repeat an earlier text.")
    if ambiguous:
        warnings.append(f"{ambiguous:,} row(s) of {train_path.name} left out: one text bears different labels.")

    fractions = {"validation": validation_fraction}
    if test_part is None:
        fractions["test"] = test_fraction
    whole = Part(tuple(table.texts[row] for row in kept), np.array([labels[row] for row in kept], dtype=np.int32))
    split = stratified_split(
        whole.labels.tolist(), [places[row] for row in kept], list(fractions.values()), classes, str(train_path)
    )
    parts = [whole.rows(rows) for rows in split]
    if test_part is not None:
        parts.append(test_part)
    provenance = {
        "dataset": name or train_path.stem,
        "files": files,
        "rows": sum(map(len, parts)),
        "dropped_duplicates": duplicates,
        "dropped_ambiguous": ambiguous,
        "dropped_overlap": overlap,
        "split": {"seed": seed, **fractions},
        "warnings": warnings,
    }
    return ClassificationData(name or train_path.stem, detect_language(table.texts), classes, *parts, provenance)


def _corpus(train: Path, test: Path | None, encoding: str, name: str, split: dict) -> CorpusData:
    paths = {"train": train} | ({"test": test} if test else {})
    read = {part: paragraphs_of(path, encoding) for part, path in paths.items()}
    language = detect_language([text[:500] for text in islice(read["train"](), 200)])
    files = {
        part: {"path": str(path), "sha256": file_sha256(path), "bytes": path.stat().st_size}
        for part, path in paths.items()
    }
    provenance = {"dataset": name, "files": files}
    return corpus_of(name, language, read["train"], provenance, read_test=read.get("test"), where=str(train), **split)


def _translation(paths: dict[str, Path], encoding: str, name: str, split: dict) -> TranslationData:
    pairs = {part: read_pairs(path, encoding) for part, path in paths.items()}
    files = {
        part: {"path": str(path), "sha256": file_sha256(path), "rows": len(pairs[part])} for part, path in paths.items()
    }
    source_language, target_language = (detect_language(side) for side in zip(*pairs["train"], strict=True))
    return pairs_of(
        name,
        (source_language, target_language),
        pairs["train"],
        {"dataset": name, "files": files},
        test_pairs=pairs.get("test"),
        where=str(paths["train"]),
        **split,
    )


def detect_language(texts: Sequence[str]) -> str:
    """``"zh"`` when over 10% of the letters are Chinese characters, ``"en"`` when 99% are ASCII, else ``"other"``.

    Judges by the script of a sample of 200 texts, so that "en" also stands for other languages without accents, and
    Japanese, told by its kana, is "other".
    """
    sample = "".join(text[:500] for text in texts[:: max(1, len(texts) // 200)])
    letters = [character for character in sample if character.isalpha()]
    if not letters:
        return "other"
    chinese = sum("\u3400" <= letter <= "\u9fff" or letter >= "\U00020000" for letter in letters)
    kana = sum("\u3040" <= letter <= "\u30ff" for letter in letters)
    if chinese > 0.1 * len(letters):
        return "zh" if kana < 0.1 * len(letters) else "other"
    return "en" if sum(map(str.isascii, letters)) >= 0.99 * len(letters) else "other"


def _sorted_classes(labels: Sequence[str]) -> tuple[str, ...]:
    distinct = set(labels)
    if all(map(_INTEGER.fullmatch, distinct)):
        return tuple(sorted(distinct, key=lambda label: (int(label), label)))
    return tuple(sorted(distinct))


def _test_labels(path: Path, table: Table, index_of: dict[str, int], train_path: Path) -> np.ndarray:
    for line, label in zip(table.lines, table.labels, strict=True):
        if label not in index_of:
            raise InputError(
                f"{path}, line {line}: the label '{label}' does not occur in {train_path}; its labels: "
                f"{', '.join(list(index_of)[:20])}{' …' if len(index_of) > 20 else ''}."
            )
    return np.array([index_of[label] for label in table.labels], dtype=np.int32)


def _file_facts(path: Path, table: Table) -> dict:
    return {"path": str(path), "sha256": file_sha256(path), "rows": len(table.texts)}
