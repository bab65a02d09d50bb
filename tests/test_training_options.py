"""Ordinary Keras options mean in the loop what they mean: averages of weights, clipping, precision, TensorBoard."""

from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import callbacks

from keras_llm.training import evaluate, fit
from tests.examples import X, Y, perceptron

GIVEN = {"batch_size": 8, "verbose": 0, "shuffle": False}
WHOLE = (X[:32], Y[:32])  # four steps an epoch


def weights_after_each_step(steps: int, rate: float) -> list[list[np.ndarray]]:
    """By plain gradient descent, one step at a time, without the loop."""
    model, weights = perceptron(keras.optimizers.SGD(rate)), []
    for step in range(steps):
        model.train_on_batch(X[8 * (step % 4) :][:8], Y[8 * (step % 4) :][:8])
        weights.append(model.get_weights())
    return weights


def averaged(history: list[list[np.ndarray]], momentum: float) -> list[np.ndarray]:
    average = history[0]
    for weights in history[1:]:
        average = [momentum * a + (1 - momentum) * w for a, w in zip(average, weights, strict=True)]
    return average


@pytest.mark.parametrize("swap", [False, True])
def test_the_average_of_the_weights_is_what_the_training_ends_with(swap) -> None:
    model = perceptron(keras.optimizers.SGD(0.5, use_ema=True, ema_momentum=0.8))
    given = [callbacks.SwapEMAWeights()] if swap else []
    history = fit(model, WHOLE, epochs=2, validation_data=WHOLE, callbacks=given, **GIVEN).history
    raw = weights_after_each_step(8, 0.5)
    for value, expected in zip(model.get_weights(), averaged(raw, 0.8), strict=True):
        np.testing.assert_allclose(value, expected, rtol=1e-4, atol=1e-6)
    for epoch, loss in enumerate(history["val_loss"]):  # the callback scores the average, and trains on without it
        scored = perceptron()
        scored.set_weights(averaged(raw[: 4 * epoch + 4], 0.8) if swap else raw[4 * epoch + 3])
        assert loss == pytest.approx(evaluate(scored, WHOLE)["loss"], rel=1e-4)


def test_clipping_by_the_global_norm() -> None:
    model, start = perceptron(keras.optimizers.SGD(1.0, global_clipnorm=0.01)), perceptron()
    with tf.GradientTape() as tape:
        loss = keras.losses.BinaryCrossentropy()(Y[:8, None], start(X[:8]))
    gradients = [gradient.numpy() for gradient in tape.gradient(loss, start.trainable_weights)]
    norm = np.sqrt(sum((gradient**2).sum() for gradient in gradients))
    assert norm > 0.1
    fit(model, (X[:8], Y[:8]), **GIVEN)
    for value, before, gradient in zip(model.get_weights(), start.get_weights(), gradients, strict=True):
        np.testing.assert_allclose(value, before - 0.01 / norm * gradient, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_mixed_precision(policy) -> None:
    keras.config.set_dtype_policy(policy)
    try:
        model = perceptron(keras.optimizers.SGD(0.5))
        history = fit(model, WHOLE, epochs=3, **GIVEN)
    finally:
        keras.config.set_dtype_policy("float32")
    assert history.meter.dtype == policy.removeprefix("mixed_") == model.layers[0].compute_dtype
    assert {variable.dtype for variable in model.trainable_variables} == {"float32"}
    assert type(model.optimizer) is (
        keras.optimizers.LossScaleOptimizer if policy == "mixed_float16" else keras.optimizers.SGD
    )
    single = fit(perceptron(keras.optimizers.SGD(0.5)), WHOLE, epochs=3, **GIVEN)
    np.testing.assert_allclose(history.history["loss"], single.history["loss"], rtol=0.02)  # and so no longer scaled
    assert history.history["loss"][2] < history.history["loss"][0]


def events(folder: Path) -> dict[tuple[str, int], np.ndarray]:
    """Tag and step to value, of all event files in a folder."""
    return {
        (value.tag, event.step): tf.make_ndarray(value.tensor)
        for file in folder.glob("events*")
        for event in tf.compat.v1.train.summary_iterator(str(file))
        for value in event.summary.value
        if value.HasField("tensor")
    }


@pytest.mark.parametrize("update_freq", ["epoch", 2])
def test_tensorboard_reads_what_the_history_says(update_freq, model, tmp_path) -> None:
    board = callbacks.TensorBoard(tmp_path, update_freq=update_freq, histogram_freq=1, write_graph=False)
    history = fit(model, WHOLE, epochs=2, validation_data=WHOLE, callbacks=[board], **GIVEN).history
    train, validation = events(tmp_path / "train"), events(tmp_path / "validation")
    for epoch in range(2):
        assert train["epoch_loss", epoch] == pytest.approx(history["loss"][epoch])
        assert validation["epoch_accuracy", epoch] == pytest.approx(history["val_accuracy"][epoch])
    assert {step for tag, step in train if "kernel" in tag} == {0, 1}  # histograms
    batches = {step: value for (tag, step), value in train.items() if tag == "batch_loss"}
    assert sorted(batches) == ([] if update_freq == "epoch" else [2, 4, 6, 8])
    if batches:
        assert batches[8] == pytest.approx(history["loss"][1])  # the mean of the epoch, at its last batch
