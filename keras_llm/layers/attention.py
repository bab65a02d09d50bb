"""Attention, from one formula to several heads with masks, rotary positions and a cache.

B = batch, T = positions that ask (queries), S = positions that are asked (keys and values), D = width of the model,
H = heads, G = heads of keys and values (H, unless several heads share them), d = width of a head.
"""

import math

import keras
import numpy as np
import tensorflow as tf
from keras import layers, ops

from keras_llm.layers.dropout import Dropout
from keras_llm.layers.masks import allowed, causal_mask, padding_mask_of
from keras_llm.layers.positions import rotate

# Far below any score, and still a number in float16. Minus infinity would make a row without any key NaN.
MASKED = -3e4


def scaled_dot_product_attention(query, key, value, mask=None, dropout=None):
    """softmax(QKᵀ/√d) V: each query takes a mean of the values, weighted by how well their keys fit.

    Args:
        query: float tensor ``(..., T, d)``.
        key: ``(..., S, d)``.
        value: ``(..., S, v)``.
        mask: bool, broadcastable to ``(..., T, S)``; False = this query must not see this key. A query that may see no
            key at all gets the mean of all values.
        dropout: function of the weights, ``(..., T, S)``, applied before they meet the values; None in inference.

    Returns:
        The means ``(..., T, v)``, and the weights ``(..., T, S)``, of which each row adds up to 1.

    Example:
        >>> x = ops.convert_to_tensor([[1.0, 0.0], [0.0, 1.0]])
        >>> scaled_dot_product_attention(x, x, x)[1].numpy().round(2).tolist()
        [[0.67, 0.33], [0.33, 0.67]]

    Source: Vaswani et al. 2017, section 3.2.1; document D3, section 4.
    """
    scores = ops.matmul(query / math.sqrt(query.shape[-1]), ops.swapaxes(key, -1, -2))  # (..., T, S)
    if mask is not None:
        scores = ops.where(mask, scores, ops.cast(MASKED, scores.dtype))
    weights = tf.nn.softmax(scores)
    return ops.matmul(weights if dropout is None else dropout(weights), value), weights


