"""What the grader runs for the exercises of chapter 5; N, S, T, D, V as there."""

import math
from collections import Counter
from collections.abc import Callable

import numpy as np

from keras_llm.grading import Exercise, array, close, holds, same, several

# ---------------------------------------------------------------- what the decoder is given, and its loss

teacher_forcing = Exercise("teacher_forcing", section="D3, section 5")
SENTENCES = ([[7, 8, 9], [4], [5, 6]], [[3, 3, 3, 3]], [[], [9, 9]])


def padded(rows: list[list[int]], length: int) -> np.ndarray:
    return np.array([(row + [0] * length)[:length] for row in rows])


@teacher_forcing.check(points=2)
def gives_the_target_shifted(answer, random):
    """The decoder is given the start token and the target."""
    why = "The inputs are the start token, the target, and zeros up to T, the longest target's length + 1."
    for (start, end), targets in zip(((2, 3), (1, 2), (11, 10)), SENTENCES, strict=True):
        length = max(map(len, targets)) + 1
        mistakes = {
            "The inputs are not shifted: the decoder is given the very tokens that it must say.": padded(
                [[*row, end] for row in targets], length
            ),
            "The start token is missing.": padded(targets, length),
            "The end token of shorter rows stands in the inputs: shift each row before the padding.": padded(
                [[start, *row, end] for row in targets], length
            ),
            "The end token stands where the start token belongs.": padded([[end, *row] for row in targets], length),
            "The padding stands in front; it belongs at the end.": padded(
                [[0] * (length - 1 - len(row)) + [start, *row] for row in targets], length
            ),
        }
        found = several(answer(targets, start, end), 2, "Return the inputs and the labels.")[0]
        close(found, padded([[start, *row] for row in targets], length), why, mistakes)


@teacher_forcing.check(points=1)
def wants_the_next_token(answer, random):
    """At each place the label is the next token, at last the end token."""
    why = "The labels are the target, the end token right behind it, and zeros up to T."
    for (start, end), targets in zip(((2, 3), (1, 2), (11, 10)), SENTENCES, strict=True):
        length = max(map(len, targets)) + 1
        mistakes = {
            "The end token is missing: the model would never learn to stop.": padded(targets, length),
            "The labels are not shifted: they repeat the inputs.": padded([[start, *row] for row in targets], length),
            "The end token stands in the last column, behind the padding; it comes right after the target.": np.hstack(
                [padded(targets, length - 1), np.full((len(targets), 1), end)]
            ),
            "The labels end with the start token; they want the end token.": padded(
                [[*row, start] for row in targets], length
            ),
            "The labels are shifted by two: the first token is never asked for.": padded(
                [[*row[1:], end] for row in targets], length
            ),
        }
        found = several(answer(targets, start, end), 2, "Return the inputs and the labels.")[1]
        close(found, padded([[*row, end] for row in targets], length), why, mistakes)


token_loss = Exercise("token_loss", section="D3, section 5")


def log_softmax(logits: np.ndarray, axis: int = -1) -> np.ndarray:
    shifted = logits - logits.max(axis=axis, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=axis, keepdims=True))


def losses_of(logits: np.ndarray, labels: np.ndarray, smoothing: float, others: float | None = None) -> np.ndarray:
    """The loss of each label, (N, T); ``others`` is the share of each other token, if it is not ε / V."""
    logs, classes = log_softmax(logits), logits.shape[-1]
    is_label = np.eye(classes, dtype=bool)[labels]
    if others is None:
        wanted = np.where(is_label, 1 - smoothing + smoothing / classes, smoothing / classes)
    else:
        wanted = np.where(is_label, 1 - smoothing, others)
    return -(wanted * logs).sum(axis=-1)


def loss_case(random, sizes: tuple[int, int, int], padding: bool) -> tuple[np.ndarray, np.ndarray]:
    pairs, time, classes = sizes
    labels = random.integers(1, classes, size=(pairs, time))
    if padding:
        labels[0, 1:] = 0
        labels[-1, -1] = 0
    return 2 * random.normal(size=sizes), labels


