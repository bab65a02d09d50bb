"""A user's labelled texts out of CSV, TSV or JSONL, and sentence pairs out of TSV or JSONL.

Each defect is one sentence with file and line; nothing is skipped in silence.

CSV follows RFC 4180: a field in double quotes may hold commas, line breaks and doubled quotes.
TSV comes in two kinds. Mostly a quotation mark is a character like any other, so a TSV is read line by line, and only
a field wholly wrapped in quotes loses them. When some line then has not as many fields as the header, the file is read
with CSV's quoting instead, in which a quoted field may hold tabs and line breaks.
JSONL is one object a line.
"""

import csv
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from keras_llm.errors import InputError

SUFFIXES = (".csv", ".tsv", ".jsonl", ".ndjson")
# A whole CSV field and what ends it.
_FIELD = re.compile(r'(?:"[^"]*(?:""[^"]*)*"|[^",\n][^,\n]*|)[,\n]')


class Table(NamedTuple):
    """Rows of a file: the line each begins on, its text, its label (trimmed, as text)."""

    lines: list[int]
    texts: list[str]
    labels: list[str]


def read_table(path: Path, encoding: str = "utf-8") -> Table:
    """Reads the columns ``text`` and ``label`` of a file; other columns are ignored.

    Args:
        path: a file whose suffix is one of ``SUFFIXES``.
        encoding: of the file; a byte order mark is tolerated.

    Raises:
        InputError: the file cannot be read or a row of it is malformed.

    Example:
        >>> read_table(Path("reviews.csv")).labels[:2]
        ['negative', 'positive']
    """
    with opening(path):
        data = path.read_bytes()
    kind = path.suffix.lower()
    if kind not in SUFFIXES:
        why = "a .txt file is a corpus without labels" if kind == ".txt" else f"'{kind}' is not a known kind of table"
        raise InputError(f"{path}: {why}; labelled texts come as {', '.join(SUFFIXES)}.")
    text = _decode(path, data, encoding)
    if not text.strip():
        raise InputError(f"{path}: the file is empty; it needs a text and a label in each row.")
    if kind in (".jsonl", ".ndjson"):
        records = _json_rows(path, text)
    else:
        records = _columns(path, _csv_rows(path, text) if kind == ".csv" else _tsv_rows(path, text))
    table = Table([], [], [])
    for line, content, label in records:
        if not content.strip():
            raise InputError(f"{path}, line {line}: the text is empty; fill it in or delete the row.")
        if not label.strip():
            raise InputError(f"{path}, line {line}: the label is missing; fill it in or delete the row.")
        table.lines.append(line)
        table.texts.append(content)
        table.labels.append(label.strip())
    if not table.lines:
        raise InputError(f"{path}: the file has a header but no rows.")
    return table


def read_pairs(path: Path, encoding: str = "utf-8") -> list[tuple[str, str]]:
    """Reads ``source TAB target``, a pair a line, or objects with the keys ``source`` and ``target``.

    Args:
        path: a ``.tsv`` file, which needs no header, though a first line ``source TAB target`` is taken for one; or a
            ``.jsonl`` file.
        encoding: of the file; a byte order mark is tolerated.

    Returns:
        Sources and targets, white space at their ends and runs of it taken away.

    Raises:
        InputError: the file cannot be read or a line of it is malformed.
    """
    with opening(path):
        data = path.read_bytes()
    kind = path.suffix.lower()
    if kind not in (".tsv", ".jsonl", ".ndjson"):
        raise InputError(
            f"{path}: sentence pairs come as .tsv, with source, tab and target in a line, or as .jsonl; name such a "
            "file."
        )
    text = _decode(path, data, encoding)
    if not text.strip():
        raise InputError(f"{path}: the file is empty; it needs a source and a target in each line.")
    pairs = []
    for line, *sides in _tsv_pairs(path, text) if kind == ".tsv" else _json_pairs(path, text):
        source, target = (" ".join(side.split()) for side in sides)
        if not source or not target:
            side = "target" if source else "source"
            raise InputError(f"{path}, line {line}: the {side} is empty; fill it in or delete the line.")
        pairs.append((source, target))
    if not pairs:
        raise InputError(f"{path}: the file has a header but no pairs.")
    return pairs


