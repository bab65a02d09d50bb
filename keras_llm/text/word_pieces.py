"""WordPiece, the tokenizer of BERT: the longest known start of a word, then the longest known start of what is left.

    "unaffable 电影"  ->  un | ##aff | ##able | 电 | 影

A token that goes on in a word is written with ``##``. Chinese characters stand alone, as words of their own.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

import tokenizers
from tokenizers import models, normalizers, pre_tokenizers, trainers

from keras_llm.errors import InputError
from keras_llm.text.tokenizer import Tokenizer, refuse_single_string, utf8

GOES_ON = "##"
LONGEST_WORD = 100  # characters; a longer one is unknown


class WordPieceTokenizer(Tokenizer):
    """Subwords of words: 0 is padding, 1 a word that has a character outside the vocabulary.

    Words are what white space and punctuation part; case and accents stay. White space is lost, and so is a word of
    more than 100 characters: it is unknown.

    Args:
        vocabulary: ``["<pad>", "<unk>", …]``; make it with ``WordPieceTokenizer.train``.

    Example:
        >>> tokenizer = WordPieceTokenizer.train(["low, lower, lowest; wide, wider, widest"] * 2, vocabulary_size=40)
        >>> tokenizer.decode(tokenizer.encode("widest,  lowest"))
        'widest , lowest'

    Source: Schuster and Nakajima 2012; Devlin et al. 2019, section 3; document D2, FAQ on rare and unseen words.
    """

    kind = "wordpiece"
    special_tokens = ("<pad>", "<unk>")
    unknown_id = 1

    def __init__(self, vocabulary: Sequence[str]) -> None:
        super().__init__(vocabulary)
        self._encoder = _prepared(
            models.WordPiece(self.token_to_id, unk_token="<unk>", max_input_chars_per_word=LONGEST_WORD)
        )

    @classmethod
    def train(cls, texts: Iterable[str], vocabulary_size: int = 8_000) -> "WordPieceTokenizer":
        """Learns pieces by merging frequent neighbours, as BPE does, over characters.

        Args:
            texts: the training part alone.
            vocabulary_size: number of ids, special ones included; fewer when no frequent pair is left. Each character
                gets one, the most frequent first, while there is room.

        Raises:
            InputError: when there is no word to learn, no room for one, or a text has a lone surrogate.
            TypeError: when ``texts`` is one string.
        """
        refuse_single_string(texts)
        texts = list(texts)
        if vocabulary_size <= 2 * len(cls.special_tokens):
            raise InputError(f"vocabulary_size={vocabulary_size} leaves no room for word pieces: make it 5 or more.")
        first: Counter[str] = Counter()
        inside: Counter[str] = Counter()
        for word, count in Counter(_words(texts)).items():
            first[word[0]] += count
            for character in word[1:]:
                inside[character] += count
        if not first:
            raise InputError("The training texts hold no word to make a vocabulary of: give texts with content.")
        counts = first + inside
        characters = sorted(counts, key=lambda character: (-counts[character], character))
        alphabet = list(cls.special_tokens)
        for character in characters:
            forms = [character, GOES_ON + character] if character in inside else [character]
            if len(alphabet) + len(forms) > vocabulary_size:
                break
            alphabet += forms
        # The trainer numbers characters as it meets them, in the order of a hash table that differs each time, and
        # breaks ties by number. Handed over as special tokens they have fixed numbers: the same texts teach the same.
        trainer = trainers.WordPieceTrainer(
            vocab_size=vocabulary_size,
            min_frequency=2,
            special_tokens=alphabet,
            limit_alphabet=0,
            continuing_subword_prefix=GOES_ON,
            show_progress=False,
        )
        learner = _prepared(models.WordPiece(unk_token="<unk>"))
        learner.train_from_iterator(texts, trainer, length=len(texts))
        ids = learner.get_vocab()
        return cls(sorted(ids, key=ids.__getitem__))

    def encode(self, text: str) -> list[int]:
        utf8(text)  # the library would only say that this is no string
        return self._encoder.encode(text).ids

    def encode_all(self, texts: Sequence[str]) -> list[list[int]]:
        refuse_single_string(texts)
        for text in texts:
            utf8(text)
        return [encoding.ids for encoding in self._encoder.encode_batch_fast(list(texts))]

    def decode(self, ids: Iterable[int]) -> str:
        """Words and marks, one space between: not the original, but without ``<unk>`` it encodes to the same ids."""
        return " ".join(self.vocabulary[token_id] for token_id in self._checked(ids)).replace(f" {GOES_ON}", "")

    def content(self) -> dict:
        return {"vocabulary": self.vocabulary}


def _prepared(model: models.Model) -> tokenizers.Tokenizer:
    """The library's tokenizer that cuts words as BERT does."""
    tokenizer = tokenizers.Tokenizer(model)
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=False, strip_accents=False)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    return tokenizer


def _words(texts: Iterable[str]) -> Iterator[str]:
    cutter = _prepared(models.WordPiece(unk_token="<unk>"))
    for text in texts:
        utf8(text)
        for word, _ in cutter.pre_tokenizer.pre_tokenize_str(cutter.normalizer.normalize_str(text)):
            yield word