@token_loss.check(points=1)
def is_cross_entropy(answer, random):
    """Without padding and smoothing it is the mean of −ln softmax at the labels."""
    for sizes in ((3, 4, 6), (1, 1, 2), (2, 3, 50)):
        logits, labels = loss_case(random, sizes, padding=False)
        losses = losses_of(logits, labels, 0.0)
        picked = np.take_along_axis(logits, labels[..., None], axis=-1)
        across = np.take_along_axis(log_softmax(logits, axis=1), labels[..., None], axis=-1)
        mistakes = {
            "This is the sum; the loss is the mean over the tokens.": losses.sum(),
            "This is the sum over each target's tokens; the loss is the mean over all tokens.": losses.sum(1).mean(),
            "The logits are taken for logarithms of probabilities: the softmax is missing.": -picked.mean(),
            "The softmax runs over the places of the target; it belongs over the V tokens.": -across.mean(),
            "The logarithm is missing: this is minus the probability.": -np.exp(-losses).mean(),
            "The sign is wrong: a loss is minus the logarithm of a probability.": -losses.mean(),
            "The logarithm has base 2; nats want the natural one.": losses.mean() / math.log(2),
        }
        if losses.size * sizes[-1] > losses.size:
            mistakes["The mean runs over the V tokens too; sum over them."] = losses.mean() / sizes[-1]
        close(answer(logits, labels, 0.0), losses.mean(), "Check −ln softmax(logits) at the labels.", mistakes)


@token_loss.check(points=2)
def leaves_padding_out(answer, random):
    """Padding does not count, neither above nor below the line of the mean."""
    for sizes in ((3, 5, 6), (2, 2, 9), (4, 7, 3)):
        logits, labels = loss_case(random, sizes, padding=True)
        losses, counts = losses_of(logits, labels, 0.0), labels != 0
        mistakes = {
            "Padding counts as any token.": losses.mean(),
            "The losses at padding are 0, but they still count in the mean: divide by the number of real tokens.": (
                losses * counts
            ).mean(),
            "The mean is taken target by target, so that a short one's tokens weigh more; take it over all tokens.": (
                np.mean([row[real].mean() for row, real in zip(losses, counts, strict=True)])
            ),
            "This is the sum; the loss is the mean over the tokens that count.": losses[counts].sum(),
            "The mean is that of the padding; the other tokens count.": losses[~counts].mean(),
        }
        why = "The mean runs over the labels that are not 0, of all targets together."
        close(answer(logits, labels, 0.0), losses[counts].mean(), why, mistakes)


@token_loss.check(points=2)
def smooths_labels(answer, random):
    """The share ε goes to all V tokens evenly, the label among them."""
    for sizes, smoothing in (((3, 5, 6), 0.1), ((2, 3, 4), 0.4), ((2, 4, 30), 0.2)):
        logits, labels = loss_case(random, sizes, padding=True)
        counts, classes = labels != 0, sizes[-1]

        def mean(others=None, *, smoothing=smoothing, case=(logits, labels), counts=counts):
            return losses_of(*case, smoothing, others)[counts].mean()

        logs = log_softmax(logits).sum(axis=-1)  # (N, T)
        mistakes = {
            "The smoothing has no effect.": mean(smoothing=0.0),
            "The share ε is spread over the V − 1 other tokens; the label gets its part of ε / V too.": mean(
                smoothing / (classes - 1)
            ),
            "The label lacks its own part of the share: it has 1 − ε + ε / V.": mean(smoothing / classes),
            "The share ε is lost: nothing of it goes to the other tokens.": mean(0.0),
            "Each other token gets the whole ε; it is spread over the V tokens.": mean(smoothing),
            "The label keeps its whole 1: it must give the share ε away.": mean(smoothing=0.0)
            - smoothing / classes * logs[counts].mean(),
            "With smoothing, padding counts.": losses_of(logits, labels, smoothing).mean(),
        }
        why = "The target distribution has 1 − ε + ε / V at the label and ε / V at each other token."
        close(answer(logits, labels, smoothing), mean(), why, mistakes)


