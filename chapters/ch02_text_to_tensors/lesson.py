# %% [markdown]
# # Chapter 2. From raw text to tensors
#
# **You will build** all that lies between a text file and the first layer of a model: cut text into tokens in six ways,
# train byte-pair encoding from scratch, count what each way costs, measure what cleaning takes away, write token ids to
# disk and read them back, and make full rectangles out of texts of all lengths.
#
# **Reproduces** D0, section 3.2.1 (segment, encode, serialise); D4, section 3.1.3, step 2 (cleaning); D2, FAQ on rare
# and unseen words.
#
# **Run it**: `keras-llm run ch02_text_to_tensors`; with a text file of your own, of any size and language,
# `--data any.txt`. The first lines that it prints say how many minutes and how much memory a recorded run took.
#
# **Shapes.** B rows in a batch, T tokens in a row, V tokens in the vocabulary:
#
# | what | shape | for instance |
# |---|---|---|
# | a text | a string | `"We the people"` |
# | its tokens | a list of strings | `["We", " the", " people"]` |
# | token ids, 0 = padding | (B, T) int32 | `[[412, 280, 651, 0, 0]]` |
# | two texts packed into a row | (B, T) int32 | `[[412, 280, 651, 77, 9]]` |
# | and its segment ids: which text of the row | (B, T) int32 | `[[1, 1, 1, 2, 2]]` |
# | attention mask: who may look at whom | (B, T, T) bool | |
# | the model's answer: a number for each token that may come next | (B, T, V) float32 | |
#
# **The baseline to beat**, for the language model of section 7, counts: a 3-gram model, which guesses the next token
# from the two before it.
#
# **Where the documents are wrong.**
#
# * D0, section 3.2.1 knows two ways to cut: words and characters. The language models that its title is about use
#   neither. They use *subwords*, which lie between the two: sections 2 and 3.
# * D2, FAQ: a model "infers the meaning of new words from their context", and dictionaries help. Context comes second.
#   First the tokenizer decides what the model sees: `<unk>`, the same for all unseen words, or pieces that it knows:
#   section 6. With pieces no dictionary is needed, and none is complete: section 5.
# * D4, section 3.1.3, step 2 removes punctuation and upper case before pretraining. What a language model has not read
#   it cannot write, and its loss on the cleaned text is not comparable with one on the real text: section 7. It also
#   cleans the training part only, so that the model is judged (step 6) on text of another kind.
# * D0 calls storing the encoded data "serialising", and stops there. What it is good for, and what has to be stored so
#   that tomorrow's file is today's, is section 8.

# %%
import json
import math
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

import keras
import numpy as np
import regex
import tensorflow as tf
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from keras_llm import data, evaluation, layers, plots, runs, text
from keras_llm.errors import InputError
from keras_llm.training import SparseCrossentropy, evaluate, fit, predict

run = runs.begin("ch02_text_to_tensors")


@dataclass(frozen=True)
class Preset:
    characters: int = 12_000_000  # of a training part that tokenizers learn from
    test_characters: int = 500_000
    vocabulary_size: int = 8_000
    splits: int = 5  # of the labelled texts, for the price of cleaning
    labelled: int | None = None  # texts of each part; None = all
    model_characters: int = 3_000_000  # that the two language models read in an epoch
    model_vocabulary: int = 4_000
    model_epochs: int = 3
    units: int = 128
    window: int = 64  # tokens in a row of theirs
    sentences: int = 2_500  # for padding, bucketing and packing
    row: int = 128  # tokens in a row of them
    width: int = 64


PRESETS = {
    "smoke": Preset(
        characters=150_000,
        test_characters=20_000,
        vocabulary_size=1_000,
        splits=1,
        labelled=300,
        model_characters=60_000,
        model_vocabulary=500,
        model_epochs=2,
        units=32,
        window=16,
        sentences=600,
        row=64,
        width=16,
    ),
    "cpu": Preset(),
    "full": Preset(
        vocabulary_size=32_000,
        model_characters=10_000_000,
        model_vocabulary=16_000,
        model_epochs=10,
        units=512,
        sentences=50_000,
    ),
}
preset = PRESETS[run.preset]
LEAST = 50 * preset.window  # characters without which nothing can be learned or measured

# %% [markdown]
# ## 1. The raw text
#
# Speeches of American presidents to the Congress, and a month of a Chinese newspaper. Each is split by documents into a
# training, a validation and a test part that share none. All vocabularies come from the training part; what they cost
# is measured on the test part. The parts are read from the disk piece by piece, and at most `characters` of them are
# kept: a file of a gigabyte needs hardly more memory than one of a few megabytes.

