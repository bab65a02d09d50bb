"""What the grader runs for the exercises of chapter 3; B, T, V, D, H, n, C as there."""

import math
from collections.abc import Callable

import numpy as np

from keras_llm.grading import Exercise, array, close, holds, same, several


def sigmoid(z: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-z))


# ---------------------------------------------------------------- embedding

embedding = Exercise("embedding", section="D0, section 5")
BOTH = "Return the vectors, and the gradient of the table."


def embedding_case(random, batch: int, time: int, vocabulary: int, width: int) -> tuple:
    table, ids = random.normal(size=(vocabulary, width)), random.integers(vocabulary, size=(batch, time))
    return table, ids, random.normal(size=(batch, time, width))


@embedding.check(points=1)
def looks_up(answer, random):
    """Each token gets its row of the table."""
    for sizes in ((3, 4, 7, 4), (1, 1, 2, 3), (3, 5, 4, 1)):
        table, ids, gradient = embedding_case(random, *sizes)
        mistakes = {"Padding gets zeros; the table gives each id its row, 0 too.": table[ids] * (ids > 0)[..., None]}
        mistakes["The ids count from 0: id 1 is the second row."] = table[ids - 1]
        found = several(answer(table, ids, gradient), 2, BOTH)[0]
        close(found, table[ids], "The vector of token i is row i of the table.", mistakes)


@embedding.check(points=2)
def adds_up(answer, random):
    """A row's gradient is the sum over all places where its token stands."""
    for sizes in ((3, 6, 5, 4), (4, 4, 3, 2), (1, 1, 6, 3)):
        table, ids, gradient = embedding_case(random, *sizes)
        ids[0, 0] = ids[-1, -1] = 0
        of_places = np.eye(len(table))[ids]  # (B, T, V)
        right = np.einsum("btv,btd->vd", of_places, gradient)
        last, no_padding = np.zeros_like(table), right.copy()
        for row, upstream in zip(ids.ravel(), gradient.reshape(-1, table.shape[1]), strict=True):
            last[row] = upstream
        no_padding[0] = 0
        counts = of_places.sum(axis=(0, 1))[:, None]
        mistakes = {
            "A token that occurs twice keeps one gradient alone: a[ids] += b adds to each row once; np.add.at adds "
            "every time.": last,
            "Row 0 gets no gradient: here padding counts as any token.": no_padding,
            "The gradients of a token that occurs twice add up; they are not averaged.": right / np.maximum(counts, 1),
            "This is how often each token occurs; its gradients add up.": counts + np.zeros_like(table),
            "The gradient's sign has changed: this is no update.": -right,
            "The gradient is added to the table; it begins at zeros.": table + right,
        }
        found = several(answer(table, ids, gradient), 2, BOTH)[1]
        close(found, right, "Row i gets the sum of the gradients of all places of token i.", mistakes)


# ---------------------------------------------------------------- LSTM

lstm_step = Exercise("lstm_step", section="D0, section 5")
NEW = "Return the new h and the new c."


def lstm_case(random, batch: int, width: int, units: int) -> tuple:
    shapes = ((batch, width), (batch, units), (batch, units), (width, 4 * units), (units, 4 * units), (4 * units,))
    return tuple(random.normal(size=shape) for shape in shapes)


def cell(x, h, c, kernel, recurrent_kernel, bias, order: str = "ifgo") -> tuple[np.ndarray, np.ndarray, dict]:
    """New h, new c, and the gates by their letters, which stand in the columns in ``order``."""
    z = np.split(x @ kernel + h @ recurrent_kernel + bias, 4, axis=-1)
    gates = {name: np.tanh(part) if name == "g" else sigmoid(part) for name, part in zip(order, z, strict=True)}
    c = gates["f"] * c + gates["i"] * gates["g"]
    return gates["o"] * np.tanh(c), c, gates


