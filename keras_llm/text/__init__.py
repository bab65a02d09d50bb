"""From text to token ids and back: cleaning, word and subword tokenizers, one file to save each of them.

    raw text ──clean──> text ──encode──> token ids (0 = padding) ──decode──> text

``WordTokenizer`` is the vocabulary of 10,000 words of document D0; ``SubwordTokenizer`` is a byte-level BPE for any
language, Chinese included. Both are trained on the training part alone. Importing this package loads no TensorFlow;
only ``SubwordTokenizer.to_keras`` does.

Source: document D0, sections 3.2.1 and 5; document D2, FAQ on rare and unseen words; document D4, section 3.1.3.
"""

from keras_llm.text.cleaning import clean
from keras_llm.text.factory import load_tokenizer, train_tokenizer
from keras_llm.text.subwords import SubwordTokenizer
from keras_llm.text.tokenizer import Tokenizer
from keras_llm.text.words import WordTokenizer, split_words

__all__ = [
    "SubwordTokenizer",
    "Tokenizer",
    "WordTokenizer",
    "clean",
    "load_tokenizer",
    "split_words",
    "train_tokenizer",
]
