"""The word tokenizer of document D0: the most frequent words get an id, all others are unknown.

    "It's not bad!"  ->  it 's not bad !  ->  [7, 12, 31, 58, 9]

It is written out, because chapter 2 teaches it: a pattern, a Counter, a dict. ``keras.layers.TextVectorization`` is
faster (20,000 texts of 230 words: 1.6 s to train and 0.9 s to encode; here 3 s and 3 s), but its default drops
punctuation, glues "don't" to "dont", takes a Chinese sentence for one word, and it cannot decode.
"""

from collections import Counter
from collections.abc import Iterable, Sequence

import regex

from keras_llm.errors import InputError
from keras_llm.text.tokenizer import Tokenizer, refuse_single_string

# Scripts that put no space between words: each character is a token, so that no segmenter is needed.
_UNSPACED = r"\p{Han}\p{Hiragana}\p{Katakana}"
_FIRST = rf"[[\p{{L}}\p{{N}}]--[{_UNSPACED}]]"
# Vowel signs and accents that stand on their own code point (Hindi, Thai, decomposed é) belong to the word.
_NEXT = rf"[[\p{{L}}\p{{N}}\p{{M}}]--[{_UNSPACED}]]"
_PART = rf"{_FIRST}{_NEXT}*+"
_ENDING = rf"(?:s|m|d|re|ve|ll)(?!{_NEXT})"
_NEGATION = rf"n't(?!{_NEXT})"
_TOKEN = regex.compile(
    r"<unk>"  # corpora such as WikiText write unknown words so, and decode does
    rf"|{_NEGATION}|{_FIRST}{_NEXT}*?(?={_NEGATION})|'{_ENDING}"  # cut as in the Penn Treebank: do n't, it 's
    rf"|\d+(?:[.,]\d+)+(?!{_NEXT})"  # 3.5 and 1,000
    rf"|{_PART}(?:'(?!{_ENDING}){_PART})*+"  # a word, with inner apostrophes: o'clock
    r"|\.\.\.|--|\S",  # punctuation, emoji, Chinese characters
    regex.V1,
)


def split_words(text: str) -> list[str]:
    """Cuts text into lower-case words, numbers and punctuation marks, as the GloVe vectors were made.

    Contractions are cut in two (``do n't``, ``it 's``) and marks such as ``!`` are tokens of their own: GloVe 6B has
    a vector for each, and they carry sentiment. Chinese and Japanese characters are one token each.

    Example:
        >>> split_words("Don't miss it… 电影!")
        ['do', "n't", 'miss', 'it', '...', '电', '影', '!']

    Source: Pennington et al. 2014, section 4.2; the Penn Treebank's tokenization.
    """
    return _TOKEN.findall(text.lower().replace("’", "'").replace("…", "..."))


class WordTokenizer(Tokenizer):
    """One id a word: 0 is padding, 1 any word outside the vocabulary, then the words from the most frequent on.

    Args:
        vocabulary: ``["<pad>", "<unk>", word, …]``; make it with ``WordTokenizer.train``.

    Example:
        >>> tokenizer = WordTokenizer.train(["a good film", "a bad film"], vocabulary_size=5)
        >>> tokenizer.vocabulary
        ['<pad>', '<unk>', 'a', 'film', 'bad']
        >>> tokenizer.encode("A good film")
        [2, 1, 3]

    Source: document D0, sections 3.2.1 and 5; document D2, FAQ: rare and unseen words become ``<unk>``.
    """

    kind = "word"
    special_tokens = ("<pad>", "<unk>")
    unknown_id = 1

    @classmethod
    def train(cls, texts: Iterable[str], vocabulary_size: int = 10_000) -> "WordTokenizer":
        """Takes the most frequent words of the training part; equally frequent ones in alphabetical order.

        Args:
            texts: the training part alone: words met only in validation or test must be unknown.
            vocabulary_size: number of ids, the two special ones included; fewer when the texts have fewer words.

        Raises:
            InputError: when there is no word to learn, or no room for one.
            TypeError: when ``texts`` is one string.
        """
        refuse_single_string(texts)
        if vocabulary_size <= len(cls.special_tokens):
            raise InputError(f"vocabulary_size={vocabulary_size} leaves no room for words: make it 3 or more.")
        counts: Counter[str] = Counter()
        for text in texts:
            counts.update(split_words(text))
        del counts["<unk>"]
        if not counts:
            raise InputError("The training texts hold no word to make a vocabulary of: give texts that are not empty.")
        # The order of the texts does not matter, so that shuffling the training part changes no id.
        words = sorted(counts, key=lambda word: (-counts[word], word))
        return cls([*cls.special_tokens, *words[: vocabulary_size - len(cls.special_tokens)]])

    def encode(self, text: str) -> list[int]:
        """Token ids of one text; words outside the vocabulary get ``unknown_id``."""
        known = self.token_to_id.get
        return [known(word, self.unknown_id) for word in split_words(text)]

    def encode_all(self, texts: Sequence[str]) -> list[list[int]]:
        """Token ids of many texts: more than a million words a second."""
        refuse_single_string(texts)
        return [self.encode(text) for text in texts]

    def decode(self, ids: Iterable[int]) -> str:
        """Words joined by spaces: not the original, but a text that encodes to the same ids."""
        return " ".join(self.vocabulary[token_id] for token_id in self._checked(ids))

    def content(self) -> dict:
        return {"vocabulary": self.vocabulary}
