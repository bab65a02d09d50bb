"""The workloads as a student writes them in Keras: ready layers and ``Model.fit``, op by op and under XLA.

keras_hub's TransformerEncoder and TransformerDecoder fit no workload: they have biases everywhere, and their one
dropout rate holds for the attention probabilities too. So the blocks here are made of Keras's own layers, which lets
MultiHeadAttention take its fused path as well. Embeddings and positions are keras_hub's.
"""

import time
from collections.abc import Callable

import keras
from keras import layers, ops
from keras_hub.layers import PositionEmbedding, ReversibleEmbedding, SinePositionEncoding

from tests.benchmarks import workloads
from tests.benchmarks.workloads import WORKLOADS, Workload

VARIANTS = {
    "fit": "Keras Model.fit",
    "fit_jit": "Keras Model.fit, jit_compile=True",
    "fit_bfloat16": "Keras Model.fit, mixed_bfloat16",
    "fit_jit_bfloat16": "Keras Model.fit, jit_compile=True, mixed_bfloat16",
}
LAYERS = {"dropout": layers.Dropout, "lstm": layers.LSTM}  # what our own peer has other classes for
VECTORS = ("bias", "beta", "gamma")  # by name: attention's biases are stored as (heads, head_dim)


def prepare(name: str, variant: str) -> tuple[Callable[[], dict], int]:
    """Build a workload's network from seed 0; see ``tests.benchmarks.worker``.

    Args:
        name: key of ``WORKLOADS``.
        variant: key of ``VARIANTS``.
    """
    # "auto" would mean op by op on a machine without a GPU.
    model = compiled(name, variant, loss_of(name), jit_compile=variant.startswith("fit_jit"))
    work, (x, y) = WORKLOADS[name], workloads.batches(name)

    def run() -> dict:
        clock, start = StepClock(), time.perf_counter()
        options = {"batch_size": work.batch, "epochs": work.epochs(len(y)), "shuffle": False, "verbose": 0}
        history = model.fit(x, y, callbacks=[clock], **options)
        # Where passes over the data are what is timed, what comes between them belongs to it.
        seconds = time.perf_counter() - start if options["epochs"] > 1 else clock.seconds
        return {"seconds": seconds, "loss": history.history["loss"][-1]}

    return run, parameters(model)


class StepClock(keras.callbacks.Callback):
    """The time from the first step's begin to the last step's end, input pipeline included.

    The end of each ``Model.fit`` waits for a thread of TensorFlow that tunes the input pipeline and sleeps meanwhile:
    whole calls take multiples of 1.27 s, which a long training never notices. So the whole call is no measure.
    """

    def on_train_begin(self, logs=None) -> None:
        self.start = None

    def on_train_batch_begin(self, batch, logs=None) -> None:
        self.start = self.start or time.perf_counter()

    def on_train_batch_end(self, batch, logs=None) -> None:
        self.seconds = time.perf_counter() - self.start


def compiled(
    name: str, variant: str, loss: str | keras.losses.Loss | Callable, jit_compile: bool = False
) -> keras.Model:
    """The network with the workload's optimizer and a loss, from seed 0; sets Keras's global dtype policy."""
    keras.config.set_dtype_policy("mixed_bfloat16" if variant.endswith("bfloat16") else "float32")
    keras.utils.set_random_seed(0)
    model = NETWORKS[name](WORKLOADS[name])
    model.compile(optimizer_of(name, model), loss, jit_compile=jit_compile)
    return model


def parameters(model: keras.Model) -> int:
    return sum(variable.value.shape.num_elements() for variable in model.trainable_variables)


def perceptron(work: Workload) -> keras.Model:
    x = keras.Input((2,), name="x")
    hidden = layers.Dense(10, activation="relu")(x)
    return keras.Model({"x": x}, layers.Dense(1, activation="sigmoid")(hidden))


def lstm(work: Workload) -> keras.Model:
    ids = token_input("token_ids", work)
    x = layers.Embedding(work.vocabulary, work.width)(ids)  # (batch, time, width)
    x = LAYERS["lstm"](work.hidden, return_sequences=True)(x)
    x = LAYERS["lstm"](work.hidden)(x)  # (batch, hidden)
    return keras.Model({"token_ids": ids}, layers.Dense(1, activation="sigmoid")(x))


def gpt(work: Workload) -> keras.Model:
    ids = token_input("token_ids", work)
    embedding = ReversibleEmbedding(work.vocabulary, work.width, embeddings_initializer=normal())
    x = embedding(ids)  # (batch, time, width)
    x = x + PositionEmbedding(work.length, initializer=normal())(x)
    for _ in range(work.layers):
        x = block(x, work, bias=False, causal=True)
    x = layers.LayerNormalization(epsilon=1e-5, center=False)(x)
    return keras.Model({"token_ids": ids}, embedding(x, reverse=True))  # (batch, time, vocabulary)


def bert(work: Workload) -> keras.Model:
    inputs = {name: token_input(name, work) for name in ("token_ids", "segment_ids", "padding_mask")}
    x = layers.Embedding(work.vocabulary, work.width, normal())(inputs["token_ids"])  # (batch, time, width)
    x = x + PositionEmbedding(512, normal())(x) + layers.Embedding(2, work.width, normal())(inputs["segment_ids"])
    x = dropped(layers.LayerNormalization(epsilon=1e-12)(x), work)
    mask = inputs["padding_mask"][:, None, :]  # (batch, 1, time)
    for _ in range(work.layers):
        x = block(x, work, mask, activation="gelu", pre_norm=False, epsilon=1e-12)
    pooled = layers.Dense(work.width, "tanh", kernel_initializer=normal())(x[:, 0])  # (batch, width)
    return keras.Model(inputs, layers.Dense(2, kernel_initializer=normal())(pooled))