def _tsv_pairs(path: Path, text: str) -> Iterator[tuple[int, str, str]]:
    for line, content in enumerate(text.split("\n"), 1):
        fields = [_unquote(field) for field in content.split("\t")]
        if line == 1 and [field.strip().casefold() for field in fields] == ["source", "target"]:
            continue
        if not content.strip():
            raise InputError(f"{path}, line {line}: the line is empty; delete it.")
        if len(fields) != 2:
            hint = "`cut -f1,2` keeps the first two columns" if len(fields) > 2 else "write source, tab, target"
            raise InputError(f"{path}, line {line}: the line has {len(fields)} field(s) instead of two; {hint}.")
        yield line, *fields


def _json_pairs(path: Path, text: str) -> Iterator[tuple[int, str, str]]:
    for line, *sides in _json_objects(path, text, ("source", "target")):
        for key, side in zip(("source", "target"), sides, strict=True):
            _check_string(path, line, key, side)
        yield line, *sides


@contextmanager
def opening(path: Path) -> Iterator[None]:
    """Turns what the system says about a file that cannot be read into an InputError."""
    try:
        yield
    except FileNotFoundError as error:
        raise InputError(f"{path}: there is no such file.") from error
    except IsADirectoryError as error:
        raise InputError(f"{path}: this is a folder; name the file in it.") from error
    except OSError as error:
        raise InputError(f"{path}: the file cannot be read ({error.strerror}).") from error


def other_encoding(path: Path, encoding: str) -> str:
    """What the encoding of a file may be that is not ``encoding``."""
    with path.open("rb") as file:
        if file.read(2) in (b"\xff\xfe", b"\xfe\xff"):
            return "utf-16"
    return "utf-8" if encoding == "gb18030" else "gb18030"


def _decode(path: Path, data: bytes, encoding: str) -> str:
    try:
        text = data.decode(encoding)
    except LookupError as error:
        raise InputError(f"there is no encoding called '{encoding}'; try utf-8, gb18030 or utf-16.") from error
    except UnicodeError as error:
        offset = getattr(error, "start", 0)
        raise InputError(
            f"{path}, line {data.count(bytes([10]), 0, offset) + 1}: byte {offset} of the file is not {encoding}; "
            f"say which encoding it is, for instance --encoding {other_encoding(path, encoding)}."
        ) from error
    text = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    return text.rstrip("\n")


def _csv_rows(path: Path, text: str) -> Iterator[tuple[int, list[str]]]:
    csv.field_size_limit(2**31 - 1)  # a long article is no mistake
    reader = csv.reader(_physical_lines(text), strict=True)
    line = 1
    while True:
        try:
            fields = next(reader, None)
        except csv.Error as error:
            raise InputError(
                f"{path}, line {_open_quote_line(text, line)}: a quoted field opens here and is not properly closed; "
                "close it, and double each quotation mark within it."
            ) from error
        if fields is None:
            return
        yield line, fields
        line = reader.line_num + 1


def _physical_lines(text: str) -> Iterator[str]:
    return (line + "\n" for line in text.split("\n"))  # a StringIO would take four bytes a character


def _open_quote_line(text: str, line: int) -> int:
    """The line of the first field that is not whole, in a CSV that is sound up to ``line``."""
    position = 0
    for _ in range(line - 1):
        position = text.index("\n", position) + 1
    while field := _FIELD.match(text, position):
        position = field.end()
    return text.count("\n", 0, position) + 1


