"""What the grader runs for the exercises of chapter 1; B, D, H, η as there."""

import math
from itertools import pairwise

import numpy as np

from keras_llm.grading import Exercise, array, close, holds, several


def sigmoid(z: np.ndarray) -> np.ndarray:
    return np.exp(-np.logaddexp(0, -z))


slope = Exercise("sigmoid_and_slope", section="D0, section 4")
BOTH = "Return two arrays: a, and its slope."


@slope.check(points=1)
def is_the_sigmoid(answer, random):
    """The first array is 1 / (1 + e⁻ᶻ)."""
    for shape in ((5,), (2, 3), (1,)):
        z = random.normal(size=shape, scale=2)
        mistakes = {
            "This is σ(−z): the minus belongs to the z in the exponent, e⁻ᶻ.": sigmoid(-z),
            "This is tanh, which goes from −1 to 1; the sigmoid goes from 0 to 1.": np.tanh(z),
            "This is the slope; a comes first.": sigmoid(z) * sigmoid(-z),
        }
        close(several(answer(z), 2, BOTH)[0], sigmoid(z), "Check the formula 1 / (1 + e⁻ᶻ).", mistakes)


@slope.check(points=1)
def is_its_slope(answer, random):
    """The second array is a(1 − a)."""
    z = random.normal(size=(3, 2), scale=2)
    a = sigmoid(z)
    mistakes = {
        "The slope is a(1 − a) with a = σ(z); this is z(1 − z).": z * (1 - z),
        "The sign is wrong: the sigmoid rises everywhere, so its slope is above 0.": -a * (1 - a),
        "This is 1 − a; the slope is a(1 − a).": 1 - a,
        "This is 1 − a², the slope of tanh; that of the sigmoid is a(1 − a).": 1 - a**2,
    }
    close(several(answer(z), 2, BOTH)[1], a * (1 - a), "The slope of the sigmoid is a(1 − a).", mistakes)


@slope.check(points=2)
def keeps_tiny_numbers(answer, random):
    """Far out, where both are tiny, six digits are right."""
    far = np.array([40.0, 300.0, 690.0]) + random.uniform(0, 9, size=3)
    z = np.concatenate([-far, far])
    a, steep = several(answer(z), 2, BOTH)
    tiny = sigmoid(z) * sigmoid(-z)
    lost = {"For z below −40 it is 0: a tiny number was lost beside 1; e⁻ᶻ alone would keep it.": np.where(z < 0, 0, 1)}
    close(a, sigmoid(z), "Check a far from 0, for instance σ(−40) = 4.2e-18.", lost, rtol=1e-6, atol=0)
    lost = {
        "For z above 40 the slope is 0: a is rounded to 1, and nothing is left of 1 − a. Take σ(−z) in its place, "
        "which is the same and keeps its digits.": np.where(z > 0, 0, tiny),
        "The slope is 0 far from 0: a is rounded to 0 or 1 there, so a(1 − a) is lost; it is σ(z)·σ(−z).": 0 * z,
    }
    close(steep, tiny, "Far from 0 the slope is about e^(−|z|).", lost, rtol=1e-6, atol=0)


@slope.check(points=1)
def overflows_nowhere(answer, random):
    """For z = ±10,000 a is 0 or 1, and the slope 0."""
    z = np.array([-1e4, -2.0, 0.0, 1.0, 1e4])
    why = "For z = ±10,000 a is 0 or 1 and the slope 0; where exp overflows, infinity divided by infinity is NaN."
    a, steep = several(answer(z), 2, BOTH)
    close(a, sigmoid(z), why)
    close(steep, sigmoid(z) * sigmoid(-z), why)


perceptron = Exercise("forward", section="D0, section 4")


def network(sizes: tuple[int, ...], random: np.random.Generator) -> list[tuple[np.ndarray, np.ndarray]]:
    return [(random.normal(size=(d, h)), random.normal(size=h)) for d, h in pairwise(sizes)]