@token_loss.check(points=1)
def is_stable(answer, random):
    """Logits in the hundreds give no NaN and no infinity."""
    why = "exp overflows, or log sees a 0: work with logits − max − ln Σ exp(logits − max)."
    logits, labels = np.array([[[2_000.0, 0, 0], [0, -2_000, 0]]]), np.array([[1, 1]])
    found = array(answer(logits, labels, 0.0), (), why, finite=False)
    why = "The loss is wrong where the logits are large." if np.isfinite(found) else why
    close(found, (2_000 + 2_000 + math.log(2)) / 2, why)


# ---------------------------------------------------------------- training

warmup_rate = Exercise("warmup_rate", section="D3, section 5")


@warmup_rate.check(points=2)
def is_the_schedule(answer, random):
    """It rises in a line up to the warm-up's end, and falls like 1/√step after it."""
    for step, width, warmup in ((1, 512, 4_000), (300, 64, 400), (400, 64, 400), (9_000, 256, 1_000), (5, 16, 1)):
        rise, fall, width_factor = step * warmup**-1.5, step**-0.5, width**-0.5
        right = width_factor * min(rise, fall)
        mistakes = {
            "The factor D^(−1/2) is missing.": min(rise, fall),
            "The width multiplies by √D; it divides.": width**0.5 * min(rise, fall),
            "The width divides by D, not by √D.": min(rise, fall) / width,
        }
        if step != warmup:  # there, the two branches meet
            mistakes |= {
                "During the warm-up the line counts, which is the smaller of the two; this is the falling root.": (
                    width_factor * fall
                ),
                "After the warm-up the falling root counts, which is the smaller of the two; this is the line, which "
                "rises on and on.": width_factor * rise,
                "The step is one too large: steps already count from 1.": width_factor
                * min((step + 1) * warmup**-1.5, (step + 1) ** -0.5),
                "The line's slope is warmup^(−3/2), not 1 / warmup.": width_factor * min(step / warmup, fall),
                "The line's slope is warmup^(−3/2), not warmup^(−1/2).": width_factor * min(step * warmup**-0.5, fall),
            }
        if step not in (1, warmup):
            mistakes["The step is one too small: steps already count from 1."] = width_factor * min(
                (step - 1) * warmup**-1.5, (step - 1) ** -0.5
            )
        why = f"Check D^(−1/2) · min(step^(−1/2), step · warmup^(−3/2)) at step {step} with a warm-up of {warmup}."
        close(answer(step, width, warmup), right, why, mistakes, rtol=1e-4, atol=1e-12)


residual_block = Exercise("residual_block", section="D3, section 4", seconds=10)


def block_case(random, sizes: tuple[int, int, int]) -> tuple[np.ndarray, Callable, np.ndarray, np.ndarray]:
    """Inputs of a block whose sublayer, whatever it is given, does not fail here, outside the student's process."""
    width = sizes[-1]
    x, weights = 2 * random.normal(size=sizes) + 1, random.normal(size=(width, width)) / math.sqrt(width)

    def sublayer(*given):
        try:
            return np.tanh(np.asarray(*given, "float64") @ weights) + 0.5
        except (TypeError, ValueError):
            return np.full(sizes, np.nan)

    return x, sublayer, random.uniform(0.5, 2, size=width), random.normal(size=width)


