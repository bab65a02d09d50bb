# %% [markdown]
# # Chapter 1. From one neuron to a trained network
#
# **You will build** a neural network twice: with NumPy alone, in the symbols of document D0 (z, a, δ, dW, db), and
# with Keras. You will check the hand-written gradient in two independent ways, train document D1's 2-10-1 perceptron
# and see what it really does, watch a decision boundary move, and measure what initial weights, optimizers, learning
# rate, batch size and loss are good for. At the end you will predict how long a training step takes before you run it.
#
# **Reproduces** D0, sections 2 to 4 and the appendix on training time; D1, sections 4 and 5.
#
# **Run it**: `keras-llm run ch01_neural_network`. The data is made here, so there is nothing to download. The first
# lines that it prints say how many minutes and how much memory a recorded run took.
#
# **Shapes.** B points in a batch, D numbers a point, H units in a layer. L is the loss, η the learning rate, an
# **epoch** one pass over all training points.
#
# | what | in D0 (one point, a column) | here (a batch, points are rows) |
# |---|---|---|
# | input x, or the layer before | (D, 1) | (B, D) |
# | weights W | (H, D), used as W·x | (D, H), used as x·W |
# | bias b | (H, 1) | (H,) |
# | z = Wx + b, a = σ(z) | (H, 1) | (B, H) |
# | δ = ∂L/∂z | (H, 1) | (B, H) |
# | dW = ∂L/∂W, db = ∂L/∂b | (H, D), (H, 1) | (D, H), (H,) |
#
# **The baseline to beat** is logistic regression: one neuron, which can only draw a straight line.
#
# **Where the documents are wrong.**
#
# * D0, section 2.4: the flow chart leads from the update of the parameters back to their *initialisation*, which would
#   throw away what was learned. It must lead to the forward pass.
# * D0, section 3.2.4 lets backpropagation update the weights. It only computes gradients; the update is another step
#   (3.2.5), and each optimizer of section 9 below makes another one of the same gradients.
# * D0, section 4.2 stops after one layer: it never says how δ gets from a layer to the one before, and that step *is*
#   backpropagation. Its `dW = δ·xᵀ` is for one point; a batch needs a sum, and its loss a mean.
# * D1, section 4.2 gives layer n and the output layer the same formula under two names: y is aₙ. It writes W·x, and
#   its program computes x·W.
# * D1, section 4.3: `np.sigmoid` does not exist. With any sigmoid the program cannot print what the document shows:
#   weights from `np.random.rand` are never negative, so every output is above one half and rounds to 1 (section 5).
# * D1, section 5.4 shows (0.6, 0.4) as 0 and (0.8, 0.2) as 1 after 100 epochs of three points. Those are 300 tiny
#   updates; section 6 counts how often that comes out, and how many it takes to get the three points right.
# * D0, appendix 9: a training time of gigabytes times gigabytes over gigabytes a second has the unit gigabyte-seconds.
#   The right one is in section 12.

# %%
from dataclasses import dataclass
from itertools import pairwise

import keras
import numpy as np
import tensorflow as tf
from sklearn.datasets import make_moons
from sklearn.linear_model import LogisticRegression

from keras_llm import plots, runs
from keras_llm.training import evaluate, fit
from keras_llm.training.peak import matmul_peak

run = runs.begin("ch01_neural_network")
run.refuse_own_data("chapter 1 makes its points itself")


@dataclass(frozen=True)
class Preset:
    random_draws: int = 10_000  # of D1's random weights
    perceptrons: int = 9  # trainings of D1's network, each from another seed
    perceptron_epochs: int = 1_500
    points: int = 1_000  # of the two moons
    moon_epochs: int = 300
    experiment_epochs: int = 60
    rates: tuple[float, ...] = (0.01, 0.03, 0.1, 0.3, 1.0)
    batch_sizes: tuple[int, ...] = (4, 16, 64, 256)
    widths: tuple[int, ...] = (32, 128, 512, 2048)


PRESETS = {
    "smoke": Preset(
        random_draws=1_000,
        perceptrons=2,
        points=300,
        moon_epochs=30,
        experiment_epochs=10,
        rates=(0.1, 1.0),
        batch_sizes=(16, 64),
        widths=(32, 256),
    ),
    "cpu": Preset(),
    "full": Preset(random_draws=100_000, perceptrons=50, points=10_000, widths=(32, 128, 512, 2048, 4096)),
}
preset = PRESETS[run.preset]
draw = np.random.default_rng(run.seed)

