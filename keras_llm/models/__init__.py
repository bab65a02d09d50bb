"""The models of the documents, assembled from :mod:`keras_llm.layers`."""

from keras_llm.models.additive import AdditiveLanguageModel, DocumentLanguageModel
from keras_llm.models.encoder import Encoder
from keras_llm.models.gpt import GPT
from keras_llm.models.lstm_classifier import LSTMClassifier
from keras_llm.models.masked import MaskedLanguageModel
from keras_llm.models.pretrained import load_pretrained, read_sizes
from keras_llm.models.sequence_classifier import SequenceClassifier
from keras_llm.models.transformer import Transformer

__all__ = [
    "GPT",
    "AdditiveLanguageModel",
    "DocumentLanguageModel",
    "Encoder",
    "LSTMClassifier",
    "MaskedLanguageModel",
    "SequenceClassifier",
    "Transformer",
    "load_pretrained",
    "read_sizes",
]