def lstm_mistakes(case: tuple, part: int) -> dict[str, np.ndarray]:
    """What wrong steps give; part 0 is h, part 1 is c."""
    x, h, c, kernel, recurrent_kernel, bias = case
    right_h, right_c, gate = cell(*case)
    candidate = np.split(x @ kernel + h @ recurrent_kernel + bias, 4, axis=-1)[2]
    cells = {
        "The old cell comes in whole: the forget gate is missing.": c + gate["i"] * gate["g"],
        "The candidate comes in whole: the input gate is missing.": gate["f"] * c + gate["g"],
        "The candidate goes through a sigmoid: it wants a tanh.": gate["f"] * c + gate["i"] * sigmoid(candidate),
        "The candidate's tanh is missing.": gate["f"] * c + gate["i"] * candidate,
        "The forget gate keeps what it should forget: it is f, not 1 − f, that multiplies the old cell.": (
            (1 - gate["f"]) * c + gate["i"] * gate["g"]
        ),
    }
    wrong = {sentence: (gate["o"] * np.tanh(new), new) for sentence, new in cells.items()}
    orders = {"ifog": "i, f, o, g", "figo": "f, i, g, o", "fiog": "f, i, o, g", "iofg": "i, o, f, g"}
    for order, words in orders.items():
        wrong[f"The gates are cut in the order {words}; Keras's order is i, f, g (candidate), o."] = cell(*case, order)
    zeros = np.zeros_like(recurrent_kernel)
    wrong["The bias is missing."] = cell(x, h, c, kernel, recurrent_kernel, 0 * bias)
    wrong["The state before, h U, is missing."] = cell(x, h, c, kernel, zeros, bias)
    wrong["h and c have changed places: return h first."] = right_c, right_h
    wrong["The tanh around the new cell is missing in h."] = gate["o"] * right_c, right_c
    wrong["h is made of the cell before the step; it wants the new one."] = gate["o"] * np.tanh(c), right_c
    wrong["The new cell is shown whole: the output gate is missing in h."] = np.tanh(right_c), right_c
    wrong["The step changes nothing: this is the state before."] = h, c
    return {sentence: results[part] for sentence, results in wrong.items()}


@lstm_step.check(points=2)
def remembers(answer, random):
    """The new cell is σ(f) ∘ c + σ(i) ∘ tanh(g)."""
    for sizes in ((2, 3, 4), (1, 5, 1), (3, 1, 2)):
        case = lstm_case(random, *sizes)
        found = several(answer(*case), 2, NEW)[1]
        close(found, cell(*case)[1], "Check the new cell, c ← σ(f) ∘ c + σ(i) ∘ tanh(g).", lstm_mistakes(case, 1))


@lstm_step.check(points=2)
def shows(answer, random):
    """The new state is σ(o) ∘ tanh of the new cell."""
    for sizes in ((2, 3, 4), (1, 5, 1), (3, 1, 2)):
        case = lstm_case(random, *sizes)
        found = several(answer(*case), 2, NEW)[0]
        close(found, cell(*case)[0], "Check the new state, h ← σ(o) ∘ tanh(c).", lstm_mistakes(case, 0))


read_with_mask = Exercise("read_with_mask", section="D0, section 5", seconds=10)


def toy_step(random, width: int, units: int) -> Callable:
    """A step whose h and c differ; whatever it is given, it must not fail here, outside the student's process."""
    w, u = random.normal(size=(width, units)), random.normal(size=(units, units))

    def step(*given):
        try:
            x, h, c = (np.asarray(each, "float64") for each in given)
            c = 0.7 * c + x @ w + 0.3 * h @ u
            return np.tanh(c + h @ u), c
        except (TypeError, ValueError):
            return np.nan, np.nan

    return step


def read(x, mask, step, units: int, rule: str = "right") -> tuple[np.ndarray, np.ndarray]:
    h, c = np.zeros((len(x), units)), np.zeros((len(x), units))
    for t in range(x.shape[1]):
        new_h, new_c = step(x[:, t], h, c)
        keep = {"none": mask[:, t] | True, "inverted": ~mask[:, t], "any": mask[:, t].any() | np.zeros(len(x), bool)}
        keep = keep.get(rule, mask[:, t])[:, None]
        old_h, old_c = (0 * h, 0 * c) if rule == "zeros" else (h, c)
        h = new_h if rule == "only c" else np.where(keep, new_h, old_h)
        c = new_c if rule == "only h" else np.where(keep, new_c, old_c)
    return h, c


