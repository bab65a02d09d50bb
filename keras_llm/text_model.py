"""A trained Keras model together with the tokenizer that belongs to it: one folder on disk."""

import json
import zipfile
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, ClassVar, Self

import keras

from keras_llm.errors import InputError
from keras_llm.outputs import write_text
from keras_llm.text import Tokenizer, load_tokenizer


class TextModel(ABC):
    """What a classifier and a translator have in common: a model, its tokenizer, and how they are kept.

    Attributes:
        kind: names the file that describes it: ``classifier`` is told by ``classifier.json``.
        tokenizer: text to token ids.
        model: None until there is one.
    """

    kind: ClassVar[str]
    tokenizer: Tokenizer
    model: keras.Model | None

    @abstractmethod
    def about(self) -> dict[str, Any]:
        """What is to be known beside model and tokenizer, as JSON can hold it."""

    @classmethod
    @abstractmethod
    def from_about(cls, about: dict[str, Any], tokenizer: Tokenizer) -> Self:
        """The object that ``about`` describes, without its model.

        Raises:
            KeyError, TypeError, ValueError: when something is missing or of the wrong kind.
        """

    @abstractmethod
    def fits(self) -> bool:
        """Whether the model takes the tokenizer's ids and gives what ``about`` says."""

    def save(self, folder: Path, interrupted: bool = False) -> None:
        """Write ``model.keras``, ``tokenizer.json`` and the file of the kind into ``folder``.

        Args:
            folder: it exists.
            interrupted: the training was stopped, so that a later model may take this one's place.
        """
        # The description goes first and comes back last: whoever finds it finds files that belong together.
        about_path = folder / f"{self.kind}.json"
        about_path.unlink(missing_ok=True)
        self.tokenizer.save(folder / "tokenizer.json")
        partial = folder / "partial.model.keras"
        try:
            self.model.save(partial)
            partial.replace(folder / "model.keras")
        finally:
            partial.unlink(missing_ok=True)
        about = {**self.about(), "tokenizer": self.tokenizer.fingerprint, "interrupted": interrupted}
        write_text(about_path, json.dumps(about, ensure_ascii=False, indent=2))

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what :meth:`save` wrote.

        Raises:
            InputError: when the folder holds none of this kind, or a file of it is missing, damaged, of another run,
                or (a Lambda layer) would run code of its own.
        """
        folder = Path(folder)
        if not folder.is_dir():
            raise InputError(f"There is no folder {folder}: give the output folder of a finished run.")
        about_path = folder / f"{cls.kind}.json"
        for path in (about_path, folder / "tokenizer.json", folder / "model.keras"):
            if not path.is_file():
                raise InputError(
                    f"{folder} holds no {path.name}: give the folder of a finished run that trained a {cls.kind}."
                )
        tokenizer = load_tokenizer(folder / "tokenizer.json")
        try:
            about = json.loads(about_path.read_text(encoding="utf-8"))
            loaded, fingerprint = cls.from_about(about, tokenizer), about["tokenizer"]
        except (ValueError, KeyError, TypeError) as error:
            reason = f"it lacks {error}" if isinstance(error, KeyError) else error
            raise InputError(f"{about_path} is damaged ({reason}): run the chapter again.") from error
        if tokenizer.fingerprint != fingerprint:
            raise InputError(f"{folder / 'tokenizer.json'} is not the tokenizer that {folder / 'model.keras'} learned.")
        loaded.model = load_model(folder / "model.keras")
        if not loaded.fits():
            raise InputError(
                f"{folder / 'model.keras'} is of another run than the files beside it: run the chapter again."
            )
        return loaded

    @classmethod
    def is_finished(cls, folder: Path) -> bool:
        """Whether ``folder`` holds one whose training was not interrupted."""
        try:
            about = json.loads((folder / f"{cls.kind}.json").read_text(encoding="utf-8"))
            return (folder / "model.keras").exists() and not about["interrupted"]
        except (OSError, ValueError, KeyError, TypeError):
            return False


def load_model(path: Path) -> keras.Model:
    """A saved Keras model, or one sentence on why it cannot be loaded.

    Raises:
        InputError: when the file is missing, truncated, holds a Lambda layer, or a class that is not registered.
    """
    # The classes of the course, a model's layers and its loss, register themselves with Keras when they are imported.
    import keras_llm.models
    import keras_llm.training  # noqa: F401

    path = Path(path)
    if not path.is_file():
        raise InputError(f"There is no model file {path}.")
    if not zipfile.is_zipfile(path):
        raise InputError(f"{path} is damaged (it is no whole .keras file): run the chapter again.")
    try:
        return keras.models.load_model(path, safe_mode=True)
    except (zipfile.BadZipFile, OSError, EOFError, KeyError) as error:
        raise InputError(f"{path} is damaged ({_first_line(error)}): run the chapter again.") from error
    except (ValueError, TypeError) as error:
        if "lambda" in str(error).lower():
            raise InputError(
                f"{path} holds a Lambda layer, which would run code from the file: it is not loaded; build the model "
                "from registered layers and save it again."
            ) from error
        raise InputError(f"{path} cannot be loaded ({_first_line(error)}): is it a model of this course?") from error


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0][:200] if str(error).strip() else type(error).__name__