def compare_layers(answer, x: np.ndarray, layers: list) -> None:
    """Hold the activations of each layer against the right ones, from the first on."""
    found = several(answer(x, layers), len(layers) + 1, "Return the activations of all layers, the input first.")
    before = x
    for number, (W, b) in enumerate(layers, start=1):
        mistakes = {f"Layer {number}: the bias b is missing.": sigmoid(before @ W)}
        if W.shape[0] == W.shape[1]:
            mistakes[f"Layer {number}: W is transposed; with points in rows it is x·W."] = sigmoid(before @ W.T + b)
        if len(W) == x.shape[1]:
            mistake = f"Layer {number} takes the input x; it must take the activations of the layer before."
            mistakes[mistake] = sigmoid(x @ W + b)
        right = sigmoid(before @ W + b)
        close(found[number], right, f"Layer {number}: z is (activations of the layer before)·W + b.", mistakes)
        before = right


@perceptron.check(points=1)
def runs_the_perceptron(answer, random):
    """D1's network 2-10-1 gives a number in (0, 1) for each point."""
    for points in (3, 1):
        compare_layers(answer, random.normal(size=(points, 2)), network((2, 10, 1), random))


@perceptron.check(points=1)
def runs_deeper_networks(answer, random):
    """Each layer is fed with what the one before made."""
    for sizes in ((3, 3, 3, 3), (4, 1, 5, 2)):
        compare_layers(answer, random.normal(size=(5, sizes[0])), network(sizes, random))


back = Exercise("backward", section="D0, section 4")
FOUR = "Return four arrays: dW1, db1, dW2 and db2."


def passed_forward(random, points: int, inputs: int, units: int) -> tuple[np.ndarray, ...]:
    """x, hidden, output, y, W2 of a random network."""
    (W1, b1), (W2, b2) = network((inputs, units, 1), random)
    x, y = random.normal(size=(points, inputs)), random.integers(2, size=(points, 1)).astype("float64")
    hidden = sigmoid(x @ W1 + b1)
    return x, hidden, sigmoid(hidden @ W2 + b2), y, W2


@back.check(points=2)
def output_layer(answer, random):
    """dW2 and db2."""
    for sizes in ((6, 2, 10), (3, 4, 2), (1, 2, 3)):
        x, hidden, output, y, W2 = passed_forward(random, *sizes)
        _, _, dW2, db2 = several(answer(x, hidden, output, y, W2), 4, FOUR)
        delta, bend, count = (output - y) / len(y), output * (1 - output), len(y)
        ways = {
            "The sign is wrong: δ of the output is a − y, not y − a.": -delta,
            "The loss is the mean over the batch: divide δ by B.": delta * count,
            "With cross-entropy a(1 − a) cancels: δ of the output is a − y, divided by B.": delta * bend,
            "This is the gradient of the squared error; with cross-entropy δ is a − y, divided by B.": 2 * delta * bend,
            "It is divided by B twice: once in δ, and once more by a mean.": delta / count,
        }
        why = "dW2 is hiddenᵀ·δ with δ = (a − y) / B."
        close(dW2, hidden.T @ delta, why, {each: hidden.T @ wrong for each, wrong in ways.items()})
        why = "db2 is the sum of δ over the batch."
        close(db2, delta.sum(axis=0), why, {each: wrong.sum(axis=0) for each, wrong in ways.items()})


