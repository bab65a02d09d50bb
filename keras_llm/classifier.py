"""Text in, classes out: a trained model together with the tokenizer that belongs to it, as one folder on disk."""

import json
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np

from keras_llm.data import Part, pad_sequences_to
from keras_llm.errors import InputError
from keras_llm.outputs import write_text
from keras_llm.text import Tokenizer, clean, load_tokenizer
from keras_llm.training import predict


@dataclass
class Classifier:
    """Everything between a sentence and its class.

    Args:
        tokenizer: text to token ids.
        sequence_length: T, the number of tokens that the model reads; longer texts lose their middle.
        classes: names of the classes, in the order of the model's outputs.
        model: ``(batch, T)`` token ids to probabilities ``(batch, 1)`` or ``(batch, classes)``; None until there is
            one.
    """

    tokenizer: Tokenizer
    sequence_length: int
    classes: tuple[str, ...]
    model: keras.Model | None = None

    def token_ids(self, texts: Sequence[str]) -> np.ndarray:
        """Texts as token ids ``(n, T)``, int32, padded at the end with 0."""
        ids = self.tokenizer.encode_all([clean(text) for text in texts])
        return pad_sequences_to(ids, self.sequence_length, keep="both")

    def arrays(self, part: Part) -> tuple[np.ndarray, np.ndarray]:
        """A part of a dataset as ``(token_ids (n, T), labels (n,))``."""
        return self.token_ids(part.texts), part.labels

    def probabilities(self, texts: Sequence[str], batch_size: int = 256) -> np.ndarray:
        """Probability of each class, ``(n, classes)``; one sigmoid unit becomes two columns."""
        # A few sentences are classified before XLA would have compiled the program for them.
        few = len(texts) <= 32
        outputs = predict(
            self.model, self.token_ids(texts), batch_size=len(texts) if few else batch_size, jit_compile=not few
        )
        return np.concatenate([1 - outputs, outputs], axis=1) if outputs.shape[1] == 1 else outputs

    def save(self, folder: Path, interrupted: bool = False) -> None:
        """Write ``model.keras``, ``tokenizer.json`` and ``classifier.json`` into ``folder``.

        Args:
            folder: it exists.
            interrupted: the training was stopped, so that a later model may take this one's place.
        """
        # classifier.json goes first and comes back last: whoever finds it finds files that belong together.
        (folder / "classifier.json").unlink(missing_ok=True)
        self.tokenizer.save(folder / "tokenizer.json")
        partial = folder / "partial.model.keras"
        try:
            self.model.save(partial)
            partial.replace(folder / "model.keras")
        finally:
            partial.unlink(missing_ok=True)
        about = {
            "sequence_length": self.sequence_length,
            "classes": list(self.classes),
            "tokenizer": self.tokenizer.fingerprint,
            "interrupted": interrupted,
        }
        write_text(folder / "classifier.json", json.dumps(about, ensure_ascii=False, indent=2))

    @classmethod
    def load(cls, folder: Path) -> "Classifier":
        """Read what :meth:`save` wrote.

        Raises:
            InputError: when the folder holds no classifier, or a file of it is missing, damaged, of another run, or
                (a Lambda layer) would run code of its own.
        """
        folder = Path(folder)
        if not folder.is_dir():
            raise InputError(f"There is no folder {folder}: give the output folder of a finished run.")
        about_path = folder / "classifier.json"
        for path in (about_path, folder / "tokenizer.json", folder / "model.keras"):
            if not path.is_file():
                raise InputError(f"{folder} holds no {path.name}: give the output folder of a run that was finished.")
        try:
            about = json.loads(about_path.read_text(encoding="utf-8"))
            length, classes = int(about["sequence_length"]), tuple(map(str, about["classes"]))
        except (ValueError, KeyError, TypeError) as error:
            raise InputError(f"{about_path} is damaged ({error}): run the chapter again.") from error
        tokenizer = load_tokenizer(folder / "tokenizer.json")
        if tokenizer.fingerprint != about.get("tokenizer"):
            raise InputError(f"{folder / 'tokenizer.json'} is not the tokenizer that {folder / 'model.keras'} learned.")
        model = load_model(folder / "model.keras")
        if not _fits(model, tokenizer.vocabulary_size, length, len(classes)):
            raise InputError(
                f"{folder / 'model.keras'} is of another run than the files beside it: run the chapter again."
            )
        return cls(tokenizer, length, classes, model)


def load_model(path: Path) -> keras.Model:
    """A saved Keras model, or one sentence on why it cannot be loaded.

    Raises:
        InputError: when the file is missing, truncated, holds a Lambda layer, or a class that is not registered.
    """
    # The classes of the course register themselves with Keras when they are imported.
    import keras_llm.models  # noqa: F401

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


def is_finished(folder: Path) -> bool:
    """Whether ``folder`` holds a classifier whose training was not interrupted."""
    try:
        about = json.loads((folder / "classifier.json").read_text(encoding="utf-8"))
        return (folder / "model.keras").exists() and not about["interrupted"]
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _fits(model: keras.Model, vocabulary_size: int, sequence_length: int, num_classes: int) -> bool:
    """Whether the model takes these token ids and gives these classes."""
    for layer in model.layers:
        if isinstance(layer, keras.layers.Embedding) and layer.input_dim != vocabulary_size:
            return False
    outputs = model.compute_output_spec(keras.KerasTensor((None, sequence_length), "int32"))
    return outputs.shape[-1] == (1 if num_classes == 2 else num_classes)


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0][:200] if str(error).strip() else type(error).__name__