# %%
if run.own_data:
    corpora = {"own": run.load_own_data("corpus")}  # of one book, neighbouring paragraphs fall into different parts
else:
    corpora = {"en": data.load("state_of_the_union", seed=run.seed), "zh": data.load("peoples_daily", seed=run.seed)}
train, test = {}, {}
for key, corpus in corpora.items():
    run.use_data(corpus)
    train[key] = corpus.train.take(preset.characters)
    test[key] = corpus.test.take(preset.test_characters)
    sizes = [sum(map(len, part)) for part in (train[key], test[key])]
    print(f"{corpus.name}: {sizes[0]:,} characters for training, {sizes[1]:,} for the test; it begins:")
    print(f"    {' '.join(train[key][0].split())[:100]} …")
    if sizes[0] < LEAST or min(sizes[1], corpus.validation.characters) < 8 * preset.window:
        raise InputError(
            f"{corpus.name} leaves {sizes[0]:,} characters for training, {corpus.validation.characters:,} for the "
            f"validation and {sizes[1]:,} for the test, too few to count anything: bring a text of {4 * LEAST:,} "
            "characters or more."
        )
main = next(iter(corpora))  # of the sections about one language
run.use_font_for(["电影" for key in corpora if corpora[key].language == "zh"])

# %% [markdown]
# ## 2. Segment: six ways to cut
#
# | tokenizer | a token is | vocabulary | unknown |
# |---|---|---|---|
# | bytes | a byte of UTF-8 | 256, fixed | never |
# | characters | a character | those of the training part | a new character |
# | words | a word or a mark; in Chinese, a character | the most frequent ones | each other word |
# | WordPiece (BERT) | the longest known start, then of the rest `##…` | learned | a word with a new character |
# | BPE (GPT) | what the learned merges make of the bytes | learned | never |
# | unigram (SentencePiece, T5) | a piece of the most probable cut | learned, by probability | a new or rare character |
#
# All but the first learn from the training part alone. A byte that is no whole character is shown by its code (`\xe5`).

# %%
KINDS: dict[str, Callable[[Iterable[str]], text.Tokenizer]] = {
    "bytes": lambda texts: text.ByteTokenizer(),
    "characters": lambda texts: text.CharacterTokenizer.train(texts, preset.vocabulary_size),
    "words": lambda texts: text.WordTokenizer.train(texts, preset.vocabulary_size),
    "WordPiece": lambda texts: text.WordPieceTokenizer.train(texts, preset.vocabulary_size),
    "BPE": lambda texts: text.SubwordTokenizer.train(texts, preset.vocabulary_size),
    "unigram": lambda texts: text.UnigramTokenizer.train(texts, preset.vocabulary_size),
}
tokenizers: dict[str, dict[str, text.Tokenizer]] = {}
for key in corpora:
    tokenizers[key], seconds = {}, []
    for kind, make in KINDS.items():
        start = time.perf_counter()
        tokenizers[key][kind] = make(train[key])
        seconds.append(f"{kind} {time.perf_counter() - start:.1f}")
    print(f"{corpora[key].name}, seconds of training: {', '.join(seconds)}")

SENTENCES = {"en": "The unbelievable cryptocurrency vanished 😀!", "zh": "改革开放的饕餮盛宴😀！"}
for key in corpora:
    sentence = SENTENCES.get(key) or " ".join(test[key][0].split())[:40]
    print(f"\n{sentence}")
    for kind, tokenizer in tokenizers[key].items():
        pieces = tokenizer.tokens(sentence)
        print(f"{kind:>11} {len(pieces):>3}: {' | '.join(pieces)}")

# %% [markdown]
# ## 3. Byte-pair encoding, from scratch
#
# `keras_llm/text/bpe.py` is to be read. Training repeats one step: find the most frequent pair of neighbours, give it
# an id, replace it everywhere. The first merges show what a language is made of: in English, endings and small words;
# in Chinese, first the bytes that many characters begin with, then the most frequent characters and commas. On the same
# text with the same settings the Hugging Face library learns the same merges in the same order (a test compares them
# one by one, and below, the ids of the whole test part). It encodes faster, so the rest of the course uses it
# (`SubwordTokenizer`).

