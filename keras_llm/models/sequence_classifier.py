"""A classifier on top of a pretrained model: one vector for the whole text, and a head."""

import keras
from keras import layers, ops

from keras_llm.layers import Dropout
from keras_llm.models.encoder import Encoder
from keras_llm.models.gpt import GPT

POOLINGS = ("mean", "first", "last")


@keras.saving.register_keras_serializable(package="keras_llm")
class SequenceClassifier(keras.Model):
    """Token ids to class probabilities: encoder, one vector a text, head.

    N = rows, T = time, D = width of the encoder.

    Args:
        encoder: an :class:`Encoder`, or a :class:`GPT`, whose states are read below its last layer.
        num_classes: 2 gives one sigmoid unit, the probability of class 1; more give a softmax over the classes.
        pooling: the vector of a text: the "mean" over its tokens, its "first" token (BERT's ``[CLS]``), or its "last",
            the only one that has seen the whole text in a GPT.
        dropout: share of that vector set to zero in training.
        multi_label: a text may have several classes, or none: one sigmoid unit a class.

    Call arguments:
        inputs: what the encoder takes: token ids ``(N, T)``, padded with 0 at the end, or a dict with ``segment_ids``.
        training: drop only when True.

    Returns:
        Probabilities ``(N, 1)`` for two classes, otherwise ``(N, num_classes)``, float32.

    Raises:
        ValueError: for fewer than two classes (one, if a text may have several), or an unknown pooling.

    Example:
        >>> encoder = Encoder(vocabulary_size=50, context_length=8, hidden_dim=8, num_heads=2, num_layers=1)
        >>> SequenceClassifier(encoder, num_classes=3)(np.array([[7, 3, 9, 0]])).shape
        TensorShape([1, 3])

    Source: Devlin et al. 2019 (BERT), section 4; Reimers and Gurevych 2019, section 3 (mean); Radford et al. 2018,
    section 3.2 (last); documents D1, section 2, and D2 (``BertForSequenceClassification``).
    """

    def __init__(
        self,
        encoder: Encoder | GPT,
        num_classes: int = 2,
        pooling: str = "mean",
        dropout: float = 0.1,
        multi_label: bool = False,
        **kwargs,
    ) -> None:
        super().__init__(**kwargs)
        if num_classes < (1 if multi_label else 2):
            raise ValueError(f"num_classes={num_classes}: a classifier needs at least two.")
        if pooling not in POOLINGS:
            raise ValueError(f"pooling={pooling!r}: there are {', '.join(map(repr, POOLINGS))}.")
        self.config = {"num_classes": num_classes, "pooling": pooling, "dropout": dropout, "multi_label": multi_label}
        self.encoder = encoder
        self.dropout = Dropout(dropout, dtype=self.dtype_policy)
        one = num_classes == 2 and not multi_label
        activation = "sigmoid" if one or multi_label else "softmax"
        # In float32 under mixed precision too: a probability near 1 has no neighbours in bfloat16.
        normal = keras.initializers.RandomNormal(stddev=0.02)
        self.head = layers.Dense(
            1 if one else num_classes, activation, kernel_initializer=normal, name="head", dtype="float32"
        )

    def build(self, input_shape: tuple | dict) -> None:
        if not self.encoder.built:
            self.encoder.build(input_shape)
        self.head.build((None, self.encoder.config["hidden_dim"]))

    def call(self, inputs, training: bool = False):
        token_ids = inputs["token_ids"] if isinstance(inputs, dict) else inputs
        read = self.encoder.states if isinstance(self.encoder, GPT) else self.encoder
        vectors = self.pool(read(inputs, training=training), token_ids)  # (N, D)
        return self.head(self.dropout(vectors, training=training))

    def pool(self, states, token_ids):
        """States ``(N, T, D)`` to one vector a text ``(N, D)``."""
        if self.config["pooling"] == "first":
            return states[:, 0]
        if self.config["pooling"] == "last":
            last = ops.sum(ops.cast(token_ids != 0, "int32"), axis=1) - 1  # (N,)
            return ops.take_along_axis(states, ops.maximum(last, 0)[:, None, None], axis=1)[:, 0]
        real = ops.cast(token_ids != 0, states.dtype)[:, :, None]  # (N, T, 1)
        return ops.sum(states * real, axis=1) / ops.maximum(ops.sum(real, axis=1), 1)

    @property
    def loss_name(self) -> str:
        """The Keras loss that fits the head: for integer labels, or for rows of zeros and ones."""
        sigmoid = self.config["num_classes"] == 2 or self.config["multi_label"]
        return "binary_crossentropy" if sigmoid else "sparse_categorical_crossentropy"

    def get_config(self) -> dict:
        return {**super().get_config(), "encoder": keras.saving.serialize_keras_object(self.encoder), **self.config}

    @classmethod
    def from_config(cls, config: dict) -> "SequenceClassifier":
        return cls(keras.saving.deserialize_keras_object(config.pop("encoder")), **config)
