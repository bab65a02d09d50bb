"""Exercises of chapter 8: generation, with NumPy alone.

Write what is missing, one function at a time, in any order: none calls another. Then

    keras-llm grade ch08 --file ch08_generation.py

says what is right, and why the rest is not. All of it takes seconds and little memory on any machine;
each exercise names its limits.

N = texts at once, V = token ids, T = tokens in the cache, H = heads, d = numbers a head, K = guesses.
"""

import math

import numpy as np


def penalise_repeats(logits: np.ndarray, seen_ids: list[int], penalty: float) -> np.ndarray:
    """The repetition penalty: tokens that stand in the text already become less probable, whatever their logit's sign.

    Deliver: one line, the new logits. Of the tokens that were seen, positive logits are divided by the penalty, and
    negative ones multiplied by it; all others stay.

    Args:
        logits: ``(V,)``.
        seen_ids: tokens of the prompt and of what was written; one may stand there several times.
        penalty: 1 or more; 1 changes nothing.

    Returns:
        ``(V,)``.

    Hint: np.where(condition, a, b) inside np.where. What would a division make of a negative logit?
    Budget: 1 second, 10 MB.
    Source: Keskar et al. 2019 (CTRL), section 4.1; document D3, section 6 (text generation).
    Small machines: three logits, 2, −2 and 5, the first two seen, show all cases.
    """
    seen = np.zeros(len(logits), bool)
    seen[seen_ids] = True
    # BEGIN SOLUTION: less probable where seen is True, by a division or a multiplication, unchanged elsewhere
    logits = np.where(seen, np.where(logits > 0, logits / penalty, logits * penalty), logits)
    # END SOLUTION
    return logits


def keep_top_k(logits: np.ndarray, k: int) -> np.ndarray:
    """Which tokens top-k leaves: the k most probable ones of each text.

    Deliver: a mask, for all texts at once.

    Args:
        logits: ``(N, V)``.
        k: 1 or more; it may be larger than V, which leaves all.

    Returns:
        bool ``(N, V)``, True where a token stays. Tokens that are as probable as the k-th stay too, so that no chance
        of the sorting decides between equals.

    Hint: the k-th largest logit of each row is a threshold. Sorting gives it; how do you compare each row with its own?
    Budget: 1 second, 10 MB.
    Source: Fan et al. 2018, section 5.1; document D3, section 6 (text generation).
    Small machines: one row of four logits, two of them equal, can be checked by hand.
    """
    # BEGIN SOLUTION: compare each logit with the k-th largest of its row
    k = min(k, logits.shape[-1])
    kth = np.sort(logits, axis=-1)[:, -k]  # (N,)
    return logits >= kth[:, None]
    # END SOLUTION


def keep_top_p(probabilities: np.ndarray, p: float) -> np.ndarray:
    """Which tokens top-p (nucleus sampling) leaves: the fewest that together have probability p.

    Deliver: a mask, for all texts at once. Of each text take the most probable token, then the next, and stop as soon
    as the probabilities of those taken sum to p or more.

    Args:
        probabilities: ``(N, V)``, rows that sum to 1; no two numbers of a row are equal unless p is 1.
        p: above 0 and at most 1.

    Returns:
        bool ``(N, V)``, True where a token stays, in the order of the ids. At least one stays in each row.

    Hint: sort, falling, and add up. A token stays when what stands before it does not reach p yet. Then bring the mask
        back into the order of the ids.
    Budget: 1 second, 10 MB.
    Source: Holtzman et al. 2020, section 3.1; document D3, section 6 (text generation).
    Small machines: probabilities 1/2, 1/4, 3/16, 1/16 have exact sums.
    """
    # BEGIN SOLUTION: a token stays when the more probable ones together have less than p
    order = np.argsort(-probabilities, axis=-1)
    falling = np.take_along_axis(probabilities, order, axis=-1)
    before = np.cumsum(falling, axis=-1) - falling  # what the more probable ones have together
    kept = np.zeros(probabilities.shape, bool)
    np.put_along_axis(kept, order, before < p, axis=-1)
    return kept
    # END SOLUTION


