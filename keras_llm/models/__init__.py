"""The models of the documents, assembled from :mod:`keras_llm.layers`."""

from keras_llm.models.lstm_classifier import LSTMClassifier
from keras_llm.models.transformer import Transformer

__all__ = ["LSTMClassifier", "Transformer"]
