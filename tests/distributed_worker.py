"""The trainings of ``test_training_distributed``, each of which runs alone, in two processes, or on two devices.

In a process of its own: ``python -m tests.distributed_worker worker|mirrored OUTPUT.npz``.
"""

import contextlib
import faulthandler
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from keras_llm import training
from keras_llm.errors import InputError, WorkError

SECONDS = 200  # a process that takes longer hangs
ROWS = 33  # four batches of 8, and one of a single row: of two replicas, one has nothing to do then
Work = tuple[keras.Model, tuple, dict]


def draw(*shape: int) -> np.ndarray:
    return np.random.default_rng(7).normal(size=shape).astype("float32")


def weighted() -> Work:
    """Rows with weights, and much that is counted: regularisation, weighted metrics, a metric over thresholds."""
    x = draw(ROWS, 4)
    y = (x.sum(axis=1) > 0).astype("float32")
    hidden = keras.layers.Dense(3, activation="tanh", kernel_regularizer="l2")
    model = keras.Sequential([keras.Input((4,)), hidden, keras.layers.Dense(1, activation="sigmoid")])
    metrics = {"metrics": ["accuracy"], "weighted_metrics": [keras.metrics.AUC(num_thresholds=9)]}
    model.compile(keras.optimizers.Adam(0.05, global_clipnorm=1.0), "binary_crossentropy", **metrics)
    return model, (x, y, np.linspace(0, 2, ROWS, dtype="float32")), {"batch_size": 8, "seed": 5}


def masked() -> Work:
    """Token ids of which 0 is padding: the loss is the mean over what the mask leaves, unequal in each share."""
    ids = np.random.default_rng(3).integers(1, 9, (ROWS, 5))
    ids *= np.arange(5) < np.random.default_rng(4).integers(1, 6, (ROWS, 1))
    tokens = keras.Input((5,), dtype="int32")
    hidden = keras.layers.Embedding(9, 3, mask_zero=True)(tokens)
    model = keras.Model(tokens, keras.layers.Dense(9)(hidden))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(0.5), loss, metrics=["accuracy"])
    return model, (ids, ids[:, ::-1].copy()), {"batch_size": 8, "seed": 5}


def noisy(copies: int = 2) -> Work:
    """Dropout and batch normalisation; two replicas are given the same rows, so that only their zeros differ."""
    x = draw(4, 4, 8).repeat(copies, axis=0).reshape(-1, 8)
    layers = [keras.layers.BatchNormalization(), keras.layers.Dropout(0.5, seed=3), keras.layers.Dense(1)]
    model = keras.Sequential([keras.Input((8,)), *layers])
    model.compile(keras.optimizers.SGD(0.0), "mse")
    return model, (x, x.sum(axis=1)), {"batch_size": 4 * copies, "shuffle": False}


def train(make: Callable[[], Work], strategy=None) -> dict[str, np.ndarray]:
    """Losses, metrics and variables after two epochs."""
    keras.utils.set_random_seed(1)
    with strategy.scope() if strategy else contextlib.nullcontext():
        model, data, options = make()
    history = training.fit(model, data, validation_data=data, epochs=2, verbose=0, **options)
    assert history.program["jit_compile"] and history.program.get("replicas") == (2 if strategy else None)
    results = {f"history {name}": np.array(values) for name, values in history.history.items()}
    results |= {f"model {i} {v.name}": v.numpy() for i, v in enumerate(model.variables)}
    return results | {f"optimizer {i}": v.numpy() for i, v in enumerate(model.optimizer.variables)}


def run_the_example_of_the_readme(strategy, rank: int) -> None:
    text = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"^```py\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)
    sys.argv[1], training.multi_worker_strategy = str(rank), lambda: strategy  # a process is a worker once
    names: dict = {}
    exec(compile(code, "README.md", "exec"), names)
    losses = names["history"].history["loss"]
    assert losses[1] < losses[0] and names["history"].program["replicas"] == 2


def disagree(strategy, rank: int) -> None:
    """Two workers with different batches and seeds; then one that leaves in the second epoch."""
    with strategy.scope():
        model, data, _ = weighted()
    try:
        training.fit(model, data, batch_size=8 + rank, seed=rank, verbose=0)
    except InputError as error:
        print(f"refused: {error}", flush=True)

    def leave(epoch, logs) -> None:
        if epoch == 1 and rank == 1:
            os._exit(0)

    try:
        training.fit(
            model, data, None, 9, [keras.callbacks.LambdaCallback(on_epoch_end=leave)], batch_size=8, verbose=0
        )
    except WorkError as error:
        print(f"failed: {error}", flush=True)
        os._exit(0)  # TensorFlow would wait for the other worker


def main(kind: str, output: str) -> None:
    faulthandler.dump_traceback_later(SECONDS, exit=True)
    if kind == "mirrored":
        cpu = tf.config.list_physical_devices("CPU")[0]
        tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
        strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    else:
        strategy = training.multi_worker_strategy()
    results = {}
    for make in (weighted, masked, noisy):
        results |= {f"{make.__name__} {name}": value for name, value in train(make, strategy).items()}
    np.savez(Path(output), **results)
    if kind == "worker":
        run_the_example_of_the_readme(strategy, strategy.cluster_resolver.task_id)
        disagree(strategy, strategy.cluster_resolver.task_id)


if __name__ == "__main__":
    main(*sys.argv[1:])
