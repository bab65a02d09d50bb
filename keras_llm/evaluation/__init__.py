"""How good is a classifier, beside which baseline, and where is it wrong? Arrays in, results out.

    probabilities = model.predict(test)
    report = classification_report(labels, probabilities, classes=["negative", "positive"])
    print(report.table())
    print(bootstrap_interval(labels, predicted_classes(probabilities)))

``NgramModel`` is the baseline of a language model, ``DictionaryBaseline`` that of a translation. Nothing here knows a
model: labels are ``(n,)`` integers, probabilities are ``(n,)``, ``(n, 1)`` or ``(n, classes)``, translations are texts.
scikit-learn does the arithmetic of classification, sacrebleu that of translation; they are imported when a function
runs.
"""

from keras_llm.evaluation.baseline import TfidfBaseline, tfidf_baseline
from keras_llm.evaluation.classification import (
    ClassificationReport,
    ClassScores,
    classification_report,
    predicted_classes,
)
from keras_llm.evaluation.dictionary import DictionaryBaseline
from keras_llm.evaluation.diversity import distinct, repetition, self_bleu
from keras_llm.evaluation.intervals import bootstrap_interval
from keras_llm.evaluation.mistakes import Mistake, mistakes_table, most_confident_mistakes
from keras_llm.evaluation.multilabel import MultilabelReport, best_thresholds, multilabel_report
from keras_llm.evaluation.ngram import NgramModel
from keras_llm.evaluation.overlap import Overlap, overlap
from keras_llm.evaluation.perplexity import LanguageModelReport
from keras_llm.evaluation.translation import TranslationReport, translation_report

__all__ = [
    "ClassScores",
    "ClassificationReport",
    "DictionaryBaseline",
    "LanguageModelReport",
    "Mistake",
    "MultilabelReport",
    "NgramModel",
    "Overlap",
    "TfidfBaseline",
    "TranslationReport",
    "best_thresholds",
    "bootstrap_interval",
    "classification_report",
    "distinct",
    "mistakes_table",
    "most_confident_mistakes",
    "multilabel_report",
    "overlap",
    "predicted_classes",
    "repetition",
    "self_bleu",
    "tfidf_baseline",
    "translation_report",
]