def draw_tokens(logits: np.ndarray, temperature: float, uniforms: np.ndarray) -> np.ndarray:
    """Tokens by lot: softmax(logits / temperature), and random numbers that somebody else has drawn.

    Deliver: for each random number u one token, by the cumulative sum of the probabilities: the first token i with
    p_0 + ... + p_i > u. Temperature 0 takes the most probable token, whatever u is.

    Args:
        logits: ``(V,)``; up to hundreds, and -1e9 for a token that must not be chosen.
        temperature: 0 or more.
        uniforms: ``(n,)``, each in [0, 1).

    Returns:
        int ``(n,)``, each from 0 to V − 1; a token of probability 0 is never among them.

    Hint: np.searchsorted has a ``side``; which one skips a token of probability 0 when u is 0? And rounding may leave
        the whole sum a little below 1: what is drawn for a u that lies above it?
    Budget: 1 second, 10 MB.
    Source: Devroye 1986, chapter III.2 (inversion); document D3, section 5 (whose output is the greedy choice) and 6.
    Small machines: probabilities 0.3, 0.5, 0.2, the example of D3, and u = 0.1, 0.5, 0.9 give 0, 1, 2.
    """
    # BEGIN SOLUTION: the greedy choice at 0; otherwise the softmax, its cumulative sum, and where each u falls in it
    if temperature == 0:
        return np.full(len(uniforms), np.argmax(logits))
    scores = (logits - np.max(logits)) / temperature
    cumulative = np.cumsum(np.exp(scores) / np.exp(scores).sum())
    return np.minimum(np.searchsorted(cumulative, uniforms, side="right"), len(logits) - 1)
    # END SOLUTION