# %% [markdown]
# ## 1. Forward: y = σ(Wx + b)
#
# One layer multiplies, adds and bends; a network is one layer after the other, each fed with the `a` of the one before:
#
# $$z = xW + b, \qquad a = \sigma(z) = \frac{1}{1 + e^{-z}}$$
#
# The sigmoid σ is written so that no e⁻ᶻ can overflow: as exp(−log(1 + e⁻ᶻ)), whose logarithm `np.logaddexp(0, -z)`
# computes without it.

# %%
Layers = list[tuple[np.ndarray, np.ndarray]]  # W and b of each layer


def sigmoid(z: np.ndarray) -> np.ndarray:
    return np.exp(-np.logaddexp(0, -z))


def forward(x: np.ndarray, layers: Layers) -> list[np.ndarray]:
    """The activations of all layers, the input first: (B, D), (B, H₁), … (B, Hₙ)."""
    activations = [x]
    for W, b in layers:
        z = activations[-1] @ W + b  # (B, D)·(D, H) + (H,) = (B, H)
        activations.append(sigmoid(z))
    return activations


def glorot(sizes: tuple[int, ...], draw: np.random.Generator) -> Layers:
    """Weights between ±√(6 / (D + H)), biases 0: see section 8."""
    return [(draw.uniform(-1, 1, (d, h)) * np.sqrt(6 / (d + h)), np.zeros(h)) for d, h in pairwise(sizes)]


# %% [markdown]
# ## 2. Backward: δ, dW, db
#
# The chain rule, from the last layer to the first, for a layer that reads x, a whole batch with a point in each row (⊙
# multiplies number by number):
#
# $$
# \begin{aligned}
# \delta &= \frac{\partial L}{\partial z} = \frac{\partial L}{\partial a} \odot a(1 - a) \\
# dW &= x^\top \delta, \qquad db = \sum_{n=1}^{B} \delta_n \\
# \frac{\partial L}{\partial x} &= \delta\, W^\top, \qquad
#     \tilde\delta = \frac{\partial L}{\partial x} \odot x(1 - x)
# \end{aligned}
# $$
#
# Here a(1 − a) is the slope of the sigmoid, δₙ the row of point n, and dW adds up over the rows, as db does. D0 writes
# the first two lines for one point in a column: dW = δ·xᵀ and db = δ. The last line leads to the layer before, whose
# output is x and whose δ is $\tilde\delta$: that is what D0 leaves out.
#
# Two losses, both means over the batch: the squared error, and the cross-entropy, whose unit is the nat, because the
# logarithm is the natural one:
#
# $$
# \begin{aligned}
# & (a - y)^2 \\
# & -y \ln a - (1 - y) \ln(1 - a)
# \end{aligned}
# $$
#
# For the second one a(1 − a) cancels, and δ is a − y: section 11 shows what that is worth.


# %%
def loss_of(a: np.ndarray, y: np.ndarray, kind: str) -> float:
    """Mean loss of outputs ``a`` in (0, 1) and targets ``y``, both (B, 1)."""
    if kind == "mse":
        return float(np.mean((a - y) ** 2))
    return float(-np.mean(y * np.log(a) + (1 - y) * np.log1p(-a)))


def backward(y: np.ndarray, activations: list[np.ndarray], layers: Layers, kind: str) -> Layers:
    """dW and db of each layer, in the order of the layers."""
    a = activations[-1]
    delta = (a - y) / y.size  # cross-entropy; y.size is B, times the outputs if there are several
    if kind == "mse":
        delta = 2 * delta * a * (1 - a)
    gradients: Layers = []
    for (W, _), before in zip(reversed(layers), reversed(activations[:-1]), strict=True):
        gradients.insert(0, (before.T @ delta, delta.sum(axis=0)))  # dW (D, H), db (H,)
        delta = (delta @ W.T) * before * (1 - before)  # δ of the layer before, (B, D)
    return gradients


# %% [markdown]
# ## 3. Is the gradient right?
#
# Never believe a gradient that you wrote yourself. Two independent ways to check it, in 64-bit numbers:
#
# * **Finite differences**: move one weight by ±h and look at what the loss does: (L(w+h) − L(w−h)) / 2h.
# * **Automatic differentiation**: `tf.GradientTape` applies the chain rule to the same formula without our help.
#
# The difference is given relative to the largest number in the gradient.