@back.check(points=2)
def hidden_layer(answer, random):
    """dW1 and db1: δ has gone back one layer."""
    for sizes in ((6, 2, 10), (3, 4, 2), (1, 2, 3)):
        x, hidden, output, y, W2 = passed_forward(random, *sizes)
        dW1, db1, _, _ = several(answer(x, hidden, output, y, W2), 4, FOUR)
        after, count = (output - y) / len(y), len(y)
        bend, delta = hidden * (1 - hidden), after @ W2.T * hidden * (1 - hidden)
        ways = {
            "The slope hidden · (1 − hidden) of the hidden layer's sigmoid is missing.": after @ W2.T,
            "A factor of the slope is missing: it is hidden · (1 − hidden).": after @ W2.T * hidden,
            "The slope is that of the output; the hidden layer has its own, hidden · (1 − hidden).": after
            @ W2.T
            * output
            * (1 - output),
            "δ does not go through the weights W2 on its way back.": after * bend,
            "The sign is wrong: δ of the output is a − y, not y − a.": -delta,
            "The loss is the mean over the batch: divide δ of the output by B.": delta * count,
            "δ of the output has the slope a(1 − a) in it, which cancels with cross-entropy.": delta
            * output
            * (1 - output),
            "It is divided by B twice: δ of the output has the mean in it already.": delta / count,
        }
        why = "dW1 is xᵀ·δ with δ = (δ of the output)·W2ᵀ · hidden · (1 − hidden)."
        close(dW1, x.T @ delta, why, {each: x.T @ wrong for each, wrong in ways.items()})
        why = "db1 is the sum of the hidden layer's δ over the batch."
        close(db1, delta.sum(axis=0), why, {each: wrong.sum(axis=0) for each, wrong in ways.items()})


numerical = Exercise("numerical_gradient", section="D0, section 4", seconds=10)


def careful(f, shape: tuple[int, ...]):
    """The function as students may call it: NaN for what is no array of that shape."""

    def called(w=None, *_):
        w = np.asarray(w)
        return float(f(w)) if w.shape == shape and w.dtype.kind in "iuf" else math.nan

    return called


@numerical.check(points=2)
def moves_up_and_down(answer, random):
    """It is (f(w + h) − f(w − h)) / 2h, with the h that is given."""
    for h in (0.1, 0.3):
        w = random.normal(size=4)
        f = careful(lambda w: (w**3).sum() + w[0] * w[3] ** 2, (4,))
        right, forward, backwards = np.zeros(4), np.zeros(4), np.zeros(4)
        left_moved, kept_up = np.zeros(4), w.copy()
        for place, move in enumerate(h * np.eye(4)):
            right[place] = (f(w + move) - f(w - move)) / (2 * h)
            forward[place] = (f(w + move) - f(w)) / h
            backwards[place] = (f(w) - f(w - move)) / h
            left_moved[place] = (f(kept_up + move) - f(kept_up - move)) / (2 * h)
            kept_up -= move
        exact = 3 * w**2 + np.array([w[3] ** 2, 0, 0, 2 * w[0] * w[3]])
        all_at_once = np.full(4, (f(w + h) - f(w - h)) / (2 * h))
        mistakes = {
            "It only moves up: (f(w + h) − f(w)) / h is less exact; move down too, and divide by 2h.": forward,
            "It only moves down: move up too, and divide by 2h.": backwards,
            "The numbers are twice what they should be: from −h to h it is 2h.": 2 * right,
            "The numbers are half of what they should be: divide once by 2h.": right / 2,
            "The division by 2h is missing.": 2 * h * right,
            "The sign is wrong: it is f above minus f below.": -right,
            "This is the slope for a tiny step, but h is given: use that one.": exact,
            "It moves all numbers at once; only one at a time may move.": all_at_once,
            "A number that was moved does not go back to where it was before the next one moves.": left_moved,
        }
        close(answer(f, w, h), right, "Check (f(w + h) − f(w − h)) / 2h, number by number.", mistakes, atol=1e-8)


@numerical.check(points=1)
def keeps_the_shape(answer, random):
    """It works for weights of any shape."""
    for shape in ((2, 3), (3, 1, 2), (1,)):
        w, factors = random.normal(size=shape), random.normal(size=shape)
        f = careful(lambda w, factors=factors: (np.sin(w) * factors).sum(), shape)
        why = "w may have any shape: each number's slope stands at its place, and f takes arrays of that shape."
        close(answer(f, w, 1e-4), np.cos(w) * factors, why, atol=1e-6)


