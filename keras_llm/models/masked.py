"""BERT's pretraining: an encoder that sees the whole row, and guesses the tokens that were hidden from it."""

import keras
from keras import initializers, layers, ops

from keras_llm.models.encoder import Encoder


@keras.saving.register_keras_serializable(package="keras_llm")
class MaskedLanguageModel(Encoder):
    """Token ids with some of them hidden, to the logits of what stood there.

    N = rows, T = time, D = width, V = vocabulary, M = hidden places of a row.

    Args:
        vocabulary_size: V; id 0 is padding. The mask token has an id of its own beyond them, :attr:`mask_id` = V.
        context_length: the most tokens in a row.
        hidden_dim: D.
        num_heads: heads of each attention; they divide D.
        num_layers: encoder blocks.
        intermediate_dim: width inside the feed-forward layers, by default 4 D.
        dropout: share of embeddings, attention weights and each sub-layer's outputs set to zero in training.
        pre_norm: see :class:`keras_llm.layers.EncoderBlock`; False is BERT's own.
        positions: "learned" vectors that are added, BERT's own, or "rotary": queries and keys are turned, from which a
            small model learns to look around much sooner.

    Call arguments:
        inputs: dict of ``token_ids`` int ``(N, T)``, padded with 0 at the end, and ``mask_positions`` int ``(N, M)``,
            the places to be guessed, as ``keras_hub.layers.MaskedLMMaskGenerator`` gives them.
        training: drop only when True.

    Returns:
        Logits ``(N, M, V)``, float32. Rows beyond those that were hidden (position 0 fills them up) mean nothing: the
        generator's ``mask_weights`` leave them out of the loss.

    Raises:
        ValueError: when the heads do not divide the width, a row is longer than the context, or ``positions`` is none
            of the two.

    Example:
        >>> model = MaskedLanguageModel(vocabulary_size=50, context_length=8, hidden_dim=8, num_heads=2, num_layers=1)
        >>> hidden = np.array([[7, 50, 9, 50]])  # 50 is the mask token
        >>> model({"token_ids": hidden, "mask_positions": np.array([[1, 3]])}).shape
        TensorShape([1, 2, 50])

    Source: Devlin et al. 2019 (BERT), section 3.1; document D2, which trains a ``BertModel`` on labels that it does not
    take.
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
        **kwargs,
    ) -> None:
        super().__init__(
            vocabulary_size + 1,
            context_length,
            hidden_dim,
            num_heads,
            num_layers,
            intermediate_dim,
            dropout,
            pre_norm,
            positions,
            **kwargs,
        )
        self.config = {**self.config, "vocabulary_size": vocabulary_size}
        normal, own = initializers.RandomNormal(stddev=0.02), self.dtype_policy
        # The head turns a state into the vector of the token that it guesses, and compares it with all.
        self.head = layers.Dense(hidden_dim, "gelu", kernel_initializer=normal.clone(), name="head", dtype=own)
        self.head_norm = layers.LayerNormalization(epsilon=self.config["epsilon"], name="head_norm", dtype=own)

    @property
    def mask_id(self) -> int:
        """The id that stands where a token is hidden."""
        return self.config["vocabulary_size"]

    def build(self, input_shape: dict) -> None:
        super().build(input_shape)
        for layer in (self.head, self.head_norm):
            layer.build((*input_shape["token_ids"], self.config["hidden_dim"]))
        self.bias = self.add_weight(name="bias", shape=(self.config["vocabulary_size"],), initializer="zeros")

    def call(self, inputs: dict, training: bool = False):
        states = self.encode(inputs["token_ids"], training=training)  # (N, T, D)
        places = ops.cast(inputs["mask_positions"], "int32")[..., None]  # (N, M, 1)
        guesses = self.head_norm(self.head(ops.take_along_axis(states, places, axis=1)))  # (N, M, D)
        table = ops.cast(self.embedding.embeddings, self.compute_dtype)[: self.config["vocabulary_size"]]  # (V, D)
        return ops.cast(ops.matmul(guesses, ops.transpose(table)), "float32") + ops.cast(self.bias, "float32")
