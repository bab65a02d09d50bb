# %% [markdown]
# # Chapter 5. A Transformer that translates
#
# **You will build** the encoder-decoder of document D3 with each of its errors mended, let it learn the document's one
# sentence by heart, and see what such a model knows. Then you train it on real sentence pairs, English to Chinese, hold
# it against a translator that needs no network, translate a test part of more than a thousand sentences by beam search,
# and look at what each written word was looking at.
#
# **Reproduces** D3, sections 2 to 5, and the Transformer of D2.
#
# **Run it**: `keras-llm run ch05_transformer`; into German or French with `--dataset home_assistant_en_de` (`_fr`);
# your own pairs, a source, a tab and its translation a line, with `--data pairs.tsv`. The first lines that it prints
# say how many minutes and how much memory a recorded run took, and on which machine.
#
# **Shapes.** N pairs in a batch, S tokens in a source, T in a target, D numbers a token, H heads, V token ids:
#
# | what | shape | in the document |
# |---|---|---|
# | source ids, target ids, 0 = padding | (N, S), (N, T) | one number a word |
# | after embedding and positions | (N, S, D), (N, T, D) | D = 512; positions are missing |
# | the encoder's output, the *memory* | (N, S, D) | called a vector of fixed length |
# | weights of self-attention and of cross-attention | (N, H, T, T), (N, H, T, S) | H = 8 |
# | logits of the next token | (N, T, V) | (…, 1) |
#
# **The baselines to beat** are copying the source, which is right wherever names and numbers are, and a dictionary of
# phrases, learned from the same pairs by counting. Translation worked like that until about 2015.
#
# **Where the document is wrong.** Its program cannot run, and would not learn if it did. In the order of its lines:
#
# * `nn.Embedding(d_model, nhead)` is a table for 512 words with 8 numbers each. The arguments of an embedding are the
#   size of the vocabulary and the width.
# * `nn.Linear(d_model, d_model)` is applied to token ids. An id is a name, not a quantity: the target needs an
#   embedding as the source does.
# * `nn.Transformer(d_model, nhead, num_layers)` sets the layers of the encoder alone. The decoder keeps its 6.
# * Nothing tells where a word stands, although the text above it asks for positional encoding.
# * No mask keeps the decoder from seeing the words it should predict, and the target is not shifted by one: the answer
#   is its input. A model like that echoes.
# * `nn.Linear(d_model, 1)` under cross-entropy: a choice among one word. The loss is 0 whatever the weights are
#   (section 1), which is how "close to 0" comes about.
# * `for word in text` walks characters, so the vocabulary's first miss is the space after "I" (section 1).
# * `TensorDataset(src, tgt)` of two vectors makes four examples of one word each, not one sentence.
# * `model(src)` lacks the target. And `tensor([[1.0000e+00]])` is said to mean that "I" was predicted: word 0 of its
#   list, from one number that is 1.
# * The new sentence has words that are not in its list: a KeyError (section 3). The names that its last lines give to
#   the numbers 0 to 3 are not those of the list either.
# * The formulas add the residual twice, and the decoder's line lets two attentions run side by side (section 2).
# * "3 words" are 4; the probabilities [0.3, 0.5, 0.2] are for 3; and section 2's vector of fixed length is refuted in
#   chapter 4.

# %%
import re
import time
from dataclasses import dataclass

import keras
import numpy as np
import tensorflow as tf

from keras_llm import data, evaluation, layers, plots, runs, text
from keras_llm.generation import generate
from keras_llm.models import Transformer
from keras_llm.training import SparseCrossentropy, fit, warmup_cosine
from keras_llm.translator import Translator

run = runs.begin("ch05_transformer")


