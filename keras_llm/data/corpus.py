"""Running text in three parts, read from the disk each time and never held in memory as a whole."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path

from keras_llm.data.download import file_sha256
from keras_llm.data.files import detect_language
from keras_llm.data.splits import fingerprints
from keras_llm.errors import InputError

LONGEST = 20_000  # characters of a document of a user's file; a longer paragraph is cut at a line's end


@dataclass(frozen=True, eq=False)
class CorpusPart:
    """The documents of one part. Each ``for`` loop reads them anew, one after the other.

    Attributes:
        read: gives all documents of the corpus.
        low, high: the places in [0, 1) that belong to this part.
        seed: of the split.
    """

    read: Callable[[], Iterator[str]]
    low: float
    high: float
    seed: int = 0

    def __iter__(self) -> Iterator[str]:
        return (text for text in self.read() if self.low <= place_of(text, self.seed) < self.high)

    def take(self, characters: int) -> list[str]:
        """The first documents, until they have so many characters together; the last one is cut there."""
        taken, room = [], characters
        for text in self:
            taken.append(text[:room])
            room -= len(taken[-1])
            if room <= 0:
                break
        return taken


@dataclass(frozen=True, eq=False)
class CorpusData:
    """A corpus whose train, validation and test parts share no document.

    Attributes:
        name: of the corpus or the file.
        language: ``"en"``, ``"zh"`` or ``"other"``.
        train, validation, test: the parts.
        provenance: where the text is from; ``["warnings"]`` is a list of sentences.
    """

    name: str
    language: str
    train: CorpusPart
    validation: CorpusPart
    test: CorpusPart
    provenance: dict = field(default_factory=dict)


def place_of(text: str, seed: int) -> float:
    """Where a document lies in [0, 1): decided by its letters and the seed, so that equal ones lie together."""
    return int.from_bytes(fingerprints([text], seed)[1][0][:8], "big") / 2**64


def corpus_of(
    name: str,
    language: str,
    read: Callable[[], Iterator[str]],
    provenance: dict,
    *,
    validation_fraction: float = 0.05,
    test_fraction: float = 0.05,
    seed: int = 0,
) -> CorpusData:
    """Split documents by hash: nothing is remembered, so a corpus may be larger than the memory.

    Args:
        name, language, provenance: see :class:`CorpusData`.
        read: gives all documents; called again for each pass.
        validation_fraction, test_fraction: shares of the documents, in [0, 1).
        seed: of the split.

    Raises:
        InputError: a fraction is out of range.
    """
    fractions = {"validation": validation_fraction, "test": test_fraction}
    if any(not 0 <= share < 1 for share in fractions.values()) or sum(fractions.values()) >= 1:
        raise InputError(f"validation_fraction and test_fraction must lie in [0, 1), together below 1: {fractions}.")
    start = 1 - validation_fraction - test_fraction
    bounds = [(0.0, start), (start, 1 - test_fraction), (1 - test_fraction, 1.0)]
    parts = [CorpusPart(read, low, high, seed) for low, high in bounds]
    split = {"seed": seed, **fractions}
    return CorpusData(name, language, *parts, {**provenance, "split": split, "warnings": []})


def corpus_from_file(path: str | PathLike, *, encoding: str = "utf-8", seed: int = 0) -> CorpusData:
    """A user's text file as a corpus of its paragraphs, which blank lines part.

    Args:
        path: a file of any size.
        encoding: of the file.
        seed: of the split.

    Raises:
        InputError: the file cannot be read, holds no letter, or is not in that encoding; the message names the line.
    """
    path = Path(path)
    beginning = []
    for text in paragraphs(path, encoding):
        beginning.append(text)
        if sum(map(len, beginning)) > 100_000:
            break
    if not any(character.isalnum() for text in beginning for character in text):
        raise InputError(f"{path} holds no letter: give a file with text.")
    facts = {"path": str(path), "sha256": file_sha256(path), "bytes": path.stat().st_size}
    provenance = {"dataset": path.stem, "files": {"corpus": facts}}
    return corpus_of(path.stem, detect_language(beginning), lambda: paragraphs(path, encoding), provenance, seed=seed)


def paragraphs(path: Path, encoding: str = "utf-8") -> Iterator[str]:
    """The paragraphs of a text file, line by line, each at most ``LONGEST`` characters and its last line.

    Raises:
        InputError: the file cannot be read or is not in that encoding.
    """
    lines: list[str] = []
    size = number = 0
    try:
        with path.open(encoding=encoding, newline=None) as file:
            while line := file.readline(LONGEST):
                number += line.endswith("\n")
                if line.strip() and size < LONGEST:
                    lines.append(line)
                    size += len(line)
                elif lines:
                    yield "".join(lines).strip("\n")
                    lines, size = ([line], len(line)) if line.strip() else ([], 0)
            if lines:
                yield "".join(lines).strip("\n")
    except OSError as error:
        raise InputError(f"Cannot read {path} ({error.strerror}): name a text file.") from error
    except LookupError as error:
        raise InputError(f"There is no encoding {encoding!r}: give one such as utf-8 or gb18030.") from error
    except UnicodeDecodeError as error:
        raise InputError(
            f"{path}, after line {number}: not {encoding} ({error.reason}); give its encoding with --encoding."
        ) from error