# %%
for key, tokenizer in tokenizers.items():
    start = time.perf_counter()
    bpe = text.BytePairEncoding.train(train[key], preset.vocabulary_size - 3)  # the library adds three special tokens
    taken = time.perf_counter() - start
    first = [bpe.tokens[i].decode(errors="backslashreplace") for i in range(256, min(272, len(bpe.tokens)))]
    print(f"{corpora[key].name}, {len(bpe.merges):,} merges in {taken:.1f} s; the first ones: {' | '.join(first)}")
    ids = [bpe.encode(document) for document in test[key]]
    if [bpe.decode(each) for each in ids] != test[key]:
        raise SystemExit("Something was lost between text and ids.")
    same = [[i + 3 for i in each] for each in ids] == tokenizer["BPE"].encode_all(test[key])
    print(f"    the test part comes back from its ids; they are {'' if same else 'NOT '}those of the library")

# %% [markdown]
# ## 4. Encode: what each way costs
#
# A model pays for each token, in memory and time, so fewer are better; the measure is *characters per token*, the more
# the better. It pays for each entry of the vocabulary, too, in weights: V × width for the embedding, and as many for
# the output, unless they share. And it loses what is *unknown*: those tokens cannot be told apart, nor be written. Some
# ways lose more than that, and the last column says what, so compare their rows with care: who drops the spaces has
# fewer tokens to write.
#
# Read both columns of the printed table, characters a token and unknown. Bytes and characters have the longest rows;
# English words the shortest, and they lose a few in a hundred; subwords have rows nearly as short, and next to nothing
# unknown. In Chinese, where "words" are characters, only BPE and unigram have clearly shorter rows; unigram pays with
# the rarest characters, for which its vocabulary has no room, and BPE with two or three tokens for each of these.

# %%
LOSSES = {"words": "case, white space", "WordPiece": "white space"}
for key in corpora:
    characters = sum(map(len, test[key]))
    print(f"\n{corpora[key].name}, {characters:,} characters of the test part")
    print(f"{'':>11}{'vocabulary':>12}{'tokens':>11}{'characters a token':>20}{'unknown':>10}  cannot give back")
    scores = {}
    for kind, tokenizer in tokenizers[key].items():
        ids = tokenizer.encode_all(test[key])
        unknown = text.unknown_rate(ids, tokenizer.unknown_id)
        scores[kind] = text.compression(test[key], ids)
        figures = f"{tokenizer.vocabulary_size:>12,}{sum(map(len, ids)):>11,}{scores[kind]:>20.2f}{unknown:>10.3%}"
        print(f"{kind:>11}{figures}  {LOSSES.get(kind, '')}")
        name = f"{kind.lower()}_{key}"
        run.record(**{f"test_compression_{name}": scores[kind], f"test_unknown_rate_{name}": unknown})
    title = f"{corpora[key].name}: the higher, the shorter the rows"
    run.figure(f"compression_{key}", plots.plot_scores(scores, xlabel="characters a token, test part", title=title))

# %% [markdown]
# ## 5. Two laws of language
#
# **Zipf**: the r-th most frequent word occurs about 1/r as often as the first. A hundred words and marks make half of a
# text, and a large part of all words occurs only once. **Heaps**: reading on, one never stops meeting new words; their
# number grows like nᵝ. So no vocabulary of words is ever complete, however large. New Chinese characters become rare
# sooner, new English letters sooner still, and the vocabulary of BPE ends by construction.
#
# Both laws are straight lines on two logarithmic scales. The exponents are least-squares fits of the logarithms: for
# Heaps from 1,000 tokens on, for Zipf down to the words that occur ten times. They are laws only roughly: Zipf's line
# bends, and English letters, digits and marks, about a hundred in all, follow neither. That the Chinese characters get
# an exponent of −1.00 is a coincidence: their curve bends all the way, from a slope of about −0.7 up to rank 100 to
# about −3 beyond rank 1,000, and the fitted line is a mean of these.


# %%
def cut_by(kind: str, key: str) -> Iterator[str | int]:
    """The tokens of the training part, one after the other."""
    cut = {"words": text.split_words, "characters": list, "BPE": tokenizers[key]["BPE"].encode}[kind]
    return (token for document in train[key] for token in cut(document))


