# %% [markdown]
# # Chapter 6. Pretraining: a model that has read
#
# **You will build** the language model of document D4, its formula and its code, which are two different models; a GPT
# and a BERT from the layers of chapter 4; and you will train them on the same real text, beside a model that only
# counts. Then you see what a GPT of a laptop can learn in two minutes and in eight, how three vocabularies compare, how
# loss falls with size and text, and how a corpus larger than memory is read.
#
# **Reproduces** D4, sections 3.1 and 4 (pretraining); D2, the pretraining of GPT and BERT and their losses.
#
# **Run it**: `keras-llm run ch06_pretraining`; in Chinese with `--dataset three_kingdoms` or `peoples_daily`; your own
# text with `--data any.txt`. The first lines that it prints say how many minutes and how much memory a recorded run
# took. An interrupted run goes on with `--resume`. Afterwards, `keras-llm generate RUN "My fellow citizens"`.
#
# **Shapes.** N rows in a batch, T tokens in a row (the *context*), D numbers a token, V token ids, M hidden places:
#
# | what | shape |
# |---|---|
# | token ids, and labels: the same ids one place further | (N, T) int32 |
# | after embedding and positions, and after each block | (N, T, D) |
# | attention weights of a GPT: 0 above the diagonal | (N, heads, T, T) |
# | logits of a GPT: for each place, of the token after it | (N, T, V) |
# | logits of a BERT: for each hidden place, of the token in it | (N, M, V) |
#
# **The baseline to beat** counts runs of three tokens and smooths them (Kneser and Ney). No network trains as fast.
#
# **Where the documents are wrong.**
#
# * D4, section 3.1.4: the softmax of the formula is over the numbers of a word's vector, not over words, because W_e
#   is called the matrix of word vectors, so that W_h[w_i] has to be a vector too. Section 2 mends the dimensions, and
#   then trains exactly this formula.
# * D4, section 4: `AutoRegressiveModel` is Embedding → Linear → Linear. Nothing in it looks at another place, so it is
#   a bigram, whatever its name says; and two linear layers without an activation between them are one.
# * D4, section 4: `def train(self, data, device)` replaces the `train` of `nn.Module`, so that `model.train()` fails;
#   `num_epochs` is nowhere; `criterion(y_hat, y)` gets (N, T, V) where PyTorch wants the classes second.
# * D4, section 3.1.3, step 2, lower-cases and drops punctuation: chapter 2 measured what that takes from a language
#   model. Here the text stays as it is.
# * D4, section 3.1.2: an autoregressive model "learns from word frequencies". That is the bigram; the point of the
#   other models is what they do with contexts that they have never met.
# * D2: `BertModel` has no head and takes no `labels`; a batch is a list of texts, and what should be predicted is not
#   said. Section 4 says it: hidden tokens. Its loss for generation lacks the minus sign, so training would make the
#   text improbable.

# %%
import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import keras
import numpy as np
import tensorflow as tf

from keras_llm import data, evaluation, machine, plots, runs, text
from keras_llm.errors import InputError
from keras_llm.generation import Sampling
from keras_llm.language_model import LanguageModel
from keras_llm.models import GPT, AdditiveLanguageModel, DocumentLanguageModel, MaskedLanguageModel
from keras_llm.training import SparseCrossentropy, fit, warmup_cosine

run = runs.begin("ch06_pretraining")


@dataclass(frozen=True)
class Preset:
    characters: int = 12_000_000  # of the training part
    held_out_characters: int = 120_000  # of validation and test, each
    # the models of sections 2 to 4, on the same tokens
    vocabulary_size: int = 4_000
    context_length: int = 128
    batch_size: int = 32
    steps: int = 960
    additive_steps: int = 240
    additive_rank: int | None = None  # of W_h; None: V × V numbers, the formula as it stands
    reports: int = 8  # of the validation loss, in each training
    hidden_dim: int = 192
    num_heads: int = 6
    num_layers: int = 4
    # nanoGPT's laptop settings
    laptop_layers: int = 4
    laptop_steps: int = 2_000
    # the scaling study, and the rows of section 8
    scaling_sizes: tuple[tuple[int, int], ...] = ((2, 32), (2, 64), (3, 128))  # layers and width
    scaling_tokens: tuple[int, ...] = (500_000, 1_000_000, 2_000_000)
    scaling_batch_size: int = 8
    streaming_steps: int = 20


