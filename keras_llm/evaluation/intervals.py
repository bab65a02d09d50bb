"""How far could a score on this test part be off by chance? A bootstrap interval answers."""

from __future__ import annotations

import numpy as np

from keras_llm.evaluation.classification import checked_labels

METRICS = ("accuracy", "precision", "recall", "f1")


def bootstrap_interval(
    labels,
    predictions,
    metric: str = "accuracy",
    seed: int = 0,
    resamples: int = 1000,
    num_classes: int | None = None,
) -> tuple[float, float]:
    """The 95% interval of a score under resampling of the test part.

    The test part is one sample of all texts that could have been in it. Drawing n texts from it again, with
    replacement, and scoring them shows how much the score moves by that chance alone: of two models whose intervals
    overlap widely, the test part does not say which is better. Chance in training (the seed) comes on top of it.

    Args:
        labels: ints ``(n,)``, the true classes.
        predictions: ints ``(n,)``, the predicted classes (see ``predicted_classes``).
        metric: ``"accuracy"``, ``"precision"``, ``"recall"`` or ``"f1"``; of class 1 with two classes, else the mean
            over the classes, as in ``classification_report``.
        seed: makes the interval repeatable.
        resamples: how many times the test part is drawn again.
        num_classes: how many classes there are; by default the largest one seen, plus 1.

    Returns:
        The 2.5% and the 97.5% quantile of the score, each in [0, 1].

    Raises:
        ValueError: when the shapes differ, a value is no class, or the metric is unknown.

    Example:
        >>> low, high = bootstrap_interval([0, 1] * 500, [0, 1] * 400 + [1, 0] * 100)
        >>> low < 0.8 < high
        True

    Source: Efron and Tibshirani 1993, section 13.3 (percentile interval).
    """
    if metric not in METRICS:
        raise ValueError(f"Unknown metric {metric!r}; it is one of {', '.join(METRICS)}.")
    if resamples < 1:
        raise ValueError(f"resamples={resamples} must be 1 or more.")
    labels, predictions = np.asarray(labels), np.asarray(predictions)
    if labels.shape != predictions.shape:
        raise ValueError(f"Labels have the shape {labels.shape} but predictions {predictions.shape}.")
    if num_classes is None:
        num_classes = max(2, int(labels.max(initial=0)) + 1, int(predictions.max(initial=0)) + 1)
    labels, predictions = checked_labels(labels, num_classes), checked_labels(predictions, num_classes)

    # Which text was drawn does not matter, only into which cell of the confusion matrix it falls. So n draws of texts
    # are one multinomial draw of cells, and a thousand test parts cost no more than a thousand small matrices.
    cells = np.bincount(labels * num_classes + predictions, minlength=num_classes**2)
    used = np.flatnonzero(cells)
    draws = np.zeros((resamples, num_classes**2), dtype="int64")
    draws[:, used] = np.random.default_rng(seed).multinomial(len(labels), cells[used] / len(labels), size=resamples)
    scores = _scores(draws.reshape(resamples, num_classes, num_classes), metric)  # (resamples,)
    low, high = np.quantile(scores, (0.025, 0.975))
    return float(low), float(high)


def _scores(confusion: np.ndarray, metric: str) -> np.ndarray:
    """The metric of each confusion matrix in ``(resamples, classes, classes)``; 0 where it would divide by 0."""
    right = np.diagonal(confusion, axis1=1, axis2=2)  # (resamples, classes)
    if metric == "accuracy":
        return right.sum(axis=1) / confusion.sum(axis=(1, 2))
    truth, predicted = confusion.sum(axis=2), confusion.sum(axis=1)
    # F1 = 2 TP / (2 TP + FP + FN), and 2 TP + FP + FN = predicted + truth.
    above, below = {
        "precision": (right, predicted),
        "recall": (right, truth),
        "f1": (2 * right, predicted + truth),
    }[metric]
    per_class = above / np.maximum(below, 1)  # below = 0 only where above = 0
    return per_class[:, 1] if confusion.shape[1] == 2 else per_class.mean(axis=1)