def translation(work: Workload) -> keras.Model:
    inputs = {name: token_input(name, work) for name in ("source_ids", "target_ids")}
    mask = (inputs["source_ids"] > 0)[:, None, :]  # (batch, 1, source)
    source, target = (embedded(ids, work) for ids in inputs.values())  # (batch, time, width) each
    for _ in range(work.layers):
        source = block(source, work, mask, activation="relu")
    source = layers.LayerNormalization(epsilon=1e-5)(source)
    for _ in range(work.layers):
        # Padding ends a target, so what is real never looks at it: causal is mask enough.
        target = block(target, work, causal=True, activation="relu", memory=source, memory_mask=mask)
    target = layers.LayerNormalization(epsilon=1e-5)(target)
    logits = layers.Dense(work.vocabulary, kernel_initializer=normal())(target)  # (batch, target, vocabulary)
    return keras.Model(inputs, logits)


NETWORKS = {
    "perceptron": perceptron,
    "lstm": lstm,
    "gpt_small": gpt,
    "gpt": gpt,
    "bert": bert,
    "translation": translation,
}


def block(
    x,
    work: Workload,
    mask=None,
    causal: bool = False,
    bias: bool = True,
    activation: str = "gelu",
    pre_norm: bool = True,
    epsilon: float = 1e-5,
    memory=None,
    memory_mask=None,
):
    """One Transformer block: self-attention, attention over ``memory`` where there is one, feed-forward.

    Args:
        x: ``(batch, time, width)``.
        mask, memory_mask: broadcastable to ``(batch, time, source)``, 0 or False = must not look.
        memory: ``(batch, source, width)``, the encoder's output.
        activation: ``"gelu"`` is Keras's exact one.
    """

    def attention():
        head_dim = work.width // work.heads
        return layers.MultiHeadAttention(work.heads, head_dim, use_bias=bias, kernel_initializer=normal())

    def dense(units: int, activation: str | None = None):
        return layers.Dense(units, activation, use_bias=bias, kernel_initializer=normal())

    def residual(x, sub_layer: Callable):
        norm = layers.LayerNormalization(epsilon=epsilon, center=bias)
        if pre_norm:
            return x + dropped(sub_layer(norm(x)), work)
        return norm(x + dropped(sub_layer(x), work))

    x = residual(x, lambda y: attention()(y, y, attention_mask=mask, use_causal_mask=causal))
    if memory is not None:
        x = residual(x, lambda y: attention()(y, memory, attention_mask=memory_mask))
    return residual(x, lambda y: dense(work.width)(dense(work.hidden, activation)(y)))


def embedded(ids, work: Workload):
    """Tokens scaled by √width, plus sinusoids: ``(batch, time)`` to ``(batch, time, width)``."""
    x = layers.Embedding(work.vocabulary, work.width, normal())(ids) * work.width**0.5
    # In bfloat16 the positions above 256 would be rounded, and their angles much earlier.
    return dropped(x + SinePositionEncoding(dtype="float32")(x), work)


def dropped(x, work: Workload):
    return LAYERS["dropout"](work.dropout)(x) if work.dropout else x


def token_input(name: str, work: Workload):
    return keras.Input((work.length,), dtype="int32", name=name)


def normal() -> keras.initializers.Initializer:
    """BERT's and GPT-2's initial weights, with which the first loss is near that of a guess."""
    return keras.initializers.RandomNormal(stddev=0.02)


def optimizer_of(name: str, model: keras.Model) -> keras.optimizers.Optimizer:
    """The workload's optimizer; AdamW's weight decay spares biases and LayerNorm."""
    if name == "perceptron":
        return keras.optimizers.SGD(0.01)
    if name == "lstm":
        return keras.optimizers.Adam(1e-3)
    if name == "translation":
        return keras.optimizers.Adam(1e-3, beta_2=0.98)
    if name == "bert":
        optimizer = keras.optimizers.AdamW(1e-4, weight_decay=0.01)
    else:
        optimizer = keras.optimizers.AdamW(1e-3, weight_decay=0.1, beta_2=0.99, global_clipnorm=1.0)
    optimizer.exclude_from_weight_decay([v for v in model.trainable_variables if v.name in VECTORS])
    return optimizer


def loss_of(name: str) -> str | keras.losses.Loss | Callable:
    if name in ("perceptron", "lstm"):
        return "binary_crossentropy"
    if name == "translation":
        return smoothed_crossentropy
    return keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def smoothed_crossentropy(labels, logits, smoothing: float = 0.1):
    """Cross-entropy with label smoothing, without one-hot labels; the mean of the labels that are not 0.

    Args:
        labels: ``(batch, time)``, 0 is padding.
        logits: ``(batch, time, vocabulary)``.
        smoothing: share of the probability that is spread evenly over the vocabulary.

    Source: Szegedy et al. 2016, section 7.
    """
    labels = ops.cast(labels, "int32")  # fit hands them over as floats
    real = ops.cast(labels > 0, logits.dtype)  # (batch, time)
    true = ops.sparse_categorical_crossentropy(labels, logits, from_logits=True)
    even = ops.logsumexp(logits, axis=-1) - ops.mean(logits, axis=-1)
    return ops.sum(((1 - smoothing) * true + smoothing * even) * real) / ops.sum(real)
