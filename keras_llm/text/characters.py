"""The two simplest tokenizers: a token is a character, or a byte of UTF-8. Few ids, long rows."""

from collections.abc import Iterable, Sequence

from keras_llm.text.frequency import FrequencyTokenizer
from keras_llm.text.tokenizer import Tokenizer, readable, refuse_single_string, utf8


class CharacterTokenizer(FrequencyTokenizer):
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
    unit = "character"
    cut = staticmethod(list)

    def decode(self, ids: Iterable[int]) -> str:
        """The text again, with ``<unk>`` for each character that was unknown."""
        return "".join(self.vocabulary[token_id] for token_id in self._checked(ids))


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
