"""What a run was asked for, and the texts that it reads: the catalog's or the user's own."""

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from keras_llm.errors import InputError

if TYPE_CHECKING:
    from keras_llm.data import ClassificationData, CorpusData, TranslationData

LARGE = 100e6  # bytes of a file that takes seconds to read


@dataclass(frozen=True)
class Options:
    """What ``keras-llm run`` was asked for."""

    preset: str = "cpu"
    data: Path | None = None
    dataset: str | None = None
    test_data: Path | None = None
    encoding: str = "utf-8"
    output: Path | None = None
    seed: int = 0
    resume: bool = False
    weights: Path | None = None
    watch: bool = False
    language: str = "en"


class Sources:
    """The part of a run that knows its texts.

    Attributes:
        chapter: the chapter's folder name.
        options: what the user asked for.
        provenance: what ``run.json`` says about each text.
    """

    chapter: str
    options: Options
    provenance: list[dict[str, Any]]

    @property
    def own_data(self) -> bool:
        """Whether the user chose the data: a file of their own, or another dataset of the catalog."""
        return self.options.data is not None or self.options.dataset is not None

    def refuse_own_data(self, why: str) -> None:
        """For a chapter that has no use for ``--data`` and ``--dataset``.

        Raises:
            InputError: when one was given.
        """
        if self.own_data or self.options.test_data is not None:
            raise InputError(
                f"{self.chapter} takes no file of yours ({why}): leave --data, --dataset and --test-data away."
            )

    def load_own_data(self, task: str = "classification") -> "ClassificationData | CorpusData | TranslationData":
        """The user's files, or the dataset that they chose; what was dropped is said.

        Args:
            task: ``"classification"`` for labelled texts, ``"corpus"`` for running text, ``"translation"`` for pairs.

        Raises:
            InputError: when they cannot be read as such, or the dataset is of another task.
        """
        from keras_llm.data import from_files, load
        from keras_llm.data.catalog import find, names_of

        if name := self.options.dataset:
            if find(name, dataset=True).task != task:
                raise InputError(f"{name} is no dataset for {task}: choose one of {', '.join(names_of(task))}.")
            return load(name)

        with suppress(OSError):  # from_files says it better
            if (size := self.options.data.stat().st_size) > LARGE:
                print(f"Reading {self.options.data}, {size / 1e9:.1f} GB: about {size / 3e7:.0f} s")
        data = from_files(self.options.data, self.options.test_data, task=task, encoding=self.options.encoding)
        for warning in data.provenance.get("warnings", ()):
            print(f"Note: {warning}")
        return data

    def use_data(self, dataset: "ClassificationData | CorpusData | TranslationData", rows_at_least: int = 0) -> None:
        """Note in ``run.json`` where the texts come from.

        Raises:
            InputError: when there are fewer training texts or pairs than ``rows_at_least``, one batch.
        """
        if rows_at_least and len(dataset.train) < rows_at_least:
            raise InputError(
                f"{dataset.name} leaves {len(dataset.train)} texts for training, fewer than one batch of "
                f"{rows_at_least}: bring more rows."
            )
        self.provenance.append(dataset.provenance)

    def can_fetch(self, name: str) -> bool:
        """Whether a file of the catalog is here or can be had. With the user's own data, a run goes on without it.

        Raises:
            InputError: when it cannot be had, and the run is not about the user's own data.
        """
        from keras_llm.data import available
        from keras_llm.data.cache import fetch_with_source

        try:
            archive = fetch_with_source(name)[1].archive
        except InputError as error:
            if not self.own_data:
                raise
            print(f"Note: going on without {name}: {error}")
            return False
        entry = available()[name]
        self.provenance.append(
            {
                "file": name,
                "archive": archive.package,
                "version": archive.version,
                "sha256": archive.sha256,
                "licence": entry.licence,
                "citation": entry.citation,
            }
        )
        return True

    def pretrained_folder(self, name: str) -> Path:
        """The folder of pretrained weights: the catalog's, or the one that ``--weights`` names.

        Raises:
            InputError: when the catalog's cannot be had.
        """
        if self.options.weights is not None:
            return self.options.weights
        from keras_llm.data import fetch_file

        self.can_fetch(name)
        return fetch_file(name).parent

    def use_font_for(self, texts) -> None:
        """Make figures able to show these texts: Chinese takes an installed font, or else the catalog's."""
        from keras_llm.data import fetch_file
        from keras_llm.plots import chinese_font, register_font

        if all(ord(character) < 0x2E80 for each in texts for character in each) or chinese_font():
            return
        try:
            print(f"Chinese text in figures is set in {register_font(fetch_file('noto_sans_cjk'))}")
        except InputError as error:
            print(f"Note: figures do without Chinese text: {error}")