def norms(scale, shift, epsilon: float) -> dict[str, Callable]:
    """Layer normalisation, under the empty name, and wrong ones."""

    def norm(axis=-1, ddof=0, inside=epsilon, outside=0.0, scale=scale, shift=shift, centre=True):
        def function(y):
            mean, spread = y.mean(axis=axis, keepdims=True), y.var(axis=axis, keepdims=True, ddof=ddof)
            return scale * (y - mean * centre) / (np.sqrt(spread + inside) + outside) + shift

        return function

    return {
        "": norm(),
        "ε is missing under the root.": norm(inside=0.0),
        "ε stands beside the root; it belongs under it.": norm(inside=0.0, outside=epsilon),
        "The variance is divided by D − 1; here it is the mean of the squares, over D.": norm(ddof=1),
        "The mean and the variance run over the positions; each position has its own, over its D numbers.": norm(1),
        "The mean and the variance run over all numbers; each position has its own, over its D numbers.": norm(None),
        "scale has no effect in the normalisation.": norm(scale=1.0),
        "shift has no effect in the normalisation.": norm(shift=0.0),
        "The mean is not taken away.": norm(centre=False),
        "It divides by the variance; its root is wanted.": lambda y: (
            scale * (y - y.mean(-1, keepdims=True)) / (y.var(-1, keepdims=True) + epsilon) + shift
        ),
    }


def check_block(answer, random, pre_norm: bool, why: str) -> None:
    for sizes, epsilon in (((2, 3, 8), 0.3), ((1, 1, 4), 1e-3), ((3, 5, 2), 0.1)):
        x, sublayer, scale, shift = block_case(random, sizes)

        def block(norm, pre, x=x, sublayer=sublayer):
            return x + sublayer(norm(x)) if pre else norm(x + sublayer(x))

        every = norms(scale, shift, epsilon)
        norm = every.pop("")
        mistakes = {
            f"This is {'post' if pre_norm else 'pre'}-norm, where {'pre' if pre_norm else 'post'}-norm is asked for.": (
                block(norm, not pre_norm)
            ),
            "The residual connection is missing: add the input.": sublayer(norm(x)) if pre_norm else norm(sublayer(x)),
            "The input is added twice, as in document D3.": x + block(norm, True)
            if pre_norm
            else norm(2 * x + sublayer(x)),
            "The normalised input is added; pre-norm adds the input itself.": norm(x) + sublayer(norm(x)),
            "Only the sublayer's result is normalised; post-norm normalises the sum.": x + norm(sublayer(x)),
            "The normalisation is missing.": x + sublayer(x),
            "It normalises twice, before the sublayer and after the sum.": norm(x + sublayer(norm(x))),
        }
        mistakes |= {sentence: block(wrong, pre_norm) for sentence, wrong in every.items()}
        close(answer(x, sublayer, scale, shift, pre_norm, epsilon), block(norm, pre_norm), why, mistakes)


@residual_block.check(points=2)
def pre_norm(answer, random):
    """Pre-norm is x + sublayer(LN(x))."""
    check_block(answer, random, True, "Pre-norm: normalise, then the sublayer, then add the input itself.")


@residual_block.check(points=2)
def post_norm(answer, random):
    """Post-norm is LN(x + sublayer(x))."""
    check_block(answer, random, False, "Post-norm: the sublayer, add the input, then normalise.")


@residual_block.check(points=1)
def equal_numbers_are_no_harm(answer, random):
    """A position of equal numbers becomes the shift, not NaN."""
    x, _, scale, shift = block_case(random, (2, 3, 4))
    x[0, 1] = 3
    why = "A position of equal numbers has variance 0: ε under the root keeps it from a division by 0."
    found = answer(x, lambda *given: np.zeros((2, 3, 4)), scale, shift, False, 1e-3)
    found = array(found, x.shape, why, finite=False)
    if np.isfinite(found).all():
        why = "With a sublayer that returns zeros, post-norm is LN(x), also where a position's numbers are all equal."
    close(found, norms(scale, shift, 1e-3)[""](x), why)


accumulated_gradient = Exercise("accumulated_gradient", section="D3, section 5")


def softmax_gradients(random, tokens: list[int]) -> tuple[list[np.ndarray], np.ndarray]:
    """Of a softmax regression: the gradient of each small batch's mean loss, and that of all tokens together."""
    weights, total = random.normal(size=(3, 4)), sum(tokens)
    x, labels = random.normal(size=(total, 3)), random.integers(4, size=total)
    each = x[:, :, None] * (np.exp(log_softmax(x @ weights)) - np.eye(4)[labels])[:, None, :]  # (tokens, 3, 4)
    parts = np.split(each, np.cumsum(tokens)[:-1])
    return [part.mean(axis=0) if len(part) else np.zeros((3, 4)) for part in parts], each.mean(axis=0)


