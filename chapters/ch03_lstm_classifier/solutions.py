"""Exercises of chapter 3: a text classifier's parts, with NumPy alone.

Write what is missing, one function at a time, in any order: none calls another. Then

    keras-llm grade ch03 --file ch03_lstm_classifier.py

says what is right, and why the rest is not. All of it takes seconds and little memory on any machine;
each exercise names its limits.

B = batch, T = tokens of a text, V = words in the vocabulary, D = width of the embedding, H = units of the LSTM,
n = texts, C = classes.
"""

import math
from collections.abc import Callable

import numpy as np


def embedding(table: np.ndarray, token_ids: np.ndarray, gradient: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """An embedding, forward and backward: the vectors of the tokens, and the gradient of the table they come from.

    Deliver: both, for a whole batch. Every token counts, those of id 0 too: a mask is not the table's business.

    Args:
        table: float ``(V, D)``; row i is the vector of token i.
        token_ids: int ``(B, T)``.
        gradient: of the loss with respect to the vectors, ``(B, T, D)``.

    Returns:
        The vectors ``(B, T, D)``, and the gradient of the loss with respect to the table, ``(V, D)``.

    Hint: a word that stands in the batch twice sends two gradients to one row. What does ``a[ids] += b`` do when an id
        occurs twice, and what does ``np.add.at`` do?
    Budget: 1 second, 10 MB.
    Source: document D0, section 5 (Embedding).
    Small machines: a table of three rows and the text [1, 1, 2] show it all.
    """
    # BEGIN SOLUTION: look the rows up; then add each position's gradient to the row that it came from
    vectors = table[token_ids]
    table_gradient = np.zeros(table.shape)
    np.add.at(table_gradient, token_ids, gradient)
    return vectors, table_gradient
    # END SOLUTION


def lstm_step(
    x: np.ndarray,
    h: np.ndarray,
    c: np.ndarray,
    kernel: np.ndarray,
    recurrent_kernel: np.ndarray,
    bias: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """One step of an LSTM: what the cell remembers, and what it shows.

    Deliver: with ``[i f g o] = x W + h U + b``, c ← σ(f) ⊙ c + σ(i) ⊙ tanh(g) and then h ← σ(o) ⊙ tanh(c). Here i, f,
    g and o are the sums before σ and tanh; in the lesson, section 4, they are what comes out.

    Args:
        x: the step's input, ``(B, D)``.
        h: the state before, ``(B, H)``.
        c: the cell before, ``(B, H)``.
        kernel: W, ``(D, 4 H)``; its columns are in Keras's order: the first H belong to the input gate i, then the
            forget gate f, the candidate g (which Keras calls c), and the output gate o.
        recurrent_kernel: U, ``(H, 4 H)``, in the same order.
        bias: b, ``(4 H,)``, in the same order.

    Returns:
        The new h and the new c, each ``(B, H)``.

    Hint: ``np.split(z, 4, axis=-1)`` cuts the gates apart. The tanh of h's formula is that of the new c.
    Budget: 1 second, 10 MB.
    Source: Hochreiter and Schmidhuber 1997; Gers et al. 2000 (forget gate); document D0, section 5 (LSTM).
    Small machines: with all weights 0 each gate is 1/2 and the candidate 0, so that c is halved: begin with that.
    """
    # BEGIN SOLUTION: the four gates, the new cell, the new state
    z = x @ kernel + h @ recurrent_kernel + bias  # (B, 4 H)
    i, f, g, o = np.split(z, 4, axis=-1)
    i, f, o = (1 / (1 + np.exp(-gate)) for gate in (i, f, o))
    c = f * c + i * np.tanh(g)
    return o * np.tanh(c), c
    # END SOLUTION


def read_with_mask(x: np.ndarray, mask: np.ndarray, step: Callable, units: int) -> tuple[np.ndarray, np.ndarray]:
    """An LSTM over a batch of texts, of which padding changes nothing.

    Deliver: the loop over the T steps. Where the mask is True, the step's new h and c count; where it is False, both
    stay as they were. Both begin at 0.

    Args:
        x: vectors of the tokens, ``(B, T, D)``.
        mask: bool ``(B, T)``, False at padding, wherever that stands.
        step: takes a step's input ``(B, D)``, h and c, each ``(B, H)``, and returns the new h and c.
        units: H.

    Returns:
        h and c after the last step, each ``(B, H)``.

    Hint: ``np.where`` chooses entry by entry. Which shape must the step's part of the mask have beside ``(B, H)``?
    Budget: 2 seconds, 10 MB.
    Source: document D0, section 5; ``keras.layers.Embedding(mask_zero=True)``.
    Small machines: a step that adds the input to h shows whether padding is left out.
    """
    h, c = np.zeros((len(x), units)), np.zeros((len(x), units))
    # BEGIN SOLUTION: step by step, the new h and c where the mask is True, the old ones where it is False
    for t in range(x.shape[1]):
        new_h, new_c = step(x[:, t], h, c)
        h, c = np.where(mask[:, t, None], new_h, h), np.where(mask[:, t, None], new_c, c)
    # END SOLUTION
    return h, c


def binary_crossentropy(logits: np.ndarray, labels: np.ndarray) -> float:
    """The loss of the sigmoid unit, from its logits.

    Deliver: one line, the mean over the texts of −y ln p − (1 − y) ln(1 − p) with p = σ(z), right for logits z in the
    thousands, too.

    Args:
        logits: z, ``(n,)``: what the unit gives before the sigmoid.
        labels: y, 0 or 1, ``(n,)``.

    Returns:
        The loss in nats.

    Hint: −ln σ(z) = ln(1 + exp(−z)), and −ln(1 − σ(z)) = ln(1 + exp(z)). Write the loss with max(z, 0) and
        exp(−|z|), which never overflows.
    Budget: 1 second, 10 MB.
    Source: document D0, section 5 (binary_crossentropy).
    Small machines: for a logit of 0 the loss is ln 2, whatever the label.
    """
    # BEGIN SOLUTION: the mean loss, with no large number in exp and no 0 in log
    return float(np.mean(np.maximum(logits, 0) - logits * labels + np.log1p(np.exp(-np.abs(logits)))))
    # END SOLUTION


def precision_recall_f1(labels: np.ndarray, predictions: np.ndarray, num_classes: int) -> tuple[np.ndarray, float]:
    """Precision, recall and F1 of each class, and the macro F1 over them.

    Deliver: per class, precision = TP / (TP + FP), recall = TP / (TP + FN), F1 = their harmonic mean; a score whose
    denominator is 0 is 0. The macro F1 is the plain mean of the F1 of all C classes.

    Args:
        labels: the true classes, ints ``(n,)`` from 0 to C − 1.
        predictions: the predicted classes, likewise.
        num_classes: C; a class may be missing in the labels, in the predictions or in both.

    Returns:
        An array ``(C, 3)``: a row for each class with precision, recall and F1; and the macro F1.

    Hint: TP + FP is how often a class was predicted, TP + FN how often it is true, and F1 = 2 TP / (2 TP + FP + FN).
    Budget: 1 second, 10 MB.
    Source: document D1, section 9.5, which defines recall with precision's words and calls F1 a weighted mean: both
        are wrong; Manning, Raghavan and Schütze 2008, section 8.3.
    Small machines: ten texts of two classes can be counted by hand.
    """
    # BEGIN SOLUTION: count TP, the predictions and the labels of each class, and divide where there is something
    scores = np.zeros((num_classes, 3))
    for each in range(num_classes):
        hits = np.sum((labels == each) & (predictions == each))
        predicted, true = np.sum(predictions == each), np.sum(labels == each)
        scores[each] = hits / max(predicted, 1), hits / max(true, 1), 2 * hits / max(predicted + true, 1)
    return scores, float(scores[:, 2].mean())
    # END SOLUTION


def early_stopping(losses: list[float], patience: int) -> tuple[int, int]:
    """When a training ends that watches its validation loss, and whose weights it keeps.

    Deliver: the rule of ``keras.callbacks.EarlyStopping``. An epoch is an improvement when its loss is below the lowest
    so far; a loss that is equal, or NaN, is none. After ``patience`` epochs in a row without improvement the training
    stops, and goes back to the best epoch.

    Args:
        losses: on the validation part, as they would be, epoch by epoch; those after the stop are never seen. The
            first is a number.
        patience: at least 1.

    Returns:
        The best epoch, counted from 0; and how many epochs were trained, those without improvement among them.

    Hint: keep the lowest loss and its epoch; in each epoch ask first for an improvement, then for the patience.
    Budget: 1 second, 10 MB.
    Source: document D1, section 3.2 (early stopping); Prechelt 1998.
    Small machines: draw ten numbers on paper and put the finger on them one by one.
    """
    # BEGIN SOLUTION: go through the epochs, remember the best, stop when the patience has run out
    lowest, best = math.inf, 0
    for epoch, loss in enumerate(losses):
        if loss < lowest:
            lowest, best = loss, epoch
        elif epoch - best >= patience:
            return best, epoch + 1
    return best, len(losses)
    # END SOLUTION


def dropout(x: np.ndarray, rate: float, uniform: np.ndarray, training: bool) -> np.ndarray:
    """Dropout as all libraries have it: *inverted*, so that nothing has to be scaled after training.

    Deliver: in training an input is kept where its random number is at least ``rate``, and scaled so that its mean
    over many draws is the input itself; elsewhere it is 0. Outside training nothing happens.

    Args:
        x: inputs of any shape.
        rate: share to drop, in [0, 1).
        uniform: a random number from [0, 1) for each input, shaped as x.
        training: False when the model is used.

    Returns:
        An array shaped as x.

    Hint: a share of 1 − rate is kept. By what must it be multiplied, to add up to as much as before?
    Budget: 1 second, 10 MB.
    Source: Srivastava et al. 2014, section 10 (for the scaling); document D0, section 9, question 2.
    Small machines: the mean of a thousand ones after dropout is about 1, at any rate.
    """
    # BEGIN SOLUTION: the inputs as they are outside training; in training those that are kept, scaled, and zeros
    if not training:
        return x
    return np.where(uniform >= rate, x / (1 - rate), 0.0)
    # END SOLUTION


def beside_the_majority(
    train_labels: np.ndarray, labels: np.ndarray, predictions: np.ndarray, resamples: int, seed: int
) -> tuple[float, float, float]:
    """What an accuracy is worth: the majority baseline, and how far chance alone moves it.

    Deliver: the accuracy of a model that always says the most frequent class of the training part; and a bootstrap
    interval of the accuracy of your model: draw n texts of the test part again, with replacement, score them, and do
    that many times. 95% of those accuracies lie in the interval, 2.5% below it and 2.5% above.

    Args:
        train_labels: true classes of the training part, ints from 0.
        labels: true classes of the test part, ``(n,)``.
        predictions: the model's classes of the test part, ``(n,)``.
        resamples: how many test parts are drawn.
        seed: of the draws; the same seed gives the same answer.

    Returns:
        The accuracy of the baseline on the test part; the lower and the upper end of the interval, all in [0, 1].

    Hint: ``np.random.default_rng(seed).integers(n, size=...)`` draws with replacement; whether a text was right is all
        that must be drawn. ``np.quantile`` gives the ends.
    Budget: 2 seconds, 200 MB.
    Source: document D0, section 4.3 and the accuracy of section 5.4, which has neither baseline nor interval; Efron
        and Tibshirani 1993, section 13.3.
    Small machines: 1,000 draws are enough; one at a time in a loop needs next to no memory.
    """
    # BEGIN SOLUTION: score the training part's most frequent class; draw test parts, score each, take two quantiles
    majority = np.bincount(train_labels).argmax()
    right = predictions == labels
    random = np.random.default_rng(seed)
    accuracies = [right[random.integers(len(right), size=len(right))].mean() for _ in range(resamples)]
    low, high = np.quantile(accuracies, (0.025, 0.975))
    return float((labels == majority).mean()), float(low), float(high)
    # END SOLUTION