@dataclass(frozen=True)
class Preset:
    # the document's own sizes, for its one sentence
    document_dim: int = 512
    document_heads: int = 8
    document_layers: int = 3
    document_epochs: int = 100
    # the translator
    pairs: int | None = None  # of the training part; None = all
    test_pairs: int | None = None
    vocabulary_size: int = 4_000
    hidden_dim: int = 256
    num_heads: int = 4
    intermediate_dim: int = 512
    num_layers: int = 3
    dropout: float = 0.15
    boundaries: tuple[int, ...] = (8, 16, 32, 80)  # of the length buckets; longer sentences lose their end
    tokens_per_batch: int = 2048
    most_tokens: int = 3_800_000  # of the targets, padding included, in the whole training: minutes on two cores
    most_tokens_of_yours: int = 9_000_000  # the same for --data and --dataset: somebody waits for one model
    most_epochs: int = 30
    learning_rate: float = 4e-3
    length_penalties: tuple[float, ...] = (1.0, 2.0, 3.0)
    beams: tuple[int, ...] = (1, 2, 4, 8)


PRESETS = {
    "smoke": Preset(
        document_dim=32,
        document_heads=2,
        document_layers=1,
        document_epochs=200,
        pairs=400,
        test_pairs=60,
        vocabulary_size=500,
        hidden_dim=32,
        num_heads=2,
        intermediate_dim=64,
        num_layers=1,
        boundaries=(24,),
        tokens_per_batch=240,
        most_tokens=120_000,
        most_tokens_of_yours=120_000,
        most_epochs=12,
        learning_rate=1e-2,
        beams=(1, 2),
    ),
    "cpu": Preset(),
    "full": Preset(
        vocabulary_size=8_000,
        hidden_dim=512,
        num_heads=8,
        intermediate_dim=2048,
        num_layers=6,
        tokens_per_batch=8192,
        most_tokens=100_000_000,
        most_tokens_of_yours=1_000_000_000,
        most_epochs=60,
    ),
}
preset = PRESETS[run.preset]
START, END = text.SubwordTokenizer.start_id, text.SubwordTokenizer.end_id
# First of all, so that a wrong file or a missing network is found before anything is trained.
pairs = run.load_own_data("translation") if run.own_data else data.load("home_assistant_en_zh")

# %% [markdown]
# ## 1. Two of the document's lines, run
#
# The word list of D3, section 5.2, and its loss over one output unit.

# %%
word_to_ix = {"I": 0, "love": 1, "eating": 2, "pizza": 3}
try:
    print([word_to_ix[word] for word in "I love eating pizza"])
except KeyError as error:
    print(f'for word in "I love eating pizza": KeyError {error}')
print("split at the spaces:", [word_to_ix[word] for word in ["I", "love", "eating", "pizza"]])

one_class = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
losses = [float(one_class(np.array([0]), np.array([[logit]]))) for logit in (-5.0, 0.0, 123.0)]
print(f"cross-entropy with one output unit, for the logits -5, 0 and 123: {losses}")
assert losses == [0.0, 0.0, 0.0]

# %% [markdown]
# ## 2. The formulas beside the code
#
# D3's flow chart (section 3) has one line from the embedding to the output. Two things meet in the decoder, though: the
# source by way of the encoder, and what has been written so far.
#
# ```mermaid
# flowchart TD
#     accDescr: The source goes through the encoder, the target so far through the decoder, which looks at both.
#     source["source tokens"] --> embed["embedding + positions"] --> encoder["encoder: self-attention, feed-forward"]
#     encoder -->|"memory: keys and values"| cross["decoder: cross-attention, feed-forward"]
#     target["target tokens so far"] --> embed2["embedding + positions"]
#     embed2 --> causal["decoder: causal self-attention"] -->|"queries"| cross
#     cross --> output["logits, softmax: the next token"]
# ```
#
# `keras_llm/layers/blocks.py` has the two blocks; what they compute is in `call` and `feed`, a few lines each. LN is
# layer normalisation, MHA(q, m) multi-head attention of q over m (causal where the decoder looks at itself), FF the
# feed-forward layer. Post-norm is the paper of 2017, pre-norm what nearly all models since 2019 do: it trains without a
# careful warm-up.
#
# | D3, section 4 | mended, post-norm | mended, pre-norm (the default) | in the code |
# |---|---|---|---|
# | E = Add(MHA(E, E), E) + E | E ← LN(E + MHA(E, E)) | E ← E + MHA(LN(E), LN(E)) | `EncoderBlock.call` |
# | (the text has FF, the formula not) | E ← LN(E + FF(E)) | E ← E + FF(LN(E)) | `EncoderBlock.feed` |
# | D = Add(MHA(D, D), D) + … | D ← LN(D + MHA(D, D)) | D ← D + MHA(LN(D), LN(D)) | `DecoderBlock.call` |
# | … Add(MHA(D, E), D) + … | D ← LN(D + MHA(D, E)) | D ← D + MHA(LN(D), E) | `DecoderBlock.call` |
# | … FF(D) | D ← LN(D + FF(D)) | D ← D + FF(LN(D)) | `DecoderBlock.feed` |
#
# So each line works on the *result* of the one above it, and adds its input once. What does it do to add it twice? A
# block then returns twice its input plus something: the numbers double with each layer. The cell measures it, with
# random weights:

# %%
x = keras.random.normal((4, 10, 64), seed=run.seed)
once, twice = x, x
print(f"{'blocks':>6}{'added once':>14}{'added twice, as in D3':>26}   (standard deviation)")
for number in range(1, 7):
    keras.utils.set_random_seed(number)
    attention, norm = layers.MultiHeadAttention(num_heads=4), keras.layers.LayerNormalization()
    once = once + attention(norm(once))
    twice = (attention(norm(twice)) + twice) + twice
    print(f"{number:>6}{float(keras.ops.std(once)):>14.2f}{float(keras.ops.std(twice)):>26.2f}")

# %% [markdown]
# ## 3. "I love eating pizza"
#
# The document trains on one sentence, with itself as the target. With the errors mended and the document's own sizes
# (512 wide, 8 heads, 3 layers) the model learns it by heart. The target goes in **shifted by one**: the decoder is
# given `<s> I love eating pizza` and must say `I love eating pizza </s>`. A subword tokenizer cuts any text, at worst
# into bytes, so that no word can raise a KeyError.


# %%
def pair_arrays(translator: Translator, sources, targets) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Pairs as ``({"source_ids": (N, S), "target_ids": (N, T)}, labels (N, T))``, padded with 0."""
    source, target = translator.source_ids(sources), translator.target_ids(targets)
    longest = max(map(len, [*source, *target]))
    inputs = {
        "source_ids": data.pad_sequences_to(source, longest),
        "target_ids": data.pad_sequences_to([ids[:-1] for ids in target], longest),
    }
    return inputs, data.pad_sequences_to([ids[1:] for ids in target], longest)


if not run.own_data:
    sentence = "I love eating pizza"
    tokenizer = text.SubwordTokenizer.train([sentence] * 9, vocabulary_size=290)
    print("as tokens:", tokenizer.tokens(sentence))
    keras.utils.set_random_seed(run.seed)
    by_heart = Translator(tokenizer, longest=64, languages=("en", "en"))
    by_heart.model = Transformer(
        tokenizer.vocabulary_size,
        hidden_dim=preset.document_dim,
        num_heads=preset.document_heads,
        intermediate_dim=4 * preset.document_dim,
        num_layers=preset.document_layers,
        dropout=0.0,
    )
    by_heart.model.compile(keras.optimizers.Adam(1e-4 if preset.document_dim > 100 else 3e-3), SparseCrossentropy())
    history = fit(
        by_heart.model,
        pair_arrays(by_heart, [sentence], [sentence]),
        epochs=preset.document_epochs,
        callbacks=run.callbacks("one_sentence"),
        verbose=0,
    )
    losses = history.history["loss"]
    print(f"{by_heart.model.count_params():,} parameters; loss {losses[0]:.2f} at first, {losses[-1]:.4f} at the end")
    run.record(train_loss_one_sentence=losses[-1])
    figure = plots.plot_history(history, title=f"“{sentence}”, learned by heart")
    run.figure("one_sentence", figure)
    for source in (sentence, "I am enjoying a delicious pizza", "今天天气很好"):
        print(f"{source}  →  {by_heart.translate([source], num_beams=1)[0]}")

# %% [markdown]
# The loss falls below 0.01 and the sentence comes back: the machinery works. It is no understanding. The new sentence
# of the document raises no KeyError any more, and what comes out is made of the only sentence that the model has ever
# seen; so is its answer to Chinese. A model trained on one sentence can know that sentence. All else, the document's
# "successfully predicted the word enjoying" too, is an accident of the weights.
#
# ## 4. Real pairs, and the baselines first
#
# The texts of a home automation program, as its community translates them (`keras-llm data show home_assistant_en_zh`):
# short, real, and in dozens of languages. The split is by source: no source sentence of the test part is in the
# training part. The network is scored on the test part once per way of searching, at the very end, and in full.

# %%
pairs = pairs.take(train=preset.pairs, validation=preset.pairs and preset.pairs // 5, test=preset.test_pairs)
run.use_data(pairs)
print(pairs.summary())
language = pairs.target_language

copied = evaluation.translation_report(pairs.test.sources, pairs.test.targets, language, intervals=False)
run.record(baseline_test_bleu_copy=copied.bleu, baseline_test_chrf_copy=copied.chrf)
print(f"\ncopying the source: BLEU {copied.bleu:.1f}, chrF {copied.chrf:.1f}")
dictionary = evaluation.DictionaryBaseline(language).fit(*pairs.train.sides)
by_dictionary = dictionary.translate(pairs.test.sources)
dictionary_report = evaluation.translation_report(by_dictionary, pairs.test.targets, language)
run.record(**dictionary_report.metrics("baseline_test"))
print(f"\na dictionary of {len(dictionary.phrases):,} phrases:\n{dictionary_report.table()}")

# %% [markdown]
# **BLEU** counts how many of a translation's words, pairs, threes and fours of words stand in the reference too, and
# punishes what is too short; 100 is a copy of the reference. In Chinese a "word" is a character (the line behind the
# score, sacrebleu's *signature*, says so: figures with other signatures cannot be compared). **chrF** does the same
# with characters. Both know one reference; a good translation in other words scores low. The same program's texts
# repeat their words and phrases often, so the dictionary is strong here. That is why it must stand beside the network.
#
# ## 5. From text to batches
#
# One subword vocabulary for both languages, learned from the training part. Sentences of similar length share a batch
# (chapter 2), so that little is padding and XLA compiles for a few shapes only; a batch has about the same number of
# tokens, whatever their length.

# %%
both = [*pairs.train.sources, *pairs.train.targets]
translator = Translator(
    text.SubwordTokenizer.train(both, preset.vocabulary_size),
    longest=preset.boundaries[-1],
    languages=(pairs.source_language, language),
)


def batches_of(part: data.PairPart, shuffle_seed: int | None = None) -> tf.data.Dataset:
    source, target = translator.source_ids(part.sources), translator.target_ids(part.targets)
    return data.bucket_batches(
        {"source_ids": source, "target_ids": [ids[:-1] for ids in target]},
        [ids[1:] for ids in target],
        boundaries=preset.boundaries,
        tokens_per_batch=preset.tokens_per_batch,
        shuffle_seed=shuffle_seed,
        fill=True,
    )


train_batches = batches_of(pairs.train, shuffle_seed=run.seed)
inputs, labels = next(iter(train_batches))
for name, array in (*inputs.items(), ("labels", labels)):
    shown = translator.tokenizer.tokens(translator.tokenizer.decode(array[0].numpy()))
    print(f"{name:<11}{array.shape!s:<11}{array[0, :10].numpy()} … {shown[:8]}")
waste = data.wasted(y for _, y in train_batches)
print(f"{waste:.0%} of the target's places are padding")

# %% [markdown]
# ## 6. Training
#
# **Label smoothing** 0.1 spreads a tenth of the probability evenly over all V tokens, the label among them, so that the
# model does not grow too sure of the one reference (its loss can then not reach 0). The **warm-up** raises the learning
# rate over the first tenth of the updates, and half a cosine lets it fall. Dropout and the small size hold over-fitting
# down; there are few pairs. The optimizer is **Muon** (Jordan et al. 2024; Liu et al. 2025): it turns the update of
# each matrix into one that changes all directions alike, where Adam, the paper's, scales each number by itself. Vectors
# and embeddings keep Adam. Muon's updates take longer and are worth more: exercise 7. Before the first update the loss
# must be near ln V, for a model that knows nothing guesses evenly.

# %%
keras.utils.set_random_seed(run.seed)
model = translator.model = Transformer(
    translator.tokenizer.vocabulary_size,
    hidden_dim=preset.hidden_dim,
    num_heads=preset.num_heads,
    intermediate_dim=preset.intermediate_dim,
    num_layers=preset.num_layers,
    dropout=preset.dropout,
)
steps = int(train_batches.cardinality())
budget = preset.most_tokens_of_yours if run.own_data else preset.most_tokens
epochs = int(np.clip(budget // (steps * preset.tokens_per_batch), 2, preset.most_epochs))
loss = SparseCrossentropy(label_smoothing=0.1, ignore_class=0)
first_loss = float(loss(labels, model(inputs)))
print(f"{model.count_params():,} parameters, {epochs} epochs of {steps} updates")
print(f"loss before the first update: {first_loss:.2f}; ln V = {np.log(model.config['vocabulary_size']):.2f}")
rates = warmup_cosine(preset.learning_rate, steps=epochs * steps, warmup=0.1, final=preset.learning_rate / 50)
model.compile(keras.optimizers.Muon(rates, adam_beta_2=0.98, global_clipnorm=1.0), loss)
history = fit(
    model,
    train_batches,
    validation_data=batches_of(pairs.validation),
    epochs=epochs,
    callbacks=run.callbacks("translation", None, translator),
)
run.record(validation_loss=history.history["val_loss"][-1])
translator.save(run.folder())
run.figure("translation_history", plots.plot_history(history, title=f"Translation, {pairs.name}"))

# %% [markdown]
# ## 7. Writing one token after the other
#
# **Greedy search**, as plain as it gets: ask for the next token, append the most probable one, ask again. Each time the
# decoder works through all it has written. The library's `generate` keeps the keys and values of earlier tokens (a
# *cache*), holds all shapes fixed and runs the whole loop as one XLA program. The tokens must be the same, but for ties
# that rounding decides.


# %%
def greedy(source_ids: np.ndarray, max_length: int) -> np.ndarray:
    """Token ids ``(N, max_length)`` of sources ``(N, S)``, without a cache."""
    memory = model.encode(source_ids)
    written = np.full((len(source_ids), 1), START)
    for _ in range(max_length):
        logits = model.decode(written, memory, source_ids)  # (N, T, V), of which only the last place is new
        written = np.concatenate([written, np.argmax(logits[:, -1:], axis=-1)], axis=1)
    ended = np.cumsum(written[:, 1:] == END, axis=1) - (written[:, 1:] == END) > 0  # beyond the end token
    return np.where(ended, 0, written[:, 1:])


few = data.pad_sequences_to(translator.source_ids(pairs.test.sources[:32]), 24)
options = {"max_length": 32, "start_id": START, "end_id": END, "batch_size": 32}
generate(model, few, **options)  # compiles
start = time.perf_counter()
fast = generate(model, few, **options)
middle = time.perf_counter()
slow = greedy(few, 32)
end = time.perf_counter()
same = np.mean(np.all(fast == slow, axis=1))
print(f"{len(few)} sentences: compiled, with the cache, {middle - start:.2f} s; without either {end - middle:.2f} s")
print(f"the same tokens in {same:.0%} of the sentences")
# Two tokens of nearly one probability may change places by rounding; nothing else can.
assert same > 0.9

# %% [markdown]
# ## 8. The test part
#
# In the recorded run the dictionary is slightly ahead in BLEU (53.0 against 51.5, less than the tolerance of 2), and
# the Transformer twice as often exactly right. BLEU rewards pieces of phrases, which the dictionary copies from
# training; the Transformer writes whole sentences, and is worst at long ones (section 10). Koehn and Knowles (2017)
# found that phrases win below some 15 million words; the training part here has a hundred thousand. It is no law: into
# German and French (`--dataset`), from no more words but in more epochs, the Transformer was ahead.
#
# **Beam search** keeps the K best beginnings side by side. Its scores are divided by a power of (5 + length) / 6, the
# *length penalty*; otherwise short translations, which have fewer factors, would win. Which power is a choice like the
# number of layers, so the validation part decides, not the test part.

# %%
num_beams = min(4, preset.beams[-1])  # of all that is reported; the others are for comparison
print(f"{len(pairs.validation):,} sentences of the validation part, {num_beams} beams")
print(f"{'length penalty':>16}{'BLEU':>8}{'length':>8}")
by_penalty = {}
for penalty in preset.length_penalties:
    translations = translator.translate(pairs.validation.sources, num_beams, penalty)
    found = evaluation.translation_report(translations, pairs.validation.targets, language, intervals=False)
    by_penalty[penalty] = found.bleu
    print(f"{penalty:>16}{found.bleu:>8.2f}{found.length_ratio:>8.2f}")
translator.length_penalty = max(by_penalty, key=by_penalty.get)
print(f"best on the validation part: {translator.length_penalty}; the test part is translated with it")
translator.save(run.folder())
run.record(validation_bleu=by_penalty[translator.length_penalty])

# %%
print(f"{len(pairs.test):,} sentences; the seconds hold the compiling for rare lengths")
print(f"{'beams':>6}{'BLEU':>8}{'chrF':>8}{'length':>8}{'seconds':>9}")
reports = {}
for beams in preset.beams:
    translator.translate(pairs.test.sources[:200], num_beams=beams)  # compiles for the common lengths
    start = time.perf_counter()
    translations = translator.translate(pairs.test.sources, num_beams=beams)
    seconds = time.perf_counter() - start
    found = reports[beams] = evaluation.translation_report(
        translations, pairs.test.targets, language, beams == num_beams
    )
    print(f"{beams:>6}{found.bleu:>8.2f}{found.chrf:>8.2f}{found.length_ratio:>8.2f}{seconds:>9.1f}")
    if beams == num_beams:
        report, chosen = found, translations
run.record(**report.metrics("test"), test_bleu_greedy=reports[1].bleu)
print(f"\nwith {num_beams} beams:\n{report.table()}")
figure = plots.plot_scores(
    {"copy the source": copied.bleu, "dictionary of phrases": dictionary_report.bleu, "Transformer": report.bleu},
    xlabel="BLEU on the test part",
    title=pairs.name,
)
run.figure("bleu", figure)

# %% [markdown]
# The cell prints ten sentences of the test part, drawn at random, not chosen: read them. A score hides what kind of
# mistakes a model makes. Which are wrong, which only said otherwise?

# %%
for row in np.random.default_rng(run.seed).choice(len(pairs.test), min(10, len(pairs.test)), replace=False):
    print(f"\n{pairs.test.sources[row]}\n  reference    {pairs.test.targets[row]}")
    print(f"  Transformer  {chosen[row]}\n  dictionary   {by_dictionary[row]}")

# %% [markdown]
# ## 9. What a written word looks at
#
# The cross-attention of the last decoder block, the mean of its heads: rows are the tokens as they were written,
# columns the tokens of the source. Where the two languages order their words alike, the dark cells run down the
# diagonal; where they do not, they leave it, and that is what the dictionary cannot do.


# %%
def readable_examples(count: int) -> list[int]:
    """The first test sentences of a handy length whose tokens are whole characters."""
    rows = []
    for row, (source, translation) in enumerate(zip(pairs.test.sources, chosen, strict=True)):
        shown = [translator.tokenizer.tokens(each) for each in (source, translation)]
        whole = not any("\\x" in token for token in (*shown[0], *shown[1]))
        if whole and all(4 <= len(each) <= 14 for each in shown):
            rows.append(row)
        if len(rows) == count:
            break
    return rows


maps = {}
for row in readable_examples(4):
    source, translation = pairs.test.sources[row], chosen[row]
    ids, _ = pair_arrays(translator, [source], [translation])
    _, weights = model.decode(
        ids["target_ids"], model.encode(ids["source_ids"]), ids["source_ids"], return_weights=True
    )
    columns = [*translator.tokenizer.tokens(source), "</s>"]
    rows = [*translator.tokenizer.tokens(translation), "</s>"]
    mean = np.mean(weights[0], axis=0)  # (T, S)
    maps[source] = (mean[: len(rows), : len(columns)], rows, columns)
if maps:
    run.use_font_for([*pairs.test.sources[:50], *pairs.test.targets[:50], *chosen[:50]])
    figure = plots.plot_attention(maps, ylabel="written", xlabel="source", title="Cross-attention of the last block")
    run.figure("cross_attention", figure)
else:
    print("No sentence and its translation have 4 to 14 tokens that are whole characters: there is nothing to draw.")

# %% [markdown]
# ## 10. Where it fails
#
# Placeholders such as `{name}` must come through unharmed: a program puts a value there. And long sentences are rare in
# training.

# %%
words = np.array([len(source.split()) for source in pairs.test.sources])
print("words in the source   sentences   BLEU: Transformer   dictionary")
for low, high in ((1, 4), (5, 8), (9, 14), (15, 1000)):
    rows = np.flatnonzero((low <= words) & (words <= high))
    if len(rows) >= 20:
        targets = [pairs.test.targets[row] for row in rows]
        scores = [
            evaluation.translation_report([each[row] for row in rows], targets, language, intervals=False).bleu
            for each in (chosen, by_dictionary)
        ]
        span = f"{low} to {high}" if high < 1000 else f"{low} and more"
        print(f"{span:>19}{len(rows):>12}{scores[0]:>20.1f}{scores[1]:>13.1f}")
held = [
    all(place in translation for place in places)
    for source, translation in zip(pairs.test.sources, chosen, strict=True)
    if (places := re.findall(r"\{[^{}]+\}", source))
]
if held:
    run.record(test_placeholders_kept=np.mean(held))
    print(f"\nof {len(held)} sentences with placeholders, {np.mean(held):.1%} keep each of them")

# %% [markdown]
# ## 11. What was measured
#
# When you run the chapter, a table sets your run beside the recorded one, which is shown here (`expected.json`: preset,
# seed, versions and machine are in it, and every seed that was run).
#
# Where would more quality come from? From more pairs first: published systems train on millions. From a larger model
# only then; `--preset full` has the sizes of the paper, for a GPU.

# %%
run.compare_with_record()
run.finish()

# %% [markdown]
# ## Exercises
#
# `keras-llm exercise ch05` writes exercises into a file of your own, and `keras-llm grade ch05` says what is right and
# why the rest is not. They stand, with solutions behind a fold, in [Exercises of chapter 5](solutions). These here ask
# for an experiment, and no program grades them:
#
# 1. **The label shift.** Give the decoder the target *not* shifted (`target_ids` equal to the labels). What does the
#    training loss do, and what does the model translate? Explain both.
# 2. **Blind the encoder.** Replace `padding_mask(source_ids)` in `Transformer.encode` by ones. Does the loss show it?
#    Do translations of a batch change when the batch is padded further?
# 3. **One head.** Train with `num_heads=1` and the same width. How much BLEU does it cost?
# 4. **Length penalty.** Translate the validation part with `length_penalty` 0, 0.6, 1 and 2. How do BLEU and the length
#    ratio move, and why?
# 5. **Without positions.** Take the positions away and translate. Which sentences suffer?
# 6. **Another field.** Score the model on `data.load("jupyterlab_en_zh").test`. What does BLEU say, and what do ten
#    translations say?
# 7. **The optimizer.** Train with `keras.optimizers.Adam` instead of Muon, with rates of 0.0005, 0.001 and 0.002.
#    Compare the validation loss after each epoch, and after each minute.
