"""The Transformer of the paper: an encoder that reads, a decoder that writes and looks back at what was read."""

import math

import keras
from keras import initializers, layers, ops

from keras_llm.layers import DecoderBlock, Dropout, EncoderBlock, SinusoidalPositions, padding_mask


@keras.saving.register_keras_serializable(package="keras_llm")
class Transformer(keras.Model):
    """Token ids of a source and of a target so far, to logits of each next target token.

    One table of token vectors serves three times: for the source, for the target, and turned around as the last layer.
    N = sentences, S = source tokens, T = target tokens, D = width, V = vocabulary.

    Args:
        vocabulary_size: V, one vocabulary for both languages; id 0 is padding.
        hidden_dim: D.
        num_heads: heads of each attention; they divide D.
        intermediate_dim: width inside the feed-forward layers.
        num_layers: blocks of the encoder, and as many of the decoder.
        dropout: share of the embeddings' and each sub-layer's outputs set to zero in training.
        pre_norm: see :class:`keras_llm.layers.EncoderBlock`.

    Call arguments:
        inputs: dict of int tensors ``source_ids`` ``(N, S)`` and ``target_ids`` ``(N, T)``, both padded with 0 at their
            ends; the target begins with the start token, and the labels are the target shifted by one.

    Returns:
        Logits ``(N, T, V)``; those at padding mean nothing.

    Raises:
        ValueError: when the heads do not divide the width.

    Example:
        >>> model = Transformer(vocabulary_size=50, hidden_dim=8, num_heads=2, intermediate_dim=16, num_layers=1)
        >>> ids = np.array([[5, 7, 2, 0]])
        >>> model({"source_ids": ids, "target_ids": ids[:, :3]}).shape
        TensorShape([1, 3, 50])

    Source: Vaswani et al. 2017; document D3, sections 3 to 5, mended: an embedding of the vocabulary's size for either
    side, causal and padding masks, positions, and a logit for each word.
    """

    def __init__(
        self,
        vocabulary_size: int,
        hidden_dim: int = 512,
        num_heads: int = 8,
        intermediate_dim: int = 2048,
        num_layers: int = 6,
        dropout: float = 0.1,
        pre_norm: bool = True,
        **kwargs,
    ) -> None:
        super().__init__(**kwargs)
        self.config = {
            "vocabulary_size": vocabulary_size,
            "hidden_dim": hidden_dim,
            "num_heads": num_heads,
            "intermediate_dim": intermediate_dim,
            "num_layers": num_layers,
            "dropout": dropout,
            "pre_norm": pre_norm,
        }
        # Small, since the same table gives the logits. With 1/√D, a common choice, the state of a place is so like its
        # own token's vector that an untrained model leans to repeating it (for D = 256 with probability 1/8).
        normal = initializers.RandomNormal(stddev=0.02)
        self.embedding = layers.Embedding(vocabulary_size, hidden_dim, normal, name="embedding")
        self.positions = SinusoidalPositions(name="positions")
        self.dropout = Dropout(dropout)
        options = {"dropout": dropout, "pre_norm": pre_norm}
        self.encoder_blocks = [
            EncoderBlock(num_heads, intermediate_dim, name=f"encoder_{index + 1}", **options)
            for index in range(num_layers)
        ]
        self.decoder_blocks = [
            DecoderBlock(num_heads, intermediate_dim, name=f"decoder_{index + 1}", **options)
            for index in range(num_layers)
        ]
        # A stack of pre-norm blocks ends in a sum that nobody has normalised.
        self.encoder_norm = layers.LayerNormalization(epsilon=1e-5, name="encoder_norm")
        self.decoder_norm = layers.LayerNormalization(epsilon=1e-5, name="decoder_norm")

    def build(self, input_shape: dict) -> None:
        source, target = ((*input_shape[name], self.config["hidden_dim"]) for name in ("source_ids", "target_ids"))
        self.embedding.build(input_shape["source_ids"])
        for block in self.encoder_blocks:
            block.build(source)
        for block in self.decoder_blocks:
            block.build(target, source)
        self.encoder_norm.build(source)
        self.decoder_norm.build(target)

    def call(self, inputs: dict, training: bool = False):
        memory = self.encode(inputs["source_ids"], training)
        return self.decode(inputs["target_ids"], memory, inputs["source_ids"], training)

    def encode(self, source_ids, training: bool = False):
        """Source ids ``(N, S)`` to the memory ``(N, S, D)``: one vector a token, not one a sentence."""
        x, mask = self.embed(source_ids, training), padding_mask(source_ids)
        for block in self.encoder_blocks:
            x = block(x, mask=mask, training=training)
        return self.encoder_norm(x)

    def decode(self, target_ids, memory, source_ids, training: bool = False, return_weights: bool = False):
        """Target ids ``(N, T)`` to logits ``(N, T, V)``.

        Args:
            target_ids: begins with the start token.
            memory: ``(N, S, D)``, what :meth:`encode` made of ``source_ids``.
            source_ids: ``(N, S)``, for their padding.
            training: drop when True.
            return_weights: give ``(logits, weights)``, the last block's cross-attention ``(N, heads, T, S)``.
        """
        x, weights = self.embed(target_ids, training), None
        mask, memory_mask = padding_mask(target_ids), padding_mask(source_ids)
        for block in self.decoder_blocks:
            x, weights = block(x, memory, mask=mask, memory_mask=memory_mask, training=training, return_weights=True)
        logits = self.logits(x)
        return (logits, weights) if return_weights else logits

    def embed(self, token_ids, training: bool = False):
        x = self.embedding(token_ids) * math.sqrt(self.config["hidden_dim"])  # (N, T, D)
        return self.dropout(self.positions(x), training=training)

    def logits(self, x):
        """Decoder states ``(N, T, D)`` to logits ``(N, T, V)``, float32 under mixed precision too."""
        table = ops.cast(self.embedding.embeddings, self.compute_dtype)  # (V, D)
        return ops.cast(ops.matmul(self.decoder_norm(x), ops.transpose(table)), "float32")

    # --- one token after the other: what keras_llm.generation asks of a model -----------------------------------------

    def start(self, source_ids, longest: int):
        """What does not change from step to step, and an empty cache.

        Args:
            source_ids: int tensor ``(N, S)``.
            longest: tokens that will be written at most.

        Returns:
            ``(memory, cache, 0)``; the memory holds keys and values of the source for each decoder block, the cache is
            a list of ``(N, 2, heads, longest, D / heads)``, one a block; the start token's place is 0.
        """
        memory, heads = self.encode(source_ids), self.config["num_heads"]
        shape = (memory.shape[0], 2, heads, longest, self.config["hidden_dim"] // heads)
        cache = [ops.zeros(shape, self.compute_dtype) for _ in self.decoder_blocks]
        return ([block.remember(memory) for block in self.decoder_blocks], padding_mask(source_ids)), cache, 0

    def step(self, token_ids, position, memory, cache):
        """The logits after one more token.

        Args:
            token_ids: int32 ``(B,)``, the last tokens; B is N times the number of beams.
            position: int32 ``()``, where they stand; 0 is the start token's place.
            memory, cache: of :meth:`start`, the cache of B rows.

        Returns:
            ``(logits (B, V), cache)``.
        """
        keys_values, source_mask = memory
        x = self.embedding(token_ids[:, None]) * math.sqrt(self.config["hidden_dim"])  # (B, 1, D)
        table = self.positions.table(cache[0].shape[3], self.config["hidden_dim"])  # (longest, D)
        x, new = x + ops.take(table, position, axis=0), []
        for block, kept, remembered in zip(self.decoder_blocks, cache, keys_values, strict=True):
            x, kept = block.step(x, kept, position, remembered, source_mask)
            new.append(kept)
        return self.logits(x)[:, 0], new

    def get_config(self) -> dict:
        return {**super().get_config(), **self.config}
