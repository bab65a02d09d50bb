"""The documents' text classifier: Embedding, two LSTM layers, Dense."""

import keras
import numpy as np
from keras import layers, ops

from keras_llm.layers import LSTM, BidirectionalLSTM, Dropout


@keras.saving.register_keras_serializable(package="keras_llm")
class LSTMClassifier(keras.Model):
    """Token ids to class probabilities through an embedding and stacked LSTMs.

    The defaults are the document's own sizes: ``Embedding(10000, 256)``, ``LSTM(128, return_sequences=True)``,
    ``LSTM(128)``, ``Dense(1, sigmoid)``. B = batch, T = sequence length.

    Args:
        num_classes: 2 gives one sigmoid unit, the probability of class 1; more give a softmax over the classes.
        vocabulary_size: number of token ids, padding (0) and unknown (1) among them.
        embedding_dim: width of the word vectors.
        units: width of each LSTM's state (of each direction's, when ``bidirectional``).
        num_layers: LSTM layers on top of one another.
        bidirectional: read each text from both ends.
        pooling: what the head sees: the "last" state, as the document has it, or the "max" of each unit over all
            words, so that a strong word in the middle of a long text is not forgotten.
        dropout: share of the inputs of each LSTM and of the head dropped in training, in [0, 1).
        l2: L2 penalty on the input kernels of the LSTMs and on the head.

    Call arguments:
        token_ids: int tensor ``(B, T)``, padded at the end with 0; padding changes nothing.

    Returns:
        Probabilities ``(B, 1)`` for two classes, otherwise ``(B, num_classes)``.

    Raises:
        ValueError: for fewer than two classes, no layer, or an unknown pooling.

    Example:
        >>> model = LSTMClassifier(num_classes=2, vocabulary_size=100, embedding_dim=8, units=4)
        >>> model(np.array([[5, 7, 0, 0]])).shape
        TensorShape([1, 1])

    Source: document D0, section 5.2 (without ``input_length``, which Keras 3 no longer has).
    """

    def __init__(
        self,
        num_classes: int = 2,
        vocabulary_size: int = 10_000,
        embedding_dim: int = 256,
        units: int = 128,
        num_layers: int = 2,
        bidirectional: bool = False,
        pooling: str = "last",
        dropout: float = 0.0,
        l2: float = 0.0,
        **kwargs,
    ) -> None:
        super().__init__(**kwargs)
        if num_classes < 2 or num_layers < 1:
            raise ValueError(
                f"num_classes={num_classes}, num_layers={num_layers}: need at least two classes and a layer."
            )
        if pooling not in ("last", "max"):
            raise ValueError(f"pooling={pooling!r}: choose 'last' or 'max'.")
        self.config = {
            "num_classes": num_classes,
            "vocabulary_size": vocabulary_size,
            "embedding_dim": embedding_dim,
            "units": units,
            "num_layers": num_layers,
            "bidirectional": bidirectional,
            "pooling": pooling,
            "dropout": dropout,
            "l2": l2,
        }
        penalty = keras.regularizers.L2(l2) if l2 else None
        recurrent = BidirectionalLSTM if bidirectional else LSTM
        self.embedding = layers.Embedding(vocabulary_size, embedding_dim, mask_zero=True, name="embedding")
        self.recurrent_layers = [
            recurrent(
                units,
                return_sequences=index < num_layers - 1 or pooling == "max",
                kernel_regularizer=penalty,
                name=f"lstm_{index + 1}",
            )
            for index in range(num_layers)
        ]
        self.dropouts = [Dropout(dropout, name=f"dropout_{index + 1}") for index in range(num_layers + 1)]
        if num_classes == 2:
            self.head = layers.Dense(1, activation="sigmoid", kernel_regularizer=penalty, name="head")
        else:
            self.head = layers.Dense(num_classes, activation="softmax", kernel_regularizer=penalty, name="head")

    def build(self, input_shape: tuple) -> None:
        self.embedding.build(input_shape)
        shape = (*input_shape, self.config["embedding_dim"])
        for layer in self.recurrent_layers:
            layer.build(shape)
            shape = layer.compute_output_shape(shape)
        self.head.build((shape[0], shape[-1]))

    def call(self, token_ids, training: bool = False):
        mask = self.embedding.compute_mask(token_ids)  # (B, T), False at padding
        x = self.embedding(token_ids)  # (B, T, embedding_dim)
        for layer, dropout in zip(self.recurrent_layers, self.dropouts[:-1], strict=True):
            x = layer(dropout(x, training=training), mask=mask)  # (B, T, units), the last one (B, units)
        if self.config["pooling"] == "max":
            # An LSTM's states lie in (-1, 1), so -1 never wins over a real word.
            x = ops.max(ops.where(mask[:, :, None], x, -1.0), axis=1)  # (B, units)
        return self.head(self.dropouts[-1](x, training=training))

    @property
    def loss_name(self) -> str:
        """The Keras loss that fits the head, for integer labels."""
        return "binary_crossentropy" if self.config["num_classes"] == 2 else "sparse_categorical_crossentropy"

    def set_word_vectors(self, vectors: np.ndarray, found: np.ndarray) -> None:
        """Start from pretrained word vectors where there are some; the other words keep their random ones.

        Args:
            vectors: ``(vocabulary_size, embedding_dim)``; row i belongs to token i.
            found: bool ``(vocabulary_size,)``; False where ``vectors`` has no entry.

        Raises:
            ValueError: when the shapes do not fit, or the model is not built yet.
        """
        if not self.embedding.built:
            raise ValueError("Call the model on a batch, or build it, before setting its word vectors.")
        table = np.array(self.embedding.embeddings)
        if vectors.shape != table.shape or found.shape != table.shape[:1]:
            raise ValueError(
                f"Word vectors {vectors.shape} with {found.shape} flags do not fit an embedding of {table.shape}."
            )
        # Random rows as large as the pretrained ones, so that no word shouts only because it is unknown.
        scale = vectors[found].std() / table.std() if found.any() else 1.0
        self.embedding.embeddings.assign(np.where(found[:, None], vectors, table * scale))

    def get_config(self) -> dict:
        return {**super().get_config(), **self.config}
