"""From text to token ids and back: cleaning, word and subword tokenizers, one file to save each of them.

    raw text ──clean──> text ──encode──> token ids (0 = padding) ──decode──> text

``WordTokenizer`` is the vocabulary of 10,000 words of document D0; ``SubwordTokenizer`` is a byte-level BPE for any
language, Chinese included, and ``BytePairEncoding`` the same from scratch. Characters, bytes, WordPiece and unigram are
the other ways to cut. All are trained on the training part alone. Importing this package loads no TensorFlow; only
``SubwordTokenizer.to_keras`` does.

Source: document D0, sections 3.2.1 and 5; document D2, FAQ on rare and unseen words; document D4, section 3.1.3.
"""

from keras_llm.text.bpe import BytePairEncoding
from keras_llm.text.characters import ByteTokenizer, CharacterTokenizer
from keras_llm.text.cleaning import clean
from keras_llm.text.factory import load_tokenizer, train_tokenizer
from keras_llm.text.pretrained import PretrainedTokenizer
from keras_llm.text.statistics import compression, fit_power_law, rank_frequency, unknown_rate, vocabulary_growth
from keras_llm.text.subwords import SubwordTokenizer
from keras_llm.text.tokenizer import Tokenizer
from keras_llm.text.unigram import UnigramTokenizer
from keras_llm.text.word_pieces import WordPieceTokenizer
from keras_llm.text.words import WordTokenizer, split_words

__all__ = [
    "BytePairEncoding",
    "ByteTokenizer",
    "CharacterTokenizer",
    "PretrainedTokenizer",
    "SubwordTokenizer",
    "Tokenizer",
    "UnigramTokenizer",
    "WordPieceTokenizer",
    "WordTokenizer",
    "clean",
    "compression",
    "fit_power_law",
    "load_tokenizer",
    "rank_frequency",
    "split_words",
    "train_tokenizer",
    "unknown_rate",
    "vocabulary_growth",
]