losses = Exercise("loss_and_delta", section="D0, section 4")
LOSS_AND_DELTA = "Return two things: the loss, and δ."


def scores_and_targets(random, points: int) -> tuple[np.ndarray, np.ndarray]:
    z = random.normal(size=(points, 1), scale=2)
    return z, (np.arange(points)[:, None] % 2 == random.integers(2)).astype("float64")


@losses.check(points=2)
def squared_error(answer, random):
    """The mean squared error and its δ."""
    for points in (5, 2, 1):
        z, y = scores_and_targets(random, points)
        loss, delta = several(answer(z, y, "mse"), 2, LOSS_AND_DELTA)
        a = sigmoid(z)
        squares, right = (a - y) ** 2, 2 * (a - y) * a * (1 - a) / points
        mistakes = {
            "The loss is the mean over the batch, not the sum.": squares.sum(),
            "There is no ½ in this loss: it is the mean of (a − y)².": squares.mean() / 2,
            "The loss compares z with y; it wants a = σ(z).": np.mean((z - y) ** 2),
            "This is the root of the loss; the mean of (a − y)² is wanted.": np.sqrt(squares.mean()),
        }
        close(loss, squares.mean(), "The loss is the mean of (a − y)².", mistakes)
        mistakes = {
            "The slope a(1 − a) is missing: δ is ∂L/∂z, and this is ∂L/∂a.": 2 * (a - y) / points,
            "This is the δ of the cross-entropy; the squared error's has 2a(1 − a) in it.": (a - y) / points,
            "The 2 from the square is missing.": right / 2,
            "The loss is a mean, so δ is divided by B.": right * points,
            "The 2 from the square and the division by B are missing.": right * points / 2,
            "The sign is wrong: the loss rises with a where a is above y.": -right,
        }
        close(delta, right, "δ is 2(a − y) · a(1 − a) / B.", mistakes)


@losses.check(points=2)
def cross_entropy(answer, random):
    """The mean cross-entropy, in nats, and its δ."""
    for points in (5, 2, 1):
        z, y = scores_and_targets(random, points)
        loss, delta = several(answer(z, y, "cross-entropy"), 2, LOSS_AND_DELTA)
        a = sigmoid(z)
        each, right = -y * np.log(a) - (1 - y) * np.log(1 - a), (a - y) / points
        mistakes = {
            "The loss is the mean over the batch, not the sum.": each.sum(),
            "The minus is missing: a logarithm of a share is below 0, a loss above.": -each.mean(),
            "These are bits; nats, from the natural logarithm, are wanted.": each.mean() / math.log(2),
            "The points with target 0 are missing: they add −log(1 − a).": np.mean(-y * np.log(a)),
            "The points with target 1 are missing: they add −log a.": np.mean(-(1 - y) * np.log(1 - a)),
            "The targets are turned round: −log a belongs to the points with target 1.": np.mean(
                -(1 - y) * np.log(a) - y * np.log(1 - a)
            ),
            "This is the squared error.": np.mean((a - y) ** 2),
        }
        close(loss, each.mean(), "The loss is the mean of −y log a − (1 − y) log(1 − a).", mistakes)
        mistakes = {
            "a(1 − a) cancels with this loss: δ is (a − y) / B.": right * a * (1 - a),
            "This is ∂L/∂a; times the slope a(1 − a) it becomes δ.": right / (a * (1 - a)),
            "The loss is a mean, so δ is divided by B.": right * points,
            "The sign is wrong: δ is a − y, not y − a.": -right,
            "This is the δ of the squared error.": 2 * right * a * (1 - a),
        }
        close(delta, right, "δ is (a − y) / B.", mistakes)


