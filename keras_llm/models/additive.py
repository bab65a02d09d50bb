"""The language models of document D4: its formula, mended, and its code, which is another model."""

import keras
from keras import initializers, layers, ops

SMALL = initializers.RandomNormal(stddev=0.02)


@keras.saving.register_keras_serializable(package="keras_llm")
class AdditiveLanguageModel(keras.Model):
    """P(w_{t+1} | w_1 … w_t) = softmax(W_e[w_{t+1}] + Σ_{i≤t} W_h[w_i]): each earlier token adds its vote.

    As the document writes it, the softmax is over the D numbers of a word's vector, not over words. The dimensions fit
    when W_e holds one number for each word, and W_h a row of V votes::

        logit(w) = W_e[w] + Σ_{i≤t} W_h[w_i, w]

    The sum knows which words came, not in which order. V × V numbers are many, so W_h may be a product of two thin
    matrices, V × D and D × V. N = rows, T = time, V = vocabulary.

    Args:
        vocabulary_size: V; id 0 is padding, which adds nothing.
        hidden_dim: D, the rank of W_h; None: W_h is whole.
        reach: how many of the last tokens are added; None takes all since the row's beginning, as the document does.
            1 makes a bigram of it.

    Call arguments:
        token_ids: int tensor ``(N, T)``.

    Returns:
        Logits ``(N, T, V)`` of the token after each place.

    Raises:
        ValueError: ``reach`` is below 1.

    Source: document D4, section 3.1.4. Mnih and Hinton 2007 (log-bilinear model) is the model that comes of it when
    each distance has a W_h of its own.
    """

    def __init__(self, vocabulary_size: int, hidden_dim: int | None = None, reach: int | None = None, **kwargs) -> None:
        super().__init__(**kwargs)
        if reach is not None and reach < 1:
            raise ValueError(f"reach={reach} must be at least 1.")
        self.config = {"vocabulary_size": vocabulary_size, "hidden_dim": hidden_dim, "reach": reach}
        self.votes = layers.Embedding(
            vocabulary_size, hidden_dim or vocabulary_size, SMALL.clone(), name="votes", dtype=self.dtype_policy
        )
        self.spread = (
            None
            if hidden_dim is None
            else layers.Dense(vocabulary_size, use_bias=False, kernel_initializer=SMALL.clone(), name="spread")
        )

    def build(self, input_shape: tuple) -> None:
        self.alone = self.add_weight(name="alone", shape=(self.config["vocabulary_size"],), initializer="zeros")  # W_e
        self.votes.build(input_shape)
        if self.spread is not None:
            self.spread.build((*input_shape, self.config["hidden_dim"]))

    def call(self, token_ids):
        present = ops.cast(ops.not_equal(token_ids, 0), self.compute_dtype)[..., None]
        total = ops.cumsum(self.votes(token_ids) * present, axis=1)  # Σ over i ≤ t: (N, T, D or V)
        reach = self.config["reach"]
        if reach is not None and reach < token_ids.shape[1]:
            total = total - ops.pad(total[:, :-reach], ((0, 0), (reach, 0), (0, 0)))
        return self.alone + (total if self.spread is None else self.spread(total))  # (N, T, V)

    def get_config(self) -> dict:
        return {**super().get_config(), **self.config}


@keras.saving.register_keras_serializable(package="keras_llm")
class DocumentLanguageModel(keras.Model):
    """D4's code as printed: Embedding → Linear → Linear. Each place sees its own token alone: a bigram.

    Args:
        vocabulary_size: V.
        embedding_dim: width of the token vectors.
        hidden_dim: width between the two linear layers, with no activation between them.

    Call arguments:
        token_ids: int tensor ``(N, T)``.

    Returns:
        Logits ``(N, T, V)`` of the token after each place.

    Source: document D4, section 4 (``AutoRegressiveModel``).
    """

    def __init__(self, vocabulary_size: int, embedding_dim: int = 128, hidden_dim: int = 128, **kwargs) -> None:
        super().__init__(**kwargs)
        self.config = {"vocabulary_size": vocabulary_size, "embedding_dim": embedding_dim, "hidden_dim": hidden_dim}
        self.embedding = layers.Embedding(vocabulary_size, embedding_dim, name="embedding")
        self.hidden = layers.Dense(hidden_dim, name="hidden")
        self.out = layers.Dense(vocabulary_size, name="out")

    def build(self, input_shape: tuple) -> None:
        self.embedding.build(input_shape)
        self.hidden.build((*input_shape, self.config["embedding_dim"]))
        self.out.build((*input_shape, self.config["hidden_dim"]))

    def call(self, token_ids):
        return self.out(self.hidden(self.embedding(token_ids)))

    def get_config(self) -> dict:
        return {**super().get_config(), **self.config}
