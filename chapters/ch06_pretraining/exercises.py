# Made from solutions.py by `python -m keras_llm.grading.regions`: change that file, not this one.
"""Exercises of chapter 6: pretraining, with NumPy alone.

Write what is missing, one function at a time, in any order: none calls another. Then

    keras-llm grade ch06 --file ch06_pretraining.py

says what is right, and why the rest is not. All of it takes seconds and little memory on any machine;
each exercise names its limits.

N = rows in a batch, T = tokens in a row, V = token ids, d = numbers a head.
"""

import math
from collections.abc import Callable, Sequence

import numpy as np


# 3 points
def next_token_loss(logits: np.ndarray, token_ids: np.ndarray) -> float:
    """The loss of a language model: how improbable it finds each next token, with the minus sign that D2 has lost.

    Deliver: one line, the mean over the row of −log P(next token). The logits of place t are for the token at t + 1;
    those of the last place have nothing to be compared with.

    Args:
        logits: ``(T, V)``.
        token_ids: int ``(T,)``, the row that the model has read; T is 2 or more.

    Returns:
        The loss in nats a token.

    Hint: two index arrays, one of places and one of tokens, pick one number of each row.
    Budget: 1 second, 10 MB.
    Source: document D2 (the autoregressive loss), whose sign is wrong; document D4, section 3.1; Radford et al. 2018
        (GPT), equation 1.
    Small machines: with logits of 0 everywhere the loss is ln V.
    """
    shifted = logits - logits.max(axis=-1, keepdims=True)
    log_probabilities = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))  # (T, V)
    loss = 0.0
    # Your answer in place of what follows.
    raise NotImplementedError(
        "next_token_loss() is yours to write: of each place, the log-probability of the token after it; their mean, and"
        " its sign."
    )
    return float(loss)


# 3 points
def additive_logits(token_ids: np.ndarray, alone: np.ndarray, votes: np.ndarray) -> np.ndarray:
    """D4's formula with mended dimensions: each earlier token votes for each next one, and the votes are added.

    Deliver: logit_t(w) = W_e[w] + Σ_{i≤t} W_h[w_i, w], for each place t of a row.

    Args:
        token_ids: int ``(T,)``; 0 is padding, which has no vote.
        alone: W_e, ``(V,)``, one number for each word.
        votes: W_h, ``(V, V)``; row w_i holds the votes of the word w_i.

    Returns:
        ``(T, V)``: row t has the logits of the token after place t, from the tokens 0 to t.

    Hint: pick the rows of the words, then add up along the time. Also row 0 of W_h has numbers in it.
    Budget: 1 second, 50 MB.
    Source: document D4, section 3.1.4; Mnih and Hinton 2007 (log-bilinear model).
    Small machines: V = 3 and a row of three tokens.
    """
    # Your answer in place of what follows.
    raise NotImplementedError(
        "additive_logits() is yours to write: W_e, and the running sum of the votes of all words up to each place, "
        "without those of padding."
    )


# 4 points
def bigram_perplexity(train_ids: np.ndarray, held_out_ids: np.ndarray, vocabulary_size: int, k: float) -> float:
    """The model that D4's code really is, by counting: a bigram, smoothed, and its perplexity on held-out text.

    Deliver: P(b | a) = (c(a, b) + k) / (c(a) + k V), with c(a, b) the number of times that b follows a in the training
    ids, and c(a) = Σ_b c(a, b); and exp of the mean of −ln P(b | a) over all pairs of neighbours in the held-out ids.

    Args:
        train_ids, held_out_ids: int ``(n,)``, two or more each.
        vocabulary_size: V.
        k: above 0; it is added to each count.

    Returns:
        The perplexity.

    Hint: np.add.at counts pairs that occur several times, counts[a, b] += 1 does not. The last training token has
        nothing after it.
    Budget: 2 seconds, 50 MB.
    Source: Jurafsky and Martin, Speech and Language Processing, chapter 3 (add-k); document D4, section 3.1.2.
    Small machines: with a very large k the perplexity is V, whatever the text.
    """
    # Your answer in place of what follows.
    raise NotImplementedError(
        "bigram_perplexity() is yours to write: count pairs, smooth, take the probabilities of the held-out pairs, and "
        "exp of the mean loss."
    )


# 2 points
def bits_of_text(loss: float, tokens: int, text: str) -> tuple[float, float]:
    """Losses that compare between vocabularies: bits a character, and bits a byte.

    Deliver: what all tokens of the text cost together, in bits, shared among its characters, and among its bytes in
    UTF-8.

    Args:
        loss: in nats a token, the mean over the tokens.
        tokens: that the text has in this vocabulary.
        text: not empty.

    Returns:
        Bits a character and bits a byte.

    Hint: a bit is ln 2 nats. Is a letter cheaper or dearer than a token of several letters?
    Budget: 1 second, 10 MB.
    Source: document D4, section 3.1; Gao et al. 2020 (The Pile), section 3.1 (bits per byte).
    Small machines: 1 token, a loss of ln 2, the text "ab": half a bit a character.
    """
    # Your answer in place of what follows.
    raise NotImplementedError(
        "bits_of_text() is yours to write: nats of all tokens as bits, over the characters and over the bytes."
    )


