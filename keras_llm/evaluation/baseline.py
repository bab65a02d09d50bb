"""The baseline that each classifier of this course has to beat: TF-IDF and logistic regression, on the same split."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from keras_llm.errors import InputError
from keras_llm.evaluation.classification import checked_labels

# Between the words of these languages stands no space, so that a pattern for words would find whole sentences.
LANGUAGES_WITHOUT_SPACES = frozenset({"zh", "ja", "th", "lo", "km", "my", "yue"})


class TfidfBaseline:
    """Counts of n-grams, weighted by TF-IDF, under logistic regression.

    Texts become sparse vectors over 1- and 2-grams of words; in a language that is written without spaces, over
    1- to 3-grams of characters. Nothing is tuned: ``C=10`` stands fixed for each data set, so that the test part stays
    unseen. lbfgs has no randomness in it, hence there is no seed.

    Args:
        language: language code such as ``"en"`` or ``"zh"``; a region after ``-`` or ``_`` is ignored.
        max_features: keep only this many of the most frequent n-grams.

    Example:
        >>> baseline = TfidfBaseline().fit(["a good film", "a bad film"], [1, 0])
        >>> baseline.predict_proba(["good"]).argmax(axis=1)
        array([1])

    Source: Wang and Manning 2012, *Baselines and Bigrams*, for the strength of 2-grams under a linear model.
    """

    def __init__(self, language: str = "en", max_features: int | None = 200_000) -> None:
        self.language = language
        self.max_features = max_features

    def fit(self, texts: Sequence[str], labels, num_classes: int | None = None) -> TfidfBaseline:
        """Learns from n texts and their labels, ints ``(n,)``.

        Args:
            texts: n strings.
            labels: ints ``(n,)``.
            num_classes: the number of columns of ``predict_proba``; by default the largest label plus 1.

        Raises:
            ValueError: when lengths differ, labels are no classes, or all texts have one label.
            InputError: when no text has a word.
        """
        from sklearn.feature_extraction.text import TfidfVectorizer
        from sklearn.linear_model import LogisticRegression

        if num_classes is None:
            num_classes = max(2, int(np.max(labels, initial=0)) + 1)
        labels = checked_labels(labels, num_classes)
        if len(texts) != len(labels):
            raise ValueError(f"There are {len(texts)} texts but {len(labels)} labels.")
        if len(np.unique(labels)) < 2:
            raise ValueError(f"All {len(texts)} training texts have the label {labels[0]}; a classifier needs two.")
        spaced = self.language.lower().replace("_", "-").split("-")[0] not in LANGUAGES_WITHOUT_SPACES
        self.vectorizer = TfidfVectorizer(
            analyzer="word" if spaced else "char",
            ngram_range=(1, 2) if spaced else (1, 3),
            sublinear_tf=True,
            # N-grams seen once are most of the vocabulary and add nothing to the accuracy; in a handful of texts
            # they are all there is.
            min_df=2 if len(texts) >= 1000 else 1,
            max_features=self.max_features,
            dtype=np.float32,
        )
        try:
            features = self.vectorizer.fit_transform(texts)  # (n, n-grams), sparse
        except ValueError as error:  # scikit-learn's "empty vocabulary"
            raise InputError(
                "No training text has a word of two letters or more, so nothing can be counted: bring texts of words."
            ) from error
        self.classifier = LogisticRegression(C=10.0, max_iter=1000).fit(features, labels)
        self.num_classes = num_classes
        return self

    def predict_proba(self, texts: Sequence[str]) -> np.ndarray:
        """Probabilities ``(n, classes)``, column i for label i; 0 for a class that training never saw."""
        probabilities = np.zeros((len(texts), self.num_classes))
        probabilities[:, self.classifier.classes_] = self.classifier.predict_proba(self.vectorizer.transform(texts))
        return probabilities


def tfidf_baseline(
    train_texts: Sequence[str],
    train_labels,
    test_texts: Sequence[str],
    *,
    language: str = "en",
    num_classes: int | None = None,
    max_features: int | None = 200_000,
) -> np.ndarray:
    """What :class:`TfidfBaseline` predicts for the test texts: probabilities ``(n, classes)``.

    Arguments and errors are those of the class and its ``fit``.

    Example:
        >>> tfidf_baseline(["a good film", "a bad film"], [1, 0], ["good", "bad"]).argmax(axis=1)
        array([1, 0])
    """
    baseline = TfidfBaseline(language, max_features).fit(train_texts, train_labels, num_classes)
    return baseline.predict_proba(test_texts)
