"""Text in, more text out: a trained GPT together with its tokenizer, as one folder on disk."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import keras
import numpy as np

from keras_llm.data import windows
from keras_llm.evaluation import LanguageModelReport
from keras_llm.generation import GREEDY, Sampling, generate, stream
from keras_llm.text import Tokenizer
from keras_llm.text_model import TextModel
from keras_llm.training import SparseCrossentropy, evaluate


@dataclass
class LanguageModel(TextModel):
    """Everything between a beginning and how it goes on.

    Args:
        tokenizer: text to token ids.
        context_length: T, the most tokens that the model sees at once.
        language: code of the text's language.
        ends: the model has learned that its tokenizer's end token ends a text.
        chats: it has learned to answer, see :mod:`keras_llm.chat`.
        model: token ids ``(N, T)`` to logits ``(N, T, V)``, with the steps of
            :class:`keras_llm.generation.StepByStep`; None until there is one.
    """

    kind: ClassVar[str] = "language_model"
    tokenizer: Tokenizer
    context_length: int
    language: str
    ends: bool = False
    chats: bool = False
    model: keras.Model | None = None

    def token_ids(self, documents: Sequence[str]) -> np.ndarray:
        """Documents as one run of ids ``(n,)``, int32: each with an end token behind it, or blank lines between."""
        if not self.ends:
            return np.array(self.tokenizer.encode("\n\n".join(documents)), "int32")
        end = [self.tokenizer.end_id]
        return np.concatenate([np.array([*ids, *end], "int32") for ids in self.tokenizer.encode_all(documents)])

    def report(self, documents: Sequence[str], batch_size: int = 64) -> LanguageModelReport:
        """What a text costs, in windows of T tokens that do not overlap; what does not fill the last one is left out.

        Raises:
            ValueError: when the text is shorter than one window.
        """
        ids = self.token_ids(documents)
        rows, labels = windows(ids, self.context_length)
        if not self.model.compiled:
            self.model.compile(loss=SparseCrossentropy())
        loss = evaluate(self.model, (rows, labels), batch_size=batch_size)["loss"]
        return LanguageModelReport.of(loss, labels.size, [self.tokenizer.decode(labels.ravel())])

    def write(
        self,
        prompts: Sequence[str],
        max_tokens: int,
        sampling: Sampling = GREEDY,
        seed: int = 0,
        num_beams: int = 1,
    ) -> list[str]:
        """How the model goes on with each prompt; the prompt is not in it.

        Args:
            prompts: texts; of a long one the last tokens count.
            max_tokens: tokens to write at most; no more than the context has.
            sampling, seed, num_beams: see :func:`keras_llm.generation.generate`.

        Raises:
            ValueError: when ``max_tokens`` is more than that; :meth:`stream` writes longer texts.
        """
        if not 1 <= max_tokens <= self.context_length:
            raise ValueError(f"max_tokens={max_tokens} must be 1 to {self.context_length}, or take stream().")
        rows = self.prompt_ids(prompts, self.context_length + 1 - max_tokens)
        written = generate(
            self.model,
            rows,
            max_length=max_tokens,
            end_id=self.end_ids,
            sampling=sampling,
            seed=seed,
            num_beams=num_beams,
            batch_size=min(64, len(rows)),
        )
        return [self.tokenizer.decode(self._without_end(tokens)) for tokens in written]

    def stream(
        self, prompt: str | Sequence[int], max_tokens: int, sampling: Sampling = GREEDY, seed: int = 0
    ) -> Iterator[str]:
        """How the model goes on with a prompt, piece by piece, for as long as is asked.

        A text may grow longer than the context: whenever that is full, the model reads the second half of it anew and
        goes on from there.

        Args:
            prompt: a text, or the ids of one.
            max_tokens: tokens to write at most.
            sampling, seed: see :func:`keras_llm.generation.generate`.

        Yields:
            Pieces of text, which add up to what is written.
        """
        half = max(1, self.context_length // 2)
        length = self.context_length + 1 - half  # what fits behind it
        at_once = min(8, length)
        ids = self._ids_of(prompt) if isinstance(prompt, str) else list(prompt)
        given, count = "", 0
        begin = len(ids)
        while True:
            for (tokens,) in stream(
                self.model,
                self._left_padded([ids[-half:]], half),
                max_length=length // at_once * at_once,
                end_id=self.end_ids,
                sampling=sampling,
                seed=seed + count,
                tokens_at_once=at_once,
            ):
                kept = self._without_end(tokens)[: max_tokens - count]
                ids += kept.tolist()
                count += len(kept)
                whole = self.tokenizer.decode(ids[begin:]).rstrip("\ufffd")  # part of a character waits for the rest
                yield whole[len(given) :]
                given = whole
                if len(kept) < len(tokens) or count == max_tokens:
                    return

    def prompt_ids(self, prompts: Sequence[str], longest: int) -> np.ndarray:
        """Prompts as ids ``(n, S)``, padded with 0 at the left; S is a power of two, or ``longest``."""
        rows = [self._ids_of(prompt)[-longest:] for prompt in prompts]
        width = max(map(len, rows))
        return self._left_padded(rows, min(longest, 1 << (width - 1).bit_length()))

    @property
    def end_ids(self) -> tuple[int, ...]:
        return (self.tokenizer.end_id,) if self.ends else ()

    def _ids_of(self, prompt: str) -> list[int]:
        ids = self.tokenizer.encode(prompt)
        # Nothing to go on with: what ends a document stands before the next one.
        return ids or [self.tokenizer.end_id if self.ends else self.tokenizer.encode("\n")[0]]

    def _left_padded(self, rows: Sequence[Sequence[int]], width: int) -> np.ndarray:
        return np.array([[0] * (width - len(row)) + list(row) for row in rows], "int32")

    def _without_end(self, tokens: np.ndarray) -> np.ndarray:
        ends = np.flatnonzero(np.isin(tokens, [0, *self.end_ids]))
        return tokens[: ends[0]] if len(ends) else tokens

    def about(self) -> dict[str, Any]:
        return {
            "context_length": self.context_length,
            "language": self.language,
            "ends": self.ends,
            "chats": self.chats,
        }

    @classmethod
    def from_about(cls, about: dict[str, Any], tokenizer: Tokenizer) -> "LanguageModel":
        ends, chats = bool(about["ends"]), bool(about["chats"])
        return cls(tokenizer, int(about["context_length"]), str(about["language"]), ends, chats)

    def fits(self) -> bool:
        config = self.model.get_config()
        wanted = {"vocabulary_size": self.tokenizer.vocabulary_size, "context_length": self.context_length}
        return all(config.get(name) == value for name, value in wanted.items()) and "positions" in config
