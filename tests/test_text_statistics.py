"""Characters a token, unknown tokens, Heaps' and Zipf's law."""

from collections import Counter

import numpy as np
import pytest

from keras_llm.text import compression, fit_power_law, rank_frequency, unknown_rate, vocabulary_growth


def test_compression_is_characters_a_token() -> None:
    assert compression(["good film", "no"], [[7, 9], [4, 4, 4]]) == 11 / 5
    with pytest.raises(ValueError, match="no token"):
        compression(["a"], [[]])


def test_the_unknown_rate_counts_tokens_of_all_texts() -> None:
    assert unknown_rate(iter([[5, 1, 7], [1], []]), unknown_id=1) == 0.5
    assert unknown_rate([[5, 1]], unknown_id=None) == 0
    assert unknown_rate([[]], unknown_id=1) == 0


def test_the_vocabulary_grows_with_what_is_new() -> None:
    n, kinds = vocabulary_growth(iter("abacabad"))
    assert n.tolist() == [1, 2, 3, 4, 5, 6, 7, 8]
    assert kinds.tolist() == [1, 2, 2, 3, 3, 3, 3, 4]


def test_a_long_text_is_noted_at_few_places_and_at_its_end() -> None:
    n, kinds = vocabulary_growth((i % 1_000 for i in range(123_457)), points=20)
    assert len(n) < 120
    assert (n[-1], kinds[-1]) == (123_457, 1_000)
    assert (np.diff(n) > 0).all()
    assert (np.minimum(n, 1_000) == kinds).all()
    with pytest.raises(ValueError, match="no token"):
        vocabulary_growth([])


def test_ranks_fall_and_add_up() -> None:
    counts = rank_frequency(iter(["to", "be", "or", "not", "to", "be"]))
    assert counts.tolist() == [2, 2, 1, 1]
    assert rank_frequency(Counter(seen=3, once=1, twice=2)).tolist() == [3, 2, 1]


@pytest.mark.parametrize(("factor", "exponent"), [(7.0, 0.5), (1e6, -1.1)])
def test_the_exponent_of_a_power_law_is_found(factor, exponent) -> None:
    x = np.arange(1, 50_001)
    found = fit_power_law(x, factor * x**exponent)
    assert found == pytest.approx((factor, exponent))


def test_all_scales_count_alike_in_a_fit() -> None:
    x = np.arange(1, 100_001)
    y = np.where(x < 100, x**-1.0, 10 * x**-1.5)  # two of five decades, and all but 99 points, fall more steeply
    exponent = fit_power_law(x, y)[1]
    assert -1.45 < exponent < -1.15
    with pytest.raises(ValueError, match="two points"):
        fit_power_law(np.array([1]), np.array([1]))
