"""The two blocks of the Transformer: attention and feed-forward, each with a residual connection around it.

B = batch, T = time, S = time of the memory, D = width.
"""

import math
from collections.abc import Callable

import keras
from keras import layers, ops

from keras_llm.layers.adapter import Adapter
from keras_llm.layers.attention import MultiHeadAttention
from keras_llm.layers.dropout import Dropout
from keras_llm.layers.masks import allowed


def gelu(x):
    """GELU, x Φ(x), exactly (Hendrycks and Gimpel 2016, section 2).

    Keras's own goes through erfc, which TensorFlow computes slowly on a CPU: that took a third of the time in which a
    BERT reads a text. oneDNN works this form out together with the product before it.
    """
    return 0.5 * x * (1.0 + ops.erf(x * math.sqrt(0.5)))


def gelu_tanh(x):
    """GELU by a tanh, which comes within a thousandth of the exact one."""
    return keras.activations.gelu(x, approximate=True)


ACTIVATIONS = {"gelu": gelu, "gelu_tanh": gelu_tanh}  # others are Keras's, by their names
NORMS = {"layer": layers.LayerNormalization, "rms": layers.RMSNormalization}


@keras.saving.register_keras_serializable(package="keras_llm")
class FeedForward(layers.Layer):
    """The same dense layers at each position: f(x W_1 + b_1) W_2 + b_2.

    Args:
        intermediate_dim: width between the two, four times D by custom.
        activation: f, by its Keras name; "gelu_tanh", GELU as GPT-2 computes it; or "swiglu":
            (silu(x W_g + b_g) ∘ (x W_1 + b_1)) W_2 + b_2, which has a third kernel, so that two thirds of the width
            make as many weights.
        use_bias: add the biases.
        kernel_initializer: of the kernels.

    Call arguments:
        x: float tensor ``(B, T, D)``.

    Returns:
        ``(B, T, D)``.

    Source: Vaswani et al. 2017, section 3.3; Shazeer 2020 (SwiGLU); document D3, section 3.
    """

    def __init__(
        self,
        intermediate_dim: int,
        activation: str = "relu",
        use_bias: bool = True,
        kernel_initializer: keras.initializers.Initializer | str = "glorot_uniform",
        **kwargs,
    ) -> None:
        super().__init__(**kwargs)
        self.config = {"intermediate_dim": intermediate_dim, "activation": activation, "use_bias": use_bias}
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.supports_masking = True

    def build(self, x_shape: tuple) -> None:
        def dense(units: int, activation: Callable | str | None, name: str) -> layers.Dense:
            options = {"use_bias": self.config["use_bias"], "kernel_initializer": self.kernel_initializer.clone()}
            return layers.Dense(units, activation, name=name, dtype=self.dtype_policy, **options)

        gated, width = self.config["activation"] == "swiglu", self.config["intermediate_dim"]
        activation = ACTIVATIONS.get(self.config["activation"], self.config["activation"])
        self.into = dense(width, None if gated else activation, "into")
        self.gate = dense(width, "silu", "gate") if gated else None
        self.out_of = dense(x_shape[-1], None, "out_of")
        for layer in filter(None, (self.into, self.gate)):
            layer.build(x_shape)
        self.out_of.build((*x_shape[:-1], width))

    def call(self, x):
        inner = self.into(x)  # (B, T, intermediate_dim)
        return self.out_of(inner if self.gate is None else inner * self.gate(x))  # (B, T, D)

    def get_config(self) -> dict:
        initializer = keras.initializers.serialize(self.kernel_initializer)
        return {**super().get_config(), **self.config, "kernel_initializer": initializer}