growth, ranks, growth_fits, rank_fits = {}, {}, {}, {}
for key in corpora:
    chinese = corpora[key].language == "zh"
    unit = "characters" if chinese else "words"  # without a segmenter, Chinese words are the characters
    for kind in dict.fromkeys((unit, "characters", "BPE")):
        growth[f"{kind}, {corpora[key].name}"] = text.vocabulary_growth(cut_by(kind, key))
    name = f"{unit}, {corpora[key].name}"
    counts = text.rank_frequency(cut_by(unit, key))
    ranks[name] = np.arange(1, len(counts) + 1), counts
    read, kinds = growth[name]
    often = np.flatnonzero(counts >= 10)
    if read[-1] < 10_000 or len(often) < 20:
        continue  # too little for a law
    growth_fits[name] = text.fit_power_law(read[read >= 1000], kinds[read >= 1000])
    rank_fits[name] = text.fit_power_law(often + 1, counts[often])
    heaps, zipf = growth_fits[name][1], rank_fits[name][1]
    top, once = counts[:100].sum() / counts.sum(), np.mean(counts == 1)
    print(f"{name}: {len(counts):,} different ones; the 100 most frequent make {top:.0%} of the text, ", end="")
    print(f"{once:.0%} occur once; Heaps {heaps:.2f}, Zipf {zipf:.2f}")
    run.record(**{f"train_heaps_{unit}_{key}": heaps, f"train_zipf_{unit}_{key}": zipf})
figure = plots.plot_power_laws(growth, growth_fits, xlabel="tokens read", ylabel="different ones so far", title="Heaps")
run.figure("heaps", figure)
figure = plots.plot_power_laws(ranks, rank_fits, xlabel="rank", ylabel="occurrences", title="Zipf")
run.figure("zipf", figure)

# %% [markdown]
# ## 6. Rare and unseen words
#
# D2's FAQ asks how a model deals with them. The cell prints how many words of the test part never occur in the training
# part, and the longest of them. For a word tokenizer they are one and the same token, and D0's 10,000 words leave out
# more: the rare ones. Subwords spell them, from pieces that occur in many other words.

# %%
if corpora[main].language != "zh":
    known = Counter(word for document in train[main] for word in text.split_words(document))
    words = Counter(word for document in test[main] for word in text.split_words(document))
    unseen = [word for word in words if word not in known]
    rate = sum(words[word] for word in unseen) / words.total()
    frequent = {word for word, _ in known.most_common(10_000)}
    outside = sum(count for word, count in words.items() if word not in frequent) / words.total()
    print(f"of the running words of the test part {rate:.2%} were never seen; {outside:.2%} are no frequent ones")
    run.record(test_share_of_unseen_words=rate, test_share_outside_10000_words=outside)
    for word in sorted(unseen, key=len)[-8:]:
        pieces = (f"{kind} {' | '.join(tokenizers[main][kind].tokens(word))}" for kind in ("words", "WordPiece", "BPE"))
        print(f"{word}: {';  '.join(pieces)}")

# %% [markdown]
# ## 7. Cleaning, and what it costs
#
# D4 wants text segmented, without punctuation, in lower case (which means nothing in Chinese). First for
# **classification**: four kinds of cleaning in front of the same classifier (logistic regression over counts of words,
# word pairs and marks, the frequent ones weighted down: TF-IDF), scored on the validation part of several splits. Lower
# case makes one word of `Good` and `good`, with better counts; marks such as `!` and `:)` say something about a mood.
# For a bag of words both effects are small: look at the differences, split by split.

# %%
WORD = regex.compile(r"[\p{L}\p{N}\p{M}]+")


def without_marks(raw: str) -> str:
    """Words with single spaces between them: D4's cleaning, but for the case."""
    return " ".join(WORD.findall(raw))


