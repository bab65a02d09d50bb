"""The interface that all tokenizers share, and the one file each of them is saved to."""

import hashlib
import json
import os
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import ClassVar

from keras_llm.errors import InputError


class Tokenizer(ABC):
    """Text to token ids and back.

    Subclasses set ``kind`` and ``special_tokens`` (the names of the first ids, which stand for no text), and hand
    their vocabulary to this constructor.

    Args:
        vocabulary: the name of each token id, in order; begins with the special tokens and names nothing twice.

    Attributes:
        kind: what ``tokenizer.json`` calls this class of tokenizer.
        padding_id: the id that fills up a batch, 0 for every tokenizer, so that ``Embedding(mask_zero=True)`` fits.
        unknown_id: the id of what is not in the vocabulary; None where nothing is unknown.

    Raises:
        ValueError: when the vocabulary is not such a list.
    """

    kind: ClassVar[str]
    special_tokens: ClassVar[tuple[str, ...]]
    padding_id: ClassVar[int] = 0
    unknown_id: ClassVar[int | None] = None

    def __init__(self, vocabulary: Sequence[str]) -> None:
        self.vocabulary: list[str] = list(vocabulary)
        if not all(isinstance(token, str) for token in self.vocabulary):
            raise ValueError("a vocabulary is a list of strings.")
        if tuple(self.vocabulary[: len(self.special_tokens)]) != self.special_tokens:
            raise ValueError(f"the vocabulary does not begin with {', '.join(self.special_tokens)}.")
        self.token_to_id: dict[str, int] = {token: token_id for token_id, token in enumerate(self.vocabulary)}
        if len(self.token_to_id) < len(self.vocabulary):
            raise ValueError("the vocabulary names a token twice.")

    @property
    def vocabulary_size(self) -> int:
        """Number of token ids, special ones included: the ``input_dim`` of an Embedding."""
        return len(self.vocabulary)

    @abstractmethod
    def encode(self, text: str) -> list[int]:
        """Token ids of one text; ``[]`` for an empty one. Nothing is padded, and no start or end is added.

        Raises:
            InputError: when the tokenizer works on UTF-8 and the text has a lone surrogate; see ``utf8``.
        """

    @abstractmethod
    def encode_all(self, texts: Sequence[str]) -> list[list[int]]:
        """Token ids of many texts, equal to ``encode`` on each and faster.

        Raises:
            TypeError: when ``texts`` is one string, which would be read as a sequence of characters.
        """

    @abstractmethod
    def decode(self, ids: Iterable[int]) -> str:
        """Text of token ids; padding is dropped.

        Raises:
            ValueError: when an id is outside the vocabulary.
        """

    def framed(self, ids: Sequence[int]) -> list[int]:
        """The ids of a text as its model wants to begin and end it: as they are, but for a pretrained model."""
        return list(ids)

    def tokens(self, text: str) -> list[str]:
        """The tokens of one text, to be looked at. Part of a character is shown by its bytes: ``\\xe7``."""
        return [self.decode([token_id]) for token_id in self.encode(text)]

    @abstractmethod
    def content(self) -> dict:
        """The arguments of the constructor, as JSON can hold them."""

    @property
    def fingerprint(self) -> str:
        """SHA-256 of all that decides the ids, in hex: two tokenizers with equal ids for every text share it.

        Keep it beside a checkpoint: ids of another tokenizer would be read as other words, without an error.
        """
        return hashlib.sha256(self._json().encode("ascii")).hexdigest()

    def save(self, path: str | Path) -> None:
        """Writes everything into one JSON file, whole or not at all; ``load_tokenizer`` reads it.

        Args:
            path: the file to write, usually ``tokenizer.json``; a missing folder is made.
        """
        path = Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_name(f".{path.name}.{os.getpid()}.part")
        try:
            unfinished.write_text(self._json(), encoding="ascii")
            unfinished.replace(path)
        finally:
            unfinished.unlink(missing_ok=True)

    def _json(self) -> str:
        # ASCII with escapes: the same bytes on each platform, and no string that cannot be written.
        return json.dumps({"kind": self.kind, **self.content()}, sort_keys=True)

    def _checked(self, ids: Iterable[int]) -> list[int]:
        """The ids as plain ints, without padding; a negative one must not count from the end of the vocabulary."""
        checked = [int(token_id) for token_id in ids if token_id != self.padding_id]
        for token_id in checked:
            if not 0 <= token_id < self.vocabulary_size:
                raise ValueError(f"Token id {token_id} is outside the vocabulary of {self.vocabulary_size} tokens.")
        return checked


def refuse_single_string(texts: Iterable[str]) -> None:
    """Raises TypeError for a string where texts are meant: walking its characters would go wrong in silence."""
    if isinstance(texts, str):
        raise TypeError("Texts must be a sequence of strings, not one string: put it into a list.")


def utf8(text: str) -> bytes:
    """The bytes of a text.

    Raises:
        InputError: for a lone surrogate, half of a character, as a JSON file may hold and no UTF-8 can.
    """
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise InputError(
            f"Character {error.start} of a text is {text[error.start]!a}, a lone surrogate, which is no Unicode text: "
            "mend it, or pass the text through keras_llm.text.clean."
        ) from error


def readable(token: bytes) -> str:
    """The text of a token; bytes that are only a part of a character as ``\\xe7\\x94``."""
    return token.decode(errors="backslashreplace")