RULES = {
    "none": "The mask has no effect: the step counts at padding, too.",
    "inverted": "The mask is inverted: False means padding.",
    "zeros": "At padding the state becomes 0, so that the text before it is forgotten; it must stay as it was.",
    "only h": "At padding h stays and c goes on: both must stay.",
    "only c": "At padding c stays and h goes on: both must stay.",
    "any": "One decision is made for the whole batch: each text has a mask of its own.",
}


def check_reading(answer, random, masks: list, why: str) -> None:
    for mask in masks:
        mask = np.array(mask, bool)
        x, step = random.normal(size=(*mask.shape, 3)), toy_step(random, 3, 4)
        found = several(answer(x, mask, step, 4), 2, "Return h and c after the last step.")
        for part in (0, 1):
            mistakes = {sentence: read(x, mask, step, 4, rule)[part] for rule, sentence in RULES.items()}
            mistakes["Nothing of the text has got into the state."] = np.zeros((len(mask), 4))
            close(found[part], read(x, mask, step, 4)[part], why, mistakes)


@read_with_mask.check(points=2)
def padding_changes_nothing(answer, random):
    """Padding carries h and c on, in each text on its own."""
    masks = [[[1, 1, 1, 0, 0], [1, 1, 0, 0, 1], [1, 0, 0, 0, 0]], [[1, 1], [1, 0]], [[1, 0, 0]]]
    check_reading(answer, random, masks, "Go through all T steps; where a text's mask is False, keep its old h and c.")


@read_with_mask.check(points=1)
def padding_anywhere(answer, random):
    """Padding in front, no padding, and nothing but padding are read right, too."""
    masks = [[[0, 0, 1, 0, 1], [0, 1, 1, 1, 1], [0, 0, 0, 0, 0]], [[1, 1, 1]], [[0, 0]]]
    check_reading(
        answer, random, masks, "Padding may stand anywhere: go through all T steps, and ask the mask in each."
    )


# ---------------------------------------------------------------- loss and scores

binary_crossentropy = Exercise("binary_crossentropy", section="D0, section 5")


@binary_crossentropy.check(points=2)
def is_the_mean_loss(answer, random):
    """It is the mean of −y ln p − (1 − y) ln(1 − p)."""
    first = random.uniform(0.1, 0.9, size=6)  # these could be probabilities, so that a missing sigmoid shows
    for logits in (first, *(random.normal(size=count) * 2 for count in (7, 40, 1))):
        labels = random.integers(2, size=len(logits))
        labels[:1], labels[1:2] = 1, 0
        losses = np.logaddexp(0, logits) - logits * labels
        mistakes = {
            "This is the sum; the loss is the mean over the texts.": losses.sum(),
            "The labels are turned round: y stands with ln p, 1 − y with ln(1 − p).": (
                np.logaddexp(0, logits) - logits * (1 - labels)
            ).mean(),
            "The sign is wrong: a loss is minus the logarithm of a probability.": -losses.mean(),
            "The logarithm has base 2; nats want the natural one.": losses.mean() / math.log(2),
            "Only the texts of class 1 cost anything: −(1 − y) ln(1 − p) is missing.": (losses * labels).mean(),
            "Only the texts of class 0 cost anything: −y ln p is missing.": (losses * (1 - labels)).mean(),
        }
        if logits is first:
            raw = np.where(labels == 1, logits, 1 - logits)
            mistakes["The logits are taken for probabilities: the sigmoid is missing."] = -np.log(raw).mean()
        why = "Check −y ln p − (1 − y) ln(1 − p) with p = σ(z), and the mean over the texts."
        close(answer(logits, labels), losses.mean(), why, mistakes)


