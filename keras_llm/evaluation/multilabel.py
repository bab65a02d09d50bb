"""Several labels a text: thresholds, exact matches, micro and macro F1."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class MultilabelReport:
    """What :func:`multilabel_report` measured, each in [0, 1].

    Attributes:
        micro_f1: F1 over all decisions together: a frequent label counts more.
        macro_f1: the mean of each label's F1: a rare label counts as much as a frequent one.
        exact: share of texts all of whose labels are right, none missing and none too many.
        f1_of: of each label, by its name.
    """

    micro_f1: float
    macro_f1: float
    exact: float
    f1_of: dict[str, float]

    def metrics(self, prefix: str = "test") -> dict[str, float]:
        """The three figures under the names that ``metrics.json`` uses."""
        return {f"{prefix}_{name}": getattr(self, name) for name in ("micro_f1", "macro_f1", "exact")}


def multilabel_report(labels, probabilities, classes: Sequence[str], thresholds=0.5) -> MultilabelReport:
    """Compare the probabilities of several labels with the truth.

    Args:
        labels: zeros and ones ``(n, classes)``.
        probabilities: ``(n, classes)``, each for itself: they need not add up to 1.
        classes: names of the labels.
        thresholds: a label is given when its probability reaches this: one number, or one a label.

    Raises:
        ValueError: when the shapes do not fit together.

    Example:
        >>> report = multilabel_report([[1, 0], [1, 1]], [[0.9, 0.2], [0.8, 0.4]], ["film", "good"])
        >>> report.exact, round(report.micro_f1, 2), report.f1_of
        (0.5, 0.8, {'film': 1.0, 'good': 0.0})

    Source: document D4, section 3.2, whose "multi-label regression" is something else; Manning, Raghavan and Schütze
    2008, section 13.6 (micro and macro averages).
    """
    from sklearn.metrics import f1_score

    labels, given = _checked(labels, probabilities, classes)
    given = given >= np.asarray(thresholds)
    each = f1_score(labels, given, average=None, zero_division=0)
    micro = f1_score(labels, given, average="micro", zero_division=0)
    exact = float((labels == given).all(axis=1).mean())
    return MultilabelReport(float(micro), float(each.mean()), exact, dict(zip(classes, map(float, each), strict=True)))


def best_thresholds(labels, probabilities) -> np.ndarray:
    """The threshold of each label that gives it the best F1: to be chosen on the validation part, used on the test.

    Args:
        labels, probabilities: ``(n, classes)``, as in :func:`multilabel_report`.

    Returns:
        ``(classes,)``; 0.5 for a label that no text has.

    Example:
        >>> best_thresholds([[0], [1], [1]], [[0.1], [0.3], [0.9]])
        array([0.3])
    """
    from sklearn.metrics import precision_recall_curve

    labels, probabilities = _checked(labels, probabilities, range(np.shape(labels)[-1]))
    best = np.full(labels.shape[1], 0.5)
    for column in np.flatnonzero(labels.any(axis=0)):
        precision, recall, thresholds = precision_recall_curve(labels[:, column], probabilities[:, column])
        f1 = 2 * precision * recall / np.maximum(precision + recall, 1e-12)
        best[column] = thresholds[f1[:-1].argmax()]  # the last point has no threshold
    return best


def _checked(labels, probabilities, classes: Sequence) -> tuple[np.ndarray, np.ndarray]:
    labels, probabilities = np.asarray(labels), np.asarray(probabilities)
    if labels.ndim != 2 or labels.shape != probabilities.shape or labels.shape[1] != len(classes) or not len(labels):
        raise ValueError(
            f"labels {labels.shape} and probabilities {probabilities.shape} must be (n, {len(classes)}), n at least 1."
        )
    if not np.isin(labels, (0, 1)).all():
        raise ValueError("labels must be zeros and ones: one column a label.")
    return labels.astype(bool), probabilities