@keras.saving.register_keras_serializable(package="keras_llm")
class EncoderBlock(layers.Layer):
    """Self-attention over the whole sequence, then feed-forward.

    Args:
        num_heads: heads of the attention; they divide the width D.
        intermediate_dim: width inside the feed-forward layer.
        dropout: share of each sub-layer's output set to zero in training.
        activation: of the feed-forward layer, see :class:`FeedForward`.
        pre_norm: normalise what goes into a sub-layer (stable without a warm-up; the stack then needs a norm at its
            end), instead of the sum that comes out of it, as in the paper of 2017.
        attention_dropout: share of the attention weights set to zero in training.
        rotary: positions by turning queries and keys.
        fused: see :class:`MultiHeadAttention`.
        epsilon: of the norms.
        norm: "layer", or "rms": x / √(mean of x²), scaled, without mean and shift.
        use_bias: add biases in attention and feed-forward.
        num_key_value_heads: see :class:`MultiHeadAttention`.
        kernel_initializer: of all kernels.
        adapter_dim: width of an :class:`Adapter` behind self-attention and feed-forward; None: no adapters.

    Call arguments:
        x: float tensor ``(B, T, D)``.
        mask: bool ``(B, T)``, False at padding; taken from Keras when not given.
        use_causal_mask: no position sees a later one: then this is the block of a GPT.
        training: drop only when True.

    Returns:
        ``(B, T, D)``; equal to ``keras_hub.layers.TransformerEncoder`` with the same weights.

    Raises:
        ValueError: when the heads do not divide the width.

    Example:
        >>> EncoderBlock(num_heads=2, intermediate_dim=16)(keras.random.normal((2, 5, 8))).shape
        TensorShape([2, 5, 8])

    Source: Vaswani et al. 2017, section 3.1; Xiong et al. 2020 (pre-norm); Zhang and Sennrich 2019 (RMS norm); document
    D3, section 4, whose formula adds the residual twice.
    """

    def __init__(
        self,
        num_heads: int,
        intermediate_dim: int,
        dropout: float = 0.0,
        activation: str = "relu",
        pre_norm: bool = True,
        attention_dropout: float = 0.0,
        rotary: bool = False,
        fused: bool = False,
        epsilon: float = 1e-5,
        norm: str = "layer",
        use_bias: bool = True,
        num_key_value_heads: int | None = None,
        kernel_initializer: keras.initializers.Initializer | str = "glorot_uniform",
        adapter_dim: int | None = None,
        **kwargs,
    ) -> None:
        super().__init__(**kwargs)
        if norm not in NORMS:
            raise ValueError(f"norm={norm!r}: there are {', '.join(map(repr, NORMS))}.")
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.config = {
            "num_heads": num_heads,
            "intermediate_dim": intermediate_dim,
            "dropout": dropout,
            "activation": activation,
            "pre_norm": pre_norm,
            "attention_dropout": attention_dropout,
            "rotary": rotary,
            "fused": fused,
            "epsilon": epsilon,
            "norm": norm,
            "use_bias": use_bias,
            "num_key_value_heads": num_key_value_heads,
            "adapter_dim": adapter_dim,
        }
        self.supports_masking = True
        self.dropout = Dropout(dropout, dtype=self.dtype_policy)
        self.self_attention, self.self_norm = self._attention("self_attention", rotary=rotary), self._norm("self_norm")
        self.feed_forward = FeedForward(intermediate_dim, activation, name="feed_forward", **self._common())
        self.feed_norm = self._norm("feed_norm")
        self.adapters = {
            norm: Adapter(adapter_dim, name=f"adapter_{norm}", dtype=self.dtype_policy)
            for norm in (("self_norm", "feed_norm") if adapter_dim else ())
        }

    def _attention(self, name: str, **options) -> MultiHeadAttention:
        options |= {key: self.config[key] for key in ("num_heads", "num_key_value_heads", "fused")}
        return MultiHeadAttention(name=name, dropout=self.config["attention_dropout"], **options, **self._common())

    def _norm(self, name: str) -> layers.Layer:
        return NORMS[self.config["norm"]](epsilon=self.config["epsilon"], name=name, dtype=self.dtype_policy)

    def _common(self) -> dict:
        initializer = self.kernel_initializer.clone()
        return {"use_bias": self.config["use_bias"], "kernel_initializer": initializer, "dtype": self.dtype_policy}

    def build(self, x_shape: tuple) -> None:
        for layer in (self.self_norm, self.self_attention, self.feed_norm, self.feed_forward, *self.adapters.values()):
            layer.build(x_shape)

    def call(self, x, mask=None, use_causal_mask: bool = False, training: bool = False):
        # A mask that Keras has hung on x comes through the norm to the attention, which takes it from there.
        options = {"use_causal_mask": use_causal_mask, "training": training}
        y = self.self_attention(self.enter(x, self.self_norm), mask=mask, **options)
        x = self.leave(x, y, self.self_norm, training)
        return self.feed(x, training)

    def step(self, x, cache, position, keys_mask=None):
        """New positions ``(B, T, D)`` after those in the cache; see :meth:`MultiHeadAttention.step`."""
        y, cache = self.self_attention.step(self.enter(x, self.self_norm), cache, position, keys_mask)
        return self.feed(self.leave(x, y, self.self_norm)), cache

    def feed(self, x, training: bool = False):
        """The second half of the block: feed-forward and its residual connection."""
        y = self.feed_forward(self.enter(x, self.feed_norm))
        return self.leave(x, y, self.feed_norm, training)

    def enter(self, x, norm: layers.Layer):
        """What goes into a sub-layer."""
        return norm(x) if self.config["pre_norm"] else x

    def leave(self, x, y, norm: layers.Layer, training: bool = False):
        """What comes out behind a sub-layer that made ``y`` of ``x``: the two added, once."""
        y = self.adapters[norm.name](y) if norm.name in self.adapters else y
        x = x + self.dropout(y, training=training)
        return x if self.config["pre_norm"] else norm(x)

    def get_config(self) -> dict:
        initializer = keras.initializers.serialize(self.kernel_initializer)
        return {**super().get_config(), **self.config, "kernel_initializer": initializer}


