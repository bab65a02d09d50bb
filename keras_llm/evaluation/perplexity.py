"""How well does a model predict a text? Per token, and in units that vocabularies share: per character and per byte."""

import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class LanguageModelReport:
    """What a text costs under a language model.

    Losses a token compare only between models with the same tokens: a model with long tokens has fewer of them to
    guess, and each is harder. What it takes to write the *text* down compares always.

    Attributes:
        loss: mean of −ln P(token), nats a token.
        tokens, characters, bytes: of the text (bytes as UTF-8).

    Source: Jelinek et al. 1977 (perplexity); document D4, Q3, which says "the value of the loss" and not of what.
    """

    loss: float
    tokens: int
    characters: int
    bytes: int

    @classmethod
    def of(cls, loss: float, tokens: int, texts: Sequence[str]) -> "LanguageModelReport":
        """Of a mean loss over the tokens of texts, nats a token.

        Raises:
            ValueError: when there is no token or no text.
        """
        characters, size = sum(map(len, texts)), sum(len(text.encode()) for text in texts)
        if tokens < 1 or characters < 1:
            raise ValueError(f"nothing to measure: {tokens} tokens, {characters} characters.")
        return cls(float(loss), tokens, characters, size)

    @property
    def perplexity(self) -> float:
        """e^loss: among how many equally likely tokens the model would be as unsure; V when it knows nothing."""
        return math.exp(self.loss)

    @property
    def bits_per_character(self) -> float:
        return self._bits / self.characters

    @property
    def bits_per_byte(self) -> float:
        return self._bits / self.bytes

    @property
    def _bits(self) -> float:
        return self.loss / math.log(2) * self.tokens

    def metrics(self, prefix: str) -> dict[str, float]:
        """``{"test_loss": …, "test_perplexity": …, "test_bits_per_character": …}`` for the prefix ``test``."""
        names = ("loss", "perplexity", "bits_per_character", "bits_per_byte")
        return {f"{prefix}_{name}": getattr(self, name) for name in names}

    def __str__(self) -> str:
        return (
            f"loss {self.loss:.4f} a token, perplexity {self.perplexity:.2f}; {self.bits_per_character:.3f} bits a "
            f"character, {self.bits_per_byte:.3f} a byte ({self.tokens:,} tokens, {self.characters:,} characters)"
        )
