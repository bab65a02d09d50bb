# %% [markdown]
# # Chapter 8. Generation: one token after the other
#
# **You will build** text out of a model that only knows the probabilities of the next token: greedily, by lot, with the
# settings that every interface to a language model has, and by beam search; measure what each of them does to quality
# and variety; see why a cache makes it fast; and teach the model to answer, so that you can talk with it in the
# terminal.
#
# **Reproduces** D3, section 6 (text generation, chatbots) and D2's FAQ on evaluation (BLEU, ROUGE, diversity).
#
# **Run it**: `keras-llm run ch08_generation`; in Chinese with `--dataset three_kingdoms` or `peoples_daily`; on your
# own text with `--data any.txt`. The first lines that it prints say how many minutes and how much memory a recorded run
# took. Afterwards: `keras-llm generate RUN/writer "My fellow citizens"` and `keras-llm chat RUN`.
#
# **Shapes.** N texts at once, T tokens so far, V token ids, G heads of keys and values, d numbers a head:
#
# | what | shape |
# |---|---|
# | logits of the next token | (N, V) |
# | keys and values that the cache holds, for each block | (N, 2, G, T, d) |
# | tokens that are written | (N, T) int32 |
#
# **The baseline to compare with** is real text: the held-out part, measured with the same measures.
#
# **Where the documents are wrong.**
#
# * D2 and D3 speak of generation as if the model alone decided what comes out. It gives probabilities; who draws, and
#   how, decides whether the text is dull, lively or mad: section 3.
# * D3, section 4: from the probabilities [0.3, 0.5, 0.2] "the model outputs love". That is one way to choose, the
#   greedy one; by lot it is "love" every second time.
# * D2, FAQ: quality is measured with BLEU and ROUGE. Both compare with a reference, and a story has none: section 5.

# %%
import math
import re
import time
from dataclasses import dataclass

import keras
import numpy as np
import tensorflow as tf
from rouge_score.rouge_scorer import RougeScorer

from keras_llm import data, evaluation, plots, runs, text
from keras_llm.chat import Conversation, chat_examples
from keras_llm.errors import InputError
from keras_llm.generation import GREEDY, Sampling, generate
from keras_llm.generation.sampling import keep_min_p, keep_top_k, keep_top_p
from keras_llm.language_model import LanguageModel
from keras_llm.models import GPT
from keras_llm.training import SparseCrossentropy, evaluate, fit, warmup_cosine

run = runs.begin("ch08_generation")


@dataclass(frozen=True)
class Preset:
    characters: int = 12_000_000
    held_out_characters: int = 300_000
    vocabulary_size: int = 4_000
    context_length: int = 256
    hidden_dim: int = 256
    num_heads: int = 8
    num_layers: int = 4
    batch_size: int = 16
    steps: int = 702
    reports: int = 6
    # what is measured
    texts: int = 64  # written with each setting
    tokens: int = 96  # of each
    prompt_tokens: int = 16
    # the chat
    chat_rounds: int = 30  # times that each dialogue is read
    chat_batch: int = 8


PRESETS = {
    "smoke": Preset(
        characters=60_000,
        held_out_characters=8_000,
        vocabulary_size=400,
        context_length=48,
        hidden_dim=32,
        num_heads=2,
        num_layers=1,
        steps=30,
        reports=2,
        texts=6,
        tokens=16,
        prompt_tokens=8,
        chat_rounds=2,
    ),
    "cpu": Preset(),
    "full": Preset(
        vocabulary_size=32_000,
        context_length=1_024,
        hidden_dim=768,
        num_heads=12,
        num_layers=12,
        batch_size=32,
        steps=30_000,
        texts=256,
        tokens=256,
    ),
}
preset = PRESETS[run.preset]

# %% [markdown]
# ## 1. A model that has read
#
# The GPT of chapter 6, trained for some minutes. Its vocabulary is learned from the corpus and from the dialogues of
# section 6, so that one tokenizer serves both; the dialogues themselves it has not seen yet.

