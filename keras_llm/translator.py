"""Text in, text of another language out: a trained encoder-decoder with its tokenizer, as one folder on disk."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import keras
import numpy as np

from keras_llm.data import pad_sequences_to
from keras_llm.generation import generate
from keras_llm.text import SubwordTokenizer, Tokenizer
from keras_llm.text_model import TextModel

# Sources of up to so many tokens are translated together, filled up to that length: few shapes to compile for.
LENGTHS = (16, 32, 64, 128, 256, 512)


@dataclass
class Translator(TextModel):
    """Everything between a sentence and its translation.

    Args:
        tokenizer: subwords of both languages.
        longest: tokens of a source that the model reads at most, the end token among them; longer ones lose their end.
        languages: codes of the source's and the target's language.
        model: a :class:`keras_llm.models.Transformer`; None until there is one.
        length_penalty: of its beam search, see :func:`keras_llm.generation.beam_search`; best chosen on a validation
            part, when there is a model.
    """

    kind: ClassVar[str] = "translator"
    tokenizer: SubwordTokenizer
    longest: int
    languages: tuple[str, str]
    model: keras.Model | None = None
    length_penalty: float = 1.0

    def source_ids(self, sources: Sequence[str]) -> list[list[int]]:
        """Token ids of each source, cut to ``longest``, with the end token."""
        end = self.tokenizer.end_id
        return [[*ids[: self.longest - 1], end] for ids in self.tokenizer.encode_all(sources)]

    def target_ids(self, targets: Sequence[str]) -> list[list[int]]:
        """Token ids of each target between the start and the end token; cut so that a label is left for each input."""
        start, end = self.tokenizer.start_id, self.tokenizer.end_id
        return [[start, *ids[: self.longest - 1], end] for ids in self.tokenizer.encode_all(targets)]

    def translate(
        self, sources: Sequence[str], num_beams: int = 4, length_penalty: float | None = None, batch_size: int = 64
    ) -> list[str]:
        """Translations of many sentences.

        Args:
            sources: sentences of the source language.
            num_beams: 1 is greedy search; see :func:`keras_llm.generation.beam_search`.
            length_penalty: see there; None: the translator's own.
            batch_size: sentences at once; fewer when there are fewer.

        Returns:
            One translation a source, in their order; an empty source has an empty one.
        """
        sources = list(sources)
        ids, translations = self.source_ids(sources), [""] * len(sources)
        edges = [length for length in LENGTHS if length < self.longest] + [self.longest]
        bucket_of = np.searchsorted(edges, [len(row) for row in ids])
        for bucket, edge in enumerate(edges):
            rows = [row for row in np.flatnonzero(bucket_of == bucket) if sources[row].strip()]
            if not rows:
                continue
            written = generate(
                self.model,
                pad_sequences_to([ids[row] for row in rows], edge),
                max_length=edge + edge // 2 + 8,  # some languages take more words, or more subwords, than others
                start_id=self.tokenizer.start_id,
                end_id=self.tokenizer.end_id,
                num_beams=num_beams,
                length_penalty=self.length_penalty if length_penalty is None else length_penalty,
                batch_size=batch_size if len(rows) > 8 else 8,
            )
            for row, tokens in zip(rows, written, strict=True):
                translations[row] = self.tokenizer.decode(tokens).strip()
        return translations

    def about(self) -> dict[str, Any]:
        return {"longest": self.longest, "languages": list(self.languages), "length_penalty": self.length_penalty}

    @classmethod
    def from_about(cls, about: dict[str, Any], tokenizer: Tokenizer) -> "Translator":
        if not isinstance(tokenizer, SubwordTokenizer):
            raise ValueError(f"a translator has a subword tokenizer, this one is of the kind {tokenizer.kind!r}")
        source, target = about["languages"]
        languages, penalty = (str(source), str(target)), float(about["length_penalty"])
        return cls(tokenizer, int(about["longest"]), languages, length_penalty=penalty)

    def fits(self) -> bool:
        config = self.model.get_config()
        return config.get("vocabulary_size") == self.tokenizer.vocabulary_size and "intermediate_dim" in config