@losses.check(points=1)
def survives_the_sure_and_wrong(answer, random):
    """For z = ±800 on the wrong side the loss is 800, not infinite."""
    z, y = np.array([[-800.0], [800.0], [0.5]]), np.array([[1.0], [0.0], [1.0]])
    loss, delta = several(answer(z, y, "cross-entropy"), 2, LOSS_AND_DELTA)
    right = np.mean(np.logaddexp(0, z) - y * z)
    numbers = array(loss, (), "The loss is a number.", finite=False)
    holds(
        bool(np.isfinite(numbers)),
        "For z = ±800 the loss is infinite or NaN: a is rounded to 0 or 1 there, and log 0 comes out. Write log a as a "
        "function of z.",
    )
    why = "For a neuron that is sure and wrong the loss is about |z|: here (800 + 800 + 0.47) / 3."
    clipped = {
        f"a is kept away from 0 and 1 by {floor:g}, so the loss ends at {-math.log(floor):.0f}; written with z, it "
        "needs no such limit.": (-2 * math.log(floor) + np.logaddexp(0, -0.5)) / 3
        for floor in (1e-7, 1e-8, 1e-9, 1e-10, 1e-12, 1e-15, 1e-16)
    }
    close(loss, right, why, clipped, rtol=1e-3)
    close(delta, (sigmoid(z) - y) / 3, "δ is (a − y) / B: nearly ±1/B for the two that are sure and wrong.")


weights = Exercise("initial_weights", section="D0, section 3")


def near(found: float, expected: float) -> bool:
    """To 3%, which more than 10,000 draws reach and no other rule does."""
    return abs(found - expected) < 0.03 * expected


def around_zero(W: np.ndarray) -> None:
    holds(bool((W < 0).any()), "No weight is negative: draw between −limit and +limit, around a mean of 0.")
    holds(W.std() > 0, "All weights are equal, so all units would stay copies of each other: draw them.")
    holds(abs(W.mean()) < 0.05 * W.std(), "The mean of the weights is not 0.")


@weights.check(points=2)
def glorot(answer, random):
    """Glorot: uniform, of variance 2 / (D + H)."""
    for inputs, units in ((300, 100), (50, 400)):
        W = array(answer(inputs, units, "glorot", 1), (inputs, units), "W is (D, H).")
        around_zero(W)
        limit, largest = math.sqrt(6 / (inputs + units)), np.abs(W).max()
        holds(not near(largest, 6 / (inputs + units)), "The root is missing: the limit is √(6 / (D + H)).")
        holds(
            not near(largest, math.sqrt(2 / (inputs + units))),
            "The limit is √(2 / (D + H)), but that is the deviation; uniform numbers reach √3 times as far.",
        )
        holds(
            not near(largest, math.sqrt(6 / inputs)) and not near(largest, math.sqrt(3 / inputs)),
            "The limit knows the inputs only; Glorot's counts inputs and units, D + H.",
        )
        normal = near(W.std(), limit / math.sqrt(3)) and largest > 1.1 * limit
        holds(not normal, "The variance is right, but the numbers are not uniform: some lie beyond the limit.")
        why = f"The largest weight is {largest:.4f}; the limit √(6 / (D + H)) is {limit:.4f}."
        holds(near(largest, limit) and largest <= limit, why)
        flat = near(W.std(), limit / math.sqrt(3))
        holds(flat, "The weights are not uniform between the limits: their deviation is not limit / √3.")