@binary_crossentropy.check(points=2)
def is_stable(answer, random):
    """Logits in the thousands give a loss in the thousands, not infinity, NaN or a cap."""
    stable = "exp of a large number overflows, or log sees a 0: write the loss with max(z, 0) and exp(−|z|)."
    for size in (1_000.0, 5_000.0):
        logits, labels = np.array([size, -size, size, -size]), np.array([1, 0, 0, 1])
        found = array(answer(logits, labels), (), stable, finite=False)
        capped = np.isfinite(found) and 0 < found < size / 5
        holds(not capped, "A wrong and certain answer costs too little: a probability was clipped; work with logits.")
        close(found, size / 2, stable if not np.isfinite(found) else "The loss is wrong where the logits are large.")
    close(answer(np.zeros(2), np.array([0, 1])), math.log(2), "For a logit of 0 the loss is ln 2, whatever the label.")


scores = Exercise("precision_recall_f1", section="D1, section 9.5")
WANTED = "Return an array (C, 3) and the macro F1."


def count_scores(labels, predictions, num_classes: int) -> np.ndarray:
    """Precision, recall and F1 of each class, (C, 3)."""
    confusion = np.zeros((num_classes, num_classes))
    np.add.at(confusion, (labels, predictions), 1)
    hits, true, predicted = np.diag(confusion), confusion.sum(axis=1), confusion.sum(axis=0)
    below = (predicted, true, predicted + true)
    above = (hits, hits, 2 * hits)
    return np.stack([a / np.maximum(b, 1) for a, b in zip(above, below, strict=True)], axis=1)


def score_mistakes(right: np.ndarray, labels, predictions) -> dict[str, np.ndarray]:
    precision, recall, f1 = right.T
    accuracies = [((labels == each) == (predictions == each)).mean() for each in range(len(right))]
    return {
        "Precision and recall have changed places.": right[:, [1, 0, 2]],
        "Recall is precision once more, as in document D1: divide TP by how often the class is true.": np.stack(
            [precision, precision, precision], axis=1
        ),
        "Recall is precision once more: divide TP by how often the class is true.": np.stack(
            [precision, precision, f1], axis=1
        ),
        "F1 is the plain mean of precision and recall; the harmonic mean is wanted.": np.stack(
            [precision, recall, (precision + recall) / 2], axis=1
        ),
        "F1 lacks the factor 2.": np.stack([precision, recall, f1 / 2], axis=1),
        "The array is (3, C): a row belongs to a class.": right.T,
        "Precision is the accuracy for the class; true negatives do not count.": np.stack(
            [accuracies, recall, f1], axis=1
        ),
    }


@scores.check(points=2)
def scores_of_each_class(answer, random):
    """Each class has its precision, recall and F1."""
    for count, num_classes in ((60, 4), (30, 2), (25, 3)):
        labels = random.integers(num_classes, size=count)
        predictions = np.where(random.random(count) < 0.5, labels, 0 * labels)
        predictions[:num_classes] = labels[:num_classes] = np.arange(num_classes)
        right = count_scores(labels, predictions, num_classes)
        found = several(answer(labels, predictions, num_classes), 2, WANTED)[0]
        why = "Precision = TP / (TP + FP), recall = TP / (TP + FN), F1 = 2 TP / (2 TP + FP + FN)."
        close(found, right, why, score_mistakes(right, labels, predictions))


@scores.check(points=1)
def no_division_by_zero(answer, random):
    """A score is 0 where nothing was predicted, nothing is true, or both."""
    labels, predictions = np.array([0, 0, 1, 1, 1, 0]), np.array([0, 2, 0, 0, 2, 0])
    for num_classes in (3, 5):
        right = count_scores(labels, predictions, num_classes)
        ones = right.copy()
        ones[3:] = 1
        mistakes = {"A class that never occurs scores 0 here, not 1.": ones}
        mistakes |= score_mistakes(right, labels, predictions)
        found = several(answer(labels, predictions, num_classes), 2, WANTED)[0]
        close(found, right, "Where a denominator is 0 the score is 0; all C classes have a row.", mistakes)


