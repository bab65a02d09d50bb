# Made from solutions.py by `python -m keras_llm.grading.regions`: change that file, not this one.
"""Exercises of chapter 7: fine-tuning, with NumPy alone.

Write what is missing, one function at a time, in any order: none calls another. Then

    keras-llm grade ch07 --file ch07_finetuning.py

says what is right, and why the rest is not. All of it takes seconds and little memory on any machine;
each exercise names its limits.

B = texts in a batch, T = tokens in a text, D = width, r = rank, L = blocks, n = texts, C = labels.
"""

from collections.abc import Mapping, Sequence

import numpy as np


# 2 points
def lora(
    x: np.ndarray, kernel: np.ndarray, a: np.ndarray, b: np.ndarray, alpha: float
) -> tuple[np.ndarray, np.ndarray]:
    """LoRA: a frozen kernel W with a small correction A B, as it is trained, and as it is merged.

    Deliver: one line, the correction of the kernel, α/r · A B. The line behind it uses it twice.

    Args:
        x: ``(B, D_in)``.
        kernel: W, ``(D_in, D_out)``.
        a: A, ``(D_in, r)``.
        b: B, ``(r, D_out)``.
        alpha: α; the correction is multiplied by α/r, so that another rank wants no other learning rate.

    Returns:
        The output x (W + α/r · A B), ``(B, D_out)``, and the merged kernel, ``(D_in, D_out)``.

    Hint: r is a number of columns. The correction has the shape of W.
    Budget: 1 second, 10 MB.
    Source: Hu et al. 2021 (LoRA), section 4.1; document D2 (fine-tuning).
    Small machines: with r = 1, A B is a table of products, which can be written down.
    """
    correction = np.zeros(kernel.shape)
    # Your answer in place of what follows.
    raise NotImplementedError("lora() is yours to write: the correction, with its factor.")
    return x @ kernel + x @ correction, kernel + correction


# 3 points
def count_trained(
    shapes: Mapping[str, Sequence[int]], trained: Sequence[str], targets: Sequence[str], rank: int
) -> tuple[int, int]:
    """How much of a model is trained: what each weight of it adds to the count.

    Deliver: count. A weight is trained as it is when its path contains one of the parts in ``trained``. A matrix (two
    axes) whose path contains one of the parts in ``targets`` stays frozen, and gets A and B of LoRA, D_in × r and
    r × D_out, which are trained. All else is frozen. No path has parts of both.

    Args:
        shapes: path of each weight → its shape, for instance ``{"block_1/query_kernel": (384, 384)}``.
        trained: parts of paths, such as ``"head/"`` or ``"bias"``; ``""`` is part of each path.
        targets: parts of paths, such as ``"query_kernel"``.
        rank: r.

    Returns:
        How many numbers are trained, and how many numbers the model has without A and B.

    Hint: any(part in path for part in parts).
    Budget: 1 second, 10 MB.
    Source: Hu et al. 2021, section 4.2; Ben Zaken et al. 2021 (biases alone); document D2 (fine-tuning).
    Small machines: one kernel and its bias show all cases.
    """
    # Your answer in place of what follows.
    raise NotImplementedError(
        "count_trained() is yours to write: for each weight, all of its numbers, or those of A and B, or none."
    )


# 4 points
def layer_rates(step: int, steps: int, warmup: int, peak: float, num_layers: int, decay: float) -> np.ndarray:
    """The learning rates of an update: a warm-up, a linear decay, and smaller rates further down.

    Deliver: the rate of the head rises in a line from 0 at step 0 to ``peak`` at step ``warmup``, then falls in a line
    to 0 at step ``steps``. Each block has ``decay`` times the rate of what is above it, and the embedding below the
    first block as well.

    Args:
        step: number of the update, from 0 to ``steps``.
        steps: of the whole training, the warm-up among them.
        warmup: W, updates until the peak, from 0 to ``steps`` − 1; with 0, step 0 has the peak.
        peak: the highest rate of the head.
        num_layers: L.
        decay: in (0, 1]; 1 is one rate for all.

    Returns:
        ``(L + 2,)``, from below: the embedding, block 1, …, block L, the head.

    Hint: the falling line covers ``steps`` − W updates. How many times does ``decay`` act on the embedding?
    Budget: 1 second, 10 MB.
    Source: Howard and Ruder 2018 (ULMFiT), section 3.2; Devlin et al. 2019 (BERT), appendix A.2; document D2, whose
        rate is constant.
    Small machines: print the rates of steps 0 to 10 with a warm-up of 2.
    """
    # Your answer in place of what follows.
    raise NotImplementedError(
        "layer_rates() is yours to write: the rate of the head, rising or falling, times a power of the decay for each "
        "place."
    )


# 3 points
def mean_of_tokens(vectors: np.ndarray, token_ids: np.ndarray) -> np.ndarray:
    """Mean pooling: one vector for a text, the mean of those of its real tokens.

    Deliver: the mean over the time, without padding.

    Args:
        vectors: ``(B, T, D)``, what the encoder says; at padding it is not 0.
        token_ids: int ``(B, T)``; 0 is padding. Each row has a real token.

    Returns:
        ``(B, D)``.

    Hint: a mask of 0 and 1 with an axis of length 1 for D. By what is the sum divided?
    Budget: 1 second, 50 MB.
    Source: Reimers and Gurevych 2019 (Sentence-BERT), section 3; document D2 (the head that is missing there).
    Small machines: one text of two tokens and one padding.
    """
    # Your answer in place of what follows.
    raise NotImplementedError(
        "mean_of_tokens() is yours to write: the sum over the real tokens, divided by how many there are."
    )


