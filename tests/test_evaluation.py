"""keras_llm.evaluation: scores against hand-made counts and scikit-learn, and what a wrong call is told."""

import subprocess
import sys
import warnings

import numpy as np
import pytest
from rich.cells import cell_len
from sklearn import metrics as sklearn_metrics

from keras_llm.evaluation import (
    TfidfBaseline,
    bootstrap_interval,
    classification_report,
    mistakes_table,
    most_confident_mistakes,
    predicted_classes,
    tfidf_baseline,
)

# Truth 1 1 1 1 0 0 0 0 0 0; called positive: three of the four, and one of the six.
LABELS = np.array([1] * 4 + [0] * 6)
SIGMOID = np.array([0.9, 0.8, 0.7, 0.4, 0.6, 0.1, 0.1, 0.2, 0.3, 0.4])


def three_classes(n: int = 300, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Labels ``(n,)`` and a softmax ``(n, 3)`` that often, not always, agrees with them."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 3, n)
    logits = rng.normal(size=(n, 3)) + 1.5 * np.eye(3)[labels]
    return labels, np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)


def test_binary_scores_are_those_of_the_positive_class_counted_by_hand():
    report = classification_report(LABELS, SIGMOID, ["negative", "positive"])
    assert report.confusion.tolist() == [[5, 1], [1, 3]]  # rows are the truth
    assert report.accuracy == pytest.approx(0.8)
    assert (report.precision, report.recall, report.f1) == pytest.approx((3 / 4, 3 / 4, 3 / 4))
    assert report.average == "binary"
    assert [scores.support for scores in report.per_class] == [6, 4]


def test_recall_is_not_precision():
    # All called positive: every positive text is found, and only 4 of 10 calls are right.
    report = classification_report(LABELS, np.ones(10), ["negative", "positive"])
    assert (report.precision, report.recall) == pytest.approx((0.4, 1.0))
    assert report.f1 == pytest.approx(2 * 0.4 * 1.0 / 1.4)


@pytest.mark.parametrize("shape", ["(n,)", "(n, 1)", "(n, 2)"])
def test_binary_probabilities_in_each_shape_give_the_same_report(shape):
    probabilities = {
        "(n,)": SIGMOID,
        "(n, 1)": SIGMOID[:, None],
        "(n, 2)": np.stack([1 - SIGMOID, SIGMOID], axis=1),
    }[shape]
    report = classification_report(LABELS, probabilities, ["negative", "positive"])
    assert report.metrics() == classification_report(LABELS, SIGMOID, ["negative", "positive"]).metrics()


def test_multi_class_scores_are_macro_means():
    labels, probabilities = three_classes()
    report = classification_report(labels, probabilities, ["a", "b", "c"])
    predicted = probabilities.argmax(axis=1)
    assert report.average == "macro"
    assert report.f1 == pytest.approx(sklearn_metrics.f1_score(labels, predicted, average="macro"))
    assert report.recall == pytest.approx(np.mean([(predicted[labels == c] == c).mean() for c in range(3)]))
    assert report.confusion[1, 2] == np.sum((labels == 1) & (predicted == 2))


def test_a_class_that_is_never_predicted_scores_zero_without_a_warning():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        report = classification_report([0, 1, 2, 0], np.eye(4)[[0, 1, 0, 0]], ["a", "b", "c", "absent"])
    assert (report.per_class[2].precision, report.per_class[2].recall, report.per_class[2].f1) == (0, 0, 0)
    assert report.confusion.shape == (4, 4)
    assert report.per_class[3].support == 0


def test_metrics_carry_their_part_in_their_names():
    report = classification_report(LABELS, SIGMOID, ["negative", "positive"])
    assert list(report.metrics()) == ["test_accuracy", "test_precision", "test_recall", "test_f1"]
    assert report.metrics("baseline_test")["baseline_test_accuracy"] == pytest.approx(0.8)
    assert all(type(value) is float for value in report.metrics().values())  # json writes them


def test_the_table_lines_up_also_with_chinese_names():
    labels, probabilities = three_classes()
    report = classification_report(labels, probabilities, ["体育新闻", "b", "a longer name"])
    scores, _, matrix = report.table().split("\n\n")
    assert len({cell_len(line) for line in scores.splitlines()}) == 1
    assert len({cell_len(line) for line in matrix.splitlines()[1:]}) == 1
    assert "体育新闻" in scores
    assert f"{report.accuracy:.3f}" in report.table()
    assert "mean over 3 classes" in report.table()