@accumulated_gradient.check(points=2)
def equals_the_large_batch(answer, random):
    """The gradient is that of all tokens in one batch."""
    for tokens in ([3, 9, 5], [1, 40], [7], [4, 4, 4, 5]):
        gradients, right = softmax_gradients(random, tokens)
        weighted = right * sum(tokens)
        mistakes = {
            "This is the mean of the means: a token of a small batch weighs more. Weigh each batch by its tokens.": (
                np.mean(gradients, axis=0)
            ),
            "This is the sum of the means; weigh each by its tokens, and divide by all tokens.": np.sum(
                gradients, axis=0
            ),
            "The division by the number of all tokens is missing.": weighted,
            "It is divided by the number of batches; divide by the number of all tokens.": weighted / len(tokens),
            "The gradients are weighted the wrong way round: a batch of more tokens counts more.": sum(
                gradient / count for gradient, count in zip(gradients, tokens, strict=True)
            ),
            "This is the gradient of the last batch alone.": gradients[-1],
            "This is the gradient of the first batch alone.": gradients[0],
        }
        why = "Each mean times its tokens is a sum; add the sums up, and divide by all tokens."
        close(answer(gradients, tokens), right, why, mistakes, rtol=1e-6, atol=1e-7)


@accumulated_gradient.check(points=1)
def padding_alone_does_not_count(answer, random):
    """A batch without a token changes nothing, even where its gradient is NaN."""
    for tokens in ([0, 6, 2], [5, 0], [3, 0, 0, 1]):
        gradients, right = softmax_gradients(random, tokens)
        gradients = [each if count else np.full((3, 4), np.nan) for each, count in zip(gradients, tokens, strict=True)]
        why = "0 times NaN is NaN: leave the batches of 0 tokens out."
        found = array(answer(gradients, tokens), (3, 4), why, finite=False)
        if np.isfinite(found).all():
            why = "The gradient is that of the tokens in the other batches; a batch of 0 tokens changes nothing."
        close(found, right, why, rtol=1e-6, atol=1e-7)


# ---------------------------------------------------------------- writing, and judging what was written

greedy_search = Exercise("greedy_search", section="D3, section 5", seconds=10)


class Model:
    """A model that writes some ids, which follow from all ids so far, and notes what it was asked.

    Args:
        wanted: the ids that greedy search writes, ending with the end token or not.
        start: the start token.
        vocabulary: V.
        random: draws the other logits.
    """

    def __init__(self, wanted: list[int], start: int, vocabulary: int, random: np.random.Generator) -> None:
        self.wanted, self.start, self.asked = wanted, start, []
        self.logits = random.normal(size=(len(wanted) + 1, vocabulary))
        for place, token in enumerate(wanted):
            # A logit may be below 0, so that whoever looks for a large number finds none.
            self.logits[place, token] = self.logits[place].max() + 0.5
        self.logits -= 4

    def __call__(self, *given) -> np.ndarray:
        """Never fails here, outside the student's process: what is no beginning of ``wanted`` gets zeros."""
        try:
            ids = np.asarray(given[0]).astype(int).ravel().tolist()
        except (IndexError, TypeError, ValueError):
            ids = []
        self.asked.append(ids)
        known = ids[:1] == [self.start] and ids[1:] == self.wanted[: len(ids) - 1]
        return self.logits[len(ids) - 1] if known and len(ids) <= len(self.wanted) else np.zeros(self.logits.shape[1])