CLEANINGS: dict[str, Callable[[str], str]] = {
    "as it is": str,
    "lower case": str.lower,
    "no punctuation": without_marks,
    "both, as D4": lambda raw: without_marks(raw).lower(),
}
if not run.own_data:
    for name in ("movie_reviews", "tweets"):
        accuracies: dict[str, list[float]] = {cleaning: [] for cleaning in CLEANINGS}
        for seed in range(run.seed * preset.splits, (run.seed + 1) * preset.splits):
            labelled = data.load(name, seed=seed)
            if preset.labelled:
                labelled = labelled.take(train=preset.labelled, validation=preset.labelled, test=preset.labelled)
            for cleaning, clean in CLEANINGS.items():
                vectors = TfidfVectorizer(lowercase=False, token_pattern=r"\w+|[^\w\s]+", ngram_range=(1, 2))
                model = make_pipeline(vectors, LogisticRegression(C=10, max_iter=1000))
                model.fit([clean(each) for each in labelled.train.texts], labelled.train.labels)
                accuracy = model.score([clean(each) for each in labelled.validation.texts], labelled.validation.labels)
                accuracies[cleaning].append(accuracy)
        run.use_data(labelled)
        for cleaning, values in accuracies.items():
            slug = cleaning.replace(",", "").replace(" ", "_").lower()
            run.record(**{f"validation_accuracy_{name}_{slug}": np.mean(values)})
        title = f"{name}: cleaning in front of a classifier"
        figure = plots.plot_scores(accuracies, xlabel="validation accuracy (share of texts)", title=title)
        run.figure(f"cleaning_{name}", figure)
        for cleaning, values in accuracies.items():
            difference = np.subtract(values, accuracies["as it is"])
            print(f"{name}, {cleaning}: {np.mean(values):.3f}, ", end="")
            print(f"{np.mean(difference):+.3f} in the mean, {min(difference):+.3f} to {max(difference):+.3f} by split")

# %% [markdown]
# Now for a **language model**. Two LSTMs (chapter 3 takes them apart), alike but for what they read: the text as it is,
# and the same documents cleaned as D4 asks. Each has a BPE of its own and predicts the next token. The cleaned text has
# fewer and other tokens, so do not compare losses a token, nor their exponentials, which are called perplexities: they
# describe different texts. What can be compared is how many *bits* it takes to write the real text down:
#
# $$b(x) = b(c) + b(x \mid c)$$
#
# Here x is the real text and c the cleaned one; b(x) and b(c) are the bits to write each of them down, and the last
# term those for what cleaning took, told to somebody who knows c. That is the chain rule of probability, so it leaves
# nothing out. The last term is measured with a counting model: for each word, the marks before it and its case,
# predicted from the word and the one before. It is a simple model, so it gives an upper bound; an LSTM that reads the
# real text pays for all of it within its own figure.
#
# Beside each LSTM stands a 3-gram model of the same tokens, and it wins: recorded were 1.459 bits a character for it
# and 1.689 for the LSTM, both on the text as it is. It is hard to beat with minutes of training on a few million
# characters of speeches that repeat each other's phrases: it remembers a phrase after one reading. What it cannot know
# is that two words are alike; for that to pay, a network needs more text and more time (chapter 6). The 3-gram model
# also reads on from row to row, while our LSTM begins each row of T tokens without memory.


# %%
def windows(ids: list[int]) -> tuple[np.ndarray, np.ndarray]:
    """Rows of ids, and the next id of each place: both (rows, T)."""
    rows = (len(ids) - 1) // preset.window
    cut = rows * preset.window
    return tuple(np.array(ids[shift : shift + cut], "int32").reshape(rows, preset.window) for shift in (0, 1))


learned = corpora[main].train.take(preset.model_characters)  # documents from the whole of the part
parts = {"train": learned, "validation": corpora[main].validation.take(preset.test_characters), "test": test[main]}
raw = {part: "\n\n".join(documents) for part, documents in parts.items()}
readings = {"raw": raw, "cleaned": {part: without_marks(each).lower() for part, each in raw.items()}}
bits: dict[str, float] = {}  # to write the test part, a character of the real text
for name, reading in readings.items():
    keras.utils.set_random_seed(run.seed)
    tokenizer = text.SubwordTokenizer.train([reading["train"]], preset.model_vocabulary)
    ids = {part: tokenizer.encode(each) for part, each in reading.items()}
    model = keras.Sequential(
        [
            keras.Input((preset.window,), dtype="int32"),
            keras.layers.Embedding(tokenizer.vocabulary_size, preset.units),
            layers.LSTM(preset.units, return_sequences=True),
            keras.layers.Dense(tokenizer.vocabulary_size),
        ]
    )
    model.compile(keras.optimizers.Adam(0.003), SparseCrossentropy())
    history = fit(
        model,
        windows(ids["train"]),
        validation_data=windows(ids["validation"]),
        epochs=preset.model_epochs,
        seed=run.seed,
        callbacks=run.callbacks(name),
    )
    loss = evaluate(model, windows(ids["test"]))["loss"]  # nats a token of what it reads
    counts = evaluation.NgramModel(3, tokenizer.vocabulary_size).fit([ids["train"]])
    bits[f"LSTM, {name}"] = loss / math.log(2) * len(ids["test"]) / len(raw["test"])
    bits[f"3-gram, {name}"] = counts.bits([ids["test"]]).sum() / len(raw["test"])
    print(f"{name}: {len(ids['test']):,} tokens; perplexity {math.exp(loss):.1f} a token of its own kind")
    if name == "raw":
        model.save(run.folder() / "model.keras")
        tokenizer.save(run.folder() / "tokenizer.json")
        figure = plots.plot_history(history, title=f"An LSTM that reads {corpora[main].name}")
        run.figure("language_model", figure)

