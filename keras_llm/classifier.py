"""Text in, classes out: a trained model together with the tokenizer that belongs to it, as one folder on disk."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import keras
import numpy as np

from keras_llm.data import Part, bucket_batches, pad_sequences_to
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

    def rows(self, texts: Sequence[str]) -> list[list[int]]:
        """Texts as token ids, cut to T, each as long as it is: for batches of similar length."""
        return [row[: np.count_nonzero(row)].tolist() for row in self.token_ids(texts)]

    def probabilities(
        self, texts: Sequence[str], batch_size: int = 256, boundaries: Sequence[int] | None = None
    ) -> np.ndarray:
        """Probability of each class, ``(n, classes)``; one sigmoid unit becomes two columns.

        Args:
            texts: any number of them, at least one.
            batch_size: texts that are worked on at once.
            boundaries: lengths in tokens, the last of which is T: texts are scored beside others of similar length,
                op by op, which saves padding where lengths differ much. None: all have T.
        """
        if boundaries is not None:
            places = np.arange(len(texts))
            batches = bucket_batches(self.rows(texts), places, boundaries=boundaries, batch_size=batch_size)
            found = predict(self.model, batches, jit_compile=False)
            outputs = np.empty_like(found)
            outputs[np.concatenate([places.numpy() for _, places in batches])] = found
        elif len(texts) <= 32:  # a few sentences are classified before XLA would have compiled the program for them
            outputs = predict(self.model, self.token_ids(texts), batch_size=len(texts), jit_compile=False)
        else:
            outputs = predict(self.model, self.token_ids(texts), batch_size=batch_size)
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
