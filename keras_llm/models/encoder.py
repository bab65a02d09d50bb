"""BERT's encoder: token ids to one vector a token, each of which has seen the whole row."""

import keras
from keras import initializers, layers, ops

from keras_llm.layers import Dropout, EncoderBlock, LearnedPositions, padding_mask
from keras_llm.models.gpt import POSITIONS


@keras.saving.register_keras_serializable(package="keras_llm")
class Encoder(keras.Model):
    """Embeddings, then blocks that look both ways.

    N = rows, T = time, D = width, V = vocabulary.

    Args:
        vocabulary_size: V; id 0 is padding.
        context_length: the most tokens in a row.
        hidden_dim: D.
        num_heads: heads of each attention; they divide D.
        num_layers: encoder blocks.
        intermediate_dim: width inside the feed-forward layers, by default 4 D.
        dropout: share of embeddings, attention weights and each sub-layer's outputs set to zero in training.
        pre_norm: see :class:`keras_llm.layers.EncoderBlock`; False is BERT's own.
        positions: "learned" vectors that are added, BERT's own, or "rotary": queries and keys are turned, from which a
            small model learns to look around much sooner.
        num_segments: kinds of segment that have a learned vector, which is added to each token; BERT has 2, for the
            first sentence of a pair and the second. 0: none.
        activation: of the feed-forward layers.
        epsilon: of the norms.
        adapter_dim: see :class:`keras_llm.layers.EncoderBlock`.

    Call arguments:
        inputs: token ids int ``(N, T)``, padded with 0 at the end; or a dict of these ``token_ids`` and of
            ``segment_ids`` int ``(N, T)``. Without them all tokens are of segment 0.
        training: drop only when True.

    Returns:
        ``(N, T, D)``; rows at padding mean nothing.

    Raises:
        ValueError: when the heads do not divide the width, a row is longer than the context, or ``positions`` is none
            of the two.

    Example:
        >>> encoder = Encoder(vocabulary_size=50, context_length=8, hidden_dim=8, num_heads=2, num_layers=1)
        >>> encoder(np.array([[7, 3, 9, 0]])).shape
        TensorShape([1, 4, 8])

    Source: Devlin et al. 2019 (BERT), section 3; document D2, section on BERT.
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
        pre_norm: bool = False,
        positions: str = "learned",
        num_segments: int = 0,
        activation: str = "gelu",
        epsilon: float = 1e-12,
        adapter_dim: int | None = None,
        **kwargs,
    ) -> None:
        super().__init__(**kwargs)
        if positions not in POSITIONS:
            raise ValueError(f"positions={positions!r}: there are {', '.join(map(repr, POSITIONS))}.")
        intermediate_dim = intermediate_dim or 4 * hidden_dim
        self.config = {
            "vocabulary_size": vocabulary_size,
            "context_length": context_length,
            "hidden_dim": hidden_dim,
            "num_heads": num_heads,
            "num_layers": num_layers,
            "intermediate_dim": intermediate_dim,
            "dropout": dropout,
            "pre_norm": pre_norm,
            "positions": positions,
            "num_segments": num_segments,
            "activation": activation,
            "epsilon": epsilon,
            "adapter_dim": adapter_dim,
        }
        normal, own = initializers.RandomNormal(stddev=0.02), self.dtype_policy

        def table(rows: int, name: str) -> layers.Embedding:
            return layers.Embedding(rows, hidden_dim, normal.clone(), name=name, dtype=own)

        learned = positions == "learned"
        self.embedding = table(vocabulary_size, "embedding")
        self.positions = (
            LearnedPositions(context_length, normal.clone(), name="positions", dtype=own) if learned else None
        )
        self.segments = table(num_segments, "segments") if num_segments else None
        self.embedding_norm = layers.LayerNormalization(epsilon=epsilon, name="embedding_norm", dtype=own)
        self.dropout = Dropout(dropout, dtype=own)
        self.blocks = [
            EncoderBlock(
                num_heads,
                intermediate_dim,
                dropout=dropout,
                attention_dropout=dropout,
                activation=activation,
                pre_norm=pre_norm,
                rotary=not learned,
                epsilon=epsilon,
                kernel_initializer=normal.clone(),
                adapter_dim=adapter_dim,
                name=f"block_{index + 1}",
                dtype=own,
            )
            for index in range(num_layers)
        ]
        self.norm = layers.LayerNormalization(epsilon=epsilon, name="norm", dtype=own) if pre_norm else None

    def build(self, input_shape: tuple | dict) -> None:
        rows = input_shape["token_ids"] if isinstance(input_shape, dict) else input_shape
        shape = (*rows, self.config["hidden_dim"])
        self.embedding.build(rows)
        if self.positions is not None:
            self.positions.build((None, self.config["context_length"], shape[-1]))
        if self.segments is not None:
            self.segments.build(rows)
        for layer in filter(None, (self.embedding_norm, *self.blocks, self.norm)):
            layer.build(shape)

    def call(self, inputs, training: bool = False):
        if isinstance(inputs, dict):
            return self.encode(inputs["token_ids"], inputs.get("segment_ids"), training)
        return self.encode(inputs, training=training)

    def encode(self, token_ids, segment_ids=None, training: bool = False):
        """Token ids ``(N, T)``, and if there are some their segments ``(N, T)``, to the states ``(N, T, D)``."""
        length, longest = token_ids.shape[1], self.config["context_length"]
        if length is None or length > longest:
            raise ValueError(f"A row of {length} tokens: its length must be fixed, and at most {longest}.")
        x = self.embedding(token_ids)
        if self.positions is not None:
            x = self.positions(x)
        if self.segments is not None:
            x = x + self.segments(ops.zeros((1, 1), "int32") if segment_ids is None else segment_ids)
        x, mask = self.dropout(self.embedding_norm(x), training=training), padding_mask(token_ids)
        for block in self.blocks:
            x = block(x, mask=mask, training=training)
        return x if self.norm is None else self.norm(x)

    def get_config(self) -> dict:
        return {**super().get_config(), **self.config}
