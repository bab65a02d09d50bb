"""GPT: a stack of blocks that see nothing later, which predicts the next token at each place."""

import math

import keras
from keras import initializers, layers, ops

from keras_llm.layers import Dropout, EncoderBlock, LearnedPositions
from keras_llm.layers.blocks import NORMS

POSITIONS = ("learned", "rotary")


@keras.saving.register_keras_serializable(package="keras_llm")
class GPT(keras.Model):
    """Token ids to the logits of each next token.

    The defaults are GPT-2's: learned positions, layer norms, GELU, biases. Llama's are ``positions="rotary"``,
    ``norm="rms"``, ``activation="swiglu"``, ``use_bias=False``, ``num_key_value_heads`` below ``num_heads``. The table
    of token vectors serves twice, the second time turned around as the last layer.
    N = rows, T = time, D = width, V = vocabulary.

    Args:
        vocabulary_size: V; id 0 is padding.
        context_length: the most tokens in a row; positions beyond it have not been learned.
        hidden_dim: D.
        num_heads: heads of each attention; they divide D.
        num_layers: blocks.
        intermediate_dim: width inside the feed-forward layers; by default 4 D, or for "swiglu", which has a kernel
            more, 8/3 D, rounded up to a multiple of 32.
        dropout: share of embeddings, attention weights and each sub-layer's outputs set to zero in training.
        positions: "learned" vectors that are added, or "rotary": queries and keys are turned.
        norm: "layer" or "rms".
        activation: of the feed-forward layers: a Keras name, or "swiglu".
        num_key_value_heads: see :class:`keras_llm.layers.MultiHeadAttention`; None: as many as heads.
        use_bias: add biases in attention and feed-forward.

    Call arguments:
        token_ids: int tensor ``(N, T)``, T fixed and at most ``context_length``, padded with 0 at its end or not at
            all: what stands at the end nobody before it sees.
        training: drop only when True.

    Returns:
        Logits ``(N, T, V)``, float32: of the token after each place.

    Raises:
        ValueError: when the heads do not divide the width or one another, a row is longer than the context, or an
            option has no such choice.

    Example:
        >>> model = GPT(vocabulary_size=50, context_length=16, hidden_dim=8, num_heads=2, num_layers=1)
        >>> model(np.array([[5, 7, 2]])).shape
        TensorShape([1, 3, 50])

    Source: Radford et al. 2019 (also for the weights to begin with); Touvron et al. 2023 (Llama); document D2, sections
    on the Transformer and on pretraining; D4, section 3.1, whose model is one sum instead of this stack.
    """

    def __init__(
        self,
        vocabulary_size: int,
        context_length: int,
        hidden_dim: int = 128,
        num_heads: int = 4,
        num_layers: int = 4,
        intermediate_dim: int | None = None,
        dropout: float = 0.0,
        positions: str = "learned",
        norm: str = "layer",
        activation: str = "gelu",
        num_key_value_heads: int | None = None,
        use_bias: bool = True,
        **kwargs,
    ) -> None:
        super().__init__(**kwargs)
        if positions not in POSITIONS:
            raise ValueError(f"positions={positions!r}: there are {', '.join(map(repr, POSITIONS))}.")
        if intermediate_dim is None:
            intermediate_dim = -(-hidden_dim * 8 // 96) * 32 if activation == "swiglu" else 4 * hidden_dim
        self.config = {
            "vocabulary_size": vocabulary_size,
            "context_length": context_length,
            "hidden_dim": hidden_dim,
            "num_heads": num_heads,
            "num_layers": num_layers,
            "intermediate_dim": intermediate_dim,
            "dropout": dropout,
            "positions": positions,
            "norm": norm,
            "activation": activation,
            "num_key_value_heads": num_key_value_heads,
            "use_bias": use_bias,
        }
        normal, own = initializers.RandomNormal(stddev=0.02), self.dtype_policy
        self.embedding = layers.Embedding(vocabulary_size, hidden_dim, normal.clone(), name="embedding", dtype=own)
        learned = positions == "learned"
        self.positions = (
            LearnedPositions(context_length, normal.clone(), name="positions", dtype=own) if learned else None
        )
        self.dropout = Dropout(dropout, dtype=own)
        self.blocks = [
            EncoderBlock(
                num_heads,
                intermediate_dim,
                dropout=dropout,
                attention_dropout=dropout,
                activation=activation,
                rotary=positions == "rotary",
                norm=norm,
                use_bias=use_bias,
                num_key_value_heads=num_key_value_heads,
                kernel_initializer=normal.clone(),
                name=f"block_{index + 1}",
                dtype=own,
            )
            for index in range(num_layers)
        ]
        self.norm = NORMS[norm](epsilon=1e-5, name="norm", dtype=own)

    def build(self, input_shape: tuple) -> None:
        shape = (*input_shape, self.config["hidden_dim"])
        self.embedding.build(input_shape)
        if self.positions is not None:
            self.positions.build((None, self.config["context_length"], shape[-1]))
        for block in self.blocks:
            block.build(shape)
            # What is added to the residual stream begins small, so that many blocks add up to no more than a few.
            for kernel in (block.self_attention.kernels["output"], block.feed_forward.out_of.kernel):
                kernel.assign(kernel / math.sqrt(2 * len(self.blocks)))
        self.norm.build(shape)

    def call(self, token_ids, training: bool = False):
        return self.logits(self.states(token_ids, training))

    def states(self, token_ids, training: bool = False):
        """Token ids ``(N, T)`` to the states ``(N, T, D)`` behind the last block, before the norm at the end."""
        length, longest = token_ids.shape[1], self.config["context_length"]
        if length is None or length > longest:
            raise ValueError(f"A row of {length} tokens: its length must be fixed, and at most {longest}.")
        x = self.embedding(token_ids)  # (N, T, D)
        if self.positions is not None:
            x = self.positions(x)
        x = self.dropout(x, training=training)
        for block in self.blocks:
            x = block(x, use_causal_mask=True, training=training)
        return x

    def logits(self, x):
        """States ``(N, T, D)`` to logits ``(N, T, V)``, float32 under mixed precision too."""
        table = ops.cast(self.embedding.embeddings, self.compute_dtype)  # (V, D)
        return ops.cast(ops.matmul(self.norm(x), ops.transpose(table)), "float32")

    # --- one token after the other: what keras_llm.generation asks of a model -----------------------------------------

    def start(self, token_ids, longest: int):
        """Read prompts that stand at the right: ``[[0, 0, 5, 7], [3, 8, 2, 9]]``.

        Args:
            token_ids: int tensor ``(N, S)``, padded with 0 at the left; the last column is left for the first step.
            longest: tokens that will be written at most; S + ``longest`` fit into the context.

        Returns:
            ``(memory, cache, position)``: how much padding each row has ``(N,)``; keys and values, one
            ``(N, 2, G, S + longest, D / heads)`` a block, with all but the last prompt token in it; and S - 1, where
            that one stands.
        """
        count, length = token_ids.shape
        heads = self.config["num_key_value_heads"] or self.config["num_heads"]
        room, width = length + longest, self.config["hidden_dim"] // self.config["num_heads"]
        if room - 1 > self.config["context_length"]:  # the last token that is written is never read
            raise ValueError(
                f"{length} tokens of prompt and {longest} to write do not fit into {self.config['context_length']}."
            )
        cache = [ops.zeros((count, 2, heads, room, width), self.compute_dtype) for _ in self.blocks]
        padding = ops.sum(ops.cast(token_ids == 0, "int32"), axis=1)  # (N,)
        if length > 1:
            _, cache = self._write(token_ids[:, :-1], 0, padding, cache)
        return padding, cache, length - 1

    def step(self, token_ids, position, memory, cache):
        """The logits after one more token.

        Args:
            token_ids: int32 ``(B,)``, the last tokens; B is N times the number of beams.
            position: int32 ``()``, where they stand, padding counted.
            memory, cache: of :meth:`start`, the cache of B rows.

        Returns:
            ``(logits (B, V), cache)``.
        """
        logits, cache = self.steps(token_ids[:, None], position, memory, cache)
        return logits[:, 0], cache

    def steps(self, token_ids, position, memory, cache):
        """The same for several tokens at once: ids ``(B, T)``, logits ``(B, T, V)``."""
        padding = ops.repeat(memory, token_ids.shape[0] // memory.shape[0])  # (B,)
        x, cache = self._write(token_ids, position, padding, cache)
        return self.logits(x), cache

    def _write(self, token_ids, position, padding, cache):
        """Tokens ``(B, T)`` from ``position`` on through the blocks: states ``(B, T, D)``, and the cache with them."""
        x = self.embedding(token_ids)
        if self.positions is not None:
            places = position + ops.arange(token_ids.shape[1])[None, :] - padding[:, None]  # (B, T)
            table = self.positions.table(self.config["context_length"], self.config["hidden_dim"])
            x = x + ops.take(table, ops.maximum(places, 0), axis=0)
        written = ops.arange(cache[0].shape[3])[None, :] >= padding[:, None]  # (B, S + longest)
        new = []
        for block, kept in zip(self.blocks, cache, strict=True):
            x, kept = block.step(x, kept, position, written)
            new.append(kept)
        return x, new

    def get_config(self) -> dict:
        return {**super().get_config(), **self.config}