# %%
corpus = run.load_own_data("corpus") if run.own_data else data.load("state_of_the_union", seed=run.seed)
run.use_data(corpus)
train = corpus.train.take(preset.characters)
held_out = corpus.test.take(preset.held_out_characters)
validation = corpus.validation.take(preset.held_out_characters)
least = 8 * preset.context_length
if min(sum(map(len, held_out)), sum(map(len, validation))) < least:
    raise InputError(f"{corpus.name} is too short: bring a text of {20 * least:,} characters or more.")
dialogues = data.load("chatterbot_zh" if corpus.language == "zh" else "chatterbot_en", seed=run.seed)
run.use_data(dialogues)
turns = [turn for dialogue in dialogues.train for turn in dialogue]
tokenizer = text.SubwordTokenizer.train([*train, *turns], preset.vocabulary_size)
writer = LanguageModel(tokenizer, preset.context_length, corpus.language, ends=True)
ids = writer.token_ids(train)
keras.utils.set_random_seed(run.seed)
writer.model = GPT(
    tokenizer.vocabulary_size,
    preset.context_length,
    preset.hidden_dim,
    preset.num_heads,
    preset.num_layers,
    positions="rotary",
    norm="rms",
    activation="swiglu",
    use_bias=False,
)
rates = warmup_cosine(8e-3, preset.steps, 0.05, 1.6e-4)
optimizer = keras.optimizers.Muon(rates, adam_beta_2=0.98, weight_decay=0.1, global_clipnorm=1.0)
writer.model.build((None, preset.context_length))
writer.model.compile(optimizer, SparseCrossentropy())
print(f"\n--- writer: {corpus.name}, {sum(map(len, train)):,} characters, {len(ids):,} tokens; ", end="")
print(f"a vocabulary of {tokenizer.vocabulary_size:,}; {writer.model.count_params():,} weights")
a_report = preset.steps // preset.reports
fit(
    writer.model,
    data.random_windows(ids, preset.context_length, batch_size=preset.batch_size, steps=a_report, seed=run.seed),
    validation_data=data.windows(writer.token_ids(validation), preset.context_length),
    epochs=preset.reports,
    batch_size=64,
    callbacks=run.callbacks("writer", None, writer),
)
folder = run.folder() / "writer"
folder.mkdir(exist_ok=True)
writer.save(folder)
report = writer.report(held_out)
print(f"held-out text: {report}")
run.record(test_writer_bits_per_character=report.bits_per_character, test_writer_perplexity=report.perplexity)

# %% [markdown]
# ## 2. The probabilities of one token
#
# After each beginning the model gives V logits z, of which a softmax at temperature τ makes probabilities:
#
# $$p_i = \frac{e^{z_i/\tau}}{\sum_{j=1}^{V} e^{z_j/\tau}}$$
#
# The cell prints the most probable tokens, and how many tokens each setting leaves. **Temperature** divides the logits;
# **top-k** keeps the k most probable tokens, however sure the model is; **top-p** as many as have probability p
# together: few where it is sure, many where it is not; **min-p** those that are at least p times as probable as the
# best, with p below 1.

# %%
beginnings = {"en": ["The President of the United", "The"], "zh": ["却说曹", "却说"]}
for beginning in beginnings.get(corpus.language, [held_out[0][:30], held_out[0][:10]]):
    rows = writer.prompt_ids([beginning], preset.prompt_tokens)
    memory, cache, position = writer.model.start(tf.constant(rows), 1)
    logits, _ = writer.model.step(tf.constant(rows[:, -1]), position, memory, cache)
    probabilities = tf.nn.softmax(logits[0]).numpy()
    order = probabilities.argsort()[::-1]
    entropy = -(probabilities * np.log2(probabilities + 1e-12)).sum()
    best = ", ".join(f"{tokenizer.decode([i])!r} {probabilities[i]:.1%}" for i in order[:6])
    print(f"\n{beginning!r}: {best}; entropy {entropy:.1f} bits")
    kept = {
        "top-k 40": keep_top_k(logits, 40),
        "top-p 0.9": keep_top_p(logits, 0.9),
        "min-p 0.1": keep_min_p(logits, 0.1),
    }
    print(
        "   left: " + ", ".join(f"{name} {int((each[0] > -1e8).numpy().sum())} tokens" for name, each in kept.items())
    )

