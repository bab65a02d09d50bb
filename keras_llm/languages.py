"""A run in Chinese (``keras-llm run … --language zh``): what it prints and what its figures say, translated as shown.

A lesson stays as it is, and so do its results and file names: a catalog has each sentence with places for what is put
in, ``"{name}: about {seconds} s"``, and a line that fits is shown in Chinese. Two catalogs a chapter, in
``chapters/locale/zh_CN/run/``: its own, and ``library``. After a change of their texts,

    python -m keras_llm.languages

brings the catalogs up to date; a translator fills in what is new, with any editor for gettext's ``.po`` files.
"""

import ast
import builtins
import re
import unicodedata
from collections.abc import Callable, Iterator
from functools import cached_property, partial
from pathlib import Path

from keras_llm import book

LANGUAGES = ("en", "zh")
LIBRARY = (
    "runs",
    "recorder",
    "sources",
    "estimate",
    "plots",
    "evaluation",
    "data/datasets",
    "data/pairs",
    "data/corpus",
    "data/dialogues",
)
SILENT = ("__init__.py", "fonts.py", "style.py")  # of these folders: nothing in them is shown
NAME = re.compile(
    r"\S*[_/\\#*|]\S*|-\S+|\S*\.[a-z]+|[A-Z][a-z]+[A-Z]\w*|[a-z]{1,3}\d*|u?int\d+|float\d+"
)  # no word of a text
PLACE = re.compile(r"\{\w*\}")
NUMBER = re.compile(r":? [^\s\d]?[\d.,]*\d%?$")
WORD = re.compile(r"[^\W\d_]{2}")
LONG_WORD = re.compile(r"[^\W\d_]{4}")
_print = builtins.print


class Translation:
    """Texts in another language, from messages with places such as ``{name}``.

    Args:
        messages: each message with its translation; both have the same places.

    Example:
        >>> Translation({"{name} of {n} texts": "{n} 个文本的{name}", "mean": "平均值"}).text("mean of 3 texts")
        '3 个文本的平均值'
    """

    def __init__(self, messages: dict[str, str]) -> None:
        self.messages = messages

    @cached_property
    def patterns(self) -> list[tuple[list[str], list[str], str]]:
        """The messages with places, those with the most text of their own first: that text in pieces, the places, and
        the translation."""
        found = [(re.split(r"(\{\w*\})", message), shown) for message, shown in self.messages.items()]
        found = [(parts[::2], parts[1::2], shown) for parts, shown in found if len(parts) > 1]
        return sorted(found, key=lambda each: -sum(map(len, each[0])))

    def text(self, text: str) -> str:
        """The text, line by line in the other language where its messages are known."""
        return "\n".join(map(self.line, text.split("\n")))

    def line(self, line: str) -> str:
        whole = line.strip()
        if not WORD.search(whole):
            return line
        cells = re.split(r"\s{2,}", whole)
        shown = self.message(whole)
        if len(cells) > 1 and (shown is None or all(self.message(cell) for cell in cells if WORD.search(cell))):
            return self.cells(line)
        before, after = line[: line.index(whole)], line[line.index(whole) + len(whole) :]
        return f"{before}{self.sentence(whole) if shown is None else shown}{after}"

    def message(self, text: str) -> str | None:
        """A message without the space around it, what stands in its places translated too; None when it is none."""
        if (shown := self.named(text)) is not None:
            return shown
        for own, names, shown in self.patterns if WORD.search(text) else ():
            if (values := _put_there(own, text)) is not None:
                values = [self.line(value.strip()) for value in values]
                return PLACE.sub(partial(_put_in, dict(zip(names, values, strict=True))), shown)
        return None

    def named(self, text: str) -> str | None:
        """A message without places, alone or with a number: "LSTM, cleaned: 2.1" is no "LSTM, {name}". What a model
        wrote stands behind its setting, "[greedy] the United States"."""
        if text in self.messages:
            return self.messages[text]
        if (of := re.match(r"\[(.+?)\]", text)) and (setting := self.named(of[1])):
            return f"[{setting}]{text[of.end() :]}"
        number = NUMBER.search(text)
        shown = self.messages.get(text[: number.start()]) if number else None
        return None if shown is None else shown + number[0]

    def sentence(self, text: str) -> str:
        """A message, or a list of them: ``text of its own, another one 0.5: 12``."""
        before = ""
        while (shown := self.message(text)) is None:
            pieces = re.split(r"(: |, |; | (?=\())", text, maxsplit=4)
            if len(pieces) == 1:
                return before + text
            # The longest beginning that is known: a message may have commas, and one may end in a comma, when two were
            # printed in one line.
            for end in range(len(pieces) - 2, 0, -2):
                part, sign = "".join(pieces[:end]), pieces[end]
                if (shown := self.named(part) if end > 1 else self.message(part)) is not None:
                    break
                if sign.strip() and (shown := self.message(part + sign.strip())) is not None:
                    sign = " "
                    break
            before += (part if shown is None else shown) + sign
            text = "".join(pieces[end + 1 :])
        return before + shown

    def cells(self, line: str) -> str:
        """A table's line. Cells stand two spaces apart and keep their end; the first, where nothing stands before it,
        and sentences keep their beginning."""
        parts = re.split(r"(^\s+|\s{2,})", line)
        for index in range(0, len(parts), 2):
            shown = self.sentence(parts[index])
            begins = index == 0 or parts[index] not in self.messages
            wider, gap = width(shown) - width(parts[index]), index + 1 if begins else index - 1
            if shown != parts[index] and 0 <= gap < len(parts):
                parts[gap] = " " * max(1, len(parts[gap]) - wider)
            parts[index] = shown
        return "".join(parts)