@scores.check(points=1)
def macro_is_the_plain_mean(answer, random):
    """The macro F1 is the mean of all classes' F1, rare ones too."""
    for count, num_classes in ((40, 4), (30, 2), (9, 6)):
        labels = np.where(random.random(count) < 0.7, 0, random.integers(num_classes, size=count))
        labels[labels == num_classes - 1] = 0
        predictions = np.where(random.random(count) < 0.6, labels, 1)
        predictions[predictions == num_classes - 1] = 0
        labels[0], predictions[0] = 0, 1
        right = count_scores(labels, predictions, num_classes)
        precision, recall, f1 = right.T
        mean_p, mean_r = precision.mean(), recall.mean()
        seen = np.isin(np.arange(num_classes), [*labels, *predictions])
        mistakes = {
            "Classes that do not occur are left out; the mean is over all C.": f1[seen].mean(),
            "This is the accuracy (which micro F1 is here); the macro F1 is the mean of the classes' F1.": np.mean(
                labels == predictions
            ),
            "Frequent classes weigh more; macro counts each class alike.": (
                f1 * np.bincount(labels, minlength=num_classes)
            ).sum()
            / count,
            "It is made of the mean precision and the mean recall; take the mean of the F1.": (
                2 * mean_p * mean_r / (mean_p + mean_r)
            ),
            "This is the macro precision.": mean_p,
            "This is the macro recall.": mean_r,
            "This is the sum over the classes; the mean is wanted.": f1.sum(),
        }
        found = several(answer(labels, predictions, num_classes), 2, WANTED)[1]
        close(found, f1.mean(), "The macro F1 is the mean of the C values of F1.", mistakes)


# ---------------------------------------------------------------- against over-fitting

early_stopping = Exercise("early_stopping", section="D1, section 3.2")


def stop(losses: list[float], patience: int, rule: str = "right") -> list[int]:
    """Best epoch and epochs trained, by the right rule or by a wrong one."""
    lowest, best, waited, previous = math.inf, 0, 0, math.inf
    for epoch, loss in enumerate(losses):
        reference = previous if rule == "previous" else lowest
        better = loss <= reference if rule == "ties" else loss < reference
        if rule == "nan":
            better = not loss >= reference
        previous = loss
        if better:
            lowest, best, waited = loss, epoch, waited if rule == "total" else 0
        else:
            waited += 1
        limit = patience + {"late": 1, "early": -1}.get(rule, 0)
        if not better and waited >= limit:
            return [best, epoch + 1]
    return [best, len(losses)]


def stop_mistakes(losses: list[float], patience: int) -> dict[str, list[int]]:
    best, trained = stop(losses, patience)
    return {
        "It stops one epoch too late: the patience has run out with the last of its epochs.": stop(
            losses, patience, "late"
        ),
        "It stops one epoch too soon, or the second number is the last epoch, counted from 0: one more was trained.": (
            stop(losses, patience, "early")
        ),
        "It never stops, and so finds an epoch that a stopped training never sees.": [
            int(np.nanargmin(losses)),
            len(losses),
        ],
        "The best epoch is sought among all losses; those after the stop are never seen.": [
            int(np.nanargmin(losses)),
            trained,
        ],
        "The epochs without improvement are counted in all; only those in a row count.": stop(
            losses, patience, "total"
        ),
        "Each loss is compared with the one before it; compare it with the lowest so far.": stop(
            losses, patience, "previous"
        ),
        "It keeps the last epoch's weights; go back to the best.": [trained - 1, trained],
        "The second number is the last epoch, counted from 0: one more was trained.": [best, trained - 1],
        "The best epoch is counted from 1; the first is 0.": [best + 1, trained],
        "The two numbers have changed places: the best epoch comes first.": [trained, best],
        "An equal loss is no improvement.": stop(losses, patience, "ties"),
        "NaN is no improvement, although it is not above the lowest loss either.": stop(losses, patience, "nan"),
    }


def check_stop(answer, cases: list, why: str) -> None:
    for losses, patience in cases:
        same(answer(list(losses), patience), stop(losses, patience), why, stop_mistakes(losses, patience))