@keras.saving.register_keras_serializable(package="keras_llm")
class DecoderBlock(EncoderBlock):
    """Self-attention that sees nothing later, cross-attention over a memory, then feed-forward.

    Args:
        num_heads: heads of both attentions.
        intermediate_dim: width inside the feed-forward layer.
        options: the others of :class:`EncoderBlock`; ``rotary`` turns those of the self-attention.

    Call arguments:
        x: float tensor ``(B, T, D)``, the target shifted by one.
        memory: ``(B, S, D)``, the encoder's output.
        mask: bool ``(B, T)``, False where the target is padding; taken from Keras when not given.
        memory_mask: bool ``(B, S)``, False where the source is padding; taken from Keras when not given.
        training: drop only when True.
        return_weights: give ``(outputs, cross-attention weights (B, H, T, S))``.

    Returns:
        ``(B, T, D)``; equal to ``keras_hub.layers.TransformerDecoder`` with the same weights.

    Raises:
        ValueError: when the heads do not divide the width.

    Example:
        >>> memory = keras.random.normal((2, 7, 8))
        >>> DecoderBlock(num_heads=2, intermediate_dim=16)(keras.random.normal((2, 5, 8)), memory).shape
        TensorShape([2, 5, 8])

    Source: Vaswani et al. 2017, section 3.1; document D3, section 4, whose formula adds the residual twice and lets
    the two attentions run side by side instead of one after the other.
    """

    def __init__(self, num_heads: int, intermediate_dim: int, **options) -> None:
        super().__init__(num_heads, intermediate_dim, **options)
        self.cross_attention, self.cross_norm = self._attention("cross_attention"), self._norm("cross_norm")

    def build(self, x_shape: tuple, memory_shape: tuple) -> None:
        super().build(x_shape)
        self.cross_norm.build(x_shape)
        self.cross_attention.build(x_shape, memory_shape)

    def call(self, x, memory, mask=None, memory_mask=None, training: bool = False, return_weights: bool = False):
        y = self.self_attention(self.enter(x, self.self_norm), mask=mask, use_causal_mask=True, training=training)
        x = self.leave(x, y, self.self_norm, training)
        y, weights = self.cross_attention(
            self.enter(x, self.cross_norm), memory, memory_mask=memory_mask, training=training, return_weights=True
        )
        x = self.leave(x, y, self.cross_norm, training)
        x = self.feed(x, training)
        return (x, weights) if return_weights else x

    def step(self, x, cache, position, memory_keys_values, memory_mask=None):
        """One new position after those in the cache.

        Args:
            x: ``(B, 1, D)``. Several beams of one memory stand one after the other: then B is a multiple of M.
            cache: see :meth:`MultiHeadAttention.step`.
            position: int32 ``()``.
            memory_keys_values: what :meth:`remember` made of the memory, ``(M, 2, H, S, d)``.
            memory_mask: bool ``(M, S)``.

        Returns:
            ``(B, 1, D)``, and the cache with the new position in it.
        """
        y, cache = self.self_attention.step(self.enter(x, self.self_norm), cache, position)
        x = self.leave(x, y, self.self_norm)
        # The beams of a memory ask it together, as T positions do: it need not be repeated for them.
        beams = ops.reshape(self.enter(x, self.cross_norm), (memory_keys_values.shape[0], -1, x.shape[-1]))
        (query,) = self.cross_attention.project(beams, "query")  # (M, H, B/M, d)
        see = allowed(memory_mask)  # (M, 1, 1, S)
        y, _ = self.cross_attention.attend(query, memory_keys_values[:, 0], memory_keys_values[:, 1], see)
        return self.feed(self.leave(x, ops.reshape(y, x.shape), self.cross_norm)), cache

    def remember(self, memory):
        """Keys and values of the memory ``(B, S, D)``, once for all steps: ``(B, 2, H, S, d)``."""
        return ops.stack(self.cross_attention.project(memory, "key", "value"), axis=1)