def _put_there(own: list[str], text: str) -> list[str] | None:
    """What stands in a message's places, one fewer than the pieces of its own text; None when it is not this message.

    Each place ends where the next piece is met first, so that a long text takes no longer than it is long. No value
    has a longer piece in it, or is a list: that would be another message.
    """
    first, *between, last = own
    begin, end = len(first), len(text) - len(last)
    if begin > end or not text.startswith(first) or not text.endswith(last):
        return None
    values = []
    for piece in between:
        place = met = text.find(piece, begin, end)
        while place >= 0 and text.count("(", begin, place) != text.count(")", begin, place):  # within a shape
            place = text.find(piece, place + 1, end)
        place = max(place, met)
        if place < 0:
            return None
        values.append(text[begin:place])
        begin = place + len(piece)
    values.append(text[begin:end])
    strange = [piece for piece in own if len(piece) > 2]
    if not any(sign in piece for piece in own for sign in ",;:"):  # a message that is no list does not fit one
        strange += [", ", "; "]
    return None if any(piece in value for piece in strange for value in values) else values


def _put_in(values: dict[str, str], place: re.Match) -> str:
    return values[place[0]]


def width(text: str) -> int:
    """Columns of a terminal that a text takes: two for a Chinese character."""
    return sum(2 if unicodedata.east_asian_width(character) in "WF" else 1 for character in text)


def catalogs(chapter: str) -> list[Path]:
    """The catalogs of a chapter's run."""
    folder = book.chapters()[chapter].parent / "locale" / "zh_CN" / "run"
    return [folder / f"{name}.po" for name in (chapter, "library")]


def translation(language: str, chapter: str) -> Translation | None:
    """What a run in this language says; None for English, in which the lessons are written."""
    if language == "en":
        return None
    from babel.messages.pofile import read_po

    messages = {}
    for path in reversed(catalogs(chapter)):
        with path.open("rb") as file:
            messages |= {each.id: each.string for each in read_po(file) if each.id and each.string}
    return Translation(messages)


def speak(translation: Translation | None) -> None:
    """From now on ``print`` shows what it is given in this language; None is English again.

    Lessons, runs and the training loop all print with ``print``, in a script as in a notebook: one place for all.
    """
    builtins.print = partial(_print_in, translation.text) if translation else _print


def _print_in(translate: Callable[[str], str], *values: object, **options) -> None:
    _print(*(translate(str(value)) if not isinstance(value, int | float) else value for value in values), **options)


def translate_figure(figure, translation: Translation) -> None:
    """Titles, axes, legends and ticks of a matplotlib figure, in another language."""
    from matplotlib.text import Text

    for axes in figure.axes:
        limits = axes.axis()
        for axis in (axes.xaxis, axes.yaxis):
            labels = [label.get_text() for label in axis.get_ticklabels()]
            shown = [translation.text(label) for label in labels]
            if shown != labels:
                axis.set_ticks(axis.get_majorticklocs(), shown)
        axes.axis(limits)
    for text in figure.findobj(Text):
        text.set_text(translation.text(text.get_text()))