PRESETS = {
    "smoke": Preset(
        characters=60_000,
        held_out_characters=8_000,
        vocabulary_size=400,
        context_length=16,
        batch_size=8,
        steps=20,
        additive_steps=20,
        reports=2,
        hidden_dim=16,
        num_heads=2,
        num_layers=1,
        laptop_layers=1,
        laptop_steps=20,
        scaling_sizes=((1, 16),),
        scaling_tokens=(1_024, 4_096),
        streaming_steps=4,
    ),
    "cpu": Preset(),
    "full": Preset(
        vocabulary_size=32_000,
        context_length=1_024,
        batch_size=64,
        steps=20_000,
        additive_steps=2_000,
        additive_rank=768,
        hidden_dim=768,
        num_heads=12,
        num_layers=12,
        scaling_sizes=((4, 128), (6, 256), (8, 512)),
        scaling_tokens=(10_000_000, 30_000_000, 100_000_000),
        scaling_batch_size=64,
        streaming_steps=1_000,
    ),
}
preset = PRESETS[run.preset]

# %% [markdown]
# ## 1. The text, and whether the parts are apart
#
# Three parts that share no document. A model with a good memory looks better than it is when the held-out text stands
# in the training text too, word for word. So we look: which share of the held-out text's runs of 13 words (in Chinese:
# of 13 characters) occurs in the training part? Formulas that each president repeats are no fault; whole paragraphs
# would be.

# %%
corpus = run.load_own_data("corpus") if run.own_data else data.load("state_of_the_union", seed=run.seed)
run.use_data(corpus)
train = corpus.train.take(preset.characters)
validation, test = (part.take(preset.held_out_characters) for part in (corpus.validation, corpus.test))
print(corpus.summary())
sizes = {name: sum(map(len, part)) for name, part in (("train", train), ("validation", validation), ("test", test))}
print(", ".join(f"{name} {size:,} characters" for name, size in sizes.items()))
least = 8 * max(preset.context_length, 64)
if min(sizes["validation"], sizes["test"]) < least:
    raise InputError(
        f"{corpus.name} leaves {sizes['validation']:,} characters for the validation and {sizes['test']:,} for the "
        f"test, and each needs {least:,}: bring a text of {20 * least:,} characters or more."
    )

cut = list if corpus.language == "zh" else text.split_words
for name, part in (("validation", validation), ("test", test)):
    found = evaluation.overlap(map(cut, train), [cut(document) for document in part])
    print(f"{name}: {found.share:.2%} of its {found.runs:,} runs of 13 stand in the training part")
    for example in found.examples[:2]:
        print(f"    {('' if corpus.language == 'zh' else ' ').join(example)}")
    run.record(**{f"{name}_overlap": found.share})

# %% [markdown]
# ## 2. D4's formula and D4's code
#
# D4's formula (section 3.1.4):
#
# $$P(w_{t+1} \mid w_1 \dots w_t) = \operatorname{softmax}\Bigl(W_e[w_{t+1}] + \sum_{i \le t} W_h[w_i]\Bigr)$$
#
# Mended, W_e is one number for each word and W_h a table of V × V votes: each earlier word votes for each next one, and
# the votes are added (`keras_llm/models/additive.py`; its `call` is seven lines). It is a language model, and a weak
# one: the sum forgets the order, and the hundredth word before counts as much as the last, so that little more than the
# frequencies of the words is left. D4's code is another model: `Embedding → Linear → Linear` sees the last word alone,
# and that tells more.
#
# **The loss at step 0** tells whether the bookkeeping is right: a model that knows nothing guesses evenly among V
# tokens, and −ln(1/V) = ln V. A larger number means wrong initial weights, a smaller one that the answer leaks. D4's
# formula alone begins lower here: its W_e is given the frequencies of the words.

# %%
tokenizer = text.SubwordTokenizer.train(train, preset.vocabulary_size)
V = tokenizer.vocabulary_size
language_model = LanguageModel(tokenizer, preset.context_length, corpus.language, ends=True)
ids = {name: language_model.token_ids(part) for name, part in (("train", train), ("validation", validation))}
print(f"{V:,} token ids; the training part has {len(ids['train']):,} tokens in {len(train):,} documents")
curves: dict[str, tuple[list[float], list[float]]] = {}  # seconds of training and validation loss, of each model