# %% [markdown]
# What cleaning took, word by word, so that the real text can be put together again; and what it costs to tell.

# %%
CASES: dict[str, Callable[[str], str]] = {"lower": str.lower, "Title": str.capitalize, "UPPER": str.upper}
Taken = tuple[str, str, str, str]


def taken_by_cleaning(real: str) -> list[Taken]:
    """For each word: the one before, itself in lower case, the marks between them, and its case."""
    found, before, end = [], "", 0
    for match in WORD.finditer(real):
        word = match[0].lower()
        case = next((name for name, form in CASES.items() if form(word) == match[0]), match[0])
        found.append((before, word, real[end : match.start()], case))
        before, end = word, match.end()
    return [*found, (before, "", real[end:], "lower")]


def put_together(parts: list[Taken]) -> str:
    return "".join(marks + (CASES[case](word) if case in CASES else case) for _, word, marks, case in parts)


def bits_of_what_was_taken(learn: list[Taken], tell: list[Taken]) -> float:
    """Bits to tell marks and cases of ``tell`` to somebody who knows its words, by counts from ``learn``."""
    frequent = Counter(word for _, word, _, _ in learn).most_common(10_000)
    id_of = {word: i for i, (word, _) in enumerate(frequent, start=1)}  # 0: any other word
    forms = {form: i for i, form in enumerate(dict.fromkeys(part[2:] for part in learn), start=len(id_of) + 2)}
    new = len(id_of) + 1  # a form that was never seen: it has to be spelled, 8 bits a byte

    def triples(parts: list[Taken]) -> list[list[int]]:
        return [[id_of.get(part[0], 0), id_of.get(part[1], 0), forms.get(part[2:], new)] for part in parts]

    counts = evaluation.NgramModel(3, len(id_of) + len(forms) + 2).fit(triples(learn))
    told = counts.bits(triples(tell))[2::3].sum()  # each third token: a form, after the word and the one before
    # Two more bytes say where the marks end and where the case.
    spelled = sum(8 * (2 + len("".join(part[2:]).encode())) for part in tell if part[2:] not in forms)
    return told + spelled


lost = {part: taken_by_cleaning(raw[part]) for part in ("train", "test")}
if put_together(lost["test"]) != raw["test"]:
    raise SystemExit("Something was lost that the bits below do not count.")
restoring = bits_of_what_was_taken(lost["train"], lost["test"]) / len(raw["test"])
totals = {
    "LSTM, text as it is": bits["LSTM, raw"],
    "LSTM, cleaned, and the rest": bits["LSTM, cleaned"] + restoring,
    "3-gram, text as it is": bits["3-gram, raw"],
    "3-gram, cleaned, and the rest": bits["3-gram, cleaned"] + restoring,
}
print(f"what cleaning took: {restoring:.3f} bits a character of the real text")
print("\n".join(f"{name:>30}: {value:.3f}" for name, value in totals.items()))
run.record(
    test_bits_per_character=bits["LSTM, raw"],
    baseline_test_bits_per_character=bits["3-gram, raw"],
    test_bits_per_character_cleaned_alone=bits["LSTM, cleaned"],
    test_bits_per_character_taken_by_cleaning=restoring,
    test_bits_per_character_cleaned_and_taken=totals["LSTM, cleaned, and the rest"],
)
figure = plots.plot_scores(
    totals, xlabel="bits a character of the real text, test part", title=f"To write down {corpora[main].name}"
)
run.figure("cleaning_bits", figure)

# %% [markdown]
# For each of the two models the two totals are nearly alike, and the second is an upper bound: this does not show that
# cleaning makes a worse model of words. What it shows: the bits that cleaning took are no part of the cleaned model, so
# a lower figure of the cleaned model alone does not make it the better model; and what those bits say (where a sentence
# ends, what is a name) it can never write.