# --- the messages of a source ---------------------------------------------------------------------------------------


def messages_of(source: str) -> list[str]:
    """What a source may show, each message once, in its order.

    Those are all strings with words that are no docstring, no message of an error, no name of a metric or file.
    """
    tree, found = ast.parse(source), {}
    done = {id(each) for node in ast.walk(tree) if _is_silent(node) for each in ast.walk(node)}
    for node in ast.walk(tree):  # what is made of several strings comes before them
        if id(node) in done:
            continue
        text = _message(node, strings := [])
        done |= {id(each) for each in strings}
        for line in (text or "").split("\n"):
            found |= dict.fromkeys(cell for cell in re.split(r"\s{2,}", line.strip()) if _has_words(cell))
    return list(found)


def _message(node: ast.AST, strings: list[ast.AST]) -> str | None:
    """The text of a string, an f-string, a format or a sum of those, with places for all else; None for other nodes.

    Args:
        strings: gets the nodes that the text is made of, which are no messages of their own.
    """
    parts = _pieces(node, strings)
    if parts is None or not any(isinstance(part, str) for part in parts):
        return None
    names: list[str] = []
    for part in parts:
        if not isinstance(part, str):
            name = ast.unparse(part).split(".")[-1]
            names.append(name if name.isidentifier() and name not in names else str(len(names) + 1))
    left = iter(names)
    return "".join(part if isinstance(part, str) else f"{{{next(left)}}}" for part in parts)


def _pieces(node: ast.AST, strings: list[ast.AST]) -> list[str | ast.AST] | None:
    """The strings of a node and the expressions between them."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str) and "{" not in node.value:
        strings.append(node)
        return [node.value]
    if isinstance(node, ast.JoinedStr):
        strings += [node, *node.values]
        return [each.value for each in node.values]  # text, or the expression of a place
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        both = [_pieces(side, strings) for side in (node.left, node.right)]
        if any(both):
            strings.append(node)
            return [part for side, found in zip((node.left, node.right), both, strict=True) for part in found or [side]]
    called = node.func if isinstance(node, ast.Call) else None
    if isinstance(called, ast.Attribute) and called.attr == "format" and isinstance(called.value, ast.Constant):
        strings.append(called.value)
        parts = re.split(r"\{(\w*)[^}]*\}", called.value.value)
        return [ast.Name(part) if index % 2 else part for index, part in enumerate(parts)]
    return None


def _is_silent(node: ast.AST) -> bool:
    if isinstance(node, ast.Expr):
        return isinstance(node.value, ast.Constant)  # a docstring
    if isinstance(node, ast.Raise):
        return True
    called = node.func.attr if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) else ""
    return called in ("record", "replace", "startswith", "endswith", "removeprefix")


def _has_words(text: str) -> bool:
    if NAME.fullmatch(PLACE.sub("0", text)):
        return False
    # "{1} of {2}" would fit half of all sentences.
    return bool(LONG_WORD.search(PLACE.sub(" ", text)) if PLACE.search(text) else WORD.search(text))


def sources(name: str) -> Iterator[Path]:
    """The Python files whose texts a catalog has."""
    if name != "library":
        yield book.chapters()[name] / "lesson.py"
        return
    for each in LIBRARY:
        path = Path(__file__).parent / each
        files = sorted(path.glob("*.py")) if path.is_dir() else [path.with_suffix(".py")]
        yield from (file for file in files if file.name not in SILENT)


def update() -> None:
    """Bring the catalogs up to date with the sources: what is new is empty, what is gone is dropped."""
    from babel.messages import Catalog
    from babel.messages.pofile import read_po, write_po

    for name in [*book.chapters(), "library"]:
        path = catalogs(next(iter(book.chapters())))[0].with_name(f"{name}.po")
        known = {each.id: each.string for each in read_po(path.open("rb"))} if path.exists() else {}
        catalog = Catalog("zh_CN", header_comment=f"# What a run shows of {name}, in Chinese.", fuzzy=False)
        for source in sources(name):
            for message in messages_of(source.read_text(encoding="utf-8")):
                catalog.add(message, known.get(message) or "")
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as file:
            write_po(file, catalog, width=0, omit_header=False)
        empty = sum(not each.string for each in catalog if each.id)
        print(f"{name}: {len(catalog)} messages, {empty} without a translation")


if __name__ == "__main__":
    update()
