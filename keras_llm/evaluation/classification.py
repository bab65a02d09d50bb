"""Accuracy, precision, recall and F1, over all texts and per class, with the confusion matrix."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from rich.cells import cell_len, set_cell_size


@dataclass(frozen=True)
class ClassScores:
    """The scores of one class; ``support`` is how many texts truly belong to it."""

    name: str
    precision: float
    recall: float
    f1: float
    support: int


@dataclass(frozen=True, eq=False)  # no ==: comparing arrays gives an array, not a truth value
class ClassificationReport:
    """What :func:`classification_report` measured.

    Attributes:
        accuracy: share of texts whose predicted class is the true one, in [0, 1].
        precision, recall, f1: in [0, 1]; ``average`` says of what.
        average: ``"binary"`` with two classes (the scores of the last one), ``"macro"`` with more (the plain mean
            over the classes, so that a rare class counts as much as a frequent one).
        per_class: the scores of each class, in the order of the labels.
        confusion: int array ``(classes, classes)``; rows are the true classes, columns the predicted ones.
    """

    accuracy: float
    precision: float
    recall: float
    f1: float
    average: str
    per_class: tuple[ClassScores, ...]
    confusion: np.ndarray

    def metrics(self, prefix: str = "test") -> dict[str, float]:
        """The four figures under the names that ``metrics.json`` uses.

        Args:
            prefix: the part they were measured on: ``"test"``, ``"validation"``, ``"baseline_test"`` …

        Example:
            >>> classification_report([0, 1], [0.2, 0.9], ["bad", "good"]).metrics("validation")["validation_f1"]
            1.0
        """
        return {f"{prefix}_{name}": getattr(self, name) for name in ("accuracy", "precision", "recall", "f1")}

    def table(self) -> str:
        """Text for a terminal: scores per class, the four figures, and the confusion matrix."""
        width = max(cell_len(f"{i} {scores.name}") for i, scores in enumerate(self.per_class))
        width = min(max(width, len("class")), 40)
        # Cells, not characters: a Chinese character takes two columns of a terminal.
        names = [set_cell_size(f"{i} {scores.name}", width) for i, scores in enumerate(self.per_class)]
        lines = [f"{'class':{width}}  precision  recall     f1   texts"]
        for name, scores in zip(names, self.per_class, strict=True):
            lines.append(
                f"{name}  {scores.precision:9.3f}  {scores.recall:6.3f}  {scores.f1:5.3f}  {scores.support:6d}"
            )
        if self.average == "binary":
            whose = f"of class {self.per_class[-1].name!r}"
        else:
            whose = f"as the mean over {len(self.per_class)} classes"
        figures = f"precision {self.precision:.3f}, recall {self.recall:.3f}, f1 {self.f1:.3f} {whose}"
        lines += ["", f"accuracy {self.accuracy:.3f} over {self.confusion.sum()} texts; {figures}"]
        # Numbers head the columns, since ten long names side by side would fit no terminal.
        cell = max(len(str(self.confusion.max())), len(str(len(names)))) + 2
        lines += ["", "confusion matrix: a row for each true class, a column for each predicted class"]
        lines.append(" " * width + "".join(f"{i:{cell}d}" for i in range(len(names))))
        lines += [
            name + "".join(f"{count:{cell}d}" for count in row) for name, row in zip(names, self.confusion, strict=True)
        ]
        return "\n".join(lines)


def classification_report(labels, probabilities, classes: Sequence[str]) -> ClassificationReport:
    """Compares a classifier's probabilities with the truth.

    With TP, FP and FN the true positives, false positives and false negatives of a class,

        precision = TP / (TP + FP)        of the texts called positive, the share that is positive
        recall    = TP / (TP + FN)        of the positive texts, the share that was called positive
        F1        = 2 · precision · recall / (precision + recall), their harmonic mean

    Document D1 (appendix 9.5) defines recall with precision's words and calls F1 a weighted average; the definitions
    above are the right ones. Where a denominator is 0 (nothing was called positive) the score is 0.

    Args:
        labels: ints ``(n,)``, each the index of the true class.
        probabilities: floats ``(n,)`` or ``(n, 1)``, the probability of the second of two classes (a sigmoid), or
            ``(n, classes)`` (a softmax).
        classes: the names of the classes, in the order of the labels; of two classes the last is the positive one.

    Raises:
        ValueError: when the shapes do not fit together, a label is no class, or a value is no probability.

    Example:
        >>> report = classification_report([0, 0, 1, 1], [0.1, 0.7, 0.8, 0.9], ["negative", "positive"])
        >>> report.accuracy, report.recall, report.confusion.tolist()
        (0.75, 1.0, [[1, 1], [0, 2]])

    Source: document D1, appendix 9.5, corrected; Manning, Raghavan and Schütze 2008, section 8.3.
    """
    from sklearn import metrics

    classes = [str(name) for name in classes]
    labels, probabilities = checked_labels(labels, len(classes)), np.asarray(probabilities)
    given = probabilities.shape[1] if probabilities.ndim == 2 else 1
    if len(classes) < 2 or (given == 1 and len(classes) != 2) or (given > 1 and given != len(classes)):
        raise ValueError(f"Probabilities of shape {probabilities.shape} do not fit {len(classes)} classes.")
    predicted = predicted_classes(probabilities)
    if len(labels) != len(predicted):
        raise ValueError(f"There are {len(labels)} labels but probabilities for {len(predicted)} texts.")
    every = np.arange(len(classes))  # also a class that this part lacks gets its row
    per_class = metrics.precision_recall_fscore_support(labels, predicted, labels=every, zero_division=0)
    precision, recall, f1 = (float(scores[1] if len(classes) == 2 else scores.mean()) for scores in per_class[:3])
    return ClassificationReport(
        accuracy=float(metrics.accuracy_score(labels, predicted)),
        precision=precision,
        recall=recall,
        f1=f1,
        average="binary" if len(classes) == 2 else "macro",
        per_class=tuple(
            ClassScores(name, float(p), float(r), float(f), int(n))
            for name, p, r, f, n in zip(classes, *per_class, strict=True)
        ),
        confusion=metrics.confusion_matrix(labels, predicted, labels=every),
    )


def predicted_classes(probabilities) -> np.ndarray:
    """The class that each row of probabilities speaks for, int ``(n,)``.

    Args:
        probabilities: floats ``(n,)`` or ``(n, 1)``: class 1 where above 0.5, else class 0; or ``(n, classes)``: the
            most probable class, the first of equals.

    Raises:
        ValueError: when the shape is another one, or a value is not in [0, 1], as logits and NaN are not.

    Example:
        >>> predicted_classes([[0.2, 0.3, 0.5], [0.9, 0.1, 0.0]])
        array([2, 0])
    """
    probabilities = np.asarray(probabilities, dtype="float64")
    if probabilities.ndim not in (1, 2) or probabilities.size == 0:
        raise ValueError(
            f"Probabilities have the shape (n,), (n, 1) or (n, classes) with n > 0, not {probabilities.shape}."
        )
    # A hair of tolerance: a softmax in half precision may round to just above 1.
    if not np.all((probabilities >= -1e-3) & (probabilities <= 1 + 1e-3)):
        raise ValueError("Not every value is a probability in [0, 1]: NaN, or logits without sigmoid or softmax?")
    if probabilities.ndim == 2 and probabilities.shape[1] > 1:
        return probabilities.argmax(axis=1)
    return (probabilities.reshape(-1) > 0.5).astype("int64")


def checked_labels(labels, num_classes: int) -> np.ndarray:
    """``labels`` as int ``(n,)``, or a ValueError that says why they are no labels of ``num_classes`` classes."""
    labels = np.asarray(labels)
    if labels.ndim != 1 or labels.size == 0:
        raise ValueError(f"Labels have the shape (n,) with n > 0, not {labels.shape}.")
    if labels.dtype.kind not in "iub":
        raise ValueError(f"Labels are integers, the indices of the classes, not {labels.dtype}.")
    labels = labels.astype("int64")
    if labels.min() < 0 or labels.max() >= num_classes:
        wrong = labels.min() if labels.min() < 0 else labels.max()
        raise ValueError(f"Label {wrong} is no index of the {num_classes} classes 0 to {num_classes - 1}.")
    return labels
