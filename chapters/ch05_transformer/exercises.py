# Made from solutions.py by `python -m keras_llm.grading.regions`: change that file, not this one.
"""Exercises of chapter 5: training and judging a translator, with NumPy alone.

Write what is missing, one function at a time, in any order: none calls another. Then

    keras-llm grade ch05 --file ch05_transformer.py

says what is right, and why the rest is not. All of it takes seconds and little memory on any machine;
each exercise names its limits.

N = pairs, S = tokens in a source, T = tokens in a target, D = width, V = token ids.
"""

import math
from collections import Counter
from collections.abc import Callable

import numpy as np


# 3 points
def teacher_forcing(targets: list[list[int]], start_id: int, end_id: int) -> tuple[np.ndarray, np.ndarray]:
    """What the decoder is given, and what it must say: the target shifted by one.

    Deliver: for a target of the tokens 7 8 9 the decoder is given ``<s> 7 8 9`` and must say ``7 8 9 </s>``; shorter
    targets are padded with 0 at the end. The end token stands in the labels alone, the start token in the inputs alone.

    Args:
        targets: token ids of each target, without start and end; one may be empty, not all.
        start_id: of ``<s>``.
        end_id: of ``</s>``.

    Returns:
        The decoder's inputs and the labels, both int ``(N, T)``, where T is the longest target's length + 1.

    Hint: shift each row on its own, then pad; whoever pads first and cuts after that gets ``</s>`` into the inputs.
    Budget: 1 second, 10 MB.
    Source: document D3, section 5, which forgets the shift; Vaswani et al. 2017, section 3.1 (shifted right); Williams
        and Zipser 1989 (teacher forcing).
    Small machines: print two targets of lengths 1 and 3; below each input must stand the token that comes next.
    """
    # Your answer in place of what follows.
    raise NotImplementedError(
        "teacher_forcing() is yours to write: start token and target as inputs, target and end token as labels, both "
        "padded with 0."
    )


# 6 points
def token_loss(logits: np.ndarray, labels: np.ndarray, label_smoothing: float = 0.0) -> float:
    """Cross-entropy with label smoothing, over the tokens that are no padding.

    Deliver: the mean of −Σ q ln softmax(logits) over all labels that are not 0. Without smoothing q is 1 at the label
    and 0 elsewhere; with a smoothing of ε, the share ε is spread evenly over all V tokens, the label among them.

    Args:
        logits: ``(N, T, V)``, of any size, also in the hundreds.
        labels: int ``(N, T)``; 0 is padding and does not count. At least one counts.
        label_smoothing: ε, in [0, 1).

    Returns:
        The loss in nats a token.

    Hint: the logarithm of the softmax first: logits − max − ln Σ exp(logits − max). Then q, (N, T, V); then choose the
        labels that count, of the whole batch at once.
    Budget: 1 second, 50 MB.
    Source: Szegedy et al. 2016, section 7; Vaswani et al. 2017, section 5.4; document D3, section 5, whose loss over
        one output unit is always 0.
    Small machines: for logits that are all alike the loss is ln V, with any smoothing and any padding.
    """
    # Your answer in place of what follows.
    raise NotImplementedError(
        "token_loss() is yours to write: log-softmax, the smoothed target distribution, and the mean of what is no "
        "padding."
    )


# 2 points
def warmup_rate(step: int, hidden_dim: int, warmup: int) -> float:
    """The learning rate of the first Transformer: up in a line, then down like 1/√step.

    Deliver: one line, D^(−1/2) · min(step^(−1/2), step · warmup^(−3/2)).

    Args:
        step: number of the update, from 1.
        hidden_dim: D.
        warmup: updates until the peak.

    Returns:
        The learning rate of this update.

    Hint: at step = warmup both arguments of the minimum are the same; before, the second is the smaller one.
    Budget: 1 second, 10 MB.
    Source: Vaswani et al. 2017, equation 3; document D3, section 5, whose Adam has no warm-up.
    Small machines: for D = 512 and a warm-up of 4,000 the peak is 0.0007.
    """
    # Your answer in place of what follows.
    raise NotImplementedError(
        "warmup_rate() is yours to write: the smaller of the falling root and the rising line, by the root of D."
    )


# 5 points
def residual_block(
    x: np.ndarray, sublayer: Callable, scale: np.ndarray, shift: np.ndarray, pre_norm: bool, epsilon: float = 1e-3
) -> np.ndarray:
    """What stands around each attention and each feed-forward layer: a residual connection and layer normalisation.

    Deliver: x + sublayer(LN(x)) with pre-norm, LN(x + sublayer(x)) with post-norm. LN takes the mean of each
    position's D numbers away, divides by √(variance + ε), multiplies by ``scale`` and adds ``shift``.

    Args:
        x: ``(N, T, D)``.
        sublayer: a function of an array ``(N, T, D)`` that returns one of the same shape; call it once.
        scale: ``(D,)``.
        shift: ``(D,)``.
        pre_norm: True for pre-norm, False for post-norm.
        epsilon: ε; it keeps positions of equal numbers from a division by 0.

    Returns:
        ``(N, T, D)``.

    Hint: the variance is the mean of the squared deviations, over D and not D − 1. Add the input once, and the input
        itself.
    Budget: 2 seconds, 10 MB.
    Source: Ba et al. 2016; Vaswani et al. 2017, section 3.1 (post-norm); Xiong et al. 2020 (pre-norm); document D3,
        section 4, which adds the input twice.
    Small machines: with a sublayer that returns zeros, pre-norm gives x back, post-norm LN(x).
    """
    # Your answer in place of what follows.
    raise NotImplementedError(
        "residual_block() is yours to write: layer normalisation over the last axis, and the two orders of it and the "
        "sum."
    )