# %% [markdown]
# ## 8. Serialise
#
# Tokenise once, store, and train from the file for ever. Three things have to be right. The file must be **whole**: it
# is written beside its place and moved there at the end, so a crash leaves no half file. It must be **the same** later:
# an index holds each file's size and SHA-256. And what is read must be **what was written**, in any order: one
# `data.batches` reads arrays and files, and gives the same batches.

# %%
END_OF_SENTENCE = regex.compile(r"(?<=[.!?])\s+|(?<=[。！？])\s*")


def sentences() -> Iterator[str]:
    return (each for document in learned for each in END_OF_SENTENCE.split(document) if each.strip())


tokenizer = tokenizers[main]["BPE"]
shown = list(islice(sentences(), preset.sentences))
start = time.perf_counter()
token_ids = [ids[: preset.row] for ids in tokenizer.encode_all(shown)]
encoding = time.perf_counter() - start
num_tokens = sum(map(len, token_ids))
start = time.perf_counter()
folder = run.folder() / "shards"
shards = data.write_shards(
    ({"token_ids": np.array(ids, "uint16")} for ids in token_ids),
    folder,
    examples_per_shard=max(1, len(token_ids) // 4),
    overwrite=True,
)
writing = time.perf_counter() - start
num_bytes = sum(len(tokenizer.decode(ids).encode()) for ids in token_ids)
print(f"{len(shards):,} sentences, {num_tokens:,} tokens: {num_bytes:,} bytes of text,")
print(f"{shards.num_bytes:,} in {len(shards.files)} shards; encoded in {encoding:.2f} s, written in {writing:.2f} s")
print(json.dumps(json.loads((folder / "index.json").read_text())["shards"][0], indent=1))

arrays = data.pad_sequences_to(token_ids, preset.row)
for seed in (None, run.seed):
    options = {"batch_size": 32, "shuffle_seed": seed}
    read = data.batches(data.open_shards(folder), sequence_length=preset.row, **options)
    pairs = zip(read, data.batches(arrays, **options), strict=True)
    if not all(np.array_equal(a, b) for a, b in pairs):
        raise SystemExit("The shards give other batches than the arrays that they were written from.")
    print(f"{'in order' if seed is None else 'shuffled'}: the same batches as from memory")

damaged = folder / shards.files[-1].name
content = damaged.read_bytes()
damaged.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))  # one bit
try:
    data.open_shards(folder)
except InputError as error:
    print(str(error).replace(str(folder.parent.resolve()), "…"))
damaged.write_bytes(content)

# %% [markdown]
# ## 9. Full rectangles: padding, buckets, packing
#
# A batch is a rectangle, sentences are not. **Padding** fills each row up to the longest of all. Padding to the longest
# of each batch wastes less, but each new length is a new shape, which XLA compiles anew; **buckets** are the same idea
# with few lengths: sentences of similar length come together. **Packing** fills rows with several sentences, the
# longest first, each into the fullest row that has room. A packed row must not leak: each token looks only at its own
# sentence (`attention_mask` from the segment ids), positions begin at 0 in each, and the last token of a sentence has
# no label, because what follows is another one. Then each answer is that for the sentence alone, which is checked
# below; and a mask that is only causal fails the check, so that we know it can fail. Wasted is each place without a
# label.


