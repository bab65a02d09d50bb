"""One training step: the gradient of a batch, whole or in parts that are added up, and the update that follows."""

import math
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import tree


def train_step(
    model: keras.Model, batch: tuple, part_rows: int | None, apply: Callable, scope: Callable = nullcontext
) -> dict[str, Any]:
    """What ``model.train_step`` does, but for how the gradient is added up and by whom it is applied.

    Args:
        model: built and compiled, without a ``train_step`` of its own.
        batch: ``(x, y[, sample_weight])``, each leaf ``(rows, ...)``.
        part_rows: work through the batch in parts of at most so many rows, to need less memory; None takes it whole.
            Each part counts by what its loss averages over, so that losses and gradients are those of the batch.
        apply: function that updates the trainable weights with their gradients; a gradient may be None.
        scope: makes the context in which a gradient's operations are traced.

    Returns:
        The logs, as ``model.train_step`` gives them.
    """
    rows = tree.flatten(batch)[0].shape[0]
    parts = number_of_parts(rows, part_rows or rows)
    if parts == 1:
        with scope():
            loss, gradients, _ = gradient_of(model, batch)
    else:
        divided = tree.map_structure(lambda leaf: _divided(leaf, parts), batch)
        loss, gradients = _in_parts(model, divided, parts, scope)
    model._loss_tracker.update_state(loss, sample_weight=rows)
    apply(gradients)
    return model.get_metrics_result()


def gradient_of(model: keras.Model, batch: tuple) -> tuple[Any, list, Any]:
    """Loss and gradient of a batch; metrics but the loss are updated.

    Returns:
        The loss; the dense gradient of each trainable weight (scaled as the optimizer wants it), None where there is
        none; and what the loss counts when parts of a batch are added up, see :func:`loss_weight`.
    """
    x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(batch)
    with tf.GradientTape() as tape:
        y_pred = model(x, training=True) if model._call_has_training_arg else model(x)
        loss = model._compute_loss(x=x, y=y, y_pred=y_pred, sample_weight=sample_weight, training=True)
        scaled = model.optimizer.scale_loss(loss)
    gradients = tape.gradient(scaled, model.trainable_weights)
    model.compute_metrics(x, y, y_pred, sample_weight=sample_weight)
    # An embedding's gradient comes as rows; the optimizers of Keras decay and average all rows anyway.
    dense = [g if g is None else tf.convert_to_tensor(g) for g in gradients]
    return loss, dense, loss_weight(model, y, y_pred, sample_weight, float(tree.flatten(x)[0].shape[0]))


def number_of_parts(rows: int, part_rows: int) -> int:
    """The fewest equal parts of ``rows`` that have at most ``part_rows`` rows."""
    return next(parts for parts in range(1, rows + 1) if rows % parts == 0 and rows // parts <= part_rows)


def rows_of_parts(model: keras.Model, batch: Any, parts: int) -> int | None:
    """The rows of a batch that are worked through at once; None for all.

    Raises:
        ValueError: when the batch cannot be taken apart.
    """
    rows = len(tree.flatten(batch)[0])
    if not isinstance(parts, int | np.integer) or not 1 <= parts <= rows:
        raise ValueError(
            f"gradient_accumulation_steps={parts!r}: give a whole number from 1 to the {rows} rows of a batch."
        )
    if parts == 1:
        return None
    if type(model).train_step is not keras.Model.train_step:
        raise ValueError(f"Model {model.name!r} has a train_step of its own: leave gradient_accumulation_steps at 1.")
    if model.optimizer.gradient_accumulation_steps:
        raise ValueError("Give gradient_accumulation_steps to fit or to the optimizer, not to both.")
    return -(-rows // parts)


def _divided(leaf, parts: int):
    return tf.reshape(leaf, (parts, leaf.shape[0] // parts, *leaf.shape[1:]))


def _in_parts(model: keras.Model, batch: tuple, parts: int, scope: Callable) -> tuple[Any, list]:
    """Loss and gradient of a batch whose leaves are ``(parts, rows, ...)``, one part after the other."""
    used: list[bool] = []

    def body(part, total, weight, *sums):
        with scope():  # a loop's body is a graph of its own, which knows nothing of a scope around the loop
            loss, gradients, counts = gradient_of(model, tree.map_structure(lambda leaf: leaf[part], batch))
        used[:] = [g is not None for g in gradients]
        sums = [s if g is None else s + g * tf.cast(counts, g.dtype) for s, g in zip(sums, gradients, strict=True)]
        return part + 1, total + tf.cast(loss * tf.cast(counts, loss.dtype), "float32"), weight + counts, *sums

    zeros = [tf.zeros(w.shape, w.dtype) for w in model.trainable_weights]
    start = (0, tf.zeros(()), tf.zeros(()), *zeros)
    _, total, weight, *sums = tf.while_loop(lambda part, *_: part < parts, body, start, maximum_iterations=parts)
    gradients = [
        tf.math.divide_no_nan(s, tf.cast(weight, s.dtype)) if u else None for s, u in zip(sums, used, strict=True)
    ]
    return tf.math.divide_no_nan(total, weight), gradients


def loss_weight(model: keras.Model, y: Any, y_pred: Any, sample_weight: Any, rows: float):
    """What the loss of a part of a batch must be multiplied with before parts are added up: a float32 number.

    It is the number that the loss was divided by: rows, elements that a mask leaves, or the sum of sample weights.
    A model with a ``compute_loss`` of its own, and a loss that is a function which gives one number, count by rows.

    Raises:
        ValueError: for losses that are not one mean.
    """
    own = model.__class__.compute_loss is not keras.Model.compute_loss  # type() would see a weak reference
    losses = [] if own or model._compile_loss is None else [loss for _, loss, _, _ in model._compile_loss._flat_losses]
    if any(loss.reduction in ("sum", "none", None) for loss in losses):
        raise ValueError('A loss with reduction="sum" or None cannot be added up from parts of a batch: use a mean.')
    labels, outputs = tree.flatten(y), tree.flatten(y_pred)
    if len(losses) != 1 or len(labels) != 1 or len(outputs) != 1:
        if any(getattr(o, "_keras_mask", None) is not None for o in outputs) or any(
            loss.reduction == "mean_with_sample_weight" for loss in losses
        ):
            raise ValueError("Several losses with masks cannot be added up from parts of a batch: give the model one.")
        return tf.constant(rows)
    loss, mask = losses[0], getattr(outputs[0], "_keras_mask", None)
    # XLA finds that the loss itself computes the same.
    values = loss.call(tf.cast(labels[0], loss.dtype), tf.cast(outputs[0], loss.dtype))
    if values.shape.rank == 0:
        return tf.constant(rows)
    ignored = getattr(values, "_keras_mask", None)  # as ignore_class sets it
    masks = [tf.cast(m, "float32") for m in (mask, ignored) if m is not None]
    if loss.reduction == "mean_with_sample_weight" and sample_weight is not None:
        masks.append(tf.cast(sample_weight, "float32"))
    return tf.reduce_sum(math.prod(masks)) if masks else tf.cast(tf.size(values), "float32")