# %%
def finite_differences(x: np.ndarray, y: np.ndarray, layers: Layers, kind: str, h: float = 1e-5) -> Layers:
    """The gradient by moving each weight and each bias up and down."""

    def slope(array: np.ndarray, place: tuple[int, ...]) -> float:
        before, losses = array[place], []
        for moved in (before + h, before - h):
            array[place] = moved
            losses.append(loss_of(forward(x, layers)[-1], y, kind))
        array[place] = before
        return (losses[0] - losses[1]) / (2 * h)

    return [
        tuple(
            np.array([slope(array, place) for place in np.ndindex(array.shape)]).reshape(array.shape) for array in pair
        )
        for pair in layers
    ]


def tape_gradient(x: np.ndarray, y: np.ndarray, layers: Layers, kind: str) -> Layers:
    """The gradient by TensorFlow."""
    variables = [tuple(map(tf.Variable, pair)) for pair in layers]
    with tf.GradientTape() as tape:
        a = tf.constant(x)
        for W, b in variables:
            a = tf.sigmoid(a @ W + b)
        squared, entropy = (a - y) ** 2, -(y * tf.math.log(a) + (1 - y) * tf.math.log1p(-a))
        loss = tf.reduce_mean(squared if kind == "mse" else entropy)
    return [tuple(each.numpy() for each in pair) for pair in tape.gradient(loss, variables)]


def difference(one: Layers, other: Layers) -> float:
    """Largest difference of any two numbers, relative to the largest number."""
    pairs = [(a, b) for layers in zip(one, other, strict=True) for a, b in zip(*layers, strict=True)]
    return max(np.abs(a - b).max() for a, b in pairs) / max(np.abs(b).max() for _, b in pairs)


worst = {"finite": 0.0, "tape": 0.0}
for sizes in ((2, 1), (2, 10, 1), (3, 8, 8, 8, 2), (5, 4, 3, 2, 3, 4, 1)):
    x, y = draw.normal(size=(7, sizes[0])), draw.uniform(size=(7, sizes[-1])).round()
    layers = glorot(sizes, draw)
    for kind in ("mse", "cross-entropy"):
        ours = backward(y, forward(x, layers), layers, kind)
        for name, other in (("finite", finite_differences), ("tape", tape_gradient)):
            worst[name] = max(worst[name], difference(ours, other(x, y, layers, kind)))
print("largest relative difference from finite differences {finite:.1e}, from GradientTape {tape:.1e}".format(**worst))
if not max(worst.values()) < 1e-6:
    raise SystemExit("The gradient is wrong: look for the line that you changed.")
run.record(train_gradient_error_finite=worst["finite"], train_gradient_error_tape=worst["tape"])

# %% [markdown]
# ## 4. The same network in Keras, and in the course's loop
#
# D0's flow chart (section 2.4), with its last arrow mended:
#
# ```mermaid
# flowchart TD
#     accDescr: D0's steps of training from top to bottom; the update leads back to the forward pass.
#     data["prepare the data"] --> weights["initialise the weights"] --> forward["forward pass"]
#     forward --> loss["loss"] --> backward["backward pass: gradients"] --> update["update the weights"]
#     update -->|"next batch"| forward
# ```
#
# Three implementations begin with the same weights and take the same points: NumPy with the gradient of section 2,
# Keras's `model.fit`, and `keras_llm.training.fit`, the loop of this course, which puts many steps into one compiled
# program. Each step moves every weight against its gradient: W ← W − η·dW. NumPy computes with 64 bits, Keras with 32,
# so the losses may differ in the last digits that are printed.