@early_stopping.check(points=2)
def stops_and_goes_back(answer, random):
    """It stops when the patience has run out, and goes back to the best epoch."""
    cases = [
        ([0.70, 0.75, 0.65, 0.66, 0.58, 0.55, 0.61, 0.57, 0.58, 0.56, 0.60, 0.40, 0.39, 0.45, 0.42], 4),
        ([0.70, 0.72, 0.68, 0.69, 0.60, 0.62, 0.50, 0.53, 0.52, 0.51, 0.48], 3),
        ([0.9, 0.8, 0.7, 0.75, 0.6], 1),
    ]
    cases += [([*random.random(12).round(3).tolist()], patience) for patience in (1, 2, 3)]
    check_stop(answer, cases, "Count the epochs in a row that are not below the lowest loss; stop at the patience.")


@early_stopping.check(points=1)
def ties_and_nan(answer, random):
    """An equal loss and NaN are no improvement."""
    cases = [([0.6, 0.5, 0.5, 0.5, 0.5, 0.55, 0.56, 0.57, 0.3], 3), ([0.5] * 4, 2)]
    cases.append(([0.6, 0.5, math.nan, 0.55, 0.56, 0.3, 0.4, 0.41, 0.42, 0.43, 0.44], 3))
    check_stop(answer, cases, "A loss that is equal to the lowest, or NaN, is no improvement.")


@early_stopping.check(points=1)
def trains_to_the_end(answer, random):
    """Where the patience never runs out, and only there, all epochs are trained."""
    cases = [
        ([0.9, 0.8, 0.7, 0.72, 0.71], 3),
        ([0.5, 0.4, 0.3], 1),
        ([0.7], 2),
        ([0.4, 0.5, 0.6, 0.3], 3),
        ([0.4, 0.5, 0.6, 0.7, 0.3], 2),
    ]
    check_stop(answer, cases, "The list ends before the patience has run out: all its epochs were trained.")


dropout = Exercise("dropout", section="D0, section 9")


@dropout.check(points=2)
def drops_and_scales(answer, random):
    """In training, what is kept is divided by 1 − rate, and the rest is 0."""
    for shape, rate in (((4, 5), 0.3), ((3,), 0.75), ((2, 3, 8), 0.6), ((2, 2), 0.0)):
        x, uniform = random.normal(size=shape) + 3, random.random(shape)
        uniform.flat[0], uniform.flat[1] = (1 + rate) / 2, rate / 2  # one is kept and, if rate > 0, one is dropped
        keep = uniform >= rate
        mistakes = {
            "Nothing is dropped: this is the input.": x,
            "What is kept is not scaled: its mean falls to the share 1 − rate.": x * keep,
            "It is scaled by 1 − rate; divide by it, to make up for what is gone.": x * keep * (1 - rate),
            "It drops what it should keep: keep where the random number is at least the rate.": x * ~keep / (1 - rate),
            "Also what is dropped is scaled and stays; it must be 0.": x / (1 - rate),
        }
        if rate:
            mistakes["It is divided by the rate; a share of 1 − rate is kept."] = x * keep / rate
            mistakes["It keeps a share of rate instead of 1 − rate."] = x * ~keep / rate
            mistakes["It keeps where the random number is above 1 − rate; keep where it is at least the rate."] = (
                x * (uniform >= 1 - rate) / (1 - rate)
            )
        why = "Keep where the random number is at least the rate, and divide by 1 − rate there."
        close(answer(x, rate, uniform, True), x * keep / (1 - rate), why, mistakes)


@dropout.check(points=1)
def only_in_training(answer, random):
    """Outside training, and only there, nothing is dropped or scaled."""
    for shape, rate in (((3, 4), 0.5), ((6,), 0.2)):
        x, uniform = random.normal(size=shape) + 3, random.random(shape)
        uniform.flat[0] = rate / 2
        mistakes = {
            "Inputs are dropped although nothing is trained.": x * (uniform >= rate) / (1 - rate),
            "Outside training nothing is scaled: inverted dropout has scaled in training.": x * (1 - rate),
            "Outside training nothing is scaled; only what is kept in training is.": x / (1 - rate),
        }
        close(answer(x, rate, uniform, False), x, "When the model is used, the inputs stay as they are.", mistakes)
        trained = array(answer(x, rate, uniform, True), shape, "An array shaped as x is wanted.")
        holds(bool((trained == 0).any()), "In training nothing is dropped either.")


