"""What the grader runs for the exercises of chapter 4; B, T, S, D, H as there."""

import math

import numpy as np

from keras_llm.grading import Exercise, array, close, holds, same


def softmax(scores: np.ndarray) -> np.ndarray:
    exponentials = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return exponentials / exponentials.sum(axis=-1, keepdims=True)


causal_mask = Exercise("causal_mask", section="D3, section 4")


@causal_mask.check(points=1)
def sees_itself_and_the_past(answer, random):
    """Each position sees itself and those before it."""
    for length in (3, 6, 1):
        lower = np.tri(length, dtype=bool)
        mistakes = {
            "No position sees itself: the comparison wants >=, not >.": np.tri(length, k=-1),
            "The mask is turned round: a position sees the future and not the past.": lower.T,
            "Each position sees all others: nothing hides the future.": np.ones((length, length)),
            "It is True where looking is forbidden; here True means allowed.": ~lower,
        }
        close(answer(length), lower, "Row i is True in the columns 0 to i.", mistakes)


@causal_mask.check(points=1)
def is_boolean(answer, random):
    """The mask is made of True and False."""
    found = answer(4)
    close(found, np.tri(4), "Row i is True in the columns 0 to i.")
    holds(np.asarray(found).dtype == bool, "The mask holds numbers: a comparison gives True and False.")


attention = Exercise("attention", section="D3, section 4", seconds=10)


@attention.check(points=2)
def weighs_by_scaled_products(answer, random):
    """Without a mask it is softmax(Q Kᵀ / √D) V."""
    q, k, v = random.normal(size=(3, 16)), random.normal(size=(4, 16)), random.normal(size=(4, 2))
    scores = q @ k.T
    mistakes = {
        "The division by √D is missing.": softmax(scores) @ v,
        "The scores are divided by D instead of √D.": softmax(scores / 16) @ v,
        "The softmax runs over the queries; each query's weights over the keys must sum to 1.": softmax(scores.T / 4).T
        @ v,
        "The scores weigh the values without a softmax.": scores / 4 @ v,
        "The weights do not sum to 1: divide by the sum over the keys.": np.exp(scores / 4) @ v,
        "The weights do not sum to 1: divide by their sum over the keys.": np.exp(
            scores / 4 - scores.max(1, keepdims=True) / 4
        )
        @ v,
    }
    close(answer(q, k, v), softmax(scores / 4) @ v, "Check the formula softmax(Q Kᵀ / √D) V.", mistakes)


@attention.check(points=1)
def keeps_leading_axes(answer, random):
    """Batch and heads in front change nothing."""
    q, k, v = random.normal(size=(2, 3, 4, 8)), random.normal(size=(2, 3, 5, 8)), random.normal(size=(2, 3, 5, 6))
    expected = softmax(q @ k.swapaxes(-1, -2) / math.sqrt(8)) @ v
    why = "If it is right without axes in front: only the last two axes of the keys change places."
    close(answer(q, k, v), expected, why)


@attention.check(points=2)
def obeys_the_mask(answer, random):
    """Where the mask is False, no weight goes."""
    q, k, v = random.normal(size=(4, 8)), random.normal(size=(4, 8)), random.normal(size=(4, 3))
    mask, scores = np.tri(4, dtype=bool), q @ k.T / math.sqrt(8)
    weights = softmax(scores)
    why = "If it is right without a mask: forbidden scores become very low before the softmax."
    mistakes = {
        "The mask has no effect.": weights @ v,
        "The mask is inverted: True means that a query may look.": softmax(np.where(mask, -1e9, scores)) @ v,
        "The mask sets scores to 0, which is a score like any other: forbid with a very low one.": softmax(
            scores * mask
        )
        @ v,
        "The mask comes after the softmax, so that the weights no longer sum to 1.": (weights * mask) @ v,
    }
    close(answer(q, k, v, mask), softmax(np.where(mask, scores, -1e9)) @ v, why, mistakes)


@attention.check(points=1)
def is_stable(answer, random):
    """Scores in the hundreds overflow nothing."""
    q, k = 300 * np.eye(3), 10 * np.eye(3)
    q[1] = -q[1]  # a row whose scores are all far below those of the others
    v = random.normal(size=(3, 2))
    expected = softmax(q @ k.T / math.sqrt(3)) @ v
    why = "exp of a large score overflows: take the largest score of each row away before exp, which changes nothing."
    close(answer(q, k, v), expected, why)


split_heads = Exercise("split_heads", section="D3, section 4")


