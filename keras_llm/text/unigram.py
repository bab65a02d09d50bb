"""Unigram, the tokenizer of SentencePiece: of all ways to cut a text, the most probable one.

    "We the people"  ->  ▁We | ▁the | ▁people

Each piece has a probability, and that of a cut is the product of its pieces'. Training begins with many pieces and
drops those that the texts can best do without. ``▁`` is a space, so that no word boundary is needed, nor lost.
"""

import base64
import io
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

import sentencepiece

from keras_llm.errors import InputError
from keras_llm.text.tokenizer import Tokenizer, refuse_single_string, utf8

LONGEST_LINE = 4_000  # bytes; the trainer leaves longer ones out, so they are cut here


class UnigramTokenizer(Tokenizer):
    """Pieces of the most probable cut: 0 is padding, 1 a run of characters that no piece has, 2 a line break.

    ``decode(encode(text)) == text`` where nothing is unknown and no ``▁`` stands in the text.

    Args:
        model: the SentencePiece model in base64; make it with ``UnigramTokenizer.train``.

    Raises:
        ValueError: when it is none, or its first ids are not padding and unknown.

    Example:
        >>> tokenizer = UnigramTokenizer.train(["low lower lowest wide wider widest"] * 9, vocabulary_size=30)
        >>> tokenizer.decode(tokenizer.encode("wide lowest"))
        'wide lowest'

    Source: Kudo 2018, section 3.2; Kudo and Richardson 2018 (SentencePiece).
    """

    kind = "unigram"
    special_tokens = ("<pad>", "<unk>")
    unknown_id = 1

    def __init__(self, model: str) -> None:
        try:
            self._model = sentencepiece.SentencePieceProcessor(model_proto=base64.b64decode(model, validate=True))
            pieces = [self._model.id_to_piece(i) for i in range(self._model.get_piece_size())]
        except (RuntimeError, TypeError, ValueError) as error:
            raise ValueError(f"this is no SentencePiece model: {error}") from error
        super().__init__(pieces)
        self._content = model

    @classmethod
    def train(cls, texts: Iterable[str], vocabulary_size: int = 8_000) -> "UnigramTokenizer":
        """Learns pieces and their probabilities; the same texts give the same pieces.

        Args:
            texts: the training part alone.
            vocabulary_size: number of ids, special ones included; fewer when the texts have fewer pieces. At most half
                of them are single characters, the most frequent ones.

        Raises:
            InputError: when there is no text to learn from, no room for pieces, or a text has a lone surrogate.
            TypeError: when ``texts`` is one string.
        """
        refuse_single_string(texts)
        if vocabulary_size < 8:
            raise InputError(f"vocabulary_size={vocabulary_size} leaves no room for pieces: make it 8 or more.")
        lines = list(_lines(texts))
        counts = Counter(character for line in lines for character in line)
        if not counts:
            raise InputError("The training texts hold no piece to make a vocabulary of: give texts with content.")
        # Each character needs a piece of its own. For the rare ones there is no room: they are unknown, and cut at.
        characters = sorted(counts, key=lambda character: (-counts[character], character))
        rare = dict.fromkeys(map(ord, characters[vocabulary_size // 2 - len(cls.special_tokens) :]), "\n")
        pieces = (piece for line in lines for piece in line.translate(rare).split("\n") if piece)
        model = io.BytesIO()
        try:
            sentencepiece.SentencePieceTrainer.train(
                sentence_iterator=pieces,
                model_writer=model,
                vocab_size=vocabulary_size,
                hard_vocab_limit=False,
                model_type="unigram",
                normalization_rule_name="identity",
                remove_extra_whitespaces=False,
                character_coverage=1.0,
                max_sentence_length=LONGEST_LINE + 200,
                pad_id=0,
                unk_id=1,
                user_defined_symbols=["\n"],  # lines are cut there, so it is in no other piece
                bos_id=-1,
                eos_id=-1,
                pad_piece="<pad>",
                unk_piece="<unk>",
                unk_surface="<unk>",
                minloglevel=2,
            )
        except RuntimeError as error:
            raise InputError(
                f"No pieces could be learned with vocabulary_size={vocabulary_size} ({error}): make it larger, or "
                "give more text."
            ) from error
        return cls(base64.b64encode(model.getvalue()).decode("ascii"))

    def encode(self, text: str) -> list[int]:
        utf8(text)  # the library would only say that it cannot cast
        return self._model.encode(text)

    def encode_all(self, texts: Sequence[str]) -> list[list[int]]:
        refuse_single_string(texts)
        for text in texts:
            utf8(text)
        return self._model.encode(list(texts))

    def decode(self, ids: Iterable[int]) -> str:
        """The text again, with ``<unk>`` for what was unknown."""
        return self._model.decode(self._checked(ids))

    def tokens(self, text: str) -> list[str]:
        """The pieces of one text, ``▁`` for a space."""
        return [self.vocabulary[token_id] for token_id in self.encode(text)]

    def content(self) -> dict:
        return {"model": self._content}


def _lines(texts: Iterable[str]) -> Iterator[str]:
    """The lines of all texts, each short enough for the trainer."""
    longest = LONGEST_LINE // 4  # characters: none takes more than four bytes
    for text in texts:
        utf8(text)
        for line in text.split("\n"):
            for start in range(0, len(line), longest):
                yield line[start : start + longest]