# %%
points, classes = make_moons(preset.points, noise=0.25, random_state=run.seed)
points, classes = points.astype("float32"), classes[:, None].astype("float32")  # (n, 2), (n, 1)
parts = np.split(np.arange(preset.points), [preset.points * 6 // 10, preset.points * 8 // 10])
train, validation, test = ((points[part], classes[part]) for part in parts)
STEPS, RATE = 50, 1.0


def keras_network(layers: Layers) -> keras.Sequential:
    """The network of section 1 with the same weights."""
    dense = [keras.layers.Dense(len(b), activation="sigmoid") for _, b in layers]
    model = keras.Sequential([keras.Input((len(layers[0][0]),)), *dense])
    model.set_weights([array for pair in layers for array in pair])
    model.compile(keras.optimizers.SGD(RATE), "binary_crossentropy")
    return model


start = glorot((2, 10, 1), draw)
layers, losses = start, {"NumPy": []}
for _ in range(STEPS):
    activations = forward(train[0].astype("float64"), layers)
    losses["NumPy"].append(loss_of(activations[-1], train[1], "cross-entropy"))
    gradients = backward(train[1], activations, layers, "cross-entropy")
    layers = [(W - RATE * dW, b - RATE * db) for (W, b), (dW, db) in zip(layers, gradients, strict=True)]
whole = {"epochs": STEPS, "batch_size": len(train[0]), "shuffle": False, "verbose": 0}  # an epoch is one step
losses["model.fit"] = keras_network(start).fit(*train, **whole).history["loss"]
losses["fit"] = fit(keras_network(start), train, **whole).history["loss"]

for step in (0, 1, STEPS - 1):
    print(f"loss before step {step + 1:>2}: " + "  ".join(f"{name} {each[step]:.7f}" for name, each in losses.items()))
differences = {name: float(np.abs(np.subtract(losses["NumPy"], each)).max()) for name, each in losses.items()}
run.record(train_step_error_keras=differences["model.fit"], train_step_error_loop=differences["fit"])

# %% [markdown]
# ## 5. Document D1's example, as it stands
#
# Two inputs, ten hidden units, one output, weights from `np.random.rand`, outputs rounded. The document prints 0, 1, 0.
# First, NumPy has no sigmoid. Second, with one the printed result cannot come out: `rand` draws from [0, 1), so W and
# b are not negative, and neither are the inputs. Hence z ≥ 0 and a ≥ ½ in the hidden layer, z > 0 and a > ½ at the
# output, and every point rounds to 1. With weights of both signs the output is what the weights happen to be.

# %%
try:
    print(np.sigmoid)
except AttributeError as error:
    print(f"D1 as printed: {error}")

three = np.array([[0.5, 0.5], [1.0, 0.0], [0.0, 1.0]], "float32")
wanted = np.array([[0.0], [1.0], [0.0]], "float32")


def outputs_of_random_networks(sample) -> np.ndarray:
    """Rounded outputs for the three points, one row a network: (draws, 3)."""
    n = preset.random_draws
    layers = [(sample((n, 2, 10)), sample((n, 1, 10))), (sample((n, 10, 1)), sample((n, 1, 1)))]
    return np.round(forward(three, layers)[-1][:, :, 0])


for name, sample in (("np.random.rand", draw.random), ("np.random.randn", draw.standard_normal)):
    outputs = outputs_of_random_networks(sample)
    as_printed, all_one = (np.mean((outputs == row).all(axis=1)) for row in (wanted[:, 0], 1))
    print(f"{name:>15}: 1, 1, 1 in {all_one:.1%} of {len(outputs):,} networks; 0, 1, 0 as printed in {as_printed:.1%}")
    run.record(**{f"train_share_as_printed_{name.rpartition('.')[2]}": as_printed})

# %% [markdown]
# ## 6. Document D1's training, as it stands
#
# The same network in Keras: cross-entropy, batches of one point, 100 epochs, and Adam (section 9). The document shows
# the two new points (0.6, 0.4) and (0.8, 0.2) classified as 0 and 1. We train it from several seeds, and longer, and
# look for the epoch from which all three points *stay* right: some trainings are right at 100 by chance, and wrong
# again later.

# %%
new_points = np.array([[0.6, 0.4], [0.8, 0.2]], "float32")
perceptrons, needed, after_100, new_after_100 = {}, [], [], []
for number in range(preset.perceptrons):
    keras.utils.set_random_seed(100 * run.seed + number)
    model = keras.Sequential([keras.Input((2,)), *(keras.layers.Dense(n, activation="sigmoid") for n in (10, 1))])
    model.compile("adam", "binary_crossentropy", metrics=["accuracy"])
    history = fit(model, (three, wanted), epochs=100, batch_size=1, seed=number, verbose=0)
    after_100.append(np.round(model(three).numpy()[:, 0]))
    new_after_100.append(np.round(model(new_points).numpy()[:, 0]))
    told = {"epochs": preset.perceptron_epochs, "initial_epoch": 100, "batch_size": 1, "seed": number, "verbose": 0}
    more = fit(model, (three, wanted), **told)
    losses, right = (np.array(history.history[key] + more.history[key]) for key in ("loss", "accuracy"))
    needed.append(2 + int(np.flatnonzero(right < 1).max(initial=-1)))  # the epoch after the last one with a mistake
    end = f"right from epoch {needed[-1]}" if right[-1] == 1 else "not right yet"
    perceptrons[f"seed {number}: {end}"] = {"loss": losses}
learned = np.mean((np.array(after_100) == wanted[:, 0]).all(axis=1))
as_printed = np.mean((np.array(new_after_100) == [0, 1]).all(axis=1))
answers = model(new_points).numpy()[:, 0]
print(f"after 100 epochs the three points are right in {learned:.0%} of the trainings; in the first: {after_100[0]}")
print(f"and the two new ones come out as D1 prints them in {as_printed:.0%}")
print(
    f"needed until all three stay right: {np.median(needed):.0f} epochs in the median, {min(needed)} to {max(needed)}"
)
print(f"after {preset.perceptron_epochs:,} epochs (0.6, 0.4) gives {answers[0]:.2f}, (0.8, 0.2) gives {answers[1]:.2f}")
run.record(
    train_share_learned_after_100=learned,
    train_share_new_as_printed_after_100=as_printed,
    train_epochs_needed=np.median(needed),
)
figure = plots.plot_comparison(
    dict(list(perceptrons.items())[:7]),
    "loss",
    show_best=False,
    marked=(100, "D1 stops here"),
    title="D1's perceptron: three points, batches of one",
)
run.figure("perceptron", figure)

# %% [markdown]
# ## 7. An honest task: two moons
#
# Two half circles that reach into each other, with noise, so that no straight line parts them and no curve parts them
# quite. 60% of the points are for training, 20% for validation, 20% for the test. The network has two hidden layers of
# 16 with tanh, which is a sigmoid stretched to (−1, 1).

# %%
Sizes = tuple[int, ...]


def network(sizes: Sizes, initializer="glorot_uniform", activation: str = "tanh") -> keras.Sequential:
    """Hidden layers of these sizes and one sigmoid unit; all weights from one initializer, biases 0."""
    hidden = [keras.layers.Dense(n, activation, kernel_initializer=initializer) for n in sizes]
    return keras.Sequential(
        [keras.Input((2,)), *hidden, keras.layers.Dense(1, "sigmoid", kernel_initializer=initializer)]
    )


class Snapshots(keras.callbacks.Callback):
    """What the model says about each point of a grid, after some of the epochs."""

    def __init__(self, grid: np.ndarray, epochs: set[int]) -> None:
        super().__init__()
        self.grid, self.epochs, self.taken = grid, epochs, {}

    def take(self, epoch: int) -> None:
        if epoch in self.epochs:
            self.taken[epoch] = self.model(self.grid).numpy()[:, 0]

    def on_train_begin(self, logs=None) -> None:
        self.take(0)

    def on_epoch_end(self, epoch: int, logs=None) -> None:
        self.take(epoch + 1)

    def get_state(self) -> dict:  # an interrupted run goes on with the snapshots that it had
        return {"epochs": list(self.taken), "grids": list(self.taken.values())}

    def set_state(self, state: dict) -> None:
        self.taken = dict(zip(state["epochs"], state["grids"], strict=True))


baseline = LogisticRegression().fit(train[0], train[1][:, 0])
baseline_validation = baseline.score(validation[0], validation[1][:, 0])
run.record(
    baseline_test_accuracy=baseline.score(test[0], test[1][:, 0]), baseline_validation_accuracy=baseline_validation
)

keras.utils.set_random_seed(run.seed)
moons = network((16, 16))
moons.compile(keras.optimizers.Adam(0.003), "binary_crossentropy", metrics=["accuracy"])
grid = plots.plane(points)
last = preset.moon_epochs
snapshots = Snapshots(grid, {0, last // 60, last // 20, last // 6, last // 2, last})
history = fit(
    moons,
    train,
    validation_data=validation,
    epochs=last,
    seed=run.seed,
    verbose=0,
    callbacks=[snapshots, *run.callbacks("moons")],
)
scores = evaluate(moons, test)
run.record(test_accuracy=scores["accuracy"], test_loss=scores["loss"])
print(f"test accuracy {scores['accuracy']:.3f}; a straight line {run.metrics['baseline_test_accuracy']:.3f}")
panels = {f"epoch {epoch}": taken for epoch, taken in snapshots.taken.items()}
title = "The boundary moves as the network learns"
run.figure("boundary", plots.plot_boundaries(train[0], train[1], grid, panels, title=title))
figure = plots.plot_history(
    history, baseline=baseline_validation, labels={"accuracy": "accuracy (share of points)"}, title="Two moons"
)
run.figure("moons_history", figure)
moons.save(run.folder() / "model.keras")

# %% [markdown]
# ## 8. Where weights begin
#
# Eight hidden layers of 64, trained by stochastic gradient descent (SGD), the same but for the first weights. D0 names
# uniform and Gaussian numbers; what matters is their mean and their size. With a mean of one half, as from `rand`, all
# units of a layer add up nearly the same sum, and end at ±1 together. With mean 0 and variance v, in a layer with D
# inputs the mean square of z is D·v times that of an input. With v = 1/D the signal keeps its size from layer to layer,
# as long as tanh is nearly straight. Larger weights drive tanh into its flat ends, where gradients vanish; smaller ones
# shrink the signal to nothing. **Glorot** chooses v = 2 / (D + H), which suits the way forward (1/D) and the way back
# (1/H) equally well.
#
# **Zero weights** fail for two more reasons. Behind tanh, each a is 0 then, and so is each dW: nothing moves but the
# last bias. Behind a sigmoid a is ½ and the weights do move, but all units of a layer compute the same, get the same δ
# and change by the same dW: they stay copies of one unit for ever. Biases may begin at 0, because the weights already
# make the units differ.


# %%
def losses_of(model: keras.Model, batch_size: int = 32) -> list[float]:
    """Train; the mean training loss of each epoch."""
    options = {"epochs": preset.experiment_epochs, "batch_size": batch_size, "seed": run.seed, "verbose": 0}
    return fit(model, train, **options).history["loss"]


Initial = keras.initializers
initializers = {
    "uniform": ("uniform in [0, 1), as D1", lambda seed: Initial.RandomUniform(0, 1, seed=seed)),
    "gaussian_1": ("Gaussian, deviation 1", lambda seed: Initial.RandomNormal(stddev=1, seed=seed)),
    "gaussian_001": ("Gaussian, deviation 0.01", lambda seed: Initial.RandomNormal(stddev=0.01, seed=seed)),
    "glorot": ("Glorot", lambda seed: Initial.GlorotUniform(seed=seed)),
    "zero": ("zero", lambda seed: Initial.Zeros()),
}
curves = {}
print(f"{'initial weights':<26}{'deviation of a in layer 8':>27}{'first loss':>12}{'last loss':>11}")
for key, (name, make) in initializers.items():
    # A generator gives each layer numbers of its own; a plain number as the seed would give all layers the same ones.
    model = network((64,) * 8, make(keras.random.SeedGenerator(run.seed)))
    hidden = keras.Model(model.inputs[0], model.layers[-2].output)(train[0]).numpy()  # (points, 64)
    model.compile(keras.optimizers.SGD(0.1), "binary_crossentropy")
    curves[name] = {"loss": losses_of(model)}
    first, last = curves[name]["loss"][0], curves[name]["loss"][-1]
    print(f"{name:<26}{hidden.std(axis=0).mean():>27.4f}{first:>12.3f}{last:>11.3f}")
    run.record(**{f"train_loss_{key}": last})
run.figure("initializers", plots.plot_comparison(curves, "loss", title="Eight layers of 64, by first weights"))

copies = network((10,), "zeros", activation="sigmoid")
copies.compile(keras.optimizers.Adam(0.03), "binary_crossentropy", metrics=["accuracy"])
losses_of(copies)
kinds = len(np.unique(copies.layers[0].kernel.numpy().round(5), axis=1).T)
accuracy = evaluate(copies, validation)["accuracy"]
print(
    f"from zero, 10 hidden units are {kinds} after training; accuracy {accuracy:.3f}, a line {baseline_validation:.3f}"
)
run.record(validation_accuracy_zero=accuracy, train_kinds_of_units_zero=kinds)

# %% [markdown]
# ## 9. How weights move
#
# With g for the gradient (dW or db) and η for the learning rate, a step of each optimizer changes a weight w by
#
# | optimizer | step | gradient from |
# |---|---|---|
# | gradient descent | $-\eta g$ | all points |
# | stochastic gradient descent (SGD) | $-\eta g$ | a batch of 32 |
# | SGD with momentum | $-\eta m$, with $m \leftarrow 0.9\,m + g$ | a batch |
# | Adam | $-\eta\,\hat m / (\sqrt{\hat v} + \epsilon)$, moving means $\hat m$ of $g$, $\hat v$ of $g^2$ | a batch |
# | AdamW | as Adam, and $-\eta \lambda w$ | a batch |
#
# Each is trained with three learning rates, ten times apart, and shown with the one that ended lowest: an optimizer
# that looks bad is often one with a bad rate. (Momentum adds up about ten gradients, so its rates are ten times smaller
# than those of SGD.) An epoch is one step for gradient descent, and a step for each batch for the others.


# %%
def restart(model: keras.Model, weights: list[np.ndarray], rate: float) -> keras.Model:
    """The model as if new, with another learning rate; its compiled programs stay."""
    model.set_weights(weights)
    for variable in model.optimizer.variables:
        variable.assign(keras.ops.zeros_like(variable))
    model.optimizer.learning_rate = rate
    return model


keras.utils.set_random_seed(run.seed)
start = network((16, 16)).get_weights()
optimizers = {
    "gradient descent": (keras.optimizers.SGD(), len(train[0]), (0.1, 1.0, 10.0)),
    "SGD": (keras.optimizers.SGD(), 32, (0.03, 0.3, 3.0)),
    "momentum": (keras.optimizers.SGD(momentum=0.9), 32, (0.003, 0.03, 0.3)),
    "Adam": (keras.optimizers.Adam(), 32, (0.001, 0.01, 0.1)),
    "AdamW": (keras.optimizers.AdamW(weight_decay=0.004), 32, (0.001, 0.01, 0.1)),
}
curves = {}
for name, (optimizer, batch_size, rates) in optimizers.items():
    model = network((16, 16))
    model.compile(optimizer, "binary_crossentropy")
    tried = {rate: losses_of(restart(model, start, rate), batch_size) for rate in rates}
    rate = min(tried, key=lambda each: np.nan_to_num(tried[each][-1], nan=np.inf))
    print(f"{name:>16}: " + ", ".join(f"{losses[-1]:.3f} with η = {each:g}" for each, losses in tried.items()))
    curves[f"{name}, η = {rate:g}"] = {"loss": tried[rate]}
    run.record(**{f"train_loss_{name.replace(' ', '_').lower()}": tried[rate][-1]})
run.figure("optimizers", plots.plot_comparison(curves, "loss", title="Five optimizers, each at its best rate of three"))

# %% [markdown]
# ## 10. Learning rate and batch size
#
# Plain SGD, the same number of epochs. Small batches make many steps an epoch, each from a noisy gradient; large ones
# few steps, each from a good one. So the best rate grows with the batch. Too small a rate has not arrived yet; too
# large a one jumps about.

# %%
model = network((16, 16))
model.compile(keras.optimizers.SGD(), "binary_crossentropy")
final = [[losses_of(restart(model, start, rate), size)[-1] for rate in preset.rates] for size in preset.batch_sizes]
figure = plots.plot_heatmap(
    final,
    preset.batch_sizes,
    preset.rates,
    ylabel="batch size (points)",
    xlabel="learning rate η",
    label="training loss (nats)",
    title=f"SGD after {preset.experiment_epochs} epochs",
)
run.figure("rate_and_batch", figure)
best = np.unravel_index(np.argmin(final), np.shape(final))
print(f"lowest: {np.min(final):.3f} with batches of {preset.batch_sizes[best[0]]} and η = {preset.rates[best[1]]}")

# %% [markdown]
# ## 11. Squared error against cross-entropy, on a neuron that is sure and wrong
#
# One neuron, one point x = 1 with target 1, and a first weight of −8: the neuron says 0.0003. The squared error's
# gradient is 2(a − y)·a(1 − a), and a(1 − a) is 0.0003 too: the neuron hardly moves. The cross-entropy's is a − y,
# almost −1. Both from section 2, with η = 1.

# %%
one, curves = np.ones((1, 1)), {}
for kind in ("mse", "cross-entropy"):
    layers, outputs = [(np.full((1, 1), -8.0), np.zeros(1))], []
    for _ in range(301):  # the first output is that of before all steps
        activations = forward(one, layers)
        outputs.append(activations[-1].item())
        (dW, db), *_ = backward(one, activations, layers, kind)
        layers = [(layers[0][0] - dW, layers[0][1] - db)]
    curves["squared error" if kind == "mse" else kind] = {"output": outputs}
    steps = int(np.argmax(np.array(outputs) > 0.5)) if max(outputs) > 0.5 else None
    print(
        f"{kind:>13}: {outputs[-1]:.4f} after {len(outputs) - 1} steps, above one half "
        + (f"from step {steps}" if steps else "never")
    )
figure = plots.plot_comparison(
    curves,
    "output",
    show_best=False,
    label="output a (target 1)",
    xlabel="step",
    title="A neuron that is sure and wrong",
)
run.figure("saturated", figure)

# %% [markdown]
# ## 12. How long will it take?
#
# D0's appendix: hours = model (GB) × data (GB) / hardware (GB/s). The product is the right idea, for the work grows
# with model × data. The divisor is not: what takes time is operations, not gigabytes, and the unit of the right side is
# GB·s instead of hours. For each weight and each row (in a language model: each token), the way forward is a
# multiplication and an addition, and the way back is twice that, once for dW and once for the δ of the layer before:
#
# $$C = 6\,N \cdot R, \qquad t = \frac{C}{F}$$
#
# with C operations for N parameters and R rows, and t seconds at F operations a second
# (Kaplan et al. 2020, section 2.1). Embeddings do not count, they only look up; and the first layer needs no δ for what
# is before it. How many operations a second? The most that this machine gives is the speed of a large matrix product,
# its **peak**. The share of it that a training reaches is called MFU, model FLOPs utilisation. Wide layers come nearest
# to it; in narrow ones the time goes into everything but products. So a good estimate divides by the rate of a
# *similar* network: in the table that the cell prints, each width is predicted from the rate of the one above it, and
# the nearer the two, the better.
#
# `keras-llm run` does that too: it takes the minutes of the recorded run of the same chapter, measures for a few
# seconds how much faster or slower this machine is now (`keras_llm.training.yardstick`), prints the quotient before it
# starts, and at the end how good it was.

# %%
peak = matmul_peak()
ROWS, rate = 256, None
print(" width   parameters   GFLOP a step   at the peak, ms   predicted, ms   measured, ms   share of the peak")
for width in preset.widths:
    model = keras.Sequential([keras.Input((width,)), *(keras.layers.Dense(width, "tanh") for _ in range(3))])
    model.compile(keras.optimizers.SGD(1e-3), "mse")
    x = draw.normal(size=(16 * ROWS, width)).astype("float32")
    fit(model, (x, x), batch_size=ROWS, verbose=0)  # compiles
    history = fit(model, (x, x), batch_size=ROWS, epochs=3, verbose=0)
    operations = (6 * model.count_params() - 2 * model.layers[0].count_params()) * ROWS
    measured = history.program["step_ms"]
    predicted = f"{1000 * operations / rate:.3f}" if rate else "-"
    rate = 1000 * operations / measured  # operations a second
    figures = f"{operations / 1e9:>15.3f}{1000 * operations / peak:>18.3f}{predicted:>16}{measured:>15.3f}"
    print(f"{width:>6}{model.count_params():>13,}{figures}{rate / peak:>20.1%}")

# %% [markdown]
# ## 13. What was measured
#
# When you run the chapter, a table sets your run beside the recorded one, which is shown here (`expected.json`: preset,
# seed, versions, machine, and the spread over three seeds).

# %%
run.compare_with_record()
run.finish()

# %% [markdown]
# ## Exercises
#
# `keras-llm exercise ch01` writes exercises into a file of your own, and `keras-llm grade ch01` says what is right
# and why the rest is not. They stand, with solutions behind a fold, in [Exercises of chapter 1](solutions). These here
# ask for an experiment, and no program grades them:
#
# 1. **Break it.** Leave out `* before * (1 - before)` in `backward`. Which of the two checks notices, and for which of
#    the four networks does it make no difference? Why?
# 2. **Another function.** Give the hidden layers relu, max(0, z), in `forward`, `backward` and `tape_gradient`. For
#    which z has it no slope? Set a bias and its inputs so that z is exactly there: what does each of the two checks
#    say, and is one of them wrong?
# 3. **Momentum by hand.** Give the NumPy loop of section 4 a momentum of 0.9 and compare it with
#    `keras.optimizers.SGD(RATE, momentum=0.9)`, step by step.
# 4. **Three points.** In section 6, how does the number of epochs change with a learning rate ten times as large? With
#    the squared error in place of the cross-entropy?
# 5. **Estimate.** GPT-3 has 175 billion parameters and read 300 billion tokens. How many years would this machine take
#    at its peak? How many days do 1,000 processors of 100 TFLOP/s at an MFU of 40%?
