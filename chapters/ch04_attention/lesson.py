# %% [markdown]
# # Chapter 4. Attention: who looks at whom
#
# **You will build** softmax(QKᵀ/√d)V from three words and check it by hand, then with the course's layer and Keras's.
# You will measure what √d is for, what two heads can do and one cannot, what happens when a model sees the future, and
# what attention knows about order: nothing, until it is told. At the end a small network reads dates as people write
# them, in twelve forms and two scripts, and writes them as 2014-05-03; you will see where it looks for each digit.
#
# **Reproduces** D3, sections 2 to 4; D2, the section on the Transformer's architecture.
#
# **Run it**: `keras-llm run ch04_attention`. The data is made here, so there is nothing to download, but for a font
# with Chinese characters if your system has none. The first lines that it prints say how many minutes and how much
# memory a recorded run took.
#
# **Shapes.** B rows in a batch, T positions that ask, S positions that are asked, D the width, H heads of d = D/H:
#
# | what | shape |
# |---|---|
# | x, those that ask; memory, those that are asked: in self-attention x itself | (B, T, D), (B, S, D) |
# | Q = x W_Q; K = memory W_K; V = memory W_V, each split into heads | (B, H, T, d); (B, H, S, d) twice |
# | scores = QKᵀ/√d, and weights = softmax(scores): each row adds up to 1 | (B, H, T, S) |
# | mask: False where a position must not look | (B or 1, 1, T or 1, S) |
# | weights · V | (B, H, T, d) |
# | heads side by side, times W_O | (B, T, D) |
#
# **The baseline to beat** is what D3, section 2, describes: an encoder that packs a whole text into one vector of
# fixed length.
#
# **Where the documents are wrong.**
#
# * D3, section 2: "the encoder encodes the text as a vector of fixed length". That was so in 2014, and attention was
#   invented to end it. A Transformer's encoder gives one vector for each token. Section 6 measures both.
# * D3, section 2: "in encoding, attention helps the decoder". In the encoder it helps the encoder: its positions look
#   at each other. The flow chart has one box of attention between the two; there is one in each block of both.
# * D3, section 3, calls the link between them "cross self-attention". Self-attention is when Q, K and V come from the
#   same sequence; here Q comes from the decoder, K and V from the encoder: cross-attention.
# * D3, section 3, lets the decoder's first attention look at the encoder's output. It looks at what the decoder has
#   written so far; and neither text nor program has a mask, so that the decoder also sees what it will write
#   (section 4).
# * D3, section 4, prints the same formula twice, as "dot-product" and as "scaled" attention. The first has no √d.
# * D3, section 4: Q, K, V "are a query, a key and a value vector". They are matrices, a row for each position: with one
#   key, QKᵀ is one number, and the softmax of one number is 1, whatever the query.
# * D3, section 4: √d is there because "a product that is too large makes gradients vanish". Large products do no harm:
#   add 1,000 to all scores and nothing changes. *Differences* between scores do, and they grow with √d (section 2).
# * D3, section 4, never says what head_i is. Without W_Q, W_K and W_V of its own, each head would be the same. And W_O
#   does not join the heads, it mixes what is joined.
# * D3, section 4: Add(A(E), E) + E adds the residual twice. Where the attention says nothing, A = 0, six such layers
#   multiply their input by 2⁶ = 64. The layer has a feed-forward half, too, which the formula forgets.
# * D3, section 4: the decoder's formula lets its two attentions and the feed-forward layer run side by side, all from
#   the same D. They come one after the other: self-attention, cross-attention, feed-forward (chapter 5). Nor does layer
#   l of the decoder look at layer l − 1 of the encoder: all look at the encoder's last.
# * D3, section 4: "three words: I love eating pizza" are four, and [0.3, 0.5, 0.2] covers three of them. A model's
#   output is a probability for each word of the vocabulary, at each position.
# * D3's program adds no positions, though section 3 asks for them: it reads a bag of words (section 5).
# * D2: attention "exchanges features across layers". It exchanges them across *positions*, within one layer.

# %%
from dataclasses import dataclass
from datetime import date, timedelta

import keras
import numpy as np
from keras import ops

from keras_llm import layers, plots, runs
from keras_llm.data.dates import DATE_FORMS, read_dates, write_date
from keras_llm.training import SparseCrossentropy, evaluate, fit, predict, warmup_cosine

run = runs.begin("ch04_attention")
run.refuse_own_data("chapter 4 makes its sequences itself")


@dataclass(frozen=True)
class Preset:
    draws: int = 2_000  # queries for each width in section 2
    rows: int = 4_000  # sequences of the small trainings in sections 3 and 4
    small_epochs: int = 10
    width: int = 48  # D of the models that reverse and that read dates
    num_blocks: int = 1
    longest: int = 16  # symbols to reverse
    reverse_rows: int = 32_000
    reversers: tuple[tuple[str, int], ...] = (("attention", 2), ("mean", 2), ("LSTM", 2), ("LSTM", 8))  # epochs of each
    days: tuple[int, int, int] = (29_312, 3_584, 3_629)  # training, validation and test part
    date_epochs: int = 4
    readers: tuple[str, ...] = ("attention", "mean", "LSTM")