@weights.check(points=2)
def he(answer, random):
    """He: normal, of variance 2 / D."""
    for inputs, units in ((300, 100), (50, 400)):
        W = array(answer(inputs, units, "he", 1), (inputs, units), "W is (D, H).")
        around_zero(W)
        right, deviation = math.sqrt(2 / inputs), W.std()
        holds(not near(deviation, 2 / inputs), "2 / D is the variance; the deviation is its root.")
        holds(not near(deviation, math.sqrt(2 / units)), "The variance is 2 / H; He's counts the inputs, 2 / D.")
        holds(
            not near(deviation, math.sqrt(1 / inputs)),
            "The variance is 1 / D; relu sets half of the signal to 0, and the 2 makes up for that.",
        )
        holds(not near(deviation, math.sqrt(2 / (inputs + units))), "This is Glorot's variance; He's is 2 / D.")
        holds(near(deviation, right), f"The deviation is {deviation:.4f}; √(2 / D) is {right:.4f}.")
        beyond = np.mean(np.abs(W) > 2 * right)
        why = "The deviation is right, but the numbers are not normal: of these, 4.6% lie beyond two deviations."
        holds(0.035 < beyond < 0.06, why)


@weights.check(points=1)
def follows_the_seed(answer, random):
    """The same seed gives the same weights, another seed others, and no row is like another."""
    for kind in ("glorot", "he"):
        first, again, other = (array(answer(20, 30, kind, seed), (20, 30), "W is (D, H).") for seed in (1, 1, 2))
        why = "Two calls with the same seed differ: make the generator from the seed, inside the function."
        holds(np.array_equal(first, again), why)
        holds(not np.array_equal(first, other), "Another seed gives the same weights: use the seed.")
        right = math.sqrt(2 / 50 if kind == "glorot" else 2 / 20)
        holds(abs(first.std() / right - 1) < 0.15, f"The weights of {kind!r} are drawn, but not of the wanted size.")
        why = "Weights repeat: draw one for each place of (D, H), from one generator."
        holds(len(np.unique(first)) == first.size, why)


adam = Exercise("adam_step", section="D0, section 3")
THREE = "Return three arrays: the new w, m and v."


@adam.check(points=1)
def moves_the_means(answer, random):
    """m and v move towards g and g²."""
    # Step 1 comes last: there m and v are 0, and several mistakes give the same numbers.
    for shape, step in (((4,), 7), ((2, 3), 1)):
        w, g, m = random.normal(size=(3, *shape))
        v = random.uniform(0.5, 2, size=shape)
        if step == 1:
            m, v = 0 * m, 0 * v
        _, new_m, new_v = several(answer(w, g, m, v, step, 0.01), 3, THREE)
        right = 0.9 * m + 0.1 * g
        mistakes = {
            "m comes back as it was: return the new one.": m,
            "m is returned corrected; keep the uncorrected one, or the next step corrects twice.": right
            / (1 - 0.9**step),
            "β₁ and 1 − β₁ have changed places: most of m stays.": 0.1 * m + 0.9 * g,
            "g comes whole into m; its share is 1 − β₁.": 0.9 * m + g,
        }
        close(new_m, right, "m is β₁ m + (1 − β₁) g.", mistakes, atol=1e-9)
        right = 0.999 * v + 0.001 * g**2
        mistakes = {
            "v comes back as it was: return the new one.": v,
            "v is returned corrected; keep the uncorrected one, or the next step corrects twice.": right
            / (1 - 0.999**step),
            "v takes g; it is the mean of g².": 0.999 * v + 0.001 * g,
            "v takes |g|; it is the mean of g².": 0.999 * v + 0.001 * np.abs(g),
            "v moves by β₁; its share is β₂.": 0.9 * v + 0.1 * g**2,
            "β₂ and 1 − β₂ have changed places: most of v stays.": 0.001 * v + 0.999 * g**2,
            "g² comes whole into v; its share is 1 − β₂.": 0.999 * v + g**2,
        }
        close(new_v, right, "v is β₂ v + (1 − β₂) g².", mistakes, atol=1e-9)