def _tsv_rows(path: Path, text: str) -> Iterator[tuple[int, list[str]]]:
    rows = [line.split("\t") for line in text.split("\n")]
    if any(len(fields) != len(rows[0]) for fields in rows):
        quoted = _quoted_tsv_rows(text)
        if quoted is not None:
            return iter(quoted)
    return ((line, [_unquote(field) for field in fields]) for line, fields in enumerate(rows, 1))


def _quoted_tsv_rows(text: str) -> list[tuple[int, list[str]]] | None:
    """The rows under CSV's quoting, or None when they do not come out even."""
    csv.field_size_limit(2**31 - 1)
    reader = csv.reader(_physical_lines(text), delimiter="\t", strict=True)
    rows, line = [], 1
    try:
        for fields in reader:
            rows.append((line, fields))
            line = reader.line_num + 1
    except csv.Error:
        return None
    return rows if all(len(fields) == len(rows[0][1]) for _, fields in rows) else None


def _unquote(field: str) -> str:
    if len(field) < 2 or field[0] != '"' or field[-1] != '"':
        return field
    inner = field[1:-1]
    return field if '"' in inner.replace('""', "") else inner.replace('""', '"')


def _columns(path: Path, rows: Iterator[tuple[int, list[str]]]) -> Iterator[tuple[int, str, str]]:
    _, header = next(rows)
    names = [name.strip().casefold() for name in header]
    if any(names.count(name) != 1 for name in ("text", "label")):
        raise InputError(
            f"{path}, line 1: the header must name one column 'text' and one column 'label', found "
            f"{', '.join(repr(name) for name in header)}; add that line, or rename the columns in it."
        )
    text, label = names.index("text"), names.index("label")
    for line, fields in rows:
        if not fields or fields == [""]:
            raise InputError(f"{path}, line {line}: the line is empty; delete it.")
        if len(fields) != len(header):
            raise InputError(
                f"{path}, line {line}: the row has {len(fields)} field(s), the header has {len(header)}; "
                "put double quotes around a text that holds the separator."
            )
        yield line, fields[text], fields[label]


def _json_rows(path: Path, text: str) -> Iterator[tuple[int, str, str]]:
    for line, content, label in _json_objects(path, text, ("text", "label")):
        _check_string(path, line, "text", content)
        if not isinstance(label, str | int | None):
            raise InputError(
                f"{path}, line {line}: 'label' must be a word or an integer, found {json.dumps(label)[:40]}."
            )
        _check_unicode(path, line, str(label))
        yield line, content, "" if label is None else str(label)


def _json_objects(path: Path, text: str, keys: tuple[str, str]) -> Iterator[tuple[int, Any, Any]]:
    """Of each line its number and what stands under the two keys."""
    for line, source in enumerate(text.split("\n"), 1):
        if not source.strip():
            raise InputError(f"{path}, line {line}: the line is empty; delete it.")
        try:
            row = json.loads(source)
        except (ValueError, RecursionError) as error:
            raise InputError(f"{path}, line {line}: this is not valid JSON ({error}).") from error
        if not isinstance(row, dict):
            raise InputError(f'{path}, line {line}: expected an object like {{"{keys[0]}": "…", "{keys[1]}": "…"}}.')
        row = {key.strip().casefold(): value for key, value in row.items()}
        if missing := [key for key in keys if key not in row]:
            found = ", ".join(map(repr, row)) or "none"
            raise InputError(f"{path}, line {line}: the object has no key '{missing[0]}'; its keys: {found}.")
        yield line, row[keys[0]], row[keys[1]]


def _check_string(path: Path, line: int, key: str, value: object) -> None:
    if not isinstance(value, str):
        raise InputError(f"{path}, line {line}: '{key}' must be a string, found {json.dumps(value)[:40]}.")
    _check_unicode(path, line, value)


def _check_unicode(path: Path, line: int, text: str) -> None:
    if not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text):
        raise InputError(f"{path}, line {line}: a \\u escape is half of a surrogate pair; write the whole character.")
