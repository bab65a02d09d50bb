# Made from solutions.py by `python -m keras_llm.grading.regions`: change that file, not this one.
"""Exercises of chapter 4: attention, with NumPy alone.

Write what is missing, one function at a time, in any order: none calls another. Then

    keras-llm grade ch04 --file ch04_attention.py

says what is right, and why the rest is not. All of it takes seconds and little memory on any machine;
each exercise names its limits.

B = batch, T = time of the queries, S = time of keys and values, D = width, H = heads.
"""

import math

import numpy as np


# 2 points
def causal_mask(length: int) -> np.ndarray:
    """Which position may see which: itself and those before it.

    Deliver: one line.

    Args:
        length: T.

    Returns:
        bool ``(T, T)``; row i is True where position i may look.

    Hint: compare a column of positions with a row of positions.
    Budget: 1 second, 10 MB.
    Source: document D3, section 4; Vaswani et al. 2017, section 3.2.3.
    Small machines: T = 4 can be printed and read; try that first.
    """
    # Your answer in place of what follows.
    raise NotImplementedError("causal_mask() is yours to write: True on the diagonal and below it.")


# 6 points
def attention(queries: np.ndarray, keys: np.ndarray, values: np.ndarray, mask: np.ndarray | None = None) -> np.ndarray:
    """Scaled dot-product attention: softmax(Q Kᵀ / √D) V.

    Deliver: the formula, for any number of leading axes, stable for scores in the hundreds.

    Args:
        queries: ``(..., T, D)``.
        keys: ``(..., S, D)``.
        values: ``(..., S, E)``.
        mask: bool ``(..., T, S)``, True where a query may look; None: everywhere. Each query may look somewhere.

    Returns:
        ``(..., T, E)``.

    Hint: a score of -1e9 becomes a weight of 0. Before exp, take the largest score of each row away: what does that
        change in the quotient?
    Budget: 2 seconds, 50 MB.
    Source: Vaswani et al. 2017, equation 1; documents D3, section 4, and D2.
    Small machines: two queries and three keys of width 2 are enough to check by hand.
    """
    # Your answer in place of what follows.
    raise NotImplementedError(
        "attention() is yours to write: scores by √D, the mask, a softmax over the keys, and the weighted mean of the "
        "values."
    )


# 2 points
def split_heads(x: np.ndarray, num_heads: int) -> np.ndarray:
    """Cut the width into heads, so that each attends on its own.

    Deliver: one or two lines, without a loop.

    Args:
        x: ``(B, T, D)``.
        num_heads: H, which divides D.

    Returns:
        ``(B, H, T, D / H)``; head h of a position holds the numbers h D/H to (h + 1) D/H of its vector.

    Hint: a reshape straight into the new shape mixes positions. Which axis has to be cut, and which two to change
        places after that?
    Budget: 1 second, 10 MB.
    Source: Vaswani et al. 2017, section 3.2.2; document D3, section 4.
    Small machines: number the entries with np.arange and look where 0, 1, 2 … end up.
    """
    # Your answer in place of what follows.
    raise NotImplementedError(
        "split_heads() is yours to write: cut the last axis into (H, D / H), then let time and heads change places."
    )


# 2 points
def sinusoidal_positions(length: int, hidden_dim: int) -> np.ndarray:
    """The vectors that tell positions apart: sines and cosines of falling frequency.

    Deliver: PE(p, 2i) = sin(p / 10000^(2i/D)) and PE(p, 2i+1) = cos of the same.

    Args:
        length: T.
        hidden_dim: D, even.

    Returns:
        ``(T, D)``; row p belongs to position p, which counts from 0.

    Hint: the frequencies first, (D / 2,); then all angles, (T, D / 2); then every second column.
    Budget: 1 second, 10 MB.
    Source: Vaswani et al. 2017, section 3.5; document D3, section 4.
    Small machines: plot 50 positions of width 16 with plt.imshow; the first columns must change fastest.
    """
    # Your answer in place of what follows.
    raise NotImplementedError(
        "sinusoidal_positions() is yours to write: sines in the even columns, cosines in the odd ones."
    )


# 2 points
def padding_and_causal(token_ids: np.ndarray) -> np.ndarray:
    """The mask of a decoder's self-attention: nothing that comes later, and no padding.

    Deliver: both conditions at once, for a whole batch.

    Args:
        token_ids: int ``(B, T)``; 0 is padding, at the end of a row.

    Returns:
        bool ``(B, T, T)``: whether query i (second axis) may look at key j (third axis). Also a query at padding looks
        at the real keys before it, so that no row of the softmax is empty.

    Hint: padding is a property of the keys, not of the queries.
    Budget: 1 second, 10 MB.
    Source: documents D3, section 4, and D2 (attention_mask).
    Small machines: one row of four tokens with one padding shows all cases.
    """
    # Your answer in place of what follows.
    raise NotImplementedError(
        "padding_and_causal() is yours to write: a key is allowed when it is real and not later than the query."
    )


# 3 points
def spread_of_scores(width: int, pairs: int, seed: int) -> tuple[float, float]:
    """Why the scores are divided by √D: measure it.

    Deliver: draw that many pairs of a query and a key, each of D numbers from the standard normal distribution, and
    measure the standard deviation of their dot products, before and after the division by √D.

    Args:
        width: D.
        pairs: how many are drawn.
        seed: of the draw; the same seed gives the same answer.

    Returns:
        The two standard deviations, as measured.

    Hint: np.random.default_rng(seed).normal(size=...); multiply pair by pair and sum over the width.
    Budget: 2 seconds, 200 MB.
    Source: Vaswani et al. 2017, section 3.2.1, footnote 4; document D3, section 4.
    Small machines: 2,000 pairs of width 64 tell as much as a million.
    """
    # Your answer in place of what follows.
    raise NotImplementedError(
        "spread_of_scores() is yours to write: the spread of many dot products, and the same divided by √D."
    )
