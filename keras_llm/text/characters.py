"""The two simplest tokenizers: a token is a character, or a byte of UTF-8. Few ids, long rows."""

from collections import Counter
from collections.abc import Iterable, Sequence

from keras_llm.errors import InputError
from keras_llm.text.tokenizer import Tokenizer, readable, refuse_single_string, utf8


class CharacterTokenizer(Tokenizer):
    """One id a character: 0 is padding, 1 any character outside the vocabulary, then the most frequent ones.

    Args:
        vocabulary: ``["<pad>", "<unk>", character, …]``; make it with ``CharacterTokenizer.train``.

    Example:
        >>> tokenizer = CharacterTokenizer.train(["banana"])
        >>> tokenizer.vocabulary
        ['<pad>', '<unk>', 'a', 'n', 'b']
        >>> tokenizer.encode("bad")
        [4, 2, 1]

    Source: document D0, section 3.2.1 ("words or sequences of characters").
    """

    kind = "character"
    special_tokens = ("<pad>", "<unk>")
    unknown_id = 1

    @classmethod
    def train(cls, texts: Iterable[str], vocabulary_size: int = 10_000) -> "CharacterTokenizer":
        """Takes the most frequent characters; equally frequent ones in the order of their code points.

        Args:
            texts: the training part alone.
            vocabulary_size: number of ids, the two special ones included; fewer when there are fewer characters.

        Raises:
            InputError: when there is no character to learn, or no room for one.
            TypeError: when ``texts`` is one string.
        """
        refuse_single_string(texts)
        if vocabulary_size <= len(cls.special_tokens):
            raise InputError(f"vocabulary_size={vocabulary_size} leaves no room for characters: make it 3 or more.")
        counts: Counter[str] = Counter()
        for text in texts:
            counts.update(text)
        if not counts:
            raise InputError("The training texts hold no character to make a vocabulary of: give texts with content.")
        characters = sorted(counts, key=lambda character: (-counts[character], character))
        return cls([*cls.special_tokens, *characters[: vocabulary_size - len(cls.special_tokens)]])

    def encode(self, text: str) -> list[int]:
        """Token ids of one text; characters outside the vocabulary get ``unknown_id``."""
        known = self.token_to_id.get
        return [known(character, self.unknown_id) for character in text]

    def encode_all(self, texts: Sequence[str]) -> list[list[int]]:
        refuse_single_string(texts)
        return [self.encode(text) for text in texts]

    def decode(self, ids: Iterable[int]) -> str:
        """The text again, with ``<unk>`` for each character that was unknown."""
        return "".join(self.vocabulary[token_id] for token_id in self._checked(ids))

    def content(self) -> dict:
        return {"vocabulary": self.vocabulary}


class ByteTokenizer(Tokenizer):
    """One id a byte of UTF-8, without training: byte b is id b + 1, for 0 is padding.

    A Chinese character takes three ids, an emoji four or more; no text is unknown.

    Example:
        >>> ByteTokenizer().encode("é!")
        [196, 170, 34]
        >>> ByteTokenizer().tokens("é!")
        ['\\\\xc3', '\\\\xa9', '!']

    Source: Xue et al. 2022 (ByT5), section 3.1.
    """

    kind = "byte"
    special_tokens = ("<pad>",)

    def __init__(self) -> None:
        super().__init__([*self.special_tokens, *(f"<0x{byte:02X}>" for byte in range(256))])

    def encode(self, text: str) -> list[int]:
        return [byte + 1 for byte in utf8(text)]

    def encode_all(self, texts: Sequence[str]) -> list[list[int]]:
        refuse_single_string(texts)
        return [self.encode(text) for text in texts]

    def decode(self, ids: Iterable[int]) -> str:
        """The text again; bytes that are not UTF-8, as when ids were cut inside a character, become ``�``."""
        return bytes(token_id - 1 for token_id in self._checked(ids)).decode(errors="replace")

    def tokens(self, text: str) -> list[str]:
        return [readable(bytes([byte])) for byte in utf8(text)]

    def content(self) -> dict:
        return {}