# 4 points
def hide_tokens(
    token_ids: np.ndarray,
    lots: np.ndarray,
    kinds: np.ndarray,
    random_ids: np.ndarray,
    mask_id: int,
    never: Sequence[int],
) -> tuple[np.ndarray, np.ndarray]:
    """BERT's riddles: a share of the tokens is chosen, most of these are hidden, and the model says what they were.

    Deliver: a token is chosen when its lot is below 0.15 and its id is not in ``never``. A chosen token is replaced by
    ``mask_id`` when its kind is below 0.8; by the random id that was drawn for its place when its kind is from 0.8 to
    below 0.9; and stays as it is from 0.9 on. All others stay.

    Args:
        token_ids: int ``(N, T)``.
        lots, kinds: ``(N, T)``, random numbers in [0, 1).
        random_ids: int ``(N, T)``, a random token for each place.
        mask_id: of the mask token.
        never: ids that are not chosen, padding (0) and the special tokens.

    Returns:
        What is shown, int ``(N, T)``; and labels, int ``(N, T)``: the token that stood there where one was chosen, also
        where it stays, and 0, which the loss ignores, elsewhere.

    Hint: np.isin, and np.where inside np.where.
    Budget: 1 second, 50 MB.
    Source: Devlin et al. 2019 (BERT), section 3.1 and appendix A.1; document D2 (pretraining).
    Small machines: one row of six tokens, with lots and kinds that you choose.
    """
    # Your answer in place of what follows.
    raise NotImplementedError(
        "hide_tokens() is yours to write: which are chosen, what each of the three kinds shows, and labels for the "
        "chosen ones."
    )


# 3 points
def cosine_rate(step: int, steps: int, warmup: int, peak: float, final: float) -> float:
    """The learning rate of a pretraining: a warm-up in a line, then a fall along half a cosine.

    Deliver: from 0 at step 0 to ``peak`` at step ``warmup``; from there final + (peak − final) (1 + cos(π x)) / 2 with
    x from 0 to 1 at step ``steps``; after that ``final``.

    Args:
        step: 0 or more; it may lie beyond ``steps``.
        steps: of the whole training, the warm-up among them.
        warmup: from 0 to ``steps`` − 1; with 0, step 0 has the peak.
        peak: the highest rate.
        final: the last rate, at most the peak.

    Returns:
        The rate.

    Hint: which share x of the fall lies behind this step, and how is it kept from going beyond 1?
    Budget: 1 second, 10 MB.
    Source: Loshchilov and Hutter 2017 (SGDR), equation 5; Brown et al. 2020 (GPT-3), appendix B; document D2, whose
        rate is constant.
    Small machines: print the rates of steps 0 to 12 for steps = 10 and a warm-up of 2.
    """
    # Your answer in place of what follows.
    raise NotImplementedError(
        "cosine_rate() is yours to write: the line below the warm-up; behind it the cosine of the share that has "
        "passed, at most 1."
    )


# 3 points
def rotate(x: np.ndarray, start: int) -> np.ndarray:
    """Rotary positions: each pair of numbers of a query or key is turned by an angle that grows with its position.

    Deliver: pair i is made of the numbers i and i + d/2; at position p it turns by the angle p / 10000^(2i/d):
    (u, v) becomes (u cos − v sin, v cos + u sin).

    Args:
        x: ``(T, d)``, d even.
        start: position of the first row; with a cache it is not 0.

    Returns:
        ``(T, d)``.

    Hint: angles ``(T, d/2)`` first. Each vector stays as long as it was: is that so with yours?
    Budget: 1 second, 10 MB.
    Source: Su et al. 2021 (RoFormer), section 3.2.2; document D2, which names positions but not how.
    Small machines: d = 2 is one pair, which turns by 1 radian a position.
    """
    # Your answer in place of what follows.
    raise NotImplementedError(
        "rotate() is yours to write: the angle of each position and pair, and both halves of the width turned by it."
    )


# 5 points
def scaling_law(
    measure: Callable[[float, float], float], sizes: Sequence[float], budgets: Sequence[float]
) -> tuple[list[float], float, float]:
    """How loss falls with computation: find the best size for each budget, and fit a power law to what you measured.

    Deliver: of each budget C, in floating-point operations, each size N can read D = C / (6 N) tokens. Measure its loss
    then. Take the size with the lowest loss for each budget, and fit loss = factor · C^exponent to these losses, by
    least squares of the logarithms (a straight line on two logarithmic scales).

    Args:
        measure: ``measure(weights, tokens)`` trains a model of that size on so many tokens, and returns its loss. Here
            a formula stands for the training, another one in each check, with some noise.
        sizes: numbers of weights to try.
        budgets: operations, rising; three or more.

    Returns:
        The best size for each budget, the factor, and the exponent.

    Hint: np.polyfit of degree 1 on np.log. Which of its two numbers is the exponent, and what is to be done with the
        other?
    Budget: 5 seconds, 10 MB; measure each pair of size and budget once.
    Source: Kaplan et al. 2020, section 2.1 (6 N D); Hoffmann et al. 2022, section 3.2; document D4, section 3.1.
    Small machines: measure = lambda n, d: 5 * (6 * n * d) ** -0.1 has the exponent −0.1 and the factor 5 for any size.
    """
    # Your answer in place of what follows.
    raise NotImplementedError(
        "scaling_law() is yours to write: for each budget the losses of all sizes and the best of them; then the line "
        "through the logarithms."
    )