# ---------------------------------------------------------------- what an accuracy is worth

beside = Exercise("beside_the_majority", section="D0, section 4.3", seconds=15)
THREE = "Return the baseline's accuracy and the two ends of the interval."


def test_part(random, count: int, accuracy: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Labels of a training part that is mostly class 2, of a test part that is mostly class 1, and predictions."""
    train = random.permutation(np.repeat([2, 1, 0, 3], [60, 40, 20, 5]))
    shares = np.array([0.2, 0.45, 0.3, 0.05]) * count
    labels = random.permutation(np.repeat(np.arange(4), shares.round().astype(int)))
    wrong = np.arange(len(labels)) >= round(accuracy * len(labels))
    return train, labels, np.where(random.permutation(wrong), (labels + 1) % 4, labels)


def moves_with_the_seed(answer, random) -> bool:
    case = test_part(random, 2_000, 0.7)
    return len({tuple(array(answer(*case, 100, seed), (3,), THREE)[1:]) for seed in range(5)}) > 1


@beside.check(points=1)
def baseline_is_of_the_training_part(answer, random):
    """The baseline says the training part's most frequent class, and is scored on the test part."""
    for count in (200, 40):
        train, labels, predictions = test_part(random, count, 0.7)
        mistakes = {
            "The majority is the test part's own: a model has never seen those labels.": np.mean(labels == 1),
            "It is scored on the training part; the test part counts.": np.mean(train == 2),
            "This is the accuracy of the model, not of the baseline.": np.mean(labels == predictions),
            "The majority is that of the predictions; the training part's labels decide.": np.mean(
                labels == np.bincount(predictions).argmax()
            ),
            "This is a guess among the classes; the baseline always says the most frequent one.": 0.25,
        }
        found = array(answer(train, labels, predictions, 100, 3), (3,), THREE)[0]
        close(found, np.mean(labels == 2), "Score the class most frequent in the training part.", mistakes)


@beside.check(points=2)
def interval_is_as_wide_as_chance(answer, random):
    """The interval holds the accuracy, and is as wide as 95% of the draws."""
    for count, accuracy in ((400, 0.8), (2_000, 0.6), (100, 0.5)):
        case = test_part(random, count, accuracy)
        low, high = array(answer(*case, 2_000, 11), (3,), THREE)[1:]
        measured = np.mean(case[1] == case[2])
        error = math.sqrt(measured * (1 - measured) / len(case[1]))  # the standard deviation of such an accuracy
        holds(low <= high, "The ends have changed places: the lower comes first.")
        holds(
            high - low > 1e-9,
            "The interval has no width: drawn without replacement, each test part is the same again.",
        )
        centre, spread = (low + high) / 2, (high - low) / error
        holds(
            abs(centre - measured) < error / 2,
            f"The model's accuracy is {measured:.3f}, but the middle of the interval is {centre:.3f}: score the "
            "predictions on the drawn texts.",
        )
        told = f"It is {spread / 3.92:.2f} times as wide as chance makes it"
        holds(not 1.6 < spread < 2.4, f"{told}: this is one standard deviation to both sides, or 68%; 95% is wanted.")
        holds(not 2.9 < spread < 3.53, f"{told}: this is a 90% interval; its ends are the quantiles 0.025 and 0.975.")
        why = "draw as many texts as the test part has, and take the quantiles 0.025 and 0.975."
        holds(3.53 <= spread < 4.3, f"{told}: {why}")
    holds(
        moves_with_the_seed(answer, random),
        "The ends are the same for each seed: draw, with a generator made from the seed.",
    )


@beside.check(points=1)
def follows_the_seed(answer, random):
    """The same seed gives the same interval; other seeds move it a little."""
    case = test_part(random, 2_000, 0.7)
    first, again = (array(answer(*case, 100, 1), (3,), THREE) for _ in range(2))
    same(first, again, "Two calls with the same seed differ: make the generator from the seed, in the function.")
    holds(moves_with_the_seed(answer, random), "The seed changes nothing: the interval must be drawn, and by it.")