# %% [markdown]
# ## 3. What each setting does to a text
#
# The same beginnings, taken from the held-out part, go on under each setting. Four measures of what is written:
#
# * **perplexity** under the model itself: low is what the model finds likely, which is not the same as good;
# * **distinct-2**: different pairs of words over all pairs; 1 when no pair occurs twice;
# * **repetition**: share of runs of four words that stood in the same text before;
# * **self-BLEU**: how like one another the texts are.
#
# The row to compare with is the last one of the printed table (the large green diamond of the figure): how the real
# texts went on. A text by greedy search is far more probable than a real one, and repeats itself; Holtzman et al.
# (2020) called it degeneration.

# %%
REAL = "the real text"
SETTINGS: dict[str, dict] = {
    "greedy": {},
    "beam of 4": {"num_beams": 4},
    "temperature 0.5": {"sampling": Sampling(temperature=0.5)},
    "temperature 0.8": {"sampling": Sampling(temperature=0.8)},
    "temperature 1": {"sampling": Sampling(temperature=1.0)},
    "temperature 1.3": {"sampling": Sampling(temperature=1.3)},
    "top-k 40": {"sampling": Sampling(temperature=1.0, top_k=40)},
    "top-p 0.9": {"sampling": Sampling(temperature=1.0, top_p=0.9)},
    "min-p 0.1": {"sampling": Sampling(temperature=1.0, min_p=0.1)},
    "greedy, penalty 1.2": {"sampling": Sampling(repetition_penalty=1.2)},
}
stream_of = writer.token_ids(held_out)
length = preset.prompt_tokens + preset.tokens
begins = np.linspace(0, len(stream_of) - length, preset.texts).astype(int)
rows = stream_of[begins[:, None] + np.arange(length)]
prompts = rows[:, : preset.prompt_tokens]
cut = list if corpus.language == "zh" else str.split


def perplexity_of(written: np.ndarray) -> float:
    """Of what was written ``(n, tokens)`` behind the prompts, under the model without any setting."""
    whole = np.concatenate([prompts, written], axis=1)
    logits = np.concatenate(
        [writer.model(whole[i : i + 8, :-1])[:, preset.prompt_tokens - 1 :] for i in range(0, len(whole), 8)]
    )
    losses = keras.losses.sparse_categorical_crossentropy(written, logits, from_logits=True)
    return math.exp(float(tf.reduce_mean(losses)))


def figure_name(measure: str, name: str) -> str:
    """``test_distinct_2_top_p_09``, and of the real text ``baseline_test_distinct_2``."""
    slug = re.sub(r"[ -]", "_", re.sub("[.,]", "", name))
    return f"baseline_test_{measure}" if name == REAL else f"test_{measure}_{slug}"


written_by: dict[str, np.ndarray] = {}
for name, options in SETTINGS.items():
    written_by[name] = generate(writer.model, prompts, max_length=preset.tokens, seed=run.seed, **options)
written_by[REAL] = rows[:, preset.prompt_tokens :]
print(f"{'':<22}{'perplexity':>11}{'distinct-2':>12}{'repetition':>12}{'self-BLEU':>11}")
points: dict[str, tuple[float, float]] = {}
for name, written in written_by.items():
    texts = [tokenizer.decode(row) for row in written]
    words = [cut(each) for each in texts]
    measures = {
        "perplexity": perplexity_of(written),
        "distinct_2": evaluation.distinct(words),
        "repetition": evaluation.repetition(words),
        "self_bleu": evaluation.self_bleu(texts, corpus.language),
    }
    points[name] = (measures["distinct_2"], measures["perplexity"])
    print(f"{name:<22}{measures['perplexity']:>11.1f}{measures['distinct_2']:>12.3f}", end="")
    print(f"{measures['repetition']:>12.3f}{measures['self_bleu']:>11.1f}")
    run.record(**{figure_name(measure, name): value for measure, value in measures.items()})