SMOKE = {"draws": 100, "rows": 512, "small_epochs": 2, "width": 16, "longest": 6, "reverse_rows": 1_024}
SMOKE |= {"reversers": (("attention", 2),), "days": (640, 128, 96), "date_epochs": 1, "readers": ("attention", "LSTM")}
PRESETS = {
    "smoke": Preset(**SMOKE),
    "cpu": Preset(),
    "full": Preset(draws=10_000, rows=20_000, width=512, num_blocks=3, longest=64, reverse_rows=256_000),
}
preset = PRESETS[run.preset]
draw = np.random.default_rng(run.seed)
np.set_printoptions(precision=2, suppress=True)

# %% [markdown]
# ## 1. Three words
#
# Each word is a vector of D = 3 numbers, chosen small so that you can follow with a pencil. Three matrices make three
# shorter vectors of each, with d = 2 numbers: a **query** (what am I looking for?), a **key** (what am I?) and a
# **value** (what do I say when I am looked at?). In a real model these matrices are learned.

# %%
words = ["I", "love", "pizza"]
X = np.array([[1.0, 0.0, 1.0], [0.0, 2.0, 0.0], [1.0, 1.0, 0.0]])  # (T, D), a row for each word
W_Q = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])  # (D, d)
W_K = np.array([[0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
W_V = np.array([[1.0, 0.0], [0.0, 2.0], [2.0, 0.0]])


def show(name: str, matrix: np.ndarray, columns: list[str] | None = None) -> None:
    """A matrix with a row for each word."""
    print(f"\n{name:<16}" + "".join(f"{column:>8}" for column in columns or [""] * matrix.shape[-1]))
    for word, row in zip(words, matrix, strict=True):
        print(f"{word:>16}" + "".join(f"{number:8.2f}" for number in row))


Q, K, V = X @ W_Q, X @ W_K, X @ W_V  # (T, d) each
for name, matrix in (("X", X), ("Q = X W_Q", Q), ("K = X W_K", K), ("V = X W_V", V)):
    show(name, matrix)

# %% [markdown]
# The product of a query and a key says how well they fit: row = who asks, column = who is asked. Divided by √d, each
# row goes through a softmax, which turns it into **weights** that are positive and add up to 1. A word's output is the
# mean of all values by its weights. That is all of attention:
#
# $$\operatorname{Attention}(Q, K, V) = \operatorname{softmax}\left(\frac{Q K^\top}{\sqrt{d}}\right) V$$


# %%
def softmax(scores: np.ndarray) -> np.ndarray:
    """Each row positive, with the sum 1."""
    # Whatever is subtracted from a whole row cancels, and without it e^score could overflow.
    powers = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def attention(query: np.ndarray, key: np.ndarray, value: np.ndarray, mask: np.ndarray | None = None):
    """softmax(QKᵀ/√d) V and the weights; query (…, T, d), key and value (…, S, d), mask (…, T, S)."""
    scores = query @ np.swapaxes(key, -1, -2) / np.sqrt(query.shape[-1])  # (…, T, S)
    if mask is not None:
        scores = np.where(mask, scores, -1e9)  # e^(−1e9) is 0: no weight
    weights = softmax(scores)
    return weights @ value, weights


outputs, weights = attention(Q, K, V)
show("QKᵀ", Q @ K.T, words)
show("QKᵀ/√2", Q @ K.T / np.sqrt(2), words)
show("weights", weights, words)
show("weights · V", outputs)

powers = np.exp(Q[1] @ K.T / np.sqrt(2))
print("\nBy hand, the row of 'love':")
print(f"  scores   Q·K = {Q[1] @ K.T}, divided by 1.41: {Q[1] @ K.T / np.sqrt(2)}")
print(f"  e^score  {powers}, together {powers.sum():.2f}")
print("  weights  " + ", ".join(f"{power:.2f}/{powers.sum():.2f} = {power / powers.sum():.2f}" for power in powers))
for column in range(2):
    terms = " + ".join(f"{weight:.2f}·{number:g}" for weight, number in zip(weights[1], V[:, column], strict=True))
    print(f"  output   {terms} = {outputs[1, column]:.2f}")
library, _ = layers.scaled_dot_product_attention(*(ops.convert_to_tensor(each, "float32") for each in (Q, K, V)))
print(f"\nlargest difference from keras_llm.layers.scaled_dot_product_attention: {np.abs(library - outputs).max():.1e}")

# %% [markdown]
# ## 2. Why √d
#
# Let queries and keys be random, each number with mean 0 and variance 1, about as they are when a training begins. A
# score is a sum of d products, each of variance 1, so its variance is d and its standard deviation √d. For d = 64 that
# is 8, and e⁸ is about 3,000: a key that is one deviation ahead gets 3,000 times the weight of the middle one, before
# anything was learned. Divided by √d, scores have variance 1 at every width.
#
# And a softmax that is sure learns nothing. When score $s_j$ moves, weight $p_i$ moves by
#
# $$\frac{\partial p_i}{\partial s_j} = p_i \, (\delta_{ij} - p_j),$$
#
# where $\delta_{ij}$ is 1 if i = j, else 0. That is 0 when each weight is 0 or 1. The last printed column is the size
# of all slopes together (the Frobenius norm of their matrix), the median of the queries: where two keys are equally
# good, slopes stay large.

# %%
KEYS = 32
widths, sizes = np.array([1, 4, 16, 64, 256, 1024]), {"without √d": [], "with √d": []}
print(f"{'d':>6}{'':>14}{'variance of scores':>20}{'largest weight':>16}{'slope of the softmax':>22}")
for d in widths:
    query, key = draw.normal(size=(preset.draws, d)), draw.normal(size=(preset.draws, KEYS, d))
    for name, divisor in (("without √d", 1.0), ("with √d", np.sqrt(d))):
        scores = np.einsum("nd,nkd->nk", query, key) / divisor
        p = softmax(scores)  # (draws, KEYS)
        slopes = p[:, :, None] * (np.eye(KEYS) - p[:, None, :])  # (draws, KEYS, KEYS)
        sizes[name].append(np.median(np.linalg.norm(slopes, axis=(1, 2))))
        print(f"{d:>6}{name:>14}{scores.var():>20.2f}{p.max(axis=1).mean():>16.2f}{sizes[name][-1]:>22.1e}")
run.record(train_softmax_slope_without=sizes["without √d"][-1], train_softmax_slope_with=sizes["with √d"][-1])
figure = plots.plot_power_laws(
    {name: (widths, np.array(values)) for name, values in sizes.items()},
    xlabel="d, numbers in a query",
    ylabel="slope of the softmax (median norm)",
    title="What is left to learn from, before the first step",
)
run.figure("divisor", figure)

change = np.abs(softmax(1_000 + Q @ K.T / np.sqrt(2)) - weights).max()
print(f"\n1,000 added to all scores of the three words changes their weights by {change:.1e}")

# %% [markdown]
# ## 3. Heads
#
# One softmax makes one mean. A head that looks at two places gives a mixture of both, and what comes after has to make
# do with it. **Multi-head attention** cuts Q, K and V into H pieces of d = D/H numbers and lets each piece attend by
# itself. H heads have as many weights as one. First, is our formula the one of the layers?


# %%
def multi_head(x: np.ndarray, kernels: dict[str, np.ndarray], heads: int) -> np.ndarray:
    """Self-attention (B, T, D) with H heads; kernels query, key, value, output (D, D) each, no biases."""

    def split(each: np.ndarray) -> np.ndarray:  # (B, T, D) -> (B, H, T, d)
        return each.reshape(*each.shape[:2], heads, -1).swapaxes(1, 2)

    query, key, value = (split(x @ kernels[name]) for name in ("query", "key", "value"))
    means, _ = attention(query, key, value)  # (B, H, T, d)
    return means.swapaxes(1, 2).reshape(x.shape) @ kernels["output"]  # (B, T, D)


worst, x = {"layer": 0.0, "keras": 0.0}, draw.normal(size=(2, 5, 16)).astype("float32")
for heads in (1, 2, 4, 8):
    layer, peer = layers.MultiHeadAttention(heads), keras.layers.MultiHeadAttention(heads, 16 // heads)
    ours = layer(x)
    peer(x, x)
    kernels = {name: kernel.numpy() for name, kernel in layer.kernels.items()}
    shapes = [variable.shape for variable in peer.weights]  # kernel and bias of query, key, value and output
    arrays = [array for kernel in kernels.values() for array in (kernel, np.zeros(16))]
    peer.set_weights([array.reshape(shape) for array, shape in zip(arrays, shapes, strict=True)])
    by_hand = multi_head(x, kernels, heads)
    worst["layer"] = max(worst["layer"], np.abs(ours - by_hand).max())
    worst["keras"] = max(worst["keras"], np.abs(peer(x, x) - by_hand).max())
print("largest difference, 1 to 8 heads: keras_llm's layer {layer:.1e}, Keras's {keras:.1e}".format(**worst))
if not max(np.abs(library - outputs).max(), *worst.values()) < 1e-5:
    raise SystemExit("The attention is not the one of the layers: look for the line that you changed.")
run.record(train_difference_layer=worst["layer"], train_difference_keras=worst["keras"])

# %% [markdown]
# Now a task for two heads: eight random symbols in a ring, and each position is to name its left and its right
# neighbour. The input at a position says its symbol and its place, one-hot: 16 numbers, 1 where it is and 0 elsewhere.
# The model is one attention layer and one linear layer. One head has the choice: look at one neighbour and guess the
# other (right at 1 in 8), or look at both. In the mixture the linear layer finds *two* symbols, and the heavier one
# wins, whichever neighbour is asked for. In the recorded run both neighbours are right at 24% of the places with one
# head, at 100% with two.

# %%
SYMBOLS = PLACES = 8


def neighbours(n: int) -> tuple[np.ndarray, np.ndarray]:
    """Inputs (n, T, 16) and the two answers for each position (n, T, 2)."""
    symbols = draw.integers(SYMBOLS, size=(n, PLACES))
    places = np.broadcast_to(np.eye(PLACES), (n, PLACES, PLACES))
    x = np.concatenate([np.eye(SYMBOLS)[symbols], places], axis=-1).astype("float32")
    return x, np.stack([np.roll(symbols, 1, axis=1), np.roll(symbols, -1, axis=1)], axis=-1)


ring, ring_test = neighbours(preset.rows), neighbours(500)
for heads in (1, 2):
    keras.utils.set_random_seed(run.seed)
    inputs = keras.Input((PLACES, SYMBOLS + PLACES))
    attended, looks = layers.MultiHeadAttention(heads)(inputs, return_weights=True)
    answers = keras.layers.Reshape((PLACES, 2, SYMBOLS))(keras.layers.Dense(2 * SYMBOLS)(attended))
    model = keras.Model(inputs, answers)
    model.compile(keras.optimizers.Adam(0.01), SparseCrossentropy())
    options = {"epochs": preset.small_epochs, "seed": run.seed, "verbose": 0}
    fit(model, ring, callbacks=run.callbacks(f"heads_{heads}"), **options)
    right = predict(model, ring_test[0], batch_size=500).argmax(-1) == ring_test[1]  # (n, T, 2)
    left, both = right[..., 0].mean(), right.all(axis=-1).mean()
    print(f"\nheads: {heads}, weights to learn: {model.count_params()}")
    print(f"  left neighbour right at {left:.1%}, right neighbour at {right[..., 1].mean():.1%}, both at {both:.1%}")
    for head, row in enumerate(keras.Model(inputs, looks)(ring_test[0][:1]).numpy()[0, :, 3]):
        print(f"  position 3 looks at positions 0 to 7, head {head + 1}: {row}")
    run.record(**{f"test_neighbours_heads_{heads}": both})

# %% [markdown]
# ## 4. Masks
#
# A mask says who may look at whom. There are two kinds. **Padding**: sentences of a batch are filled up to one length,
# and nobody may look at the filling. **Causal**: a model that is to predict the next word must not see it.

# %%
show("causal mask", layers.causal_mask(3).numpy(), words)
show("causal weights", attention(Q, K, V, layers.causal_mask(3).numpy())[1], words)

longer = np.concatenate([X, [[9.0, 9.0, 9.0]]])  # the sentence with a place of padding, where anything may stand
padded = [longer @ each for each in (W_Q, W_K, W_V)]
seen = layers.padding_mask(np.array([[5, 8, 7, 0]])).numpy()  # (1, S): token ids, 0 = padding
print(f"\npadding mask of token ids 5, 8, 7, 0: {seen[0]}")
without, masked = attention(*padded)[0][:3], attention(*padded, mask=seen)[0][:3]
print(f"padding changes the words' outputs by {np.abs(without - outputs).max():.2f} without a mask,")
print(f"                               and by {np.abs(masked - outputs).max():.2f} with it")

# %% [markdown]
# What a missing causal mask does: sequences of random digits, where the next one cannot be known. No honest model gets
# below ln 10 = 2.30 nats. Without the mask a model need not predict: the answer stands in its input, one place to the
# right. Only the last of the 16 positions has nothing to copy, so cheating leaves a mean loss of (ln 10)/16 = 0.14.
# Then the cheat has to work in earnest: the same weights, with the future hidden.

# %%
LENGTH = 16
digits = draw.integers(10, size=(preset.rows + 1_024, LENGTH + 1))
parts = [(part[:, :-1], part[:, 1:]) for part in np.split(digits, [preset.rows])]


def next_digit_model(causal: bool) -> keras.Model:
    inputs = keras.Input((LENGTH,), dtype="int32")
    x = layers.SinusoidalPositions()(keras.layers.Embedding(10, 32, "normal")(inputs))
    x = layers.EncoderBlock(num_heads=2, intermediate_dim=64)(x, use_causal_mask=causal)
    model = keras.Model(inputs, keras.layers.Dense(10)(keras.layers.LayerNormalization()(x)))
    model.compile(keras.optimizers.Adam(3e-3), SparseCrossentropy())
    return model


histories = {}
for stage, causal in (("leaking", False), ("causal", True)):
    keras.utils.set_random_seed(run.seed)
    model = next_digit_model(causal)
    name = "with the mask" if causal else "without it: the future is seen"
    histories[name] = fit(model, parts[0], validation_data=parts[1], callbacks=run.callbacks(stage), **options)
    run.record(**{f"validation_loss_{stage}": histories[name].history["val_loss"][-1]})
    if not causal:
        cheat = model.get_weights()
model.set_weights(cheat)
in_earnest = evaluate(model, parts[1])["loss"]
run.record(validation_loss_leaking_in_earnest=in_earnest)
print(f"loss without the mask {run.metrics['validation_loss_leaking']:.3f}, (ln 10)/16 = {np.log(10) / LENGTH:.3f}")
print(f"the same weights with the future hidden {in_earnest:.3f}")
print(f"loss with the mask {run.metrics['validation_loss_causal']:.3f}, ln 10 = {np.log(10):.3f}")
title = "Predicting random digits, which cannot be done (baseline: ln 10)"
figure = plots.plot_comparison(histories, "val_loss", baseline=np.log(10), show_best=False, title=title)
run.figure("masks", figure)

# %% [markdown]
# ## 5. Positions
#
# In the formula no word has a number. Permute the words and the outputs are permuted with them, nothing else: attention
# reads a bag of words. So a position must be *in* the vectors. The paper adds to each a vector of sines and cosines of
# its position, from fast to slow, as the hands of a clock for seconds, minutes and hours (Vaswani et al. 2017, 3.5):
#
# $$
# P_{t,\,2i} = \sin\left(\frac{t}{10000^{2i/D}}\right), \qquad P_{t,\,2i+1} = \cos\left(\frac{t}{10000^{2i/D}}\right)
# $$

# %%
x, order = draw.normal(size=(1, 6, 16)).astype("float32"), np.array([3, 0, 5, 1, 4, 2])
layer, positions = layers.MultiHeadAttention(4), layers.SinusoidalPositions()
layer(x)
for name, before in (("without", lambda each: each), ("with", positions)):
    moved = np.abs(ops.convert_to_numpy(layer(before(x)))[:, order] - layer(before(x[:, order]))).max()
    print(f"outputs of permuted words, against permuted outputs, {name:>7} positions: differ by up to {moved:.1e}")
    run.record(**{f"train_permutation_error_{name}": moved})

# %% [markdown]
# The dot product of two such vectors tells how far apart they are: it is Σ cos(distance · speed), the same for 3 and 8
# as for 43 and 48, and it falls off, in waves, on either side. So "look a little to the left" is something that W_Q and
# W_K can express. But the score of two *words* has more terms, word times position, and they depend on the place.
# **Rotary** positions turn queries and keys by an angle that grows with the position instead. Then the whole score of
# two words depends on their distance alone.

# %%
shown = 48
table = layers.sinusoidal_positions(shown, 64)  # (positions, D)
names = {"ylabel": "position", "xlabel": "position", "label": "dot product", "best": "max", "numbers": False}
title = "Dot products of sinusoidal positions, D = 64"
figure = plots.plot_heatmap(table @ table.T, range(shown), range(shown), title=title, **names)
run.figure("positions", figure)

query, key = (np.tile(each, (shown, 1)).astype("float32") for each in draw.normal(size=(2, 1, 64)))
added = (query + table) @ (key + table).T / 8  # (positions, positions): the same two words at each pair of places
turned = np.matmul(layers.rotate(ops.convert_to_tensor(query)), ops.transpose(layers.rotate(key))) / 8
print(f"score of the same two words {'query at':>10}{'key at':>8}{'added sinusoids':>18}{'rotary':>10}")
for place in (3, 13, 43):
    print(f"{'':27}{place:>10}{place - 3:>8}{added[place, place - 3]:>18.3f}{turned[place, place - 3]:>10.3f}")
spread = max(np.ptp(turned.diagonal(offset)) for offset in range(-40, 41))
print(f"largest difference of rotary scores between pairs at the same distance: {spread:.1e}")
run.record(train_rotary_spread=spread)

# %% [markdown]
# ## 6. One vector for a whole text, or one for each token
#
# D3 says that the encoder makes a vector of fixed length. Look at the shape: the encoder of this section gives a vector
# for each symbol, and twice as many for a text twice as long.
#
# Then the claim is measured. Three models write a row of random symbols backwards. They differ in the **memory** that
# their last half may look at:
#
# * *attention*: what the encoder made of each symbol, (B, S, D);
# * *mean*: the mean of these vectors, (B, 1, D): the same encoder, and one vector of fixed length;
# * *LSTM*: the last state of an LSTM of the same width, as in the translators of 2014 (Sutskever et al.), (B, 1, D).
#
# The last half asks one **question** for each symbol of the answer, a learned vector; cross-attention with one head
# looks the answer up in the memory, and a feed-forward layer and a linear one read it out. Where the memory is one
# vector, there is nothing to choose: each question gets it whole, and must find its symbol inside. Rows are padded on
# the left, so that the first symbol of the answer always stands in the same place, the last one.


# %%
def reader(encoder: str, vocabulary: int, length: int, answers: int, classes: int) -> tuple[keras.Model, keras.Model]:
    """Token ids (B, S) to the logits of each answer (B, answers, classes), and to the weights (B, 1, answers, S)."""
    width, options = preset.width, {"intermediate_dim": 4 * preset.width}
    normal = keras.initializers.RandomNormal(stddev=1.0)  # vectors as large as the positions
    token_ids = keras.Input((length,), dtype="int32")
    x = keras.layers.Embedding(vocabulary, width, normal, mask_zero=True)(token_ids)  # (B, S, D)
    if encoder == "LSTM":
        memory = layers.LSTM(width)(x)  # (B, D)
    else:
        memory = layers.SinusoidalPositions()(x)
        for _ in range(preset.num_blocks):
            memory = layers.EncoderBlock(num_heads=4, **options)(memory)
        memory = keras.layers.LayerNormalization()(memory)  # (B, S, D)
    if encoder == "mean":
        memory = keras.layers.GlobalAveragePooling1D()(memory)  # (B, D): the mean of what is not padding
    if encoder != "attention":
        memory = keras.layers.Reshape((1, width))(memory)
    numbers = ops.cumsum(ops.ones_like(token_ids[:, :answers]), axis=1) - 1  # 0, 1, 2 … in each row
    questions = keras.layers.Embedding(answers, width, normal)(numbers)  # (B, answers, D)
    found, weights = layers.MultiHeadAttention(1)(questions, memory, return_weights=True)
    y = keras.layers.LayerNormalization()(questions + found)
    y = keras.layers.LayerNormalization()(y + layers.FeedForward(**options)(y))
    logits = keras.layers.Dense(classes)(y)  # (B, answers, classes)
    return keras.Model(token_ids, logits), keras.Model(token_ids, weights)


BATCH = 128  # the sizes of the parts are multiples of it: a smaller last batch would be one more program to compile


def train_reader(stage: str, model: keras.Model, train, validation=None, epochs: int = 1, verbose="auto") -> None:
    """AdamW, a warm-up and a cosine; padding, id 0, is no answer to learn."""
    steps = epochs * len(train[0]) // BATCH
    optimizer = keras.optimizers.AdamW(warmup_cosine(3e-3, steps, warmup=0.05, final=3e-5), global_clipnorm=1.0)
    model.compile(optimizer, SparseCrossentropy(ignore_class=0))
    options = {"epochs": epochs, "batch_size": BATCH, "seed": run.seed, "verbose": verbose}
    fit(model, train, validation_data=validation, callbacks=run.callbacks(stage), **options)


SYMBOLS, N = 16, preset.longest


def rows_to_reverse(count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Symbols 1 to 16 with 0 before them, the same backwards, and how many there are."""
    lengths = draw.integers(1, N + 1, size=count)
    rows = np.where(np.arange(N) >= N - lengths[:, None], draw.integers(1, SYMBOLS + 1, size=(count, N)), 0)
    return rows, rows[:, ::-1], lengths


for length in (3, 10, 40):
    shape = layers.EncoderBlock(2, 16)(draw.normal(size=(1, length, 8)).astype("float32")).shape
    print(f"encoder block, a text of {length:>2} tokens: {tuple(shape)}, {np.prod(shape):>3} numbers")

to_reverse, held_out = rows_to_reverse(preset.reverse_rows), rows_to_reverse(4_000)
names = {"attention": "attention", "mean": "one vector, a mean", "LSTM": "one vector, LSTM"}
by_length = {}
print(f"\n{'share of symbols right, by symbols':<38}" + "".join(f"{n:>6}" for n in range(1, N + 1, 3)))
for encoder, epochs in preset.reversers:
    keras.utils.set_random_seed(run.seed)
    name = f"{names[encoder]}, {epochs} epochs"
    stage = f"{encoder.lower()}_{epochs}"
    model, _ = reader(encoder, SYMBOLS + 1, N, N, SYMBOLS + 1)
    train_reader(f"reverse_{stage}", model, to_reverse[:2], epochs=epochs, verbose=0)
    written = predict(model, held_out[0], batch_size=500).argmax(-1)  # (n, N)
    right = written == held_out[1]
    shares = [right[held_out[2] == n][:, :n].mean() for n in range(1, N + 1)]
    by_length[name] = {"right": shares}
    print(f"{name:<38}" + "".join(f"{share:>6.2f}" for share in shares[::3]))
    run.record(**{f"test_reversed_{stage}": (right | (held_out[1] == 0)).all(axis=1).mean()})
figure = plots.plot_comparison(
    by_length,
    "right",
    baseline=1 / SYMBOLS,
    label="share of symbols right",
    xlabel="symbols in the row",
    show_best=False,
    title="Random symbols written backwards (baseline: guessing)",
)
run.figure("fixed_vector", figure)

# %% [markdown]
# One vector is enough for a few symbols. The model must learn how to pack them and how to unpack them, each place anew;
# with attention it only learns where to look, once for all lengths. Four times the steps make the LSTM's vector hold
# about twice as many symbols. It remains one vector of fixed length, and texts get longer.
#
# ## 7. Dates
#
# Now a task with a use. Each day from 1950 to 2049 is written in twelve ways, and is to be read. The forms are chosen
# so that no text means two days: with slashes the month comes first, as in America, with dots the day, as in Germany.
# The lesson checks that for all days and forms.

# %%
days = [date(1950, 1, 1) + timedelta(days=number) for number in range(36_525)]
for form in DATE_FORMS:
    print(f"{form:<24}{write_date(date(2014, 5, 23), form, DATE_FORMS)}")
meanings = read_dates(days, DATE_FORMS)  # text to day; it stops where a text would mean two days
longest = max(map(len, meanings))
print(f"{len(meanings):,} texts for {len(days):,} days, each with one meaning; the longest has {longest} characters")

# %% [markdown]
# The three parts share no *day*: a day of the test part was never read in training, in any form. The days of the
# training part are read in two forms each, the others in one, drawn at random. Answers always have ten characters, so
# there are ten questions.

# %%
characters = ["", *sorted(set("".join(meanings)))]  # id 0 is padding
WRITTEN = " 0123456789-"  # what an answer is made of; here too, id 0 is no character of it


def token_ids(texts: list[str]) -> np.ndarray:
    """(n, longest), padded with 0 at the end."""
    return np.array([[characters.index(each) for each in text] + [0] * (longest - len(text)) for text in texts])


def iso(answers: np.ndarray) -> list[str]:
    """Answers (n, 10) as text."""
    return ["".join(WRITTEN[number] for number in row) for row in answers]


train, validation, test = preset.days
shuffled = draw.permutation(len(days))[: train + validation + test]
forms, texts, arrays = {}, {}, {}
for part, numbers in zip(("train", "validation", "test"), np.split(shuffled, [train, train + validation]), strict=True):
    numbers = np.repeat(numbers, 2 if part == "train" else 1)
    forms[part] = draw.choice(list(DATE_FORMS), size=len(numbers))
    texts[part] = [write_date(days[i], form, DATE_FORMS) for i, form in zip(numbers, forms[part], strict=True)]
    answers = [[WRITTEN.index(character) for character in days[i].isoformat()] for i in numbers]
    arrays[part] = token_ids(texts[part]), np.array(answers)
    print(f"{part:>10}: {len(numbers):,} texts, such as {texts[part][0]!r} for {days[numbers[0]].isoformat()}")

# %% [markdown]
# The models of section 6, all with the same number of steps. The LSTM's one vector is the baseline, and a good one
# here: a date among 36,525 is 15 bits, no more than four symbols of section 6, however long it is written. So nearly
# all of it fits, and what attention adds is small. In the printed table, look at the form where it does: digits only,
# with nothing between them.

# %%
exact = {}
for encoder in preset.readers:
    print(f"\n--- {encoder}")
    keras.utils.set_random_seed(run.seed)
    model, looks = reader(encoder, len(characters), longest, 10, len(WRITTEN))
    stage = f"dates_{encoder.lower()}"
    train_reader(stage, model, arrays["train"], arrays["validation"], preset.date_epochs)
    written = predict(model, arrays["test"][0], batch_size=500).argmax(-1)  # (n, 10)
    exact[encoder] = (written == arrays["test"][1]).all(axis=1)
    if encoder == "attention":
        date_reader, date_looks, answers = model, looks, iso(written)
        model.save(run.folder() / "model.keras")
run.record(test_exact_match=exact["attention"].mean(), baseline_test_exact_match=exact["LSTM"].mean())
if "mean" in exact:
    run.record(test_exact_match_mean=exact["mean"].mean())

print(f"\n{'exact match on the test part':<30}" + "".join(f"{encoder:>12}" for encoder in exact) + f"{'days':>8}")
for form in (*DATE_FORMS, "all"):
    chosen = (forms["test"] == form) | (form == "all")
    print(f"{form:<30}" + "".join(f"{right[chosen].mean():>12.3f}" for right in exact.values()) + f"{chosen.sum():>8}")
scores = {names[encoder]: right.mean() for encoder, right in exact.items()}
xlabel = "exact match on the test part (share of dates)"
run.figure("dates", plots.plot_scores(scores, xlabel=xlabel, title="Reading dates"))

# %% [markdown]
# ### Where it looks
#
# One row for each character of the answer: from which places its vector was taken. Three things to find: the century is
# fetched mostly where the decade stands (in a year of four digits also one place before it), which is all that a year
# of two digits tells; where a day or month has one digit, its 0 is fetched from a character *beside* it; and the
# hyphens, always the same, from anywhere, the first one often from the year's last digit. (Each vector has itself
# looked around in the encoder block. A map says where an answer was fetched, not all that it was made of.)

# %%
test = texts["test"]
weights = predict(date_looks, arrays["test"][0], batch_size=500)[:, 0]  # (n, 10, S)
shown = np.concatenate([np.flatnonzero(forms["test"] == form)[:1] for form in list(DATE_FORMS)[2::3]])  # four forms
run.use_font_for([test[i] for i in shown])
figure = plots.plot_attention(
    {f"{test[i]} → {answers[i]}": (weights[i, :, : len(test[i])], answers[i], test[i]) for i in shown},
    ylabel="written",
    xlabel="read",
    title="Where the reader of dates looks for each character that it writes",
)
run.figure("attention", figure)

share = {"year": [], "rest": []}
for i in np.flatnonzero(np.char.endswith(forms["test"], "2014")):  # texts that end in a year of four digits
    end = weights[i, :, len(test[i]) - 4 : len(test[i])].sum(axis=-1)  # (10,): the weight of its four characters
    share["year"].append(end[:4].mean())
    share["rest"].append(end[[5, 6, 8, 9]].mean())
padding = max(weights[i, :, len(text) :].max(initial=0) for i, text in enumerate(test))
share = {name: np.mean(values) for name, values in share.items()}
print("In texts that end in a year of four digits, its four characters get")
print(f"  {share['year']:.1%} of the weight when the year is written, {share['rest']:.1%} when month and day are")
print(f"largest weight on a place of padding: {padding:.1e}")
run.record(test_weight_on_year_for_year=share["year"], test_weight_on_year_for_rest=share["rest"])

# %% [markdown]
# ### What it gets wrong
#
# The cell prints first the mistakes on the test part, then how it reads texts that are not of the twelve forms. The
# reader has no way to say that it does not know: it always writes ten characters.

# %%
for encoder, right in exact.items():
    print(f"{encoder}: {(~right).sum()} mistakes in {len(right):,} dates")
for i in np.flatnonzero(~exact["attention"])[:8]:
    print(f"  {test[i]:<30} read as {answers[i]}, is {iso(arrays['test'][1][i : i + 1])[0]}")
strange = {
    "3/5/2014": "the 3rd of May in Britain; with slashes it learned the American order",
    "2014-05-03": "a form that it never read",
    "3 Mai 2014": "a German month without the German dot",
    "31 April 2014": "no such day",
    "3 May 1814": "not in the hundred years that it read",
    "pizza 2014": "no date at all",
}
strange = {text: why for text, why in strange.items() if set(text) <= set(characters)}
replies = iso(predict(date_reader, token_ids(list(strange)), batch_size=len(strange)).argmax(-1))
for (text, why), reply in zip(strange.items(), replies, strict=True):
    print(f"  {text:<16} read as {reply}   {why}")

# %% [markdown]
# ## 8. What was measured
#
# When you run the chapter, a table sets your run beside the recorded one, which is shown here (`expected.json`: preset,
# seed, versions, machine, and the spread over three seeds).

# %%
run.compare_with_record()
run.finish()

# %% [markdown]
# ## Exercises
#
# `keras-llm exercise ch04` writes exercises into a file of your own, and `keras-llm grade ch04` says what is right and
# why the rest is not. They stand, with solutions behind a fold, in [Exercises of chapter 4](solutions). These here ask
# for an experiment, and no program grades them:
#
# 1. **With a pencil.** Change W_Q in section 1 so that "pizza" gives more than 0.9 of its weight to "love", and change
#    nothing else.
# 2. **No √d in training.** Take the divisor out of the cross-attention of `reader`: give it questions that are √d times
#    as large (`questions * preset.width**0.5`). What does it do to the validation loss of each epoch, and to the map?
# 3. **No positions.** Leave `SinusoidalPositions` out of `reader`. Which of the twelve forms does it still read, and
#    why these? What can the row-reversing model still get right?
# 4. **Off by one.** Write a causal mask with `>` in place of `>=`, so that no position sees itself, and give it to
#    `attention` with the three words. What do the weights of the first word look like, and why is none of them NaN?
# 5. **A larger vector.** How many symbols does the LSTM's one vector hold when it is twice, and four times as wide? How
#    wide would it have to be for a page?
# 6. **More heads.** Give the cross-attention four heads. Is the exact match higher? Is the map of each head as easy to
#    read? What does that say about maps of large models?
# 7. **A thirteenth form.** Begin section 7 with `DATE_FORMS = DATE_FORMS | {"3/5/2014": "{d}/{m}/{y}"}`, day first.
#    What does the lesson say? Add "2014-05-03", `"{day:%Y-%m-%d}"`, instead: is it copied without mistakes?
# 8. **The price.** Time a `MultiHeadAttention` for T = 128, 256, … 4,096. From where on does the time grow with T²?
