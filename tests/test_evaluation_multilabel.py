"""Several labels a text: F1 by hand, thresholds, shapes that do not fit."""

import numpy as np
import pytest

from keras_llm.evaluation import best_thresholds, multilabel_report

CLASSES = ("film", "good")
LABELS = [[1, 0], [1, 1], [0, 1], [0, 0]]
GIVEN = [[0.9, 0.6], [0.4, 0.7], [0.1, 0.8], [0.2, 0.3]]


def test_figures_by_hand() -> None:
    report = multilabel_report(LABELS, GIVEN, CLASSES)
    assert report.f1_of == pytest.approx({"film": 2 / 3, "good": 4 / 5})  # one missed; one too many
    assert report.macro_f1 == pytest.approx((2 / 3 + 4 / 5) / 2)
    assert report.micro_f1 == pytest.approx(2 * 3 / (2 * 3 + 1 + 1))
    assert report.exact == 0.5
    assert report.metrics("validation")["validation_exact"] == 0.5


def test_each_label_has_its_threshold() -> None:
    thresholds = best_thresholds(LABELS, GIVEN)
    assert thresholds.tolist() == [0.4, 0.7]
    assert multilabel_report(LABELS, GIVEN, CLASSES, thresholds).exact == 1


def test_a_label_that_nobody_has() -> None:
    assert best_thresholds([[0, 1], [0, 0]], [[0.3, 0.9], [0.2, 0.1]]).tolist() == [0.5, 0.9]
    assert multilabel_report([[0, 1], [0, 0]], [[0.3, 0.9], [0.2, 0.1]], CLASSES).f1_of["film"] == 0


@pytest.mark.parametrize(
    ("labels", "given", "message"),
    [([[1, 0]], [[0.5]], "must be"), ([[2, 0]], [[0.5, 0.5]], "zeros and ones"), ([], [], "must be")],
)
def test_shapes_and_labels_that_do_not_fit(labels, given, message) -> None:
    with pytest.raises(ValueError, match=message):
        multilabel_report(np.array(labels), np.array(given), CLASSES)
