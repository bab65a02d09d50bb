"""Exercises of chapter 1: a neural network and its training, with NumPy alone.

Write what is missing, one function at a time, in any order: none calls another. Then

    keras-llm grade ch01 --file ch01_neural_network.py

says what is right, and why the rest is not. All of it takes seconds and little memory on any machine;
each exercise names its limits.

B = points in a batch (its rows), D = numbers a point or inputs of a layer, H = units of a layer; η = learning rate.
"""

import math
from collections.abc import Callable

import numpy as np


def sigmoid_and_slope(z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The sigmoid a = σ(z) = 1 / (1 + e⁻ᶻ), and its slope ∂a/∂z.

    Deliver: both with six right digits, also where they are tiny (for −700 ≤ z ≤ 700), and without NaN for any z.

    Args:
        z: float64, any shape.

    Returns:
        a and ∂a/∂z, each in the shape of z.

    Hint: the slope is a(1 − a), but what is left of 1 − a for z = 40? It is σ of another number. And a large positive
        number must not reach exp: ``np.logaddexp(0, z)`` is log(1 + eᶻ) without overflow.
    Budget: 1 second, 10 MB.
    Source: document D0, section 4.2; lesson, section 1.
    Small machines: print both for z = −40, 0 and 40 first.
    """
    # BEGIN SOLUTION: a without overflow, and the slope as a product of two sigmoids
    a = np.exp(-np.logaddexp(0, -z))
    one_minus_a = np.exp(-np.logaddexp(0, z))
    return a, a * one_minus_a
    # END SOLUTION


def forward(x: np.ndarray, layers: list[tuple[np.ndarray, np.ndarray]]) -> list[np.ndarray]:
    """The way forward through a perceptron such as D1's with 2 inputs, 10 hidden units and 1 output.

    Deliver: the one line that is missing: z of a layer.

    Args:
        x: ``(B, D)``; each row is a point.
        layers: W ``(D, H)`` and b ``(H,)`` of each layer; D of a layer is H of the one before.

    Returns:
        The activations of all layers, the input first: ``(B, D)``, ``(B, H₁)``, … ``(B, Hₙ)``.

    Hint: D0 and D1 write W·x for one point in a column; here the points are rows. What does the layer take: x, or what
        the layer before has made of it?
    Budget: 1 second, 10 MB.
    Source: document D0, section 4.2.1; document D1, sections 4.2 and 4.3.
    Small machines: three points and the network 2-10-1 are enough; write the shapes down before the formula.
    """
    activations = [x]
    for layer in layers:
        W = layer[0]  # (D, H)
        b = layer[1]  # (H,)
        # BEGIN SOLUTION: z of this layer, (B, H), from the activations of the one before
        z = activations[-1] @ W + b
        # END SOLUTION
        activations.append(1 / (1 + np.exp(-z)))
    return activations


def backward(
    x: np.ndarray, hidden: np.ndarray, output: np.ndarray, y: np.ndarray, W2: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """The way back through a perceptron with one hidden layer, sigmoids everywhere.

    Deliver: the gradient of the mean cross-entropy over the batch, for the weights and biases of both layers.

    Args:
        x: ``(B, D)``, the points.
        hidden: ``(B, H)``, the activations of the hidden layer.
        output: ``(B, 1)``, the activations of the output unit.
        y: ``(B, 1)``, the targets, 0 or 1.
        W2: ``(H, 1)``, the weights from the hidden layer to the output.

    Returns:
        dW1 ``(D, H)``, db1 ``(H,)``, dW2 ``(H, 1)`` and db2 ``(1,)``.

    Hint: δ of the output first, where a(1 − a) cancels; the mean over the batch is in it already. Each δ gives a dW
        and a db, and the δ of the layer before: δ·Wᵀ times the slope of that layer's sigmoid.
    Budget: 1 second, 10 MB.
    Source: document D0, section 4.2.2, which leaves out the step to the layer before; Rumelhart et al. 1986.
    Small machines: a batch of one point and two hidden units can be checked by hand.
    """
    # BEGIN SOLUTION: δ of the output, its dW and db, then δ of the hidden layer and its dW and db
    delta = (output - y) / len(y)  # (B, 1)
    dW2, db2 = hidden.T @ delta, delta.sum(axis=0)
    delta = delta @ W2.T * hidden * (1 - hidden)  # (B, H)
    dW1, db1 = x.T @ delta, delta.sum(axis=0)
    return dW1, db1, dW2, db2
    # END SOLUTION


def numerical_gradient(f: Callable[[np.ndarray], float], w: np.ndarray, h: float) -> np.ndarray:
    """The slope of any function by moving each number up and down: the test of every gradient written by hand.

    Deliver: (f(w + h) − f(w − h)) / 2h for each number of w, where only that number is moved.

    Args:
        f: takes an array in the shape of w, gives a number.
        w: float64, any shape.
        h: how far each number is moved.

    Returns:
        The slopes, in the shape of w.

    Hint: ``np.ndindex(w.shape)`` walks over all places; move a copy of w, so that every other number stays where it
        was.
    Budget: 2 seconds, 10 MB; two calls of f for each number of w.
    Source: lesson, section 3, the check of what document D0, section 4.2.2 derives.
    Small machines: try it on f(w) = Σ w³ with three numbers; the slope is 3w², and this way finds 3w² + h².
    """
    # BEGIN SOLUTION: for each place, f with that number moved up and down, and the difference by 2h
    gradient = np.zeros(w.shape)
    for place in np.ndindex(w.shape):
        up, down = w.copy(), w.copy()
        up[place] += h
        down[place] -= h
        gradient[place] = (f(up) - f(down)) / (2 * h)
    return gradient
    # END SOLUTION


def loss_and_delta(z: np.ndarray, y: np.ndarray, kind: str) -> tuple[float, np.ndarray]:
    """Two losses of a sigmoid output a = σ(z), and the δ with which each begins the way back.

    Deliver: for ``"mse"`` the mean of (a − y)²; for ``"cross-entropy"`` the mean of −y log a − (1 − y) log(1 − a), in
    nats and without overflow for a neuron that is sure and wrong; for both δ = ∂L/∂z.

    Args:
        z: ``(B, 1)``, before the sigmoid.
        y: ``(B, 1)``, the targets, 0 or 1.
        kind: ``"mse"`` or ``"cross-entropy"``.

    Returns:
        The loss, a number, and δ ``(B, 1)``.

    Hint: log σ(z) = −log(1 + e⁻ᶻ), and 1 − σ(z) = σ(−z): ``np.logaddexp`` never makes the log of 0. The loss is a mean,
        so each point's δ has a share of 1/B.
    Budget: 1 second, 10 MB.
    Source: document D0, section 4.2.2; document D1, section 5; lesson, sections 2 and 11.
    Small machines: one point with z = −8 and y = 1 shows why nobody trains a classifier with the squared error.
    """
    # BEGIN SOLUTION: the mean loss and its slope by z, for each of the two kinds
    a = np.exp(-np.logaddexp(0, -z))
    if kind == "mse":
        loss = np.mean((a - y) ** 2)
        delta = 2 * (a - y) * a * (1 - a) / len(y)
    else:
        loss = np.mean(np.logaddexp(0, z) - y * z)
        delta = (a - y) / len(y)
    return float(loss), delta
    # END SOLUTION


def initial_weights(inputs: int, units: int, kind: str, seed: int) -> np.ndarray:
    """Where weights begin: as large as keeps the signal's size from layer to layer.

    Deliver: for ``"glorot"`` uniform numbers of variance 2 / (D + H), which are those between ±√(6 / (D + H)); for
    ``"he"``, which suits relu, normal numbers of mean 0 and variance 2 / D.

    Args:
        inputs: D.
        units: H.
        kind: ``"glorot"`` or ``"he"``.
        seed: of the draw; the same seed gives the same weights.

    Returns:
        W, ``(D, H)``.

    Hint: make a generator from the seed; its method for normal numbers wants the deviation, not the variance.
    Budget: 1 second, 10 MB.
    Source: Glorot and Bengio 2010, equation 16; He et al. 2015, equation 10; document D0, section 3.2.2.
    Small machines: print the mean and the deviation of 100 × 50 weights.
    """
    # BEGIN SOLUTION: a generator from the seed, and its uniform or normal numbers of the right size
    random = np.random.default_rng(seed)
    if kind == "glorot":
        limit = math.sqrt(6 / (inputs + units))
        return random.uniform(-limit, limit, (inputs, units))
    return random.normal(0, math.sqrt(2 / inputs), (inputs, units))
    # END SOLUTION


def adam_step(
    w: np.ndarray,
    g: np.ndarray,
    m: np.ndarray,
    v: np.ndarray,
    step: int,
    rate: float,
    beta_1: float = 0.9,
    beta_2: float = 0.999,
    epsilon: float = 1e-8,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """One step of Adam: −η m̂ / (√v̂ + ε).

    Deliver: both moving means, both corrected for their start at 0, and the step.

    Args:
        w: the weights, any shape.
        g: their gradient.
        m: the moving mean of g until now, 0 before the first step.
        v: the moving mean of g² until now, 0 before the first step.
        step: t, which counts from 1.
        rate: η.
        beta_1: the share of m that stays; the rest comes from g.
        beta_2: the share of v that stays; the rest comes from g².
        epsilon: ε.

    Returns:
        The new w, the new m and the new v, uncorrected, each in the shape of w.

    Hint: m ← β₁ m + (1 − β₁) g, and v alike. After t steps the parts that m has been given sum to 1 − β₁ᵗ; m̂ is m
        divided by that.
    Budget: 1 second, 10 MB.
    Source: Kingma and Ba 2015, algorithm 1; document D0, section 3.2.5; lesson, section 9.
    Small machines: in the first step each weight moves by η, however large its gradient is: check that with three.
    """
    # BEGIN SOLUTION: the new means, the corrected means, and the step
    m = beta_1 * m + (1 - beta_1) * g
    v = beta_2 * v + (1 - beta_2) * g**2
    m_hat = m / (1 - beta_1**step)
    v_hat = v / (1 - beta_2**step)
    return w - rate * m_hat / (np.sqrt(v_hat) + epsilon), m, v
    # END SOLUTION


def learning_rates(hessian: np.ndarray, start: np.ndarray, steps: int) -> tuple[float, float]:
    """How large may η be? Measure it, by gradient descent on L(w) = ½ wᵀHw.

    Deliver: two learning rates, each at most 1% off: the *fastest*, which ends with the lowest loss after that many
    steps from that start, and the *edge*, the largest that ends with no higher loss than it started with.

    Args:
        hessian: H, ``(N, N)``, symmetric, with positive eigenvalues; the gradient at w is H·w.
        start: w before the first step, ``(N,)``.
        steps: of gradient descent in each trial, w ← w − η H·w.

    Returns:
        The fastest rate and the edge, both above 0.

    Hint: write the trial first: a rate in, the last loss out. As η grows, that loss falls to one lowest point and rises
        from there on (it is convex in η). So double η until the loss is worse than at the start, then close in. The
        formulas 2/λₘₐₓ and 2/(λₘᵢₙ + λₘₐₓ) tell what endless descent from the worst start does; this one is
        neither.
    Budget: 5 seconds, 50 MB.
    Source: Goodfellow et al. 2016, section 4.3.1; document D0, section 3.2.5; lesson, section 10.
    Small machines: 100 trials of 20 steps with N = 5 take some milliseconds.
    """

    # BEGIN SOLUTION: trials of descent at many rates, closing in on the lowest last loss and on the edge
    def last_loss(rate: float) -> float:
        w = start
        for _ in range(steps):
            w = w - rate * (hessian @ w)
        return 0.5 * w @ hessian @ w

    before, edge = last_loss(0.0), 1e-6
    while last_loss(edge) <= before:
        edge *= 2
    low, high = edge / 2, edge  # the edge is between them
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (middle, high) if last_loss(middle) <= before else (low, middle)
    edge = low
    low, high = 0.0, edge  # and the lowest point between these
    for _ in range(60):
        one, two = low + (high - low) / 3, high - (high - low) / 3
        low, high = (low, two) if last_loss(one) <= last_loss(two) else (one, high)
    return (low + high) / 2, edge
    # END SOLUTION
