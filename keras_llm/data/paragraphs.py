"""A user's text file as documents, line by line: a file of any size, and a line of any length, takes little memory."""

import re
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

from keras_llm.data.tables import opening, other_encoding
from keras_llm.errors import InputError

LONGEST = 20_000  # characters of a document; what is longer is cut at the end of a line, or in it when it has no end
SHARE = 20  # of a file's bytes no document has more than one part in so many, so that a single paragraph can be split
SHORTEST = 200  # characters below which that share does not fall
END_OF_TEXT = "<|endoftext|>"  # what parts the documents in the files that GPT-2's tokenizer was made for
_LINE_END = re.compile("\r\n|\r|\n")


def paragraphs_of(path: Path, encoding: str = "utf-8") -> Callable[[], Iterator[str]]:
    """A function that reads the documents of a file, anew with each call.

    Documents are what blank lines part, or lines with nothing but ``<|endoftext|>`` when the first thousand lines have
    one. A document over 20,000 characters, or over a twentieth of the file, is cut into pieces.

    Args:
        path: of the file.
        encoding: of the file; a byte order mark is tolerated.

    Raises:
        InputError: the file cannot be read, now or later; is not in that encoding; holds no letter or digit; is no
            text; or has changed since this call. The message names the line where there is one.
    """
    with opening(path):
        size, changed = _stamp(path)
        if not path.is_file() and not path.is_dir():
            raise InputError(f"{path}: this is not a file that can be read twice; save the text to one.")
    longest = max(SHORTEST, min(LONGEST, size // SHARE))
    by_marker = any(line.strip() == END_OF_TEXT for line in islice(_lines(path, encoding, longest), 1_000))

    def read() -> Iterator[str]:
        with opening(path):
            if _stamp(path) != (size, changed):
                raise InputError(f"{path} has changed since it was first read; start again.")
        lines: list[str] = []
        room = longest
        for line in _lines(path, encoding, longest):
            bare = line.strip()
            parts = bare == END_OF_TEXT or not (bare or by_marker)
            if lines and (parts or len(line) > room):
                yield "".join(lines).strip("\n")
                lines, room = [], longest
            if not parts and (bare or lines):
                lines.append(line)
                room -= len(line)
        if lines:
            yield "".join(lines).strip("\n")

    if not any(character.isalnum() for text in read() for character in text):
        raise InputError(f"{path}: the file holds no letter or digit; a model has nothing to learn from it.")
    return read


def _lines(path: Path, encoding: str, longest: int) -> Iterator[str]:
    """The lines with their ends, ``\\n``; a line over ``longest`` characters comes in pieces."""
    number = 1
    try:
        with opening(path), path.open(encoding=encoding) as file:
            while line := file.readline(longest):
                line = line.removeprefix("\ufeff") if number == 1 else line
                if "\0" in line:
                    raise InputError(
                        f"{path}, line {number}: the file holds NUL characters, as no text does; it is a binary file, "
                        "or say which encoding it is, for instance --encoding utf-16."
                    )
                yield line
                number += line.endswith("\n")
    except LookupError as error:
        raise InputError(f"there is no encoding called '{encoding}'; try utf-8, gb18030 or utf-16.") from error
    except UnicodeError as error:
        if isinstance(error, UnicodeDecodeError):  # in a chunk that begins within the line that was to come next
            before = error.object[: error.start].decode(encoding, "replace")
            number += len(_LINE_END.findall(before))
        raise InputError(
            f"{path}, line {number}: this is not {encoding}; say which encoding it is, for instance --encoding "
            f"{other_encoding(path, encoding)}."
        ) from error


def _stamp(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_size, status.st_mtime_ns