def check_search(answer, random, cases: list, why: str) -> None:
    start, end = 1, 2
    for wanted, longest in cases:
        model = Model(wanted, start, 9, random)
        right = wanted[:longest]
        found = answer(model, start, end, longest)
        first = model.asked[0] if model.asked else None
        holds(bool(model.asked), "The model was never asked: call next_logits.")
        holds(first == [start], "The first question to the model must be the list of the start token alone.")
        if len(right) > 1:
            second = model.asked[1] if len(model.asked) > 1 else None
            holds(second != [right[0]], "The model is asked with the last id alone; it wants all ids so far.")
            holds(second != [start], "What was written is not appended before the model is asked again.")
        mistakes = {
            "The start token is no part of the translation.": [start, *right],
            "The end token belongs to the answer.": [each for each in right if each != end],
            "It writes on after the end token.": [*right, 0],
            "One token is missing: max_length counts the written tokens, without the start token.": right[:-1],
            "One token too many: max_length is the most that is written.": wanted[: longest + 1],
            "The start token is in and the last token is out: max_length counts what is written.": [start, *right[:-1]],
            "The least probable token was taken.": [int(np.argmin(model.logits[0]))],
        }
        least = isinstance(found, list) and found[:1] == [int(np.argmin(model.logits[0]))]
        holds(not least, "The least probable token is taken; the largest logit wins.")
        if longest > len(right) and isinstance(found, list):
            on = found[: len(right)] == right and len(found) > len(right)
            holds(not on, "It writes on after the end token.")
        same(found, right, why, mistakes)
        asked, written = len(model.asked), len(right)
        holds(
            asked <= written, f"Tokens written: {written}; questions to the model: {asked}. Stop asking with the last."
        )


@greedy_search.check(points=2)
def writes_the_best_tokens(answer, random):
    """It writes the most probable token each time, up to the end token."""
    cases = [([5, 7, 5, 2], 10), ([3, 3, 8, 6, 4, 2], 20), ([2], 5)]
    check_search(answer, random, cases, "Append the id of the largest logit each time, up to the end token.")


@greedy_search.check(points=1)
def keeps_to_the_length(answer, random):
    """It writes no more than max_length tokens."""
    cases = [([5, 7, 5, 6, 8], 3), ([4, 6, 2], 3), ([4, 5], 1), ([3, 4, 5, 6, 2], 4)]
    check_search(answer, random, cases, "max_length counts the written tokens, the end token among them.")


corpus_bleu = Exercise("corpus_bleu", section="D3, section 6.4")
SMALL = [
    ("the cat sat on the mat today", "the cat sat on the mat"),
    ("turn on the light in the kitchen", "turn the light in the kitchen on"),
    ("the the the the light", "the light is on in the room now"),
]


def bleu(pairs: list, order: int, rule: str = "") -> float:
    """BLEU of pairs of lists of words, by the right rule or by a wrong one."""
    matches, totals = np.zeros(order), np.zeros(order)
    for ours, theirs in pairs:
        for n in range(1, order + 1):
            found, wanted = (Counter(zip(*(each[i:] for i in range(n)), strict=False)) for each in (ours, theirs))
            for gram, count in found.items():
                matches[n - 1] += count * (gram in wanted) if rule == "unclipped" else min(count, wanted[gram])
            totals[n - 1] += sum((wanted if rule == "recall" else found).values())
    if not matches.min() > 0:
        return 0.0
    c, r = sum(len(ours) for ours, _ in pairs), sum(len(theirs) for _, theirs in pairs)
    penalty = {
        "none": 1.0,
        "inverse": math.exp(min(0, 1 - c / r)),
        "always": math.exp(1 - r / c),
        "ratio": min(1, c / r),
    }
    mean = (matches / totals).mean() if rule == "arithmetic" else np.exp(np.log(matches / totals).mean())
    if rule == "product":
        mean = np.prod(matches / totals)
    return 100 * penalty.get(rule, math.exp(min(0, 1 - r / c))) * mean