@split_heads.check(points=2)
def cuts_the_width(answer, random):
    """Each head gets its share of the width, at each position."""
    for batch, time, heads, each in ((2, 3, 2, 4), (1, 4, 4, 2)):
        x = random.normal(size=(batch, time, heads * each))
        cut = x.reshape(batch, time, heads, each)
        mistakes = {
            "A reshape straight into (B, H, T, D/H) mixes positions: cut the width first, then let time and heads "
            "change places.": x.reshape(batch, heads, time, each),
            "The heads take every H-th number; head 0 wants the first D/H.": x.reshape(
                batch, time, each, heads
            ).transpose(0, 3, 1, 2),
        }
        why = "Head h of a position holds the numbers h D/H to (h + 1) D/H of its vector; the axes are (B, H, T, D/H)."
        close(answer(x, heads), cut.transpose(0, 2, 1, 3), why, mistakes)


sinusoidal = Exercise("sinusoidal_positions", section="D3, section 4")


@sinusoidal.check(points=2)
def is_the_formula(answer, random):
    """Even columns are sines, odd columns cosines, of p / 10000^(2i/D)."""
    for length, width in ((5, 8), (7, 2), (3, 64)):
        steps = np.arange(length)[:, None]
        rates = 10_000.0 ** (-np.arange(0, width, 2) / width)
        sines, cosines = np.sin(steps * rates), np.cos(steps * rates)
        right = np.stack([sines, cosines], axis=-1).reshape(length, width)
        wrong_rates = 10_000.0 ** (-np.arange(width // 2) / width)
        late = np.stack([np.sin((steps + 1) * rates), np.cos((steps + 1) * rates)], axis=-1).reshape(length, width)
        halved = np.stack([np.sin(steps * wrong_rates), np.cos(steps * wrong_rates)], axis=-1).reshape(length, width)
        mistakes = {
            "Sines and cosines stand in two halves; they take turns, column by column.": np.hstack([sines, cosines]),
            "Sines and cosines have changed places: even columns are sines.": np.stack(
                [cosines, sines], axis=-1
            ).reshape(length, width),
            "The positions count from 1; the first is 0.": late,
            "The exponent is 2i/D for the columns 2i and 2i+1, not i/D.": halved,
        }
        close(answer(length, width), right, "Check the frequencies 10000^(-2i/D).", mistakes)


decoder_mask = Exercise("padding_and_causal", section="D3, section 4")


@decoder_mask.check(points=2)
def hides_padding_and_future(answer, random):
    """No query sees a later key, or a key that is padding."""
    ids = np.array([[5, 3, 9, 0, 0], [7, 7, 2, 4, 1], [8, 0, 0, 0, 0]])
    real, past = (ids != 0)[:, None, :], np.tri(5, dtype=bool)
    everywhere = np.ones((3, 5, 5), bool)
    mistakes = {
        "The padding is not hidden.": past & everywhere,
        "The future is not hidden.": real & everywhere,
        "It hides the queries at padding instead of the keys, which leaves rows that see nothing.": (ids != 0)[
            :, :, None
        ]
        & past,
        "The mask is inverted: True means that a query may look.": ~(real & past),
        "Allowed is what is real and not later; with 'or' each hides nothing of the other.": real | past,
    }
    close(answer(ids), real & past, "Key j is allowed for query i when it is real and j is at most i.", mistakes)


spread = Exercise("spread_of_scores", section="D3, section 4", seconds=10)


@spread.check(points=2)
def measures_both(answer, random):
    """Dot products spread like √D, divided ones like 1."""
    for width in (16, 256):
        found = array(answer(width, 4_000, 7), (2,), "Return the two standard deviations.")
        near = np.isclose(found, [math.sqrt(width), 1.0], rtol=0.1)
        holds(
            not np.isclose(found[0], width, rtol=0.1),
            "The first number is the variance, D; its root, the standard deviation, is wanted.",
        )
        holds(
            not np.isclose(found[1], 1 / math.sqrt(width), rtol=0.1),
            "The second is divided by D; after a division by √D the spread is 1 at any width.",
        )
        holds(bool(near.all()), f"For D = {width}, expect about {math.sqrt(width):.0f} and 1, not {found.round(2)}.")
        exact = {math.sqrt(width), 1.0} & set(found.tolist())
        holds(not exact, "These are the numbers that theory promises: draw, and measure.")


@spread.check(points=1)
def follows_the_seed(answer, random):
    """The same seed gives the same numbers, another seed others."""
    two = "Return the two standard deviations."
    first, again, *others = (array(answer(32, 500, seed), (2,), two) for seed in (1, *range(1, 9)))
    same(first, again, "Two calls with the same seed differ: make the generator from the seed, inside the function.")
    holds(not np.array_equal(first, others[0]), "Another seed gives the same numbers: use the seed.")
    # Of 500 draws, a standard deviation is known to 1/√1000, about 3%.
    spread = np.std([measured[1] for measured in others])
    holds(0.01 < spread < 0.1, "Other draws hardly change what comes out: draw as many pairs as asked, and measure.")
