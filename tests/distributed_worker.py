"""A training in a process of its own: ``python -m tests.distributed_worker OUTPUT.npz KIND [VARIANT]``.

KIND is ``alone``, ``worker`` (one of several, as TF_CONFIG says) or ``mirrored`` (two replicas in this process).
"""

import contextlib
import sys

import keras
import numpy as np
import tensorflow as tf

from keras_llm.errors import InputError
from keras_llm.training import evaluate, fit, multi_worker_strategy

ROWS = 33  # four batches of 8, and one of a single row: with two replicas, one of them has nothing to do


def draw(*shape: int) -> np.ndarray:
    return np.random.default_rng(7).normal(size=shape).astype("float32")


def weighted() -> tuple[keras.Model, tuple]:
    """Rows with weights, and everything that is counted: regularisation, weighted metrics, a metric over thresholds."""
    x = draw(ROWS, 4)
    y = (x.sum(axis=1) > 0).astype("float32")
    hidden = keras.layers.Dense(3, activation="tanh", kernel_regularizer="l2")
    model = keras.Sequential([keras.Input((4,)), hidden, keras.layers.Dense(1, activation="sigmoid")])
    metrics = {"metrics": ["accuracy"], "weighted_metrics": [keras.metrics.AUC(num_thresholds=9)]}
    model.compile(keras.optimizers.Adam(0.05, global_clipnorm=1.0), "binary_crossentropy", **metrics)
    return model, (x, y, np.linspace(0, 2, ROWS, dtype="float32"))


def masked() -> tuple[keras.Model, tuple]:
    """Token ids of which 0 is padding: the loss is the mean over what the mask leaves, unequal in each share."""
    ids = np.random.default_rng(3).integers(1, 9, (ROWS, 5))
    ids *= np.arange(5) < np.random.default_rng(4).integers(1, 6, (ROWS, 1))
    tokens = keras.Input((5,), dtype="int32")
    hidden = keras.layers.Embedding(9, 3, mask_zero=True)(tokens)
    model = keras.Model(tokens, keras.layers.Dense(9)(hidden))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(0.5), loss, metrics=["accuracy"])
    return model, (ids, ids[:, ::-1].copy())


def main(output: str, kind: str, variant: str, batch_size: str = "8") -> None:
    if kind == "mirrored":
        cpu = tf.config.list_physical_devices("CPU")[0]
        tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
    make = {"mirrored": lambda: tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"]), "worker": multi_worker_strategy}
    strategy = make[kind]() if kind in make else None
    results = {}
    for name in variant.split(","):
        keras.utils.set_random_seed(1)
        with strategy.scope() if strategy else contextlib.nullcontext():
            model, data = {"weighted": weighted, "masked": masked}[name]()
        given = {"validation_data": data, "epochs": 2, "batch_size": int(batch_size), "seed": 5, "verbose": 0}
        history = fit(model, data, **given)
        results |= {f"{name} history {key}": values for key, values in history.history.items()}
        results |= {f"{name} weight {i}": value for i, value in enumerate(model.get_weights())}
        results |= {f"{name} optimizer {i}": v.numpy() for i, v in enumerate(model.optimizer.variables)}
        results[f"{name} evaluated"] = evaluate(model, data[:2])["loss"]
        print(name, history.program)
    np.savez(output, **results)


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except InputError as error:
        sys.exit(f"InputError: {error}")
