"""The catalog: which archives, datasets and files keras_llm knows. The facts stand in ``catalog.toml``."""

import difflib
import tomllib
from dataclasses import dataclass
from functools import cache
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path

from keras_llm.errors import InputError


@dataclass(frozen=True)
class Archive:
    """A file on the Python package index.

    Attributes:
        package, version: what to ask the index for.
        kind: ``"sdist"`` or ``"wheel"``.
        sha256: hash of the archive, 64 hexadecimal digits.
        size: bytes.
        licence: of the package.
        python: a version such as ``"3.14"`` when the index offers the archive to no older Python.
    """

    package: str
    version: str
    kind: str
    sha256: str
    size: int
    licence: str
    python: str | None = None

    def __str__(self) -> str:
        return f"{self.package} {self.version}"


@dataclass(frozen=True)
class Source:
    """Members of one archive; ``inside`` names an archive within it that holds them."""

    archive: Archive
    members: tuple[str, ...]
    inside: str | None = None


@dataclass(frozen=True)
class Entry:
    """A dataset or a file of the catalog. ``task`` to ``characters`` are empty for a file that is no dataset, but for
    the ``language`` of pretrained weights.

    ``task`` is ``"classification"``, whose rows are labelled texts, ``"corpus"``, whose rows are documents,
    ``"translation"``, whose rows are pairs from ``language`` into ``target_language``, or ``"dialogue"``, whose rows
    are lists of turns.
    """

    name: str
    title: str
    licence: str
    citation: str
    sources: tuple[Source, ...]
    note: str = ""
    task: str = ""
    language: str = ""
    target_language: str = ""
    reader: str = ""
    classes: tuple[str, ...] = ()
    rows: int = 0
    characters: int = 0

    @property
    def is_dataset(self) -> bool:
        return bool(self.task)

    @property
    def is_weights(self) -> bool:
        """Whether it is a folder of pretrained weights."""
        return any(member.endswith(".safetensors") for member in self.sources[0].members)


@cache
def available() -> dict[str, Entry]:
    """All entries by name: the datasets first, then the other files.

    Example:
        >>> available()["movie_reviews"].classes
        ('negative', 'positive')
    """
    facts = tomllib.loads((_folder() / "catalog.toml").read_text(encoding="utf-8"))
    archives = {name: Archive(**row) for name, row in facts["archives"].items()}
    entries = {}
    for name, row in (facts["datasets"] | facts["files"]).items():
        sources = tuple(
            Source(archives[source["archive"]], tuple(source["members"]), source.get("inside"))
            for source in row["sources"]
        )
        classes = tuple(row.get("classes", ()))
        entries[name] = Entry(**row | {"name": name, "sources": sources, "classes": classes})
    return entries


def find(name: str, *, dataset: bool = False) -> Entry:
    """The entry called ``name``.

    Raises:
        InputError: when there is none, or when ``dataset`` is asked for and it is another file. The message gives
            the nearest name and all of them.
    """
    known = [entry.name for entry in available().values() if entry.is_dataset or not dataset]
    if name in known:
        return available()[name]
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    hint = f"did you mean '{near[0]}'? " if near else ""
    raise InputError(
        f"there is no {'dataset' if dataset else 'data'} called '{name}'; {hint}known: {', '.join(known)}."
    )


def names_of(task: str) -> list[str]:
    """The datasets of a task."""
    return [entry.name for entry in available().values() if entry.task == task]


def card(name: str) -> str:
    """The data card of an entry: Markdown, where the text is from, how it was cleaned, what is wrong with it."""
    return (_folder() / "cards" / f"{find(name).name}.md").read_text(encoding="utf-8")


def _folder() -> Traversable:
    """The folder of catalog.toml: the package keras_llm.catalog when installed, ``data/`` beside it in a checkout."""
    try:
        return resources.files("keras_llm.catalog")
    except ModuleNotFoundError:
        return Path(__file__).parents[2] / "data"