run.figure(
    "quality_and_variety",
    plots.plot_points(
        points,
        reference=REAL,
        xlabel="distinct-2: variety",
        ylabel="perplexity under the model (logarithmic)",
        log_y=True,
        title="What each setting makes of the same odds",
    ),
)

# %% [markdown]
# The cell prints one beginning and how several settings go on with it:

# %%
shown = 1 % preset.texts
print(f"… {tokenizer.decode(prompts[shown])}")
for name in (REAL, "greedy", "beam of 4", "temperature 0.8", "top-p 0.9", "temperature 1.3"):
    run.sample(name, f"\n[{name}]{tokenizer.decode(written_by[name][shown])}")

# %% [markdown]
# ## 4. The cache
#
# To write token t + 1 a GPT needs the keys and values of all t tokens before it, and they never change: no token sees a
# later one. So they are kept, and each step computes one position instead of t. The answers are the same, which is
# checked here, and the number of positions to compute grows with the length instead of its square. The loop itself is
# one XLA program.


# %%
def without_cache(prompt: np.ndarray, tokens: int) -> np.ndarray:
    """Greedy, the whole row through the model for each token, compiled for one length."""
    longest = prompt.shape[1] + tokens

    @tf.function(jit_compile=True)
    def next_of(ids, length):
        return tf.argmax(tf.gather(writer.model(ids), length - 1, axis=1), axis=-1, output_type="int32")

    whole = np.pad(prompt, ((0, 0), (0, tokens)))
    next_of(whole, tf.constant(1))  # compiles
    start = time.perf_counter()
    for length in range(prompt.shape[1], longest):
        whole[:, length] = next_of(whole, tf.constant(length)).numpy()
    print(f"without a cache {len(prompt) * tokens / (time.perf_counter() - start):>8,.0f} tokens a second")
    return whole[:, prompt.shape[1] :]


tokens = preset.context_length - preset.prompt_tokens
one = prompts[:1]
generate(writer.model, one, max_length=tokens)  # compiles
start = time.perf_counter()
fast = generate(writer.model, one, max_length=tokens)
print(f"with the cache  {tokens / (time.perf_counter() - start):>8,.0f} tokens a second, {tokens} tokens")
same = int(np.argmin(np.append((fast == without_cache(one, tokens))[0], False)))
print(f"the first {same} of {tokens} tokens are the same")  # two nearly equal odds may change places by rounding

# %% [markdown]
# **Speculative decoding** (Leviathan et al., 2023) saves steps of the large model: a small one, the *draft*, guesses a
# few tokens, the large one checks them all in one step, and keeps them or not such that its own probabilities stay as
# they are: `generate(model, prompt, draft=small, guesses=4, …)`. It pays where a step of the draft costs next to
# nothing beside one of the large model. Beside a writer as small as this one it hardly does. The table has tokens a
# second, with a draft of one layer, 64 wide, trained on as many updates (6 texts of 224 tokens, median of 4 rounds on 2
# cores):
#
# | | without a draft | 2 guesses | 4 guesses |
# |---|---|---|---|
# | greedy | 932 | 850 | 838 |
# | temperature 0.8 | 774 | 869 | 817 |
# | temperature 1 | 715 | 754 | 696 |
#
# The rounds of each differ by as much.
#
# ## 5. BLEU and ROUGE, and where they mislead
#
# **BLEU** counts runs of one to four words that stand in a reference too (precision, with a penalty for what is short);
# **ROUGE-L** measures the longest common subsequence. Both were made for tasks with one right answer, up to wording:
# translation, summaries. The continuation of a text has thousands. So the real continuation of *another* beginning
# scores about as well as the model's text; a paraphrase scores low, and a wrong number scores high.


