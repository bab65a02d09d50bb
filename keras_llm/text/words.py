"""The word tokenizer of document D0: the most frequent words get an id, all others are unknown.

    "It's not bad!"  ->  it 's not bad !  ->  [7, 12, 31, 58, 9]

It is written out, because chapter 2 teaches it: a pattern, a Counter, a dict. ``keras.layers.TextVectorization`` is
faster (20,000 texts of 230 words: 1.6 s to train and 0.9 s to encode; here 3 s and 3 s), but its default drops
punctuation, glues "don't" to "dont", takes a Chinese sentence for one word, and it cannot decode.
"""

from collections.abc import Iterable

import regex

from keras_llm.text.frequency import FrequencyTokenizer

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


class WordTokenizer(FrequencyTokenizer):
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
    unit = "word"
    cut = staticmethod(split_words)

    def decode(self, ids: Iterable[int]) -> str:
        """Words joined by spaces: not the original, but a text that encodes to the same ids."""
        return " ".join(self.vocabulary[token_id] for token_id in self._checked(ids))
