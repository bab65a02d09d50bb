"""Text in, classes out: a trained model together with the tokenizer that belongs to it, as one folder on disk."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import keras
import numpy as np

from keras_llm.data import Part, pad_sequences_to
from keras_llm.text import Tokenizer, clean
from keras_llm.text_model import TextModel
from keras_llm.training import predict


@dataclass
class Classifier(TextModel):
    """Everything between a sentence and its class.

    Args:
        tokenizer: text to token ids.
        sequence_length: T, the number of tokens that the model reads; longer texts lose their middle.
        classes: names of the classes, in the order of the model's outputs.
        model: ``(batch, T)`` token ids to probabilities ``(batch, 1)`` or ``(batch, classes)``; None until there is
            one.
    """

    kind: ClassVar[str] = "classifier"
    tokenizer: Tokenizer
    sequence_length: int
    classes: tuple[str, ...]
    model: keras.Model | None = None

    def token_ids(self, texts: Sequence[str]) -> np.ndarray:
        """Texts as token ids ``(n, T)``, int32, padded at the end with 0."""
        return pad_sequences_to(self.sequences(texts), self.sequence_length, keep="both")

    def sequences(self, texts: Sequence[str]) -> list[list[int]]:
        """Texts as token ids, each as long as it is."""
        return [self.tokenizer.framed(ids) for ids in self.tokenizer.encode_all([clean(text) for text in texts])]

    def arrays(self, part: Part) -> tuple[np.ndarray, np.ndarray]:
        """A part of a dataset as ``(token_ids (n, T), labels (n,))``."""
        return self.token_ids(part.texts), part.labels

    def probabilities(self, texts: Sequence[str], batch_size: int = 256) -> np.ndarray:
        """Probability of each class, ``(n, classes)``; one sigmoid unit becomes two columns."""
        # A few sentences are classified before XLA would have compiled the program for them.
        few = len(texts) <= 32
        compiled = {"batch_size": len(texts), "jit_compile": False} if few else {"batch_size": batch_size}
        outputs = predict(self.model, self.token_ids(texts), **compiled)
        return np.concatenate([1 - outputs, outputs], axis=1) if outputs.shape[1] == 1 else outputs

    def about(self) -> dict[str, Any]:
        return {"sequence_length": self.sequence_length, "classes": list(self.classes)}

    @classmethod
    def from_about(cls, about: dict[str, Any], tokenizer: Tokenizer) -> "Classifier":
        return cls(tokenizer, int(about["sequence_length"]), tuple(map(str, about["classes"])))

    def fits(self) -> bool:
        for layer in self.model.layers:
            if isinstance(layer, keras.layers.Embedding) and layer.input_dim != self.tokenizer.vocabulary_size:
                return False
        encoder = getattr(self.model, "encoder", None)  # of a SequenceClassifier
        if encoder is not None and encoder.config["vocabulary_size"] != self.tokenizer.vocabulary_size:
            return False
        outputs = self.model.compute_output_spec(keras.KerasTensor((None, self.sequence_length), "int32"))
        return outputs.shape[-1] == (1 if len(self.classes) == 2 else len(self.classes))
