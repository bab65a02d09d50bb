"""What the word and the character tokenizer share: the most frequent units get an id, all others are unknown."""

from abc import abstractmethod
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import ClassVar, Self

from keras_llm.errors import InputError
from keras_llm.text.tokenizer import Tokenizer, refuse_single_string


class FrequencyTokenizer(Tokenizer):
    """One id a unit: 0 is padding, 1 any unit outside the vocabulary, then the units from the most frequent on.

    Subclasses set ``kind`` and ``unit``, and say how a text is cut and decoded.

    Args:
        vocabulary: ``["<pad>", "<unk>", unit, …]``; make it with ``train``.

    Attributes:
        unit: what a unit is called in messages.
    """

    unit: ClassVar[str]
    special_tokens = ("<pad>", "<unk>")
    unknown_id = 1

    @staticmethod
    @abstractmethod
    def cut(text: str) -> Sequence[str]:
        """The units of a text."""

    @classmethod
    def train(cls, texts: Iterable[str], vocabulary_size: int = 10_000) -> Self:
        """Takes the most frequent units of the training part; equally frequent ones in alphabetical order.

        Args:
            texts: the training part alone: what is met only in validation or test must be unknown.
            vocabulary_size: number of ids, the two special ones included; fewer when the texts have fewer units.

        Raises:
            InputError: when there is nothing to learn, or no room for it.
            TypeError: when ``texts`` is one string.
        """
        refuse_single_string(texts)
        if vocabulary_size <= len(cls.special_tokens):
            raise InputError(f"vocabulary_size={vocabulary_size} leaves no room for {cls.unit}s: make it 3 or more.")
        counts: Counter[str] = Counter()
        for text in texts:
            counts.update(cls.cut(text))
        del counts["<unk>"]
        if not counts:
            raise InputError(
                f"The training texts hold no {cls.unit} to make a vocabulary of: give texts that are not empty."
            )
        # The order of the texts does not matter, so that shuffling the training part changes no id.
        units = sorted(counts, key=lambda unit: (-counts[unit], unit))
        return cls([*cls.special_tokens, *units[: vocabulary_size - len(cls.special_tokens)]])

    def encode(self, text: str) -> list[int]:
        """Token ids of one text; what is outside the vocabulary gets ``unknown_id``."""
        known = self.token_to_id.get
        return [known(unit, self.unknown_id) for unit in self.cut(text)]

    def encode_all(self, texts: Sequence[str]) -> list[list[int]]:
        """Token ids of many texts: more than a million a second."""
        refuse_single_string(texts)
        return [self.encode(text) for text in texts]

    def content(self) -> dict:
        return {"vocabulary": self.vocabulary}