@adam.check(points=2)
def corrects_and_steps(answer, random):
    """w moves by −η m̂ / (√v̂ + ε), with both means corrected."""
    # Step 1 comes later: there several mistakes give the same numbers.
    for step, rate in ((3, 0.1), (1, 0.01), (40, 1.0)):
        w, g = random.normal(size=(2, 5))
        m, v = 0.3 * random.normal(size=5), random.uniform(0.001, 0.01, size=5)
        if step == 1:
            m, v = 0 * m, 0 * v
        moved, *_ = several(answer(w, g, m, v, step, rate), 3, THREE)
        old_m, old_v = m / (1 - 0.9**step), v / (1 - 0.999**step)
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g**2
        m_hat, v_hat = m / (1 - 0.9**step), v / (1 - 0.999**step)
        change = -rate * m_hat / (np.sqrt(v_hat) + 1e-8)
        mistakes = {
            "The means are not corrected: m̂ is m / (1 − β₁ᵗ), v̂ is v / (1 − β₂ᵗ).": w - rate * m / (np.sqrt(v) + 1e-8),
            "m is not corrected: m̂ is m / (1 − β₁ᵗ).": w - rate * m / (np.sqrt(v_hat) + 1e-8),
            "v is not corrected: v̂ is v / (1 − β₂ᵗ).": w - rate * m_hat / (np.sqrt(v) + 1e-8),
            "The sign is wrong: the step goes against the gradient.": w - change,
            "The root of v̂ is missing.": w - rate * m_hat / (v_hat + 1e-8),
            "The step takes g in place of its mean m̂.": w - rate * g / (np.sqrt(v_hat) + 1e-8),
            "This is the change of w; return the new w.": change,
            "The learning rate is missing.": w + change / rate,
            "The divisors are powers of β alone; they are 1 − β₁ᵗ and 1 − β₂ᵗ.": w
            - rate * (m / 0.9**step) / (np.sqrt(v / 0.999**step) + 1e-8),
        }
        if step > 1:
            late, late_v = m / (1 - 0.9 ** (step - 1)), v / (1 - 0.999 ** (step - 1))
            mistakes |= {
                "The steps count from 1 already: t is not step − 1.": w - rate * late / (np.sqrt(late_v) + 1e-8),
                "The correction divides by 1 − β: the power t is missing.": w
                - rate * (m / 0.1) / (np.sqrt(v / 0.001) + 1e-8),
                "The step takes the old means: bring g into them first.": w - rate * old_m / (np.sqrt(old_v) + 1e-8),
            }
        late, late_v = m / (1 - 0.9 ** (step + 1)), v / (1 - 0.999 ** (step + 1))
        mistakes["The steps count from 1 already: t is not step + 1."] = w - rate * late / (np.sqrt(late_v) + 1e-8)
        close(moved, w + change, "Check −η m̂ / (√v̂ + ε).", mistakes, rtol=1e-5, atol=1e-6)


@adam.check(points=1)
def uses_its_settings(answer, random):
    """β₁, β₂ and ε are those that are given, and ε stands outside the root."""
    w, g = random.normal(size=(2, 4))
    b1, b2, epsilon = 0.8, 0.95, 0.1
    m, v = 0.3 * random.normal(size=4), random.uniform(0.1, 1, size=4)
    moved, *_ = several(answer(w, g, m, v, 2, 0.1, b1, b2, epsilon), 3, THREE)
    m_hat, v_hat = (b1 * m + (1 - b1) * g) / (1 - b1**2), (b2 * v + (1 - b2) * g**2) / (1 - b2**2)
    mistakes = {
        "ε stands under the root; it is added to √v̂.": w - 0.1 * m_hat / np.sqrt(v_hat + epsilon),
        "ε is missing, or is not the one that is given.": w - 0.1 * m_hat / np.sqrt(v_hat),
    }
    why = "With β₁ = 0.8, β₂ = 0.95 and ε = 0.1 the step is another one: all three must come from the arguments."
    close(moved, w - 0.1 * m_hat / (np.sqrt(v_hat) + epsilon), why, mistakes, rtol=1e-5, atol=1e-6)


rates = Exercise("learning_rates", section="D0, section 3", seconds=10)