@pytest.mark.parametrize(
    ("labels", "probabilities", "classes", "message"),
    [
        ([0, 1], [0.5], ["a", "b"], "2 labels but probabilities for 1"),
        ([0, 1], [0.5, 0.5], ["a", "b", "c"], "do not fit 3 classes"),
        ([0, 0], np.eye(2), ["a"], "do not fit 1 classes"),
        ([0, 1], np.ones((2, 2, 2)) / 2, ["a", "b"], "shape"),
        ([0, 2], [0.5, 0.5], ["a", "b"], "Label 2 is no index"),
        ([-1, 1], [0.5, 0.5], ["a", "b"], "Label -1 is no index"),
        ([0.0, 1.0], [0.5, 0.5], ["a", "b"], "integers"),
        ([[0, 1]], [0.5, 0.5], ["a", "b"], r"shape \(n,\)"),
        ([], [], ["a", "b"], "n > 0"),
        ([0, 1], [-2.0, 3.0], ["a", "b"], "logits"),
        ([0, 1], [float("nan"), 0.5], ["a", "b"], "NaN"),
    ],
)
def test_a_wrong_call_is_told_what_is_wrong(labels, probabilities, classes, message):
    with pytest.raises(ValueError, match=message):
        classification_report(labels, probabilities, classes)


def test_predicted_classes_calls_positive_only_above_one_half():
    assert predicted_classes([0.5, 0.51, 0.49]).tolist() == [0, 1, 0]
    assert predicted_classes(np.array([[0.5], [0.51]], "float16")).tolist() == [0, 1]
    assert predicted_classes([[0.5, 0.5]]).tolist() == [0]


def test_bootstrap_agrees_with_drawing_texts_one_by_one():
    labels, probabilities = three_classes()
    predicted = predicted_classes(probabilities)
    rng = np.random.default_rng(1)
    scores = []
    for _ in range(400):
        drawn = rng.integers(0, len(labels), len(labels))
        scores.append(sklearn_metrics.f1_score(labels[drawn], predicted[drawn], average="macro"))
    low, high = bootstrap_interval(labels, predicted, "f1", resamples=4000)
    assert (low, high) == pytest.approx(tuple(np.quantile(scores, (0.025, 0.975))), abs=0.012)


@pytest.mark.parametrize("metric", ["accuracy", "precision", "recall", "f1"])
def test_the_interval_holds_the_score_and_narrows_with_more_texts(metric):
    rng = np.random.default_rng(0)
    widths = []
    for n in (200, 20_000):
        labels = rng.integers(0, 2, n)
        predicted = np.where(rng.random(n) < 0.8, labels, 1 - labels)
        low, high = bootstrap_interval(labels, predicted, metric)
        report = classification_report(labels, predicted.astype(float), ["a", "b"])
        assert low < getattr(report, metric) < high
        widths.append(high - low)
    assert widths[1] == pytest.approx(widths[0] / 10, rel=0.3)  # noise falls with the square root of n


def test_the_interval_is_repeatable_and_checks_its_input():
    labels, predicted = np.tile([0, 1], 50), np.tile([0, 1, 1, 1], 25)
    assert bootstrap_interval(labels, predicted, seed=3) == bootstrap_interval(labels, predicted, seed=3)
    assert bootstrap_interval(labels, predicted, seed=3) != bootstrap_interval(labels, predicted, seed=4)
    assert bootstrap_interval([1, 1], [1, 1]) == (1.0, 1.0)
    with pytest.raises(ValueError, match="accuracy, precision"):
        bootstrap_interval(labels, predicted, "bleu")
    with pytest.raises(ValueError, match="shape"):
        bootstrap_interval(labels, predicted[:-1])
    with pytest.raises(ValueError, match="integers"):
        bootstrap_interval(labels, predicted * 0.5)


