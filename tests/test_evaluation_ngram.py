"""The n-gram baseline: probabilities that add up, by hand and by the definition."""

from collections import Counter
from collections.abc import Iterable
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_llm.evaluation import NgramModel

IDS = st.lists(st.integers(0, 4), min_size=1, max_size=12)


def by_definition(order: int, size: int, learn: list[list[int]], sequence: list[int]) -> list[float]:
    """Modified Kneser–Ney with dictionaries: the probability of each token of a sequence. None is before a start."""
    occurs = [Counter() for _ in range(order + 1)]
    for each in learn:
        padded = [None] * (order - 1) + each
        for end in range(order, len(padded) + 1):
            for n in range(1, order + 1):
                occurs[n][tuple(padded[end - n : end])] += 1
    grams = [
        {
            gram: count if n == order or None in gram else sum(longer[1:] == gram for longer in occurs[n + 1])
            for gram, count in occurs[n].items()
        }
        for n in range(order + 1)
    ]
    found = []
    padded = [None] * (order - 1) + sequence
    for end in range(order - 1, len(padded)):
        p = 1 / size
        for n in range(1, order + 1):
            context, token = tuple(padded[end - n + 1 : end]), padded[end]
            follow = {gram[-1]: count for gram, count in grams[n].items() if gram[:-1] == context}
            if follow:
                take = discounts(grams[n].values())
                taken = {w: take[min(count, 3) - 1] for w, count in follow.items()}
                own = follow[token] - taken[token] if token in follow else 0
                p = (own + sum(taken.values()) * p) / sum(follow.values())
        found.append(p)
    return found


def discounts(counts: Iterable[int]) -> list[float]:
    n1, n2, n3, n4 = ([*counts].count(j) for j in (1, 2, 3, 4))
    if not n1 * n2 * n3 * n4:
        return [0.5, 1, 1.5]
    y = n1 / (n1 + 2 * n2)
    found = [1 - 2 * y * n2 / n1, 2 - 3 * y * n3 / n2, 3 - 4 * y * n4 / n3]
    return found if min(found) > 0 else [0.5, 1, 1.5]


@settings(max_examples=150, deadline=None)
@given(learn=st.lists(IDS, min_size=1, max_size=4), sequence=IDS, order=st.integers(1, 4))
def test_it_is_modified_kneser_ney(learn, sequence, order) -> None:
    bits = NgramModel(order, 5).fit(learn).bits([sequence])
    assert 2**-bits == pytest.approx(by_definition(order, 5, learn, sequence), rel=1e-9)


def test_with_discounts_that_are_estimated() -> None:
    draw = np.random.default_rng(0)
    learn = [(draw.zipf(1.5, 60) % 30).tolist() for _ in range(6)]
    counts = Counter(pair for each in learn for pair in pairwise([None, *each]))
    assert discounts(counts.values()) != [0.5, 1, 1.5]
    bits = NgramModel(2, 30).fit(learn).bits(learn[:1])
    assert 2**-bits == pytest.approx(by_definition(2, 30, learn, learn[0]), rel=1e-9)


def test_a_token_that_follows_one_other_alone_is_no_guess_elsewhere() -> None:
    san, francisco, a, b, c = range(5)  # francisco occurs three times as often as b, but after san alone
    learn = [[san, francisco]] * 9 + [[a, b], [c, b], [san, b]]
    after_a_new_token = NgramModel(2, 6).fit(learn).bits([[5, francisco], [5, b]])[1::2]
    assert after_a_new_token[0] > after_a_new_token[1]


@settings(max_examples=50, deadline=None)
@given(learn=st.lists(IDS, min_size=1, max_size=4), context=st.lists(st.integers(0, 4), max_size=5))
def test_the_probabilities_after_any_context_add_up_to_one(learn, context) -> None:
    model = NgramModel(3, 5).fit(learn)
    after = [2 ** -model.bits([[*context, token]])[-1] for token in range(5)]
    assert sum(after) == pytest.approx(1)
    assert min(after) > 0


def test_longer_contexts_tell_more_about_a_text_with_a_pattern() -> None:
    text = [0, 1, 2, 0, 1, 3] * 50
    held_out = [0, 1, 2, 0, 1, 3] * 5
    bits = [NgramModel(order, 4).fit([text]).bits([held_out]).mean() for order in (1, 2, 4)]
    assert bits[0] > bits[1] > bits[2]
    assert bits[2] < 0.25  # nothing is left to guess but the beginning


def test_no_gram_reaches_into_the_next_sequence() -> None:
    apart = NgramModel(2, 3).fit([[0, 1], [2, 1]])
    together = NgramModel(2, 3).fit([[0, 1, 2, 1]])
    assert apart.bits([[1, 2]])[1] > together.bits([[1, 2]])[1]  # only the second has met a 2 after a 1
    assert apart.bits([[0, 1], [2, 1]]).shape == (4,)


@pytest.mark.parametrize(
    ("sequences", "says"), [([], "no token"), ([[]], "no token"), ([[3]], "below 3"), ([[-1]], "below 3")]
)
def test_what_is_no_sequence_is_refused(sequences, says) -> None:
    with pytest.raises(ValueError, match=says):
        NgramModel(2, 3).fit(sequences)
    with pytest.raises(ValueError, match=says):
        NgramModel(2, 3).fit([[0, 1]]).bits(sequences)


def test_an_unfitted_model_and_impossible_sizes_are_refused() -> None:
    with pytest.raises(ValueError, match="Fit the model first"):
        NgramModel(2, 3).bits([[0]])
    with pytest.raises(ValueError, match="1 or more"):
        NgramModel(0, 3)


def test_millions_of_tokens_take_seconds() -> None:
    ids = np.random.default_rng(0).integers(0, 80, 1_000_000)
    bits = NgramModel(4, 80).fit([ids]).bits([ids[:1000]])
    assert np.isfinite(bits).all()
