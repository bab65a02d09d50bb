"""keras_llm.evaluation: variety and repetition of generated texts."""

import pytest

from keras_llm.evaluation import distinct, repetition, self_bleu


def test_distinct_counts_different_runs_over_all_texts() -> None:
    assert distinct(["abab"], 1) == pytest.approx(2 / 4)
    assert distinct(["abab", "abab"], 2) == pytest.approx(2 / 6)
    assert distinct([["to", "be"], ["or", "not"]], 2) == 1
    assert distinct(["a"], 2) == 0 and distinct([], 1) == 0


def test_repetition_counts_within_a_text_only() -> None:
    assert repetition(["abcd", "abcd"], 2) == 0
    assert repetition(["aaaaa"], 2) == pytest.approx(3 / 4)
    assert repetition(["aaaaa", "abcde"], 2) == pytest.approx(3 / 8)
    assert repetition(["ab"], 4) == 0


def test_self_bleu_is_100_for_equal_texts_and_low_for_others() -> None:
    same = ["the cat sat on the mat today"] * 3
    other = ["the cat sat on the mat today", "a storm came over our hills", "prices rose again in march"]
    assert self_bleu(same) == pytest.approx(100)
    assert self_bleu(other) < 10
    assert self_bleu(["今天天气很好", "今天天气不好"], "zh") > self_bleu(["今天天气很好", "今天天气不好"], "en")
    with pytest.raises(ValueError, match="two or more"):
        self_bleu(["alone"])


def test_a_run_has_at_least_one_token() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        distinct(["ab"], 0)