def valley(random, steepness: np.ndarray, shares: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A Hessian with these eigenvalues, and a start with these shares of its directions."""
    directions, _ = np.linalg.qr(random.normal(size=(len(steepness),) * 2))
    hessian = directions * steepness @ directions.T
    return (hessian + hessian.T) / 2, directions @ shares


def last_loss(hessian: np.ndarray, start: np.ndarray, steps: int, rate: float) -> float:
    w = start
    for _ in range(steps):
        w = w - rate * (hessian @ w)
    return float(0.5 * w @ hessian @ w)


# Eigenvalues, shares of the start, steps. Little of the start lies along the steepest direction and the flattest: so it
# is far from the worst start, for which the formulas are made.
VALLEYS = (
    (np.array([1.0, 2.0, 3.0, 6.0, 10.0]), np.array([0.1, 1.0, 1.0, 0.5, 0.02]), 20),
    (np.array([0.02, 0.05, 0.4]), np.array([0.01, 1.0, 0.05]), 12),
)
TWO_RATES = "two rates, both above 0: the fastest, and the edge"


def both_rates(answer, hessian: np.ndarray, start: np.ndarray, steps: int) -> np.ndarray:
    found = several(answer(hessian, start, steps), 2, "Return two learning rates: the fastest, and the edge.")
    found = array(np.asarray(found), (2,), f"Return {TWO_RATES}.")
    holds(bool((found > 0).all()), f"Return {TWO_RATES}.")
    return found


@rates.check(points=2)
def finds_the_fastest(answer, random):
    """No rate near the fastest ends with a lower loss."""
    for steepness, shares, steps in VALLEYS:
        hessian, start = valley(random, steepness * random.uniform(0.5, 2), shares)
        fastest, _ = both_rates(answer, hessian, start, steps)
        eigenvalues = np.linalg.eigvalsh(hessian)
        below, here, above = (last_loss(hessian, start, steps, fastest * factor) for factor in (1 / 1.03, 1, 1.03))
        if here <= min(below, above):
            continue
        low, high = eigenvalues[0], eigenvalues[-1]
        holds(
            not np.isclose(fastest, 2 / (low + high), rtol=1e-3),
            "The fastest is 2 / (λ_min + λ_max), which is for endless descent from the worst start; measure it for "
            "this start and these steps.",
        )
        holds(
            not np.isclose(fastest, 1 / high, rtol=1e-3),
            "The fastest is 1 / λ_max, which is safe, but not the fastest: measure the last loss at many rates.",
        )
        better, loss = (fastest / 1.03, below) if below < above else (fastest * 1.03, above)
        holds(
            False, f"At the fastest, η = {fastest:.4g}, the last loss is {here:.3g}; at {better:.4g} it is {loss:.3g}."
        )


@rates.check(points=2)
def finds_the_edge(answer, random):
    """A little below the edge the loss falls, a little above it rises."""
    for steepness, shares, steps in VALLEYS:
        hessian, start = valley(random, steepness * random.uniform(0.5, 2), shares)
        _, edge = both_rates(answer, hessian, start, steps)
        first = last_loss(hessian, start, steps, 0)
        below, above = (last_loss(hessian, start, steps, edge * factor) for factor in (1 / 1.02, 1.02))
        if below <= first <= above:
            continue
        holds(
            not np.isclose(edge, 2 / np.linalg.eigvalsh(hessian)[-1], rtol=1e-3),
            "The edge is 2 / λ_max, above which endless descent diverges; after these steps from this start a larger "
            "rate still ends below the first loss: measure.",
        )
        told = f"At the edge, η = {edge:.4g}, the loss has gone from {first:.3g} to"
        reached = last_loss(hessian, start, steps, edge)
        advice = "a larger rate still does not raise it" if above < first else "a smaller one is enough to raise it"
        holds(False, f"{told} {reached:.3g}: {advice}.")