def check_bleu(answer, pairs: list, order: int, why: str) -> None:
    right = bleu(pairs, order)
    mistakes = {
        "An n-gram counts each time it is written; it may count no more often than in the reference (clip).": bleu(
            pairs, order, "unclipped"
        ),
        "The brevity penalty has no effect, although the translations are shorter than the references.": bleu(
            pairs, order, "none"
        ),
        "The brevity penalty punishes what is too long: it is exp(1 − r/c), where c < r.": bleu(
            pairs, order, "inverse"
        ),
        "The brevity penalty exceeds 1 for long translations; it is 1 where c is not below r.": bleu(
            pairs, order, "always"
        ),
        "The brevity penalty is c/r; it is exp(1 − r/c).": bleu(pairs, order, "ratio"),
        "The matches are divided by the n-grams of the references: that is recall; divide by those of the "
        "translations.": bleu(pairs, order, "recall"),
        "The precisions are averaged; their geometric mean is wanted.": bleu(pairs, order, "arithmetic"),
        "The root of the product is missing: take it to the power 1/order.": bleu(pairs, order, "product"),
        "This is the mean of the sentences' BLEU; add the counts of all sentences up first.": np.mean(
            [bleu([pair], order) for pair in pairs]
        ),
        "BLEU goes from 0 to 100 here; this is a hundredth of it.": right / 100,
        "The n-grams are shorter by one: pₙ is of n words.": bleu(pairs, max(order - 1, 1)),
        "The n-grams are longer by one: pₙ is of n words, up to the order.": bleu(pairs, order + 1),
    }
    ours, theirs = ([list(words) for words in side] for side in zip(*pairs, strict=True))
    close(answer(ours, theirs, order), right, why, mistakes)


@corpus_bleu.check(points=2)
def clips_and_averages(answer, random):
    """The precisions are clipped, of the whole test part, and their mean is geometric."""
    small = [(ours.split(), theirs.split()) for ours, theirs in SMALL]
    vocabulary = ["a", "b", "c", "d", "e"]
    drawn = [(list(random.choice(vocabulary, 12)), list(random.choice(vocabulary, 10))) for _ in range(12)]
    why = "pₙ is the clipped matches by the n-grams of all translations; BLEU their geometric mean, times BP."
    long = [(ours, theirs[:-3]) for ours, theirs in small[:2]]
    for pairs, order in ((long, 2), (drawn, 3), (drawn, 1), (drawn[:6], 2)):
        plain = [([str(word) for word in ours], [str(word) for word in theirs]) for ours, theirs in pairs]
        check_bleu(answer, plain, order, why)


@corpus_bleu.check(points=1)
def punishes_brevity(answer, random):
    """Translations that are too short in all pay exp(1 − r/c)."""
    small = [(ours.split(), theirs.split()) for ours, theirs in SMALL]
    short = [(ours[:-1], theirs) for ours, theirs in small]
    mixed = [(["a", "b", "c"], ["a", "b", "c", "d", "e"]), (["a", "b", "c", "d"], ["a", "b", "c"])]
    for pairs, order in ((short, 2), (mixed, 3), (mixed, 1), ([(["a", "b", "c", "d"], list("abcdefgh"))], 4)):
        check_bleu(answer, pairs, order, "With c words written and r in the references, BP = exp(1 − r/c) if c < r.")


@corpus_bleu.check(points=1)
def is_0_without_a_match(answer, random):
    """Where an order has no match, or nothing to count, BLEU is 0."""
    why = "If some pₙ is 0, or has no n-gram to count, BLEU is 0: look before the logarithm and the division."
    for ours, theirs, order in ((["a", "b"], ["b", "a"], 2), (["a"], ["a"], 4), ([], ["a"], 1), (["x"], ["y"], 1)):
        check_bleu(answer, [(ours, theirs)], order, why)
    check_bleu(
        answer,
        [(list("abcde"), list("abcde")), ([], ["x"])],
        4,
        "The empty translation adds no n-grams; the other one counts.",
    )


length_penalty = Exercise("choose_length_penalty", section="D3, section 6.4", seconds=10)
THREE = "Return the length ratio without a penalty, the penalty found, and the length ratio with it."


