"""How good is a classifier, beside which baseline, and where is it wrong? Arrays in, results out.

    probabilities = model.predict(test)
    report = classification_report(labels, probabilities, classes=["negative", "positive"])
    print(report.table())
    print(bootstrap_interval(labels, predicted_classes(probabilities)))

``NgramModel`` is the baseline of a language model. Nothing here knows a model: labels are ``(n,)`` integers,
probabilities are ``(n,)``, ``(n, 1)`` or ``(n, classes)``. scikit-learn does the arithmetic of classification and is
imported only when a function runs.
"""

from keras_llm.evaluation.baseline import TfidfBaseline, tfidf_baseline
from keras_llm.evaluation.classification import (
    ClassificationReport,
    ClassScores,
    classification_report,
    predicted_classes,
)
from keras_llm.evaluation.intervals import bootstrap_interval
from keras_llm.evaluation.mistakes import Mistake, mistakes_table, most_confident_mistakes
from keras_llm.evaluation.ngram import NgramModel

__all__ = [
    "ClassScores",
    "ClassificationReport",
    "Mistake",
    "NgramModel",
    "TfidfBaseline",
    "bootstrap_interval",
    "classification_report",
    "mistakes_table",
    "most_confident_mistakes",
    "predicted_classes",
    "tfidf_baseline",
]
