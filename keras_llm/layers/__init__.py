"""Layers that the chapters teach, each readable in one sitting."""

from keras_llm.layers.dropout import Dropout
from keras_llm.layers.lstm import LSTM, BidirectionalLSTM

__all__ = ["LSTM", "BidirectionalLSTM", "Dropout"]