# %%
def attention_model() -> keras.Model:
    """One attention layer over token and position: enough to see each mistake with masks and positions."""
    inputs = {
        name: keras.Input((None,), dtype="int32", name=name) for name in ("token_ids", "segment_ids", "positions")
    }
    x = keras.layers.Embedding(tokenizer.vocabulary_size, preset.width)(inputs["token_ids"])
    x = x + keras.layers.Embedding(preset.row, preset.width)(inputs["positions"])  # (B, T, width)
    mask = data.attention_mask(inputs["segment_ids"])  # (B, T, T)
    x = x + keras.layers.MultiHeadAttention(2, preset.width // 2)(x, x, attention_mask=mask)
    model = keras.Model(inputs, keras.layers.Dense(tokenizer.vocabulary_size)(x))  # (B, T, V)
    model.compile("adam", SparseCrossentropy(ignore_class=0))
    return model


def one_a_row(rows: np.ndarray) -> data.Packed:
    """Padded rows as packed ones that hold a single sentence each."""
    positions = np.arange(rows.shape[1], dtype="int32") * (rows > 0)
    return data.Packed(rows, (rows > 0).astype("int32"), positions)


def in_buckets() -> tf.data.Dataset:
    """Batches of as many tokens as 32 full rows, from buckets of an eighth, a quarter, a half and a whole row."""
    boundaries = [preset.row // 8, preset.row // 4, preset.row // 2, preset.row]
    long = [ids for ids in token_ids if len(ids) > 1]
    whole = data.bucket_batches(
        [ids[:-1] for ids in long],
        [ids[1:] for ids in long],
        boundaries=boundaries,
        tokens_per_batch=32 * preset.row,
        shuffle_seed=run.seed,
    )

    def with_segments(ids, labels):
        real = tf.cast(ids > 0, tf.int32)
        return {"token_ids": ids, "segment_ids": real, "positions": tf.range(tf.shape(ids)[1]) * real}, labels

    return whole.map(with_segments)


def answers(rows: data.Packed) -> np.ndarray:
    """The model's numbers for each real token, row by row: (tokens, V)."""
    return predict(model, data.next_tokens(rows)[0])[rows.token_ids > 0]


model = attention_model()
few = data.pack(token_ids[:40], preset.row)
alone = [
    ids[segments == k]
    for ids, segments in zip(few.token_ids, few.segment_ids, strict=True)
    for k in range(1, segments.max() + 1)
]
expected = answers(one_a_row(data.pad_sequences_to(alone, preset.row)))
leaky = data.Packed(few.token_ids, (few.token_ids > 0).astype("int32"), few.positions)
right, leak = (np.abs(answers(rows) - expected).max() for rows in (few, leaky))
print(f"largest difference from each sentence alone: packed {right:.1e}, packed without segments {leak:.1e}")
if not right < 1e-4 < leak:
    raise SystemExit("Packed sentences see each other: look at mask, positions and labels.")

feeds = {
    "padding": data.next_tokens(one_a_row(arrays)),
    "buckets": in_buckets(),
    "packing": data.next_tokens(data.pack(token_ids, preset.row)),
}
num_labels, speeds = sum(len(ids) - 1 for ids in token_ids), {}
print(f"{'':>8}{'wasted':>9}{'labels a second':>17}")
for name, feed in feeds.items():
    waste = data.wasted(labels.numpy() for _, labels in feed) if name == "buckets" else data.wasted(feed[1])
    model = attention_model()
    fit(model, feed, batch_size=32, verbose=0)  # compiles
    start = time.perf_counter()
    fit(model, feed, batch_size=32, verbose=0)
    speeds[name] = num_labels / (time.perf_counter() - start)
    print(f"{name:>8}{waste:>9.1%}{speeds[name]:>17,.0f}")
    run.record(**{f"train_waste_{name}": waste})
figure = plots.plot_scores(
    {name: speed / 1000 for name, speed in speeds.items()},
    xlabel="labels a second (thousands)",
    title="The same sentences as rectangles",
)
run.figure("rectangles", figure)

# %% [markdown]
# ## 10. What was measured
#
# When you run the chapter, a table sets your run beside the recorded one, which is shown here (`expected.json`: preset,
# seed, versions, machine, and the spread over three seeds, which decide the splits, too). Speeds are not in it: they
# belong to a machine and an hour.

# %%
run.compare_with_record()
run.finish()

# %% [markdown]
# ## Exercises
#
# `keras-llm exercise ch02` writes exercises into a file of your own, and `keras-llm grade ch02` says what is right
# and why the rest is not. They stand, with solutions behind a fold, in [Exercises of chapter 2](solutions). These here
# ask for an experiment, and no program grades them:
#
# 1. **By hand.** Text: `low low low lower lowest`. Which four pairs does BPE merge, and why not a fifth? Check with
#    `BytePairEncoding.train([...], 261)`.
# 2. **Which vocabulary?** Train BPE with 500, 2,000, 8,000 and 32,000 ids. Plot characters a token against the
#    weights that the vocabulary costs a model of width 512. Where would you stop, and why later for a larger model?
# 3. **The wrong language.** Encode the Chinese test part with the English BPE. How many tokens a character, and who
#    pays for that when tokens are what a service charges for?
# 4. **Numbers.** How do the six tokenizers cut 1,234,567 and 1,234,568? What would you change in `PIECE`, in
#    `keras_llm/text/bpe.py`, so that BPE gives each digit a token of its own, and what would it cost?
# 5. **A leak.** In the check of section 9, let the positions run on through a packed row instead of beginning anew. By
#    how much do the answers change? Would you have noticed in the loss of a training?
# 6. **Heaps.** From β, how much text would you have to read to meet twice as many different words?