def english(n: int, seed: int) -> tuple[list[str], np.ndarray]:
    """Reviews of a vocabulary in which only the pair of words tells the class: "not good", "not bad"."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2, n)
    pairs = [[("not good", "so bad"), ("not bad", "so good")][label][rng.integers(2)] for label in labels]
    filler = [" ".join(rng.choice(["film", "plot", "actor", "scene"], 4)) for _ in range(n)]
    return [f"{start} {pair} {start}" for start, pair in zip(filler, pairs, strict=True)], labels


@pytest.mark.parametrize("size", [200, 1200])  # below and above the size at which rare n-grams are dropped
def test_the_baseline_sees_pairs_of_words(size):
    train, train_labels = english(size, seed=0)
    test, test_labels = english(100, seed=1)
    probabilities = tfidf_baseline(train, train_labels, test)
    assert probabilities.shape == (100, 2)
    assert probabilities.sum(axis=1) == pytest.approx(np.ones(100))
    assert classification_report(test_labels, probabilities, ["-", "+"]).accuracy == 1.0


def test_the_chinese_baseline_needs_no_spaces():
    train = [f"{a}很{b}看" for a in ("电影", "小说", "故事", "画面") for b in ("好", "难")]
    labels = [1, 0] * 4
    test = ["结尾很好看", "结尾很难看"]
    assert tfidf_baseline(train, labels, test, language="zh-CN").argmax(axis=1).tolist() == [1, 0]
    # As English words, each whole sentence is one word, and the test part holds none that is known.
    blind = tfidf_baseline(train, labels, test, language="en")
    assert blind[0] == pytest.approx(blind[1])


def test_a_class_without_training_texts_keeps_its_column():
    baseline = TfidfBaseline().fit(["red", "blue", "red", "blue"], [0, 2, 0, 2], num_classes=4)
    probabilities = baseline.predict_proba(["blue"])
    assert probabilities.shape == (1, 4)
    assert probabilities.argmax() == 2
    assert probabilities[0, [1, 3]].tolist() == [0, 0]


def test_the_baseline_is_the_same_each_time():
    train, labels = english(100, seed=0)
    assert np.array_equal(tfidf_baseline(train, labels, train), tfidf_baseline(train, labels, train))


def test_the_baseline_refuses_what_it_cannot_learn():
    with pytest.raises(ValueError, match="2 texts but 1 labels"):
        TfidfBaseline().fit(["a", "b"], [0])
    with pytest.raises(ValueError, match="have the label 1"):
        TfidfBaseline().fit(["one text", "another"], [1, 1])


def test_mistakes_come_most_confident_first_and_none_is_right():
    texts = [f"text {i}" for i in range(10)]
    mistakes = most_confident_mistakes(texts, LABELS, SIGMOID, ["negative", "positive"])
    # Text 3 was called negative with 1 - 0.4, text 4 positive with 0.6: equal, so in the order of the texts.
    assert [m.text for m in mistakes] == ["text 3", "text 4"]
    assert [m.confidence for m in mistakes] == pytest.approx([0.6, 0.6])
    assert (mistakes[0].truth, mistakes[0].predicted) == ("positive", "negative")

    labels, probabilities = three_classes()
    mistakes = most_confident_mistakes([str(i) for i in range(300)], labels, probabilities, ["a", "b", "c"], count=7)
    assert len(mistakes) == 7
    wrong = probabilities.argmax(axis=1) != labels
    assert [m.confidence for m in mistakes] == pytest.approx(sorted(probabilities[wrong].max(axis=1))[::-1][:7])
    for mistake in mistakes:
        assert "abc"[labels[int(mistake.text)]] == mistake.truth != mistake.predicted


def test_mistakes_need_one_text_a_label():
    with pytest.raises(ValueError, match="9 texts but 10 labels"):
        most_confident_mistakes(["x"] * 9, LABELS, SIGMOID, ["negative", "positive"])


def test_the_table_of_mistakes_keeps_its_width_and_its_lines():
    texts = ["不" * 200, "first line\nsecond\tline \x1b[31m" + "x" * 200, "short"]
    mistakes = most_confident_mistakes(texts, [1, 1, 1], [0.1, 0.2, 0.3], ["负面", "positive"])
    lines = mistakes_table(mistakes, width=60).splitlines()
    assert len(lines) == 4
    assert all(cell_len(line) <= 60 for line in lines)
    assert "\x1b" not in "".join(lines)
    assert lines[1].endswith("…")
    assert lines[3].endswith("short")
    assert mistakes_table([]) == "no mistakes"


def test_importing_loads_no_scikit_learn():
    code = (
        "import sys, keras_llm.evaluation; sys.exit(bool({'sklearn', 'tensorflow', 'matplotlib'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
