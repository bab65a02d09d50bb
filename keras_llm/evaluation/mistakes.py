"""Where a classifier is most sure and wrong: the texts to read first."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from rich.cells import cell_len, set_cell_size

from keras_llm.evaluation.classification import classification_report, predicted_classes


@dataclass(frozen=True)
class Mistake:
    """A text with its true class, the class predicted instead, and the probability given to the latter."""

    text: str
    truth: str
    predicted: str
    confidence: float


def most_confident_mistakes(
    texts: Sequence[str], labels, probabilities, classes: Sequence[str], count: int = 10
) -> list[Mistake]:
    """The wrongly classified texts, the most confident first.

    Reading them tells what no score tells: labels that are wrong, irony, a negation out of the model's sight.

    Args:
        texts: n strings.
        labels: ints ``(n,)``.
        probabilities: floats ``(n,)``, ``(n, 1)`` or ``(n, classes)``.
        classes: the names of the classes, in the order of the labels.
        count: at most this many; equally confident ones stay in the order of the texts.

    Raises:
        ValueError: when the shapes do not fit together, as in ``classification_report``.

    Example:
        >>> most_confident_mistakes(["fine", "awful"], [1, 0], [0.9, 0.8], ["bad", "good"])
        [Mistake(text='awful', truth='bad', predicted='good', confidence=0.8)]
    """
    classification_report(labels, probabilities, classes)  # the same shapes, hence the same checks
    labels, predicted = np.asarray(labels), predicted_classes(probabilities)
    if len(texts) != len(labels):
        raise ValueError(f"There are {len(texts)} texts but {len(labels)} labels.")
    table = np.asarray(probabilities, dtype="float64").reshape(len(labels), -1)
    if table.shape[1] == 1:
        table = np.hstack([1 - table, table])
    confidence = table[np.arange(len(labels)), predicted]
    wrong = np.flatnonzero(predicted != labels)
    order = wrong[np.argsort(-confidence[wrong], kind="stable")][: max(count, 0)]
    return [Mistake(texts[i], str(classes[labels[i]]), str(classes[predicted[i]]), float(confidence[i])) for i in order]


def mistakes_table(mistakes: Iterable[Mistake], width: int = 100) -> str:
    """The mistakes as text for a terminal, one a line, each line at most ``width`` columns wide.

    Long texts are cut, and line breaks and control characters inside a text become spaces.

    Args:
        mistakes: of ``most_confident_mistakes``.
        width: columns of the terminal; the names of the classes are shown in full even where they need more.
    """
    rows = [("confidence", "truth", "predicted", "text")]
    rows += [(f"{m.confidence:.3f}", m.truth, m.predicted, _one_line(m.text)) for m in mistakes]
    if len(rows) == 1:
        return "no mistakes"
    widths = [max(cell_len(row[column]) for row in rows) for column in range(3)]
    left = max(width - sum(widths) - 6, 10)  # 6 = two spaces after each of the three columns
    lines = []
    for *cells, text in rows:
        start = "  ".join(set_cell_size(cell, size) for cell, size in zip(cells, widths, strict=True))
        if cell_len(text) > left:
            text = set_cell_size(text, left - 1).rstrip() + "…"
        lines.append(f"{start}  {text}")
    return "\n".join(lines)


def _one_line(text: str) -> str:
    return " ".join("".join(character if character.isprintable() else " " for character in text).split())