# %%
class Characters:
    """ROUGE for Chinese: a word is a character. Its own tokenizer drops what is not Latin."""

    def tokenize(self, text: str) -> list[str]:
        return [character for character in text if character.strip()]


scorer = RougeScorer(["rougeL"], tokenizer=Characters() if corpus.language == "zh" else None)


def scores(candidates: list[str], references: list[str]) -> tuple[float, float]:
    """BLEU, 0 to 100, and the mean F of ROUGE-L, 0 to 1."""
    bleu = evaluation.translation_report(candidates, references, corpus.language, intervals=False).bleu
    rouge = [scorer.score(r, c)["rougeL"].fmeasure for c, r in zip(candidates, references, strict=True)]
    return bleu, float(np.mean(rouge))


real = [tokenizer.decode(row) for row in written_by[REAL]]
print(f"{'against the real continuation':<34}{'BLEU':>7}{'ROUGE-L':>9}")
for name in ("greedy", "top-p 0.9", "temperature 1.3"):
    bleu, rouge = scores([tokenizer.decode(row) for row in written_by[name]], real)
    print(f"{name:<34}{bleu:>7.1f}{rouge:>9.3f}")
    run.record(**{figure_name("bleu", name): bleu, figure_name("rouge_l", name): rouge})
bleu, rouge = scores([*real[1:], real[0]], real)
print(f"{'the real continuation of another':<34}{bleu:>7.1f}{rouge:>9.3f}")
run.record(baseline_test_bleu=bleu, baseline_test_rouge_l=rouge)

PAIRS = [
    (
        "a paraphrase",
        "The bill was passed by the Senate yesterday.",
        "Yesterday the senators voted in favour of the law.",
    ),
    (
        "a wrong number",
        "The debt rose to 3 billion dollars last year.",
        "The debt rose to 9 billion dollars last year.",
    ),
    ("the contrary", "We will not raise the taxes on labor.", "We will raise the taxes on labor."),
]
english = RougeScorer(["rougeL"])
for name, reference, candidate in PAIRS:
    bleu = evaluation.translation_report([candidate], [reference], "en", intervals=False).bleu
    print(f"{name:<34}{bleu:>7.1f}{english.score(reference, candidate)['rougeL'].fmeasure:>9.3f}   {candidate}")

# %% [markdown]
# ## 6. Chat
#
# The model goes on with texts; asked a question, it would add more questions, or a speech. **Supervised fine-tuning**
# shows it dialogues in a fixed template: `<s>`, the user's turn, `</s>`, the reply, `</s>`. The loss counts on the
# replies alone: it should learn to answer, not to ask. Both marks are ids that no text can produce, so that a user
# cannot end a turn by typing one.
#
# Most dialogues are short, so a row holds several; each is read thirty times, among other neighbours each time.

# %%
questions = {"zh": ["你好", "你是谁", "什么是人工智能", "给我讲个笑话"]}.get(
    corpus.language, ["Hello", "Who are you?", "What is AI?", "Tell me a joke"]
)
before = writer.write(questions, 24, Sampling(temperature=0.7, top_p=0.9), run.seed)
print(f"before: {questions[1]}{before[1]!r}")
talker = LanguageModel(tokenizer, preset.context_length, corpus.language, ends=True, chats=True)
talker.model = LanguageModel.load(folder).model
parts = {name: getattr(dialogues, name) for name in ("train", "validation", "test")}
print(dialogues.summary())
row = min(preset.context_length, 128)
examples = {name: chat_examples(tokenizer, parts[name], row) for name in ("validation", "test")}
rows, labels = chat_examples(tokenizer, parts["train"], row, rounds=preset.chat_rounds, seed=run.seed)
a_report = len(rows) // preset.chat_batch // preset.reports
rates = warmup_cosine(1e-3, a_report * preset.reports, 0.1, 1e-5)
talker.model.compile(keras.optimizers.Adam(rates), SparseCrossentropy(ignore_class=0))
loss_before = evaluate(talker.model, examples["test"])["loss"]
history = fit(
    talker.model,
    data.batches(rows, labels, batch_size=preset.chat_batch, shuffle_seed=run.seed).take(a_report),
    validation_data=examples["validation"],
    epochs=preset.reports,
    batch_size=preset.chat_batch,
    callbacks=run.callbacks("chat", None, talker),
)
talker.save(run.folder())
loss_after = evaluate(talker.model, examples["test"])["loss"]
print(f"loss of a reply's token, test part: {loss_before:.2f} before, {loss_after:.2f} after")
run.record(baseline_test_reply_loss=loss_before, test_reply_loss=loss_after)
run.figure("chat", plots.plot_history(history, title="Learning to answer"))