def train_on(
    name: str,
    model: keras.Model,
    token_ids: dict[str, np.ndarray],
    *,
    context: int,
    batch: int,
    steps: int,
    optimizer: Callable[[int], keras.optimizers.Optimizer],
    text_model: LanguageModel | None = None,
) -> keras.callbacks.History:
    """Updates on random rows of the training ids; the validation ids are scored ``preset.reports`` times."""
    keras.utils.set_random_seed(run.seed)
    a_report = max(1, steps // preset.reports)
    rows = data.random_windows(token_ids["train"], context, batch_size=batch, steps=a_report, seed=run.seed)
    held_out = data.windows(token_ids["validation"], context)
    model.compile(optimizer(a_report * preset.reports), SparseCrossentropy())
    first = float(SparseCrossentropy()(held_out[1][:32], model(held_out[0][:32])))
    print(
        f"\n{name}: {model.count_params():,} parameters; loss {first:.2f} at step 0, ln V = {np.log(V_of(model)):.2f}"
    )
    history = fit(
        model,
        rows,
        validation_data=held_out,
        epochs=preset.reports,
        batch_size=64,
        callbacks=run.callbacks(name, None, text_model),
    )
    curves[name] = (seconds_of(name), history.history["val_loss"])
    return history


def V_of(model: keras.Model) -> int:
    return model.get_config()["vocabulary_size"]


def seconds_of(stage: str) -> list[float]:
    """Seconds of training up to the end of each epoch of a stage, compiling included."""
    return np.cumsum([float(row["seconds"]) for row in run.rows if row["stage"] == stage]).tolist()


def adam(rate: float) -> Callable[[int], keras.optimizers.Optimizer]:
    return lambda steps: keras.optimizers.Adam(warmup_cosine(rate, steps, 0.05, rate / 10))


def muon(steps: int) -> keras.optimizers.Optimizer:
    """Chapter 5 says what it does."""
    rates = warmup_cosine(8e-3, steps, 0.05, 1.6e-4)
    return keras.optimizers.Muon(rates, adam_beta_2=0.98, weight_decay=0.1, global_clipnorm=1.0)


options = {"context": preset.context_length, "batch": preset.batch_size}
keras.utils.set_random_seed(run.seed)
train_on("document_code", DocumentLanguageModel(V), ids, optimizer=adam(3e-3), steps=preset.additive_steps, **options)
additive = AdditiveLanguageModel(V, preset.additive_rank)
additive.build((None, preset.context_length))
counts = np.bincount(ids["train"], minlength=V) + 1.0
frequencies = np.log(counts / counts.sum())
# W_e begins with what counting knows: a rate that suits sums of a hundred votes is too small for a single number.
additive.alone.assign(frequencies)
train_on("additive", additive, ids, optimizer=adam(1e-3), steps=preset.additive_steps, **options)
frequent_words = float(-frequencies[ids["validation"]].mean())

start = time.perf_counter()
counting = evaluation.NgramModel(3, V).fit([ids["train"]])
counted = float(counting.bits([ids["validation"]]).mean() * math.log(2))
counting_seconds = time.perf_counter() - start
print(f"\nfrequencies alone {frequent_words:.3f}; 3-gram, counted in {counting_seconds:.1f} s, {counted:.3f}")

# %% [markdown]
# ## 3. GPT
#
# The blocks of chapter 4, without an encoder to look at. Every place predicts the next token from itself and all
# before it, so that one row of T tokens is T examples. The table of token vectors serves twice: as input, and turned
# around as the output. `GPT` has the choices of the models since 2019 as options; here are those of Llama: rotary
# positions, RMS norm, SwiGLU, no biases. The loss is the mean surprise at the next token, with the minus sign that
# D2's lacks:
#
# $$L = -\frac{1}{T} \sum_{t=1}^{T} \ln P(w_t \mid w_1 \dots w_{t-1})$$

# %%
LLAMA = {"positions": "rotary", "norm": "rms", "activation": "swiglu", "use_bias": False}
keras.utils.set_random_seed(run.seed)
language_model.model = GPT(V, preset.context_length, preset.hidden_dim, preset.num_heads, preset.num_layers, **LLAMA)
train_on("gpt", language_model.model, ids, optimizer=muon, steps=preset.steps, text_model=language_model, **options)
language_model.save(run.folder())

# %% [markdown]
# **Saved and loaded.** `model.keras` has weights and optimizer, the folder the tokenizer with them. The loaded model
# must say what the saved one said; in section 8 it learns on from there.

# %%
loaded = LanguageModel.load(run.folder())
report = language_model.report(validation)
if loaded.report(validation) != report:
    raise SystemExit("The loaded model is another one than the saved.")
print(f"validation: {report}")

# %% [markdown]
# ## 4. BERT
#
# BERT sees the whole row, so the next token is no riddle to it. Instead, 15% of the tokens are chosen, and it must say
# what they were. Of the chosen ones 80% are replaced by a mask token, 10% by a random token, 10% stay, so that the
# model cannot trust what it sees. `data.hide_tokens` has keras-hub do that; the cell counts its shares. As in the
# paper's own code it is done once, before the training; a text that is read several times is hidden several times, each
# time other tokens. A row gives only 15% of T examples, so BERT needs more rows than a GPT to learn as much; what it
# learns looks both ways. Rotary positions are not the paper's: with learned ones this model knew half as much after 480
# updates (15% of the hidden tokens right instead of 30%; always the most frequent token: 7%). Its loss cannot be
# compared with that of the others: it knows what comes after.

# %%
pieces = text.WordPieceTokenizer.train(train, preset.vocabulary_size)
bert_ids = {
    name: np.concatenate(pieces.encode_all(part)) for name, part in (("train", train), ("validation", validation))
}
keras.utils.set_random_seed(run.seed)
bert = MaskedLanguageModel(
    pieces.vocabulary_size,
    preset.context_length,
    preset.hidden_dim,
    preset.num_heads,
    preset.num_layers,
    pre_norm=True,
    positions="rotary",
)
whole, held_out = (data.windows(bert_ids[name], preset.context_length)[0] for name in ("train", "validation"))
passes = math.ceil(preset.steps * preset.batch_size / len(whole))
special = {"mask_id": bert.mask_id, "never": (pieces.padding_id, pieces.unknown_id)}
riddles, held_out_riddles = (
    data.hide_tokens(rows, vocabulary_size=pieces.vocabulary_size, seed=run.seed, **special)
    for rows in (np.tile(whole, (passes, 1)), held_out)
)
chosen = held_out_riddles[2].astype(bool)
shown = np.take_along_axis(held_out_riddles[0]["token_ids"], held_out_riddles[0]["mask_positions"], axis=1)[chosen]
truth = held_out_riddles[1][chosen]
print(
    f"{chosen.sum() / held_out.size:.1%} of the tokens are chosen; of these {np.mean(shown == bert.mask_id):.1%} are "
    f"masked, {np.mean((shown != bert.mask_id) & (shown != truth)):.1%} random, {np.mean(shown == truth):.1%} kept"
)
a_report = max(1, preset.steps // preset.reports)
rows = data.batches(
    riddles[0], riddles[1], sample_weight=riddles[2], batch_size=preset.batch_size, shuffle_seed=run.seed
)
accuracy = keras.metrics.SparseCategoricalAccuracy(name="accuracy")
bert.compile(
    muon(a_report * preset.reports),
    SparseCrossentropy(reduction="mean_with_sample_weight"),
    weighted_metrics=[accuracy],
)
history = fit(
    bert,
    rows.take(a_report),
    validation_data=held_out_riddles,
    epochs=preset.reports,
    batch_size=64,
    callbacks=run.callbacks("bert"),
)
curves["bert"] = (seconds_of("bert"), history.history["val_loss"])
frequent = np.mean(truth == np.bincount(bert_ids["train"]).argmax())
print(f"masked accuracy {history.history['val_accuracy'][-1]:.1%}; always the most frequent token: {frequent:.1%}")
run.record(
    validation_masked_loss=history.history["val_loss"][-1],
    validation_masked_accuracy=history.history["val_accuracy"][-1],
    baseline_validation_masked_accuracy=frequent,
)

# %% [markdown]
# The cell prints what BERT fills in where a word of a held-out sentence is hidden:

# %%
for row in held_out[:: max(1, len(held_out) // 5)][:5]:
    row = row[: min(24, preset.context_length)].copy()
    names = [pieces.decode([i]) for i in row]
    # A word that is one piece: what follows does not go on with it.
    whole_words = [
        place
        for place, name in enumerate(names[:-1])
        if name.isalpha() and not names[place + 1].startswith("##") and (len(name) > 3 or corpus.language == "zh")
    ]
    place = min(whole_words, key=lambda place: abs(place - len(row) // 2), default=len(row) // 2)
    row[place] = bert.mask_id
    logits = bert({"token_ids": row[None], "mask_positions": np.array([[place]])})[0, 0]
    probabilities = tf.nn.softmax(logits).numpy()
    best = ", ".join(f"{pieces.decode([i])} {probabilities[i]:.0%}" for i in probabilities.argsort()[::-1][:5])
    print(f"{pieces.decode(row[:place])} [{names[place]}] {pieces.decode(row[place + 1 :])}\n    {best}")

# %% [markdown]
# **All of them on one figure.** Look at how low each curve is after its first eighth, how long the GPT takes to pass
# the 3-gram (BERT has another task), and which still falls at its end.

# %%
LABELS = {
    "document_code": "D4's code (a bigram)",
    "additive": "D4's formula",
    "gpt": "GPT",
    "bert": "BERT (hidden tokens; it sees both sides)",
}
figure = plots.plot_progress(
    {LABELS[name]: curves[name] for name in LABELS},
    {"3-gram": counted, "frequencies alone": frequent_words, "ln V: knows nothing": math.log(V)},
    xlabel="seconds of training",
    ylabel="validation loss, nats a token",
    title=f"The same text, {corpus.name}",
)
run.figure("language_models", figure)
run.record(
    baseline_validation_loss=counted,
    validation_loss_document_code=curves["document_code"][1][-1],
    validation_loss_additive=curves["additive"][1][-1],
    validation_loss=curves["gpt"][1][-1],
)

# %% [markdown]
# ## 5. A GPT of characters, in two minutes and in eight
#
# nanoGPT's README trains a GPT of characters on a laptop: 4 layers, 4 heads, 128 wide, context 64, 12 rows a batch,
# 2,000 updates with AdamW. First the same settings here, then the sizes of section 3 with what has been learned since:
# rotary positions, RMS norm, SwiGLU, Muon, a longer context, larger batches. `python -m tests.benchmarks.pretraining`
# trains such GPTs on a file of yours, and PyTorch beside the first.

# %%
characters = text.CharacterTokenizer.train(train, preset.vocabulary_size)
best = LanguageModel(characters, preset.context_length, corpus.language)
character_ids = {name: best.token_ids(part) for name, part in (("train", train), ("validation", validation))}
keras.utils.set_random_seed(run.seed)
laptop = GPT(characters.vocabulary_size, 64, 128, 4, preset.laptop_layers, use_bias=False)


def nano(steps: int) -> keras.optimizers.Optimizer:
    rates = warmup_cosine(1e-3, steps, 100 / 2_000, 1e-4)
    optimizer = keras.optimizers.AdamW(rates, weight_decay=0.1, beta_2=0.99, global_clipnorm=1.0)
    optimizer.exclude_from_weight_decay(var_names=["gamma", "beta", "bias"])
    return optimizer


train_on("laptop", laptop, character_ids, context=64, batch=12, steps=preset.laptop_steps, optimizer=nano)
keras.utils.set_random_seed(run.seed)
sizes = (preset.context_length, preset.hidden_dim, preset.num_heads, preset.num_layers)
best.model = GPT(characters.vocabulary_size, *sizes, **LLAMA)
train_on("characters", best.model, character_ids, optimizer=muon, steps=preset.steps, **options)
for name in ("laptop", "characters"):
    run.record(**{f"validation_loss_{name}": min(curves[name][1])})
    print(f"{name}: {min(curves[name][1]):.3f} nats a character")
run.figure(
    "characters",
    plots.plot_progress(
        {"nanoGPT's laptop settings": curves["laptop"], "the sizes of section 3": curves["characters"]},
        xlabel="seconds of training",
        ylabel="validation loss, nats a character",
        title=f"GPTs of characters, {corpus.name}",
    ),
)

# %% [markdown]
# The cell prints what the subword model and the character model write (chapter 8 is about how to choose the next
# token):

# %%
sampling = Sampling(temperature=0.8, top_p=0.95)
beginning = {"en": "The ", "zh": "却说"}.get(corpus.language, test[0][:8])
for name, writer in (("subwords", language_model), ("characters", best)):
    run.sample(name, f"\n{name}: {beginning}{''.join(writer.stream(beginning, 200, sampling, run.seed))}")

# %% [markdown]
# ## 6. Three vocabularies
#
# Losses per token cannot be compared between vocabularies: a subword is harder to guess than a letter, and a text has
# fewer of them. *Bits a character* (and a byte, for texts in different scripts) compare. (Nearly all characters of this
# text have one byte, so the two agree to three decimals.) A third model with the same sizes reads bytes. All three see
# as many tokens, in similar time; but a subword stands for several characters, so that model has seen more of the text.

# %%
reader = LanguageModel(text.ByteTokenizer(), preset.context_length, corpus.language)
keras.utils.set_random_seed(run.seed)
reader.model = GPT(reader.tokenizer.vocabulary_size, *sizes, **LLAMA)
read = {name: reader.token_ids(part) for name, part in (("train", train), ("validation", validation))}
train_on("bytes", reader.model, read, optimizer=muon, steps=preset.steps, **options)
reports = {"subwords": report, "characters": best.report(validation), "bytes": reader.report(validation)}
for name, each in reports.items():
    print(f"{name}: {each}")
    run.record(
        **{
            f"validation_bits_per_character_{name}": each.bits_per_character,
            f"validation_bits_per_byte_{name}": each.bits_per_byte,
        }
    )

# %% [markdown]
# ## 7. How loss falls with size and text
#
# Three sizes, each trained on three amounts of text: nine trainings, each with a learning rate that has come down by
# its own end. Kaplan et al. (2020) read losses in the middle of long trainings, where the rate has not come down yet
# and the loss is higher than it had to be; with schedules of their own, Hoffmann et al. (2022) found that a given
# amount of computation wants a smaller model and more text than had been thought. Both found straight lines on two
# logarithmic scales over many powers of ten; in a few minutes we cover two, and each size alone bends away from the
# line. Fitted are the points of the best model for each amount of computation: 6 × weights × tokens, by the rule of
# thumb of the first paper.

# %%
points: dict[str, tuple[list[float], list[float]]] = {}
context, batch = preset.context_length, preset.scaling_batch_size
for size, (num_layers, width) in zip(("small", "middle", "large"), preset.scaling_sizes, strict=False):
    compute, losses = [], []
    for amount, tokens in zip(("least", "more", "most"), preset.scaling_tokens, strict=False):
        name = f"scaling_{size}_{amount}"
        keras.utils.set_random_seed(run.seed)
        model = GPT(characters.vocabulary_size, context, width, max(1, width // 32), num_layers, **LLAMA)
        steps = max(1, tokens // (context * batch))
        model.compile(muon(steps), SparseCrossentropy())
        history = fit(
            model,
            data.random_windows(character_ids["train"], context, batch_size=batch, steps=steps, seed=run.seed),
            validation_data=data.windows(character_ids["validation"], context),
            batch_size=64,
            callbacks=run.callbacks(name),
        )
        weights = sum(int(np.prod(w.shape)) for w in model.trainable_weights if "embedding" not in w.path)
        compute.append(6.0 * weights * steps * context * batch)
        losses.append(history.history["val_loss"][-1])
        print(f"{num_layers} x {width}, {weights:,} weights, {tokens:,} tokens: {losses[-1]:.3f}")
        run.record(**{f"validation_loss_{name}": losses[-1]})
    points[f"{weights:,} weights"] = (compute, losses)

every = sorted((c, loss) for x, y in points.values() for c, loss in zip(x, y, strict=True))
frontier = [(c, loss) for c, loss in every if loss <= min(other for cost, other in every if cost < 1.1 * c)]
x, y = (np.array(values) for values in zip(*frontier, strict=True))
if len(x) > 2:
    factor, exponent = text.fit_power_law(x, y)
    print(f"loss = {factor:.2f} · compute^{exponent:.3f} over the {len(x)} best points")
    run.record(validation_scaling_exponent=exponent)
    points = {"the best for each amount": (x, y)} | points
figure = plots.plot_power_laws(
    {name: (np.array(x), np.array(y)) for name, (x, y) in points.items()},
    {"the best for each amount": (factor, exponent)} if len(x) > 2 else {},
    xlabel="computation: 6 × weights × tokens, floating-point operations",
    ylabel="validation loss, nats a character",
    title="Scaling, as far as minutes reach",
)
run.figure("scaling", figure)

# %% [markdown]
# ## 8. A corpus that is larger than memory
#
# The ids are written into shards once (chapter 2). Training then reads rows from the disk in any order; only a batch is
# in memory, and one number for each row. The loop reads ahead while it computes, so the speed is the same. The model
# that was loaded in section 3 learns on from both in turns. `python -m tests.benchmarks.streaming` measures it with
# gigabytes.

# %%
rows, labels = data.windows(ids["train"], preset.context_length)
shards = data.write_shards(
    (
        {"inputs": row.astype("uint16"), "labels": label.astype("uint16")}
        for row, label in zip(rows, labels, strict=True)
    ),
    run.folder() / "shards",
    overwrite=True,
)
feeds = {
    "memory": data.batches(rows, labels, batch_size=preset.batch_size, shuffle_seed=run.seed),
    "shards": data.batches(shards, "labels", batch_size=preset.batch_size, shuffle_seed=run.seed).map(
        lambda row, label: (tf.cast(row, "int32"), tf.cast(label, "int32"))
    ),
}
speeds: dict[str, list[float]] = {name: [] for name in feeds}
fit(loaded.model, feeds["memory"].take(preset.streaming_steps), verbose=0)  # compiles
for _ in range(3):
    for name, feed in feeds.items():
        start = time.perf_counter()
        fit(loaded.model, feed.take(preset.streaming_steps), verbose=0)
        tokens = preset.streaming_steps * preset.batch_size * preset.context_length
        speeds[name].append(tokens / (time.perf_counter() - start))
for name, found in speeds.items():
    print(f"from {name}: {np.median(found):,.0f} tokens a second ({min(found):,.0f} to {max(found):,.0f})")
if run.preset == "smoke":
    print("(these models are so small that feeding them takes most of the time)")
print(f"{shards.num_bytes:,} bytes in {len(shards.files)} shards; peak memory of the run {machine.peak_memory_gb()} GB")
print(f"after these updates the loaded model's validation loss is {loaded.report(validation).loss:.3f}")

# %% [markdown]
# ## 9. The test part, once
#
# The GPT of section 3 on the test part, beside the 3-gram, on the tokens that fill the GPT's windows.
#
# When you run the chapter, a table sets your run beside the recorded one, which is shown here (`expected.json`:
# preset, seed, versions and machine are in it).

# %%
final = LanguageModel.load(run.folder())
report = final.report(test)
test_ids, scored = final.token_ids(test), slice(1, 1 + report.tokens)
counted_loss = counting.bits([test_ids])[scored].mean() * math.log(2)
counted_test = evaluation.LanguageModelReport.of(counted_loss, report.tokens, [tokenizer.decode(test_ids[scored])])
print(f"GPT     {report}\n3-gram  {counted_test}")
run.record(**report.metrics("test"), **counted_test.metrics("baseline_test"))
run.compare_with_record()
run.finish()

# %% [markdown]
# ## Exercises
#
# `keras-llm exercise ch06` writes exercises into a file of your own, and `keras-llm grade ch06` says what is right and
# why the rest is not. They stand, with solutions behind a fold, in [Exercises of chapter 6](solutions). These here ask
# for an experiment, and no program grades them:
#
# 1. **Order.** Shuffle the words of a held-out sentence. How does the loss of D4's formula change, how that of the GPT?
# 2. **Reach.** Train `AdditiveLanguageModel(V, reach=r)` for r = 1, 2, 4, 16. Which is best, and why not the longest?
# 3. **Leak.** Give the GPT labels that are *not* shifted. What is its loss after 100 updates, and what does it write?
# 4. **Masks.** Train BERT with all chosen tokens masked (100/0/0) and score it with 80/10/10. What changes?
# 5. **Tied or not.** Give the GPT an output layer of its own. How many weights more, and how much better?
# 6. **Positions.** `positions="learned"` beside "rotary": the same loss? And on rows twice as long as in training?
# 7. **Compute.** For 10¹³ floating-point operations, which of the scaling study's sizes would you train?
