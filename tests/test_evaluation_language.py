"""keras_llm.evaluation: what a text costs under a language model, and whether it stood in the training text."""

import math

import pytest

from keras_llm.evaluation import LanguageModelReport, overlap


def test_perplexity_and_bits_in_all_units() -> None:
    report = LanguageModelReport.of(math.log(8), 10, ["电影a", "b"])  # 3 bits a token; 4 characters, 8 bytes
    assert report.perplexity == pytest.approx(8)
    assert report.bits_per_character == pytest.approx(30 / 4)
    assert report.bits_per_byte == pytest.approx(30 / 8)
    assert report.metrics("test")["test_perplexity"] == pytest.approx(8)
    assert "perplexity 8.00" in str(report) and "10 tokens" in str(report)


def test_models_with_other_tokens_compare_by_character() -> None:
    # A model of characters that gives each 1/4, one of pairs that gives each 1/16: the same probability of the text.
    characters, pairs = (LanguageModelReport.of(math.log(4**n), 12 // n, ["x" * 12]) for n in (1, 2))
    assert characters.loss != pairs.loss
    assert characters.bits_per_character == pytest.approx(pairs.bits_per_character)


@pytest.mark.parametrize(("tokens", "texts"), [(0, ["a"]), (1, []), (1, [""])])
def test_nothing_to_measure_is_refused(tokens, texts) -> None:
    with pytest.raises(ValueError, match="nothing to measure"):
        LanguageModelReport.of(1.0, tokens, texts)


def test_overlap_counts_the_runs_that_stand_in_the_training_text() -> None:
    found = overlap(iter(["abcdef", "uvw"]), ["xbcdy", "vw", "cde"], length=3)  # xbc bcd cdy; none; cde
    assert found.share == pytest.approx(2 / 4) and found.runs == 4
    assert set(found.examples) == {("b", "c", "d"), ("c", "d", "e")}
    assert overlap(["abc"], ["ab"], length=3).share == 0  # too short to tell
    words = [["we", "the", "people"], ["of", "the"]]
    assert overlap(words, [["the", "people", "of"]], length=2).share == pytest.approx(1 / 2)
    with pytest.raises(ValueError, match="length"):
        overlap([], [], length=0)