# 3 points
def pair_row(first: list[int], second: list[int], length: int, cls_id: int, sep_id: int) -> tuple[list[int], list[int]]:
    """Two texts as one row of BERT: ``[CLS] first [SEP] second [SEP]``, and which token belongs to which.

    Deliver: ids and segment ids, cut and padded to ``length``. What does not fit is taken away one token at a time,
    from the end of the text that is longer at that moment; when both are equally long, from the second.

    Args:
        first, second: token ids of the texts, without special tokens.
        length: T, 3 or more.
        cls_id, sep_id: of ``[CLS]`` and ``[SEP]``; each of the three special tokens stays, whatever is cut.

    Returns:
        Two lists of T numbers: the ids, padded with 0 at the end; and the segments, 0 for the first text with its
        [CLS] and [SEP], 1 for the second with its [SEP], and 0 at padding.

    Hint: a loop that cuts one token is short and clear. Work on copies, the caller needs its lists.
    Budget: 1 second, 10 MB.
    Source: Devlin et al. 2019 (BERT), section 3; document D2 (tokenizer).
    Small machines: two texts of three tokens and T = 6.
    """
    # Your answer in place of what follows.
    raise NotImplementedError(
        "pair_row() is yours to write: cut the longer text until all fits, frame both, number the segments, and pad."
    )


# 4 points
def best_thresholds(labels: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """Several labels a text: for each label the threshold that gives it the best F1.

    Deliver: for each label, try its probabilities as thresholds. A label is given when its probability is the threshold
    or more. F1 = 2 TP / (2 TP + FP + FN), of true and false positives and of false negatives.

    Args:
        labels: 0 or 1, ``(n, C)``, of the validation part.
        probabilities: ``(n, C)``.

    Returns:
        ``(C,)``: thresholds with the best F1 that is possible, whichever if there are several; 0.5 for a label that no
        text has.

    Hint: two loops, over the labels and over the values of np.unique. 2 TP + FP + FN is the number of given labels and
        of true ones together.
    Budget: 2 seconds, 10 MB.
    Source: Lipton, Elkan and Naryanaswamy 2014; document D4, section 3.2, whose "multi-label regression" is neither.
    Small machines: three texts and one label.
    """
    # Your answer in place of what follows.
    raise NotImplementedError(
        "best_thresholds() is yours to write: the F1 of each threshold, and for each label the one with the largest."
    )


# 3 points
def micro_and_macro_f1(labels: np.ndarray, given: np.ndarray) -> tuple[float, float]:
    """Two ways to average F1 over several labels: all decisions alike, or all labels alike.

    Deliver: F1 = 2 TP / (2 TP + FP + FN), 0 when that is 0 / 0. Micro: of all decisions together. Macro: the mean of
    the F1 of each label.

    Args:
        labels: 0 or 1, ``(n, C)``, the truth.
        given: 0 or 1, ``(n, C)``, what the classifier says.

    Returns:
        Micro F1 and macro F1.

    Hint: count TP, FP and FN of each label, ``(C,)`` each. The two averages differ in when the sum is taken.
    Budget: 1 second, 10 MB.
    Source: Manning, Raghavan and Schütze 2008, section 13.6; document D4, section 3.2.
    Small machines: a frequent label that is always right, and a rare one that never is: what do both say?
    """
    # Your answer in place of what follows.
    raise NotImplementedError(
        "micro_and_macro_f1() is yours to write: counts of each label; micro from their sums, macro from their "
        "quotients."
    )


# 4 points
def length_buckets(lengths: np.ndarray, count: int) -> tuple[list[int], float]:
    """Batches of texts of similar length: where should the buckets end, and how much padding does that save?

    Deliver: at most ``count`` ends. A text goes into the bucket of the first end that it does not exceed, and is padded
    to it. Choose ends that save much, and measure what yours save: the share of the tokens, padding included, that rows
    padded to the longest text have, and yours have not.

    Args:
        lengths: int ``(n,)``, tokens of each text, 1 to 64; texts may be many.
        count: buckets at most, 1 to 5.

    Returns:
        The ends, rising, the last as long as the longest text; and the share that is saved, in [0, 1).

    Hint: quantiles are a beginning; full points want 97% of what the best ends save. Only lengths that occur are worth
        trying. Either move one end at a time as long as that helps, from several beginnings; or let the best ends for
        the shorter texts with one bucket less be part of the best ends for all.
    Budget: 3 seconds, 50 MB.
    Source: Khomenko et al. 2016; document D2 (padding).
    Small machines: 200 lengths and two buckets: try every end.
    """
    # Your answer in place of what follows.
    raise NotImplementedError(
        "length_buckets() is yours to write: ends that leave little padding, and the share of the tokens that they "
        "save."
    )