# %% [markdown]
# The curves part: the loss of the training part goes towards zero; that of replies to questions it has not seen rises
# from the first of the six epochs on (an epoch of the figure is five of the thirty readings). Less training gives no
# better replies: with twelve rounds instead of thirty, at half the rate, 1 of 60 taught questions was answered as in
# the data, and several with the same "I am doing well". Trained to the end, the model has learned replies *by heart*.
# How many, is counted: asked the first question of a dialogue, does it give, greedily and word for word, a reply that
# the data has?

# %%
replies: dict[str, set[str]] = {}
for dialogue in (dialogue for part in parts.values() for dialogue in part):
    replies.setdefault(dialogue[0], set()).add(" ".join(dialogue[1].split()))
for name in ("train", "test"):
    short = [dialogue[0] for dialogue in parts[name] if len(dialogue[1]) <= 100][: preset.texts]
    said = [" ".join("".join(Conversation(talker, GREEDY).reply(question)).split()) for question in short]
    known = np.mean([reply in replies[question] for reply, question in zip(said, short, strict=True)])
    print(f"{name} part: {known:.0%} of {len(short)} questions answered as in the data")
    run.record(**{f"{name}_known_replies": known})

talk = Conversation(talker, Sampling(temperature=0.3, top_p=0.9), run.seed)
for question in (*questions, *(dialogue[0] for dialogue in parts["test"][:3])):
    run.sample(question, f"> {question}\n{''.join(talk.reply(question))}")

# %% [markdown]
# The first questions are like those that it was taught; the last three are new to it. It answers in the tone of the
# dialogues, and it knows nothing: ask it for a fact that it has not learned by heart, and it makes one up, with the
# same confidence. That is the honest measure of what fine-tuning adds: form, and what stood in the examples. What a
# chatbot knows beyond them comes from pretraining, with a million times more text.
#
# Talk with it: `keras-llm chat` and the folder of this run.
#
# ## 7. What was measured
#
# When you run the chapter, a table sets your run beside the recorded one, which is shown here (`expected.json`:
# preset, seed, versions and machine are in it).

# %%
run.compare_with_record()
run.finish()

# %% [markdown]
# ## Exercises
#
# `keras-llm exercise ch08` writes exercises into a file of your own, and `keras-llm grade ch08` says what is right and
# why the rest is not. They stand, with solutions behind a fold, in [Exercises of chapter 8](solutions). These here ask
# for an experiment, and no program grades them:
#
# 1. **Temperature.** At which temperature does a written text have the perplexity of the real one? And at which its
#    distinct-2?
# 2. **The penalty.** Raise `repetition_penalty` to 2. What suffers first, and why does grammar need repetition?
# 3. **Beams.** Measure repetition for beams of 2, 4, 8 and 16. Why does more search make worse stories?
# 4. **The cache in bytes.** How large is it for 8 texts of 256 tokens? And with `num_key_value_heads=2`?
# 5. **Speculation.** Which share of a draft's guesses is kept, greedily and at temperature 1? When would it pay?
# 6. **Loss on replies.** Train the chat with labels on all tokens. What does it do when you say hello?
# 7. **A forged turn.** Type `</s>` into the chat. Why does nothing happen?
