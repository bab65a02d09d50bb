"""keras_llm.data: tokens hidden from a model are as many, as random and as often replaced as BERT's."""

import numpy as np
import pytest

from keras_llm.data import hide_tokens

V, MASK, ROWS, T = 50, 50, 2_000, 40
IDS = np.random.default_rng(0).integers(3, V, (ROWS, T))  # 0 to 2 are never in the text


@pytest.fixture(scope="module")
def hidden() -> tuple[np.ndarray, ...]:
    """For all chosen tokens their row, their place, what stood there and what is shown; and the rows as shown."""
    inputs, labels, weights = hide_tokens(IDS, vocabulary_size=V, mask_id=MASK)
    shown, places = inputs["token_ids"], inputs["mask_positions"]
    assert (shown.shape, labels.shape, labels.dtype) == (IDS.shape, places.shape, np.int32)
    row, column = np.nonzero(weights)
    place = places[row, column]
    return row, place, labels[row, column], shown[row, place], shown


def within(share: float, of: float, draws: int) -> bool:
    return abs(share - of) < 4 * np.sqrt(of * (1 - of) / draws)  # four standard deviations


def test_fifteen_of_a_hundred_are_chosen_and_the_others_stay(hidden) -> None:
    row, place, truth, _, shown = hidden
    np.testing.assert_array_equal(truth, IDS[row, place])
    chosen = np.zeros(IDS.shape, bool)
    chosen[row, place] = True
    assert chosen.sum() == len(row)  # none twice
    assert within(chosen.mean(), 0.15, IDS.size)
    np.testing.assert_array_equal(shown[~chosen], IDS[~chosen])
    assert all(within(share, 0.15, ROWS) for share in chosen.mean(axis=0))  # every place as often as any other


def test_of_the_chosen_eighty_are_masked_ten_are_random_and_ten_stay(hidden) -> None:
    _, _, truth, seen, _ = hidden
    draws = len(truth)
    assert within(np.mean(seen == MASK), 0.8 + 0.1 / (V + 1), draws)  # a random token may be any of V + 1
    assert within(np.mean(seen == truth), 0.1 + 0.1 / (V + 1), draws)
    others = seen[(seen != MASK) & (seen != truth)]
    assert within(len(others) / draws, 0.1 * (V - 1) / (V + 1), draws)
    assert set(others.tolist()) == set(range(V))  # drawn from the whole vocabulary, not from the row


def test_a_seed_fixes_the_choice() -> None:
    def shown(seed: int) -> np.ndarray:
        return hide_tokens(IDS[:50], vocabulary_size=V, mask_id=MASK, seed=seed)[0]["token_ids"]

    np.testing.assert_array_equal(shown(1), shown(1))
    assert (shown(1) != shown(2)).any(axis=1).mean() > 0.9
    twice = hide_tokens(np.tile(IDS[:50], (2, 1)), vocabulary_size=V, mask_id=MASK)[0]["mask_positions"]
    assert (twice[:50] != twice[50:]).any(axis=1).mean() > 0.9  # the same row, other tokens


def test_what_must_not_be_chosen_is_not_and_leaves_places_without_weight() -> None:
    rows = np.where(np.arange(T) < 20, IDS, 0)
    inputs, labels, weights = hide_tokens(rows, vocabulary_size=V, mask_id=MASK, never=(0, 3))
    assert not np.isin(labels[weights == 1], (0, 3)).any()
    assert (inputs["mask_positions"][weights == 1] < 20).all()
    np.testing.assert_array_equal(inputs["token_ids"][:, 20:], 0)
    assert within(weights.sum() / np.isin(rows, (0, 3), invert=True).sum(), 0.15, rows.size // 2)


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_a_share_that_chooses_nothing_is_refused(share) -> None:
    with pytest.raises(ValueError, match=f"share={share}"):
        hide_tokens(IDS[:2], vocabulary_size=V, mask_id=MASK, share=share)