@keras.saving.register_keras_serializable(package="keras_llm")
class MultiHeadAttention(layers.Layer):
    """H attentions side by side, each on its own d = D/H numbers of every position.

    Concat(head_1, …, head_H) W_O, with head_i = Attention(x W_Q,i, memory W_K,i, memory W_V,i). Without a memory the
    positions ask one another (self-attention), with one they ask it (cross-attention). Same weights, outputs and
    gradients as ``keras.layers.MultiHeadAttention(num_heads, D // num_heads)``, and with fewer heads of keys and values
    as ``keras.layers.GroupQueryAttention``.

    Args:
        num_heads: H; it divides the width D.
        num_key_value_heads: G; it divides H, and each head of keys and values serves H/G neighbouring heads of queries,
            so that the cache of a generation is smaller. None: H.
        dropout: share of the attention weights set to zero in training, in [0, 1).
        rotary: turn queries and keys by their positions (:func:`keras_llm.layers.rotate`); self-attention only.
        use_bias: add a bias to each of the four products.
        fused: one product instead of two or three for what is made of the same input. The numbers are the same; it pays
            for few rows (a step of generation), not for a training batch.
        kernel_initializer: of the four kernels.

    Call arguments:
        x: float tensor ``(B, T, D)``.
        memory: ``(B, S, D)``, for instance an encoder's output; None: ``x`` itself.
        mask: bool ``(B, T)``, False where ``x`` is padding; taken from Keras when not given. Queries need none: it
            counts in self-attention, where ``x`` is asked too.
        memory_mask: bool ``(B, S)``, False where ``memory`` is padding; taken from Keras when not given.
        attention_mask: bool ``(T, S)``, ``(B, T, S)`` or ``(B, H, T, S)``, False where a position must not look.
        use_causal_mask: no position sees a later one.
        training: drop weights only when True.
        return_weights: give ``(outputs, weights (B, H, T, S))``.

    Returns:
        ``(B, T, D)``. Rows at padding are numbers without meaning; what comes after must not read them.

    Raises:
        ValueError: when the heads do not divide the width or one another, positions of a memory are to be turned, or d
            is odd when turned.

    Example:
        >>> MultiHeadAttention(4)(keras.random.normal((2, 5, 8)), use_causal_mask=True).shape
        TensorShape([2, 5, 8])

    Source: Vaswani et al. 2017, section 3.2.2; Ainslie et al. 2023 (fewer heads of keys and values); document D3,
    section 4.
    """

    def __init__(
        self,
        num_heads: int,
        dropout: float = 0.0,
        rotary: bool = False,
        use_bias: bool = True,
        fused: bool = False,
        kernel_initializer: keras.initializers.Initializer | str = "glorot_uniform",
        num_key_value_heads: int | None = None,
        **kwargs,
    ) -> None:
        super().__init__(**kwargs)
        self.num_key_value_heads = num_heads if num_key_value_heads is None else num_key_value_heads
        self.num_heads, self.rotary, self.use_bias, self.fused = num_heads, rotary, use_bias, fused
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.dropout = Dropout(dropout, dtype=self.dtype_policy)
        self.supports_masking = True

    def build(self, x_shape: tuple, memory_shape: tuple | None = None) -> None:
        width, memory_width = x_shape[-1], (memory_shape or x_shape)[-1]
        if self.num_heads < 1 or width % self.num_heads:
            raise ValueError(f"num_heads={self.num_heads} does not divide the width {width}.")
        if self.num_key_value_heads < 1 or self.num_heads % self.num_key_value_heads:
            raise ValueError(f"num_key_value_heads={self.num_key_value_heads} does not divide {self.num_heads} heads.")
        self.head_dim = width // self.num_heads
        shared = self.head_dim * self.num_key_value_heads
        shapes = {"query": (width, width), "output": (width, width)}
        shapes |= {"key": (memory_width, shared), "value": (memory_width, shared)}
        self.kernels, self.biases = {}, {}
        for name in ("query", "key", "value", "output"):
            initializer, shape = self.kernel_initializer.clone(), shapes[name]
            self.kernels[name] = self.add_weight(name=f"{name}_kernel", shape=shape, initializer=initializer)
            if self.use_bias:
                self.biases[name] = self.add_weight(name=f"{name}_bias", shape=shape[1:], initializer="zeros")

    def call(
        self,
        x,
        memory=None,
        mask=None,
        memory_mask=None,
        attention_mask=None,
        use_causal_mask: bool = False,
        training: bool = False,
        return_weights: bool = False,
    ):
        if memory is None:
            query, key, value = self.project(x, "query", "key", "value")  # (B, H, T, d), twice (B, G, T, d)
            if self.rotary:
                query, key = rotate(query), rotate(key)
            # Keras fills in memory_mask by itself, and mask only where x is the one tensor of the call.
            memory_mask = padding_mask_of(x) if mask is None else mask
        elif self.rotary:
            raise ValueError("rotary=True is for self-attention: a memory's positions are not those of the queries.")
        else:
            (query,) = self.project(x, "query")  # (B, H, T, d)
            key, value = self.project(memory, "key", "value")  # (B, G, S, d) each
        causal = causal_mask(ops.shape(query)[2], ops.shape(key)[2]) if use_causal_mask else None  # (T, S)
        see = allowed(memory_mask, attention_mask, causal)  # like (B, H, T, S), or 1 where all are alike
        outputs, weights = self.attend(query, key, value, see, training)
        return (outputs, weights) if return_weights else outputs

    def project(self, x, *names: str) -> list:
        """``x`` ``(B, T, D)`` times some of the kernels, each split into heads: ``(B, H or G, T, d)``."""
        if self.fused and len(names) > 1:
            ends = np.cumsum([self.kernels[name].shape[1] for name in names])
            products = ops.split(self._product(x, names), ends[:-1].tolist(), axis=-1)  # (B, T, D or G·d) each
        else:
            products = [self._product(x, (name,)) for name in names]
        return [self._split_heads(product) for product in products]

    def attend(self, query, key, value, mask=None, training: bool = False) -> tuple:
        """From queries, keys and values by head to the output ``(B, T, D)`` and the weights ``(B, H, T, S)``."""
        if self.num_key_value_heads < self.num_heads:
            each = self.num_heads // self.num_key_value_heads
            key, value = ops.repeat(key, each, axis=1), ops.repeat(value, each, axis=1)  # (B, H, S, d)
        dropout = (lambda weights: self.dropout(weights, training=True)) if training and self.dropout.rate else None
        heads, weights = scaled_dot_product_attention(query, key, value, mask, dropout)  # (B, H, T, d)
        heads = ops.transpose(heads, (0, 2, 1, 3))  # (B, T, H, d)
        joined = ops.reshape(heads, (-1, ops.shape(heads)[1], heads.shape[2] * heads.shape[3]))
        return self._product(joined, ("output",)), weights  # (B, T, D)

    def step(self, x, cache, position, keys_mask=None):
        """Self-attention of new positions over themselves and all before them, whose keys and values are in the cache.

        Args:
            x: ``(B, T, D)``, most often one position.
            cache: keys and values of the earlier positions ``(B, 2, G, longest, d)``, whatever stands beyond them.
            position: int32 ``()``, the index of the first new position.
            keys_mask: bool ``(B, longest)``, False at positions that nobody may see, such as padding.

        Returns:
            ``(B, T, D)``, and the cache with the new positions in it.
        """
        query, key, value = self.project(x, "query", "key", "value")  # (B, H, T, d), twice (B, G, T, d)
        if self.rotary:
            query, key = rotate(query, start=position), rotate(key, start=position)
        cache = ops.slice_update(cache, (0, 0, 0, position, 0), ops.stack([key, value], axis=1))
        asking = position + ops.arange(x.shape[1])  # (T,)
        seen = ops.arange(cache.shape[3])[None, :] <= asking[:, None]  # (T, longest)
        return self.attend(query, cache[:, 0], cache[:, 1], allowed(keys_mask, seen))[0], cache

    def _product(self, x, names: tuple[str, ...]):
        # In mixed precision Keras casts weights by itself inside a call, but a step is not one.
        kernels = [ops.cast(self.kernels[name], self.compute_dtype) for name in names]
        x = ops.matmul(x, kernels[0] if len(kernels) == 1 else ops.concatenate(kernels, axis=1))
        if self.use_bias:
            biases = [ops.cast(self.biases[name], self.compute_dtype) for name in names]
            x = x + (biases[0] if len(biases) == 1 else ops.concatenate(biases))
        return x

    def _split_heads(self, x):
        x = ops.reshape(x, (-1, ops.shape(x)[1], x.shape[2] // self.head_dim, self.head_dim))  # (B, T, H, d)
        return ops.transpose(x, (0, 2, 1, 3))  # (B, H, T, d)

    def get_config(self) -> dict:
        return {
            **super().get_config(),
            "num_heads": self.num_heads,
            "num_key_value_heads": self.num_key_value_heads,
            "dropout": self.dropout.rate,
            "rotary": self.rotary,
            "use_bias": self.use_bias,
            "fused": self.fused,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
        }
