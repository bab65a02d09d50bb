"""Layers that the chapters teach, each readable in one sitting."""

from keras_llm.layers.adapter import Adapter
from keras_llm.layers.attention import MultiHeadAttention, scaled_dot_product_attention
from keras_llm.layers.blocks import DecoderBlock, EncoderBlock, FeedForward
from keras_llm.layers.dropout import Dropout
from keras_llm.layers.lora import LoRA
from keras_llm.layers.lstm import LSTM, BidirectionalLSTM
from keras_llm.layers.masks import causal_mask, padding_mask
from keras_llm.layers.positions import LearnedPositions, SinusoidalPositions, rotate, sinusoidal_positions

__all__ = [
    "LSTM",
    "Adapter",
    "BidirectionalLSTM",
    "DecoderBlock",
    "Dropout",
    "EncoderBlock",
    "FeedForward",
    "LearnedPositions",
    "LoRA",
    "MultiHeadAttention",
    "SinusoidalPositions",
    "causal_mask",
    "padding_mask",
    "rotate",
    "scaled_dot_product_attention",
    "sinusoidal_positions",
]