def hypotheses(random, count: int, shortest: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Scored hypotheses of a beam, the shorter the more probable, and the references' lengths."""
    references = random.integers(8, 24, size=count)
    lengths = references[:, None] + random.integers(shortest, 4, size=(count, 6))
    sums = -0.25 * lengths - random.exponential(1.2, size=lengths.shape) - 1.0
    return sums, lengths, references


def length_ratio(sums, lengths, references, penalty: float, rule: str = "") -> float:
    below = {"power": lengths**penalty, "none": 1.0, "five": (5.0 + lengths) ** penalty}
    values = sums / below.get(rule, ((5 + lengths) / 6) ** penalty)
    if rule == "product":
        values = sums * ((5 + lengths) / 6) ** penalty
    best = values.argmin(axis=1) if rule == "worst" else values.argmax(axis=1)
    chosen = lengths[np.arange(len(lengths)), best]
    return float((chosen / references).mean() if rule == "means" else chosen.sum() / references.sum())


RATIOS = {
    "means": "This is the mean of the sentences' ratios; divide the length of all by that of all references.",
    "worst": "The hypothesis with the lowest score was chosen.",
}
WITH_PENALTY = RATIOS | {
    "power": "The sum is divided by length^α; here it is ((5 + length) / 6)^α.",
    "product": "The sum is multiplied by the penalty; it is divided.",
    "none": "This is the ratio without the penalty.",
}
CASES = ((400, -6), (250, -3))


@length_penalty.check(points=1)
def measures_without(answer, random):
    """The first number is the length ratio without a penalty."""
    for count, shortest in CASES:
        case = hypotheses(random, count, shortest)
        found = array(answer(*case), (3,), THREE)[0]
        mistakes = {sentence: length_ratio(*case, 0.0, rule) for rule, sentence in RATIOS.items()}
        mistakes["This is the ratio of the longest hypotheses."] = case[1].max(1).sum() / case[2].sum()
        mistakes["This is the ratio of all hypotheses; only the best of each sentence counts."] = (
            case[1].mean() / case[2].mean()
        )
        mistakes["The ratio is turned round: the translations' length by the references'."] = 1 / length_ratio(
            *case, 0.0
        )
        mistakes["With α = 0 the sum itself decides; this is the ratio for α = 1."] = length_ratio(*case, 1.0)
        why = "Choose each sentence's highest sum; add up the lengths; divide by the references'."
        close(found, length_ratio(*case, 0.0), why, mistakes, rtol=1e-6)


@length_penalty.check(points=1)
def measures_what_it_found(answer, random):
    """The third number is the length ratio under the penalty that it returns."""
    for count, shortest in CASES:
        case = hypotheses(random, count, shortest)
        _, penalty, found = array(answer(*case), (3,), THREE)
        holds(0 <= penalty <= 5, f"The penalty is {penalty:.3g}; search from 0 to 5.")
        # At some penalties a sentence is about to change its choice, and rounding decides.
        near = [length_ratio(*case, penalty * factor) for factor in (1, 1 - 1e-6, 1 + 1e-6)]
        right = min(near, key=lambda ratio: abs(ratio - found))
        mistakes = {sentence: length_ratio(*case, penalty, rule) for rule, sentence in WITH_PENALTY.items()}
        mistakes["This is the ratio that is aimed at; return the one that you measure."] = 1.0
        why = f"This is not the length ratio for the penalty that you return, {penalty:.4g}."
        close(found, right, why, mistakes, rtol=1e-6, atol=0)


@length_penalty.check(points=2)
def brings_the_length_right(answer, random):
    """Under the penalty found, the translations are as long as the references."""
    for count, shortest in (*CASES, (300, 1)):
        case = hypotheses(random, count, shortest)
        _, penalty, _ = array(answer(*case), (3,), THREE)
        holds(0 <= penalty <= 5, f"The penalty is {penalty:.3g}; search from 0 to 5.")
        ratio = length_ratio(*case, penalty)
        away = abs(ratio - 1)
        least = min(abs(length_ratio(*case, each) - 1) for each in np.linspace(0, 5, 251))
        best = "a larger" if ratio < 1 else "a smaller"
        holds(
            away <= least + 0.01,
            f"With the penalty {penalty:.3g} the length ratio is {ratio:.3f}, and can come within {least:.3f} of 1: "
            f"{best} penalty does it.",
        )
