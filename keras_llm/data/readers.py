"""Raw rows out of the catalog's files: one reader for each way in which a dataset is laid out.

A reader of labelled texts takes the paths by file name and the classes, and gives ``(text, label)`` rows in file
order, where label is the class index, or None for a row that belongs to no class. It leaves the text as it is, but for
carriage returns. A reader of a corpus takes the paths and gives the documents; one of pairs takes the paths and the
target language, and gives ``(source, target)``, whatever stands in the files; one of dialogues gives tuples of turns.
"""

import gettext
import io
import json
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath

Row = tuple[str, int | None]
LEAST = 200  # characters of a document of a newspaper; a shorter item stays with the next one
NEUTRAL = 0.5  # a mean rating closer to 0 than this has no clear sign
RATINGS_HEADER = "id\tsentiment\ttext"  # one of the two archives has it


def ratings(paths: dict[str, Path], classes: tuple[str, ...]) -> Iterator[Row]:
    """``id TAB mean rating from -4 to 4 TAB text``; class 0 is below, class 1 above zero, near-neutral is None."""
    for line in _lines(next(iter(paths.values()))):
        if line == RATINGS_HEADER:
            continue
        _, rating, text = line.split("\t")
        yield text, None if abs(float(rating)) < NEUTRAL else int(float(rating) > 0)


def file_per_class(paths: dict[str, Path], classes: tuple[str, ...]) -> Iterator[Row]:
    """One text a line; ``neg.txt`` holds the first class, ``pos.txt`` the second."""
    for label, name in enumerate(("neg.txt", "pos.txt")):
        for line in _lines(paths[name]):
            yield line, label


def folder_per_class(paths: dict[str, Path], classes: tuple[str, ...]) -> Iterator[Row]:
    """A zip with one text a file, in folders that bear the names of the classes."""
    with zipfile.ZipFile(paths["members.zip"]) as bundle:
        for name in bundle.namelist():
            data = bundle.read(name)
            try:
                text = data.decode("utf-8")
            except UnicodeDecodeError:
                text = data.decode("cp1252")  # a pound sign in one article
            yield text, classes.index(PurePosixPath(name).parent.name)


def label_and_text(paths: dict[str, Path], classes: tuple[str, ...]) -> Iterator[Row]:
    """``class TAB text``."""
    for line in _lines(next(iter(paths.values()))):
        label, text = line.split("\t")
        yield text, classes.index(label)


def file_per_document(paths: dict[str, Path]) -> Iterator[str]:
    """A zip with one document a file."""
    with zipfile.ZipFile(paths["members.zip"]) as bundle:
        for name in bundle.namelist():
            yield bundle.read(name).decode("utf-8")


def list_of_documents(paths: dict[str, Path]) -> Iterator[str]:
    """A JSON list of strings; the lines of a document lose blank ones among them and white space at both ends."""
    for text in json.loads(next(iter(paths.values())).read_text(encoding="utf-8")):
        yield "\n".join(line.strip() for line in text.split("\n") if line.strip())


def tagged_newspaper(paths: dict[str, Path]) -> Iterator[str]:
    """``word/tag  word/tag``, one paragraph a line: the words joined, the lines gathered into articles.

    The file does not say where an article begins. A line without a mark at its end, after one that has it, is taken
    for the headline of the next article.
    """
    article: list[str] = []
    with next(iter(paths.values())).open(encoding="utf-8") as lines:
        for line in lines:
            text = "".join(token.rpartition("/")[0] for token in line.split())
            if article and not _is_closed(text) and _is_closed(article[-1]) and sum(map(len, article)) >= LEAST:
                yield "\n".join(article)
                article = []
            article.append(text)
    yield "\n".join(article)


def json_trees(paths: dict[str, Path], language: str) -> Iterator[tuple[str, str]]:
    """A zip with ``component/…/en.json`` and ``component/…/<language>.json``: texts under the same keys are a pair."""
    with zipfile.ZipFile(paths["members.zip"]) as bundle:
        names = set(bundle.namelist())
        for name in sorted(names):
            path = PurePosixPath(name)
            other = str(path.with_name(f"{JSON_NAMES.get(language, language)}.json"))
            if path.name != "en.json" or other not in names:
                continue
            targets = dict(_leaves(json.loads(bundle.read(other))))
            for key, source in _leaves(json.loads(bundle.read(name))):
                if key in targets:
                    yield source, targets[key]


JSON_NAMES = {"zh": "zh-Hans"}


def _leaves(tree: object, key: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], str]]:
    if isinstance(tree, dict):
        for name, branch in tree.items():
            yield from _leaves(branch, (*key, name))
    elif isinstance(tree, str):
        yield key, tree


def gettext_catalogs(paths: dict[str, Path], language: str) -> Iterator[tuple[str, str]]:
    """A zip with ``.mo`` files, the compiled catalogs of gettext: message and translation."""
    with zipfile.ZipFile(paths["members.zip"]) as bundle:
        for name in sorted(bundle.namelist()):
            catalog = gettext.GNUTranslations(io.BytesIO(bundle.read(name)))
            for message, translation in catalog._catalog.items():
                if isinstance(message, str) and message:  # a plural form is a pair, the empty message the header
                    yield message.rpartition("\x04")[2], translation  # what precedes it is its context


def conversations(paths: dict[str, Path]) -> Iterator[tuple[str, ...]]:
    """A zip with YAML files, each with a list ``conversations`` of lists of turns."""
    import yaml

    with zipfile.ZipFile(paths["members.zip"]) as bundle:
        for name in sorted(bundle.namelist()):
            for turns in yaml.load(bundle.read(name), yaml.BaseLoader)["conversations"]:  # texts only, no "no" = False
                yield tuple(turn for turn in turns if isinstance(turn, str))


def _is_closed(line: str) -> bool:
    return line.endswith(tuple("。！？）”：；…，、》』」"))


def _lines(path: Path) -> Iterator[str]:
    # Not str.splitlines, which also splits at characters that stand within a text.
    for line in path.read_text(encoding="utf-8").replace("\r", "").split("\n"):
        if line.strip():
            yield line


READERS: dict[str, Callable[[dict[str, Path], tuple[str, ...]], Iterator[Row]]] = {
    reader.__name__: reader for reader in (ratings, file_per_class, folder_per_class, label_and_text)
}
CORPUS_READERS: dict[str, Callable[[dict[str, Path]], Iterator[str]]] = {
    reader.__name__: reader for reader in (file_per_document, list_of_documents, tagged_newspaper)
}
DIALOGUE_READERS: dict[str, Callable[[dict[str, Path]], Iterator[tuple[str, ...]]]] = {
    reader.__name__: reader for reader in (conversations,)
}
PAIR_READERS: dict[str, Callable[[dict[str, Path], str], Iterator[tuple[str, str]]]] = {
    reader.__name__: reader for reader in (json_trees, gettext_catalogs)
}