# 3 points
def accumulated_gradient(gradients: list[np.ndarray], tokens: list[int]) -> np.ndarray:
    """The gradient of a large batch, from small ones that fit into memory one after the other.

    Deliver: exactly the gradient that all tokens in one batch would give.

    Args:
        gradients: of each small batch, all of one shape: the gradient of its *mean* loss over its tokens.
        tokens: how many tokens, padding left out, each small batch has. A batch of padding alone has 0, and its
            gradient is a mean over nothing: it may hold NaN and must not count. At least one batch has tokens.

    Returns:
        The gradient of the mean loss over the tokens of all batches, shaped as each of them.

    Hint: turn each mean back into a sum. What is the sum of the large batch divided by? And what is 0 · NaN?
    Budget: 1 second, 50 MB.
    Source: Ott et al. 2018 (larger batches by accumulation); document D3, section 5 (training loop).
    Small machines: take numbers instead of arrays, the means 1 of one token and 3 of three tokens: 2.5, not 2.
    """
    # Your answer in place of what follows.
    raise NotImplementedError(
        "accumulated_gradient() is yours to write: the mean of the gradients, weighted by the tokens, of the batches "
        "that have some."
    )


# 3 points
def greedy_search(next_logits: Callable, start_id: int, end_id: int, max_length: int) -> list[int]:
    """Write a translation token by token, the most probable one each time.

    Deliver: the loop. Ask for the logits of the next token, append the best one, ask again; stop after the end token
    or when ``max_length`` tokens are written. Ask no more often than tokens are written.

    Args:
        next_logits: takes the list of all ids so far, which begins with the start token, and returns the logits of the
            next one, ``(V,)``.
        start_id: of the token that all translations begin with.
        end_id: of the token that ends them.
        max_length: most tokens to write, the end token among them, the start token not; at least 1.

    Returns:
        The written ids: without the start token, with the end token if it was reached.

    Hint: int(np.argmax(logits)) is the id of the best token.
    Budget: 2 seconds, 10 MB.
    Source: document D3, section 5, which reads one word off instead of writing a sentence; Sutskever et al. 2014,
        section 3.2, has the search with more beams.
    Small machines: a function that looks its answers up in a dictionary is a fine model to try it with.
    """
    # Your answer in place of what follows.
    raise NotImplementedError(
        "greedy_search() is yours to write: write the best next token until the end token or the greatest length."
    )


# 4 points
def corpus_bleu(translations: list[list[str]], references: list[list[str]], order: int = 4) -> float:
    """BLEU of a test part: how many n-grams of the translations stand in the references, and a price for brevity.

    Deliver: 100 · BP · (p₁ p₂ … p_order)^(1/order). pₙ is the share of all n-grams of all translations that are found
    in their own reference, each no more often than it stands there (*clipped*). With c words in all translations and r
    in all references, BP = exp(1 − r/c) if c < r, else 1. If some pₙ is 0, or has no n-gram to count, BLEU is 0.

    Args:
        translations: the words of each; one may be empty.
        references: the words of each translation's one reference.
        order: longest n-grams that count.

    Returns:
        BLEU, from 0 to 100.

    Hint: a Counter of tuples for each n; ``a & b`` of two Counters takes the smaller count of each entry. Add up over
        the test part first, divide after that.
    Budget: 2 seconds, 50 MB.
    Source: Papineni et al. 2002, section 2; documents D3, section 6.4 (translation), and D2 (BLEU).
    Small machines: "the the the" against "the cat" has p₁ = 1/3; count two such pairs by hand.
    """
    # Your answer in place of what follows.
    raise NotImplementedError(
        "corpus_bleu() is yours to write: clipped matches and n-grams of each order over all pairs, the geometric mean,"
        " the brevity penalty."
    )


# 4 points
def choose_length_penalty(
    sums: np.ndarray, lengths: np.ndarray, reference_lengths: np.ndarray
) -> tuple[float, float, float]:
    """Beam search prefers short translations: measure by how much, and find the length penalty that mends it.

    Deliver: a search of your own. Under a length penalty α, the translation of a sentence is the hypothesis with the
    highest sum / ((5 + length) / 6)^α. The length ratio is the length of all chosen translations by that of all
    references. Find an α from 0 to 5 whose length ratio is as near to 1 as you can get (within 0.01 of the best).

    Args:
        sums: of the log-probabilities of each hypothesis, ``(N, K)``, all below 0.
        lengths: of each hypothesis in tokens, int ``(N, K)``.
        reference_lengths: of the validation part's references in tokens, int ``(N,)``.

    Returns:
        The length ratio without a penalty (α = 0), the α that you found, and the length ratio that you measured
        with it.

    Hint: write the length ratio as a function of α first. It can only rise with α; or simply try many.
    Budget: 2 seconds, 50 MB.
    Source: Wu et al. 2016, section 7; Koehn and Knowles 2017, section 3.6; document D3, section 6.4 (translation).
    Small machines: a hundred values of α for a few hundred sentences take a few hundredths of a second.
    """
    # Your answer in place of what follows.
    raise NotImplementedError(
        "choose_length_penalty() is yours to write: the length ratio for any penalty, and a search for the penalty that"
        " brings it to 1."
    )
