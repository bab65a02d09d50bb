"""BLEU and chrF of whole test parts: sacrebleu's own figures, and what must raise or lower them."""

import json
import subprocess
import sys

import pytest

from keras_llm.evaluation import translation_report

REFERENCES = [
    "The cat sits on the old mat .",
    "I have never seen such a large house before .",
    "Could you open the second window , please ?",
    "We will go to the sea tomorrow morning .",
] * 10
TRANSLATIONS = [
    "The cat sits on a mat .",
    "I have never seen a house so large .",
    "Could you open the window , please ?",
    "Tomorrow morning we will go to the sea .",
] * 10


def bleu(translations: list[str], references: list[str] = REFERENCES, language: str = "en") -> float:
    return translation_report(translations, references, language, intervals=False).bleu


@pytest.mark.parametrize(
    ("language", "text"), [("en", "a good day to you"), ("zh", "今天天气很好"), ("ja", "今日は晴れ")]
)
def test_a_perfect_translation_has_all_points(language, text) -> None:
    report = translation_report([text], [text], language, intervals=False)
    assert (report.bleu, report.chrf, report.exact_match) == pytest.approx((100, 100, 1))
    assert (report.length_ratio, report.brevity_penalty, report.pairs) == (1, 1, 1)
    assert report.bleu <= 100


def test_what_has_nothing_in_common_has_none() -> None:
    report = translation_report(["xyz"] * 40, REFERENCES, "en", intervals=False)
    assert report.bleu < 1
    assert report.exact_match == 0


@pytest.mark.parametrize(("language", "tokenizer"), [("en", "13a"), ("zh-CN", "zh"), ("other", "13a"), ("ja", "char")])
def test_the_figures_are_those_of_the_sacrebleu_command(tmp_path, language, tokenizer) -> None:
    for name, texts in (("hypotheses", TRANSLATIONS), ("references", REFERENCES)):
        (tmp_path / name).write_text("\n".join(texts) + "\n", encoding="utf-8")
    options = ["-i", "hypotheses", "-m", "bleu", "chrf", "-tok", tokenizer, "--confidence", "-w", "6", "-f", "json"]
    command = [sys.executable, "-m", "sacrebleu", "references", *options]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, encoding="utf-8", check=True)
    bleu_line, chrf_line = json.loads(done.stdout)
    report = translation_report(TRANSLATIONS, REFERENCES, language)
    assert report.bleu == pytest.approx(bleu_line["score"], abs=1e-6)
    assert report.chrf == pytest.approx(chrf_line["score"], abs=1e-6)
    assert report.bleu_signature == bleu_line["signature"]
    mean, half = bleu_line["confidence_mean"], bleu_line["confidence_var"]
    assert report.bleu_interval == pytest.approx((mean - half, mean + half), abs=1e-5)


def test_the_signatures_name_tokenizer_seed_and_version() -> None:
    report = translation_report(TRANSLATIONS, REFERENCES, "zh")
    assert all(part in report.bleu_signature for part in ("tok:zh", "bs:1000", "seed:", "version:2."))
    assert all(part in report.chrf_signature for part in ("nc:6", "nw:0", "version:2."))
    assert "bs:" not in translation_report(TRANSLATIONS, REFERENCES, "zh", intervals=False).bleu_signature


def test_the_interval_is_repeatable_and_narrows_with_more_sentences() -> None:
    report = translation_report(TRANSLATIONS, REFERENCES, "en")
    low, high = report.bleu_interval
    assert 0 <= low < report.bleu < high <= 100
    assert translation_report(TRANSLATIONS, REFERENCES, "en") == report
    more = translation_report(TRANSLATIONS * 9, REFERENCES * 9, "en")
    assert more.bleu == pytest.approx(report.bleu)
    assert more.bleu_interval[1] - more.bleu_interval[0] < (high - low) / 2


def test_chinese_is_compared_by_character() -> None:
    translations, references = ["今天天气真好啊"], ["今天天气很好啊"]
    # Six of seven characters are right; as one word between spaces, nothing is.
    assert bleu(translations, references, "zh") > 40
    assert bleu(translations, references, "en") == 0
    assert bleu([" ".join(translations[0])], references, "zh") == pytest.approx(bleu(translations, references, "zh"))


def test_halved_translations_pay_for_their_brevity() -> None:
    halves = [" ".join(text.split()[: len(text.split()) // 2]) for text in REFERENCES]
    report = translation_report(halves, REFERENCES, "en", intervals=False)
    assert 0.3 < report.length_ratio < 0.6
    assert report.brevity_penalty == pytest.approx(2.718281828 ** (1 - 1 / report.length_ratio))
    # Every n-gram of theirs is right, so that the penalty is all of the score.
    assert report.bleu == pytest.approx(100 * report.brevity_penalty)


@pytest.mark.parametrize("left_in", ["<pad> <pad> <pad>", "</s>", ". . . . .", "! ?"])
def test_padding_and_marks_lower_the_score(left_in) -> None:
    worse = translation_report([f"{text} {left_in}" for text in TRANSLATIONS], REFERENCES, "en", intervals=False)
    clean = translation_report(TRANSLATIONS, REFERENCES, "en", intervals=False)
    assert worse.bleu < clean.bleu - 1
    assert worse.chrf < clean.chrf
    assert translation_report([f"{text} {left_in}" for text in REFERENCES], REFERENCES, "en", False).exact_match == 0


def test_marks_alone_are_no_translation() -> None:
    assert bleu([". , ?"] * 40) < 2
    assert bleu([""] * 40) == 0


def test_empty_translations_are_scored() -> None:
    some = translation_report(["", *TRANSLATIONS[1:]], REFERENCES, "en", intervals=False)
    assert 0 < some.bleu < bleu(TRANSLATIONS)
    assert some.pairs == 40


def test_it_is_no_mean_over_sentences_and_counts_case() -> None:
    apart = [bleu([one], [other]) for one, other in zip(TRANSLATIONS[:4], REFERENCES[:4], strict=True)]
    assert bleu(TRANSLATIONS[:4], REFERENCES[:4]) != pytest.approx(sum(apart) / 4, abs=0.1)
    assert bleu([text.lower() for text in REFERENCES]) < 100


def test_spaces_around_a_translation_are_no_difference() -> None:
    assert translation_report([" yes \n", "no"], ["yes", "yes"], "en", intervals=False).exact_match == 0.5


def test_metrics_and_table() -> None:
    report = translation_report(TRANSLATIONS, REFERENCES, "en")
    assert report.metrics("test") == {
        "test_bleu": report.bleu,
        "test_chrf": report.chrf,
        "test_exact_match": report.exact_match,
    }
    table = report.table()
    assert f"BLEU {report.bleu:.1f} (95% interval {report.bleu_interval[0]:.1f} to" in table
    assert report.bleu_signature in table and report.chrf_signature in table
    assert "interval" not in translation_report(TRANSLATIONS, REFERENCES, "en", intervals=False).table()


@pytest.mark.parametrize(("translations", "references"), [([], []), (["a"], []), (["a"], ["a", "b"])])
def test_what_cannot_be_compared_is_refused(translations, references) -> None:
    with pytest.raises(ValueError, match="needs a reference a translation"):
        translation_report(translations, references, "en")


def test_importing_loads_no_sacrebleu() -> None:
    code = "import sys, keras_llm.evaluation; sys.exit('sacrebleu' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