def cached_step(
    query: np.ndarray, key: np.ndarray, value: np.ndarray, cached_keys: np.ndarray, cached_values: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """One step with a cache of keys and values: attention of the newest token, without computing the others again.

    Deliver: put the new key and the new value behind those of the cache, then let the query attend to all of them, the
    new one among them: softmax(q Kᵀ / √d) V, each head on its own.

    Args:
        query, key, value: ``(H, d)``, of the newest token.
        cached_keys, cached_values: ``(H, T, d)``, of the tokens before it, in order; T is 0 at the first token.

    Returns:
        The output of the heads, ``(H, d)``, and the new cache: keys and values, ``(H, T + 1, d)`` each.

    Hint: append along the axis of the time. No mask is needed; why?
    Budget: 1 second, 10 MB.
    Source: Shazeer 2019 (multi-query attention), section 2.3 (incremental attention); Pope et al. 2022; document D3,
        sections 4 and 6.
    Small machines: with an empty cache the output is the value itself, whatever the query is.
    """
    # BEGIN SOLUTION: append, then attend to the whole cache
    keys = np.concatenate([cached_keys, key[:, None]], axis=1)  # (H, T + 1, d)
    values = np.concatenate([cached_values, value[:, None]], axis=1)
    scores = (keys @ query[:, :, None])[:, :, 0] / math.sqrt(query.shape[-1])  # (H, T + 1)
    weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
    weights = weights / weights.sum(axis=-1, keepdims=True)
    return (weights[:, None, :] @ values)[:, 0], keys, values
    # END SOLUTION


def check_guesses(p: np.ndarray, q: np.ndarray, guesses: list[int], uniforms: np.ndarray) -> tuple[int, np.ndarray]:
    """A round of speculative decoding: which guesses of the draft are kept, and the next token's probabilities.

    Deliver: guess i, the token g, is kept when u_i < p_i(g) / q_i(g), and only when all guesses before it were. At the
    first that is not kept, the next token's probabilities are max(p_i − q_i, 0), divided by their sum; when all are
    kept, they are p_K.

    Args:
        p: ``(K + 1, V)``, probabilities of the large model for each place, and for the place behind the last guess.
        q: ``(K, V)``, probabilities of the draft; it gives its own guesses more than 0.
        guesses: K token ids; guess i was drawn with the probabilities q_i.
        uniforms: ``(K,)``, u_i, each in [0, 1).

    Returns:
        How many guesses are kept, 0 to K, and the probabilities of the next token, ``(V,)``.

    Hint: a loop that returns at the first guess that is not kept.
    Budget: 1 second, 10 MB.
    Source: Leviathan et al. 2023, algorithm 1; document D3, section 6 (text generation).
    Small machines: one guess, a vocabulary of 2: p = (0.5, 0.5), q = (1, 0). How often is the guess 0 kept?
    """
    # BEGIN SOLUTION: compare guess by guess; the rest of p over q where one is not kept, the last row of p otherwise
    for place, guess in enumerate(guesses):
        if not uniforms[place] < p[place, guess] / q[place, guess]:
            rest = np.maximum(p[place] - q[place], 0)
            return place, rest / rest.sum()
    return len(guesses), p[len(guesses)]
    # END SOLUTION


def reply_labels(turns: list[list[int]], start_id: int, end_id: int) -> tuple[list[int], list[int]]:
    """A dialogue as an example of supervised fine-tuning: a loss on the replies alone.

    Deliver: the dialogue in the template ``<s> user </s> reply </s> <s> user </s> reply </s>``: ``<s>`` stands in front
    of a user's turn only, ``</s>`` behind each turn. Then inputs and labels, the labels one place further. A label
    counts when it is part of a reply, or the ``</s>`` of one; elsewhere it is 0, which the loss ignores.

    Args:
        turns: token ids of the user's turn, of the reply, of the user's …, in turn; none is 0.
        start_id, end_id: of ``<s>`` and ``</s>``.

    Returns:
        Inputs and labels, two lists of the same length, one less than the template has tokens.

    Hint: make two lists of the whole template first: its ids, and the ids with 0 where nothing is to be learned. Which
        end of each list is cut, so that each input stands beside the token after it?
    Budget: 1 second, 10 MB.
    Source: Ouyang et al. 2022 (InstructGPT), section 3; documents D3, section 6.1 (chatbots), and D2.
    Small machines: turns [[7], [8]] with 1 and 2 as marks give the inputs 1 7 2 8 and the labels 0 0 8 2.
    """
    # BEGIN SOLUTION: the template, its copy with 0 outside of the replies, and the shift by one place
    ids, learned = [], []
    for number, turn in enumerate(turns):
        is_reply = number % 2 == 1
        marked = [*turn, end_id] if is_reply else [start_id, *turn, end_id]
        ids += marked
        learned += marked if is_reply else [0] * len(marked)
    return ids[:-1], learned[1:]
    # END SOLUTION


def temperature_for_entropy(logits: np.ndarray, bits: float) -> tuple[float, float]:
    """How lively shall it be? The temperature that gives the probabilities of a token a wanted entropy.

    Deliver: a search for the temperature at which softmax(logits / temperature) has the entropy −Σ p log₂ p = bits, to
    0.001 bits or better, and the entropy that you measure there.

    Args:
        logits: ``(V,)``, finite, not all equal; up to hundreds.
        bits: the entropy that is wanted; there is a temperature between 0.01 and 100 that has it.

    Returns:
        The temperature, and the entropy at it in bits, as measured.

    Hint: the entropy only rises with the temperature, so halve an interval again and again. Its middle on a logarithmic
        scale is the root of the product of its ends. Underflow: p log p is 0 where p is 0.
    Budget: 2 seconds, 10 MB.
    Source: document D3, section 6; Ackley, Hinton and Sejnowski 1985 (temperature); Shannon 1948, section 6 (entropy).
    Small machines: two logits suffice to begin with; 1 bit is then only reached at an infinite temperature.
    """
    # BEGIN SOLUTION: measure the entropy in the middle of an interval, and go on in the half that has the wanted one
    low, high = 0.01, 100.0
    for _ in range(60):
        temperature = math.sqrt(low * high)
        scores = (logits - np.max(logits)) / temperature
        odds = np.exp(scores) / np.exp(scores).sum()
        entropy = -float((odds * np.log2(np.where(odds > 0, odds, 1))).sum())
        low, high = (temperature, high) if entropy < bits else (low, temperature)
    return temperature, entropy
    # END SOLUTION
