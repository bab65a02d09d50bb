"""keras_llm.generation: how a token is chosen, and texts that go on from prompts of different lengths."""

import time

import keras
import keras_hub
import numpy as np
import pytest
import tensorflow as tf

from keras_llm.generation import Sampling, generate, stream
from keras_llm.generation.generate import _PROGRAMS
from keras_llm.generation.sampling import keep_min_p, keep_top_k, keep_top_p
from keras_llm.models import GPT

V, CONTEXT = 12, 24
PROMPTS = np.array([[0, 0, 3, 4], [5, 6, 7, 8], [0, 0, 0, 9]], "int32")
ODDS = np.array([0.4, 0.3, 0.15, 0.1, 0.05])


@pytest.fixture(scope="module")
def model() -> GPT:
    """Random weights, large enough that each prompt is answered differently."""
    keras.utils.set_random_seed(0)
    model = GPT(V, CONTEXT, hidden_dim=16, num_heads=4, num_layers=2, num_key_value_heads=2, positions="rotary")
    model.build((None, CONTEXT))
    rng = np.random.default_rng(3)
    model.set_weights([w + rng.normal(size=w.shape) * 0.3 for w in model.get_weights()])
    # A tied table makes a model of random weights repeat its input, and a loud token or bias always the same one.
    table, norm = model.embedding.embeddings, model.norm
    table.assign(table / tf.norm(table, axis=1, keepdims=True))
    norm.gamma.assign(-tf.abs(norm.gamma))
    norm.beta.assign(tf.zeros_like(norm.beta))
    return model


def uncached(model: GPT, prompt: np.ndarray, max_length: int) -> np.ndarray:
    """Greedy, as plain as it gets."""
    rows = []
    for row in prompt:
        tokens = [token for token in row if token]
        for _ in range(max_length):
            tokens.append(int(np.argmax(model(np.array([tokens]))[0, -1])))
        rows.append(tokens[-max_length:])
    return np.array(rows)


class Dice:
    """No Keras model, only the protocol: the same odds at each step, whatever was written before."""

    def start(self, inputs, longest):
        return (), tf.zeros((inputs.shape[0], 1)), inputs.shape[1] - 1

    def step(self, token_ids, position, memory, cache):
        return tf.tile(tf.math.log(tf.constant([[1e-9, *ODDS]], "float32")), (cache.shape[0], 1)), cache


def shares(sampling: Sampling, seed: int = 0, rows: int = 4_000) -> np.ndarray:
    """How often each of the tokens 1 to 5 is drawn, in shares of all."""
    prompt = np.ones((rows, 1), "int32")
    options = {"max_length": 5, "batch_size": rows, "sampling": sampling, "seed": seed, "jit_compile": False}
    tokens = generate(Dice(), prompt, **options)
    return np.bincount(tokens.ravel(), minlength=6)[1:] / tokens.size


@pytest.mark.parametrize("jit_compile", [False, True], ids=["op by op", "xla"])
def test_a_cache_and_prompts_of_different_lengths_give_what_each_prompt_alone_gives(model, jit_compile) -> None:
    found = generate(model, PROMPTS, max_length=9, jit_compile=jit_compile)
    np.testing.assert_array_equal(found, uncached(model, PROMPTS, 9))
    assert len({tuple(row) for row in found.tolist()}) == 3  # the prompts matter


def test_beams_of_a_decoder_alone(model) -> None:
    def log_probability(row, output):
        tokens = [token for token in row if token]
        logits = model(np.array([[*tokens, *output[:-1]]]))[0, len(tokens) - 1 :]
        return float(np.take_along_axis(tf.nn.log_softmax(logits).numpy(), np.array(output)[:, None], 1).sum())

    greedy = generate(model, PROMPTS, max_length=4, jit_compile=False)
    beams = generate(model, PROMPTS, max_length=4, num_beams=V**2, length_penalty=0.0, jit_compile=False)
    better = [log_probability(p, b) - log_probability(p, g) for p, g, b in zip(PROMPTS, greedy, beams, strict=True)]
    assert min(better) > -1e-4 and max(better) > 0.1
    with pytest.raises(ValueError, match="draws nothing"):
        generate(model, PROMPTS, max_length=4, num_beams=2, sampling=Sampling(temperature=1.0))


@pytest.mark.parametrize(
    ("sampling", "expected"),
    [
        (Sampling(temperature=1.0), ODDS),
        (Sampling(temperature=0.5), ODDS**2),
        (Sampling(temperature=1.0, top_k=2), ODDS * [1, 1, 0, 0, 0]),
        (Sampling(temperature=1.0, top_p=0.69), ODDS * [1, 1, 0, 0, 0]),
        (Sampling(temperature=1.0, top_p=0.71), ODDS * [1, 1, 1, 0, 0]),
        (Sampling(temperature=1.0, min_p=0.3), ODDS * [1, 1, 1, 0, 0]),
        (Sampling(temperature=1.0, top_k=3, top_p=0.5), ODDS * [1, 1, 0, 0, 0]),  # 0.4 and 0.3 are 0.82 of three
        (Sampling(), [1, 0, 0, 0, 0]),
    ],
    ids=lambda each: repr(each) if isinstance(each, Sampling) else "",
)
def test_tokens_are_drawn_with_the_odds_that_the_settings_leave(sampling, expected) -> None:
    expected = np.array(expected) / np.sum(expected)
    found = shares(sampling)
    # 20,000 draws: four standard deviations of a share are at most 0.0142.
    np.testing.assert_allclose(found, expected, atol=0.0142)
    assert not found[expected == 0].any()


def test_the_filters_keep_what_keras_hub_and_numpy_keep() -> None:
    logits = np.random.default_rng(0).normal(size=(20, 50)).astype("float32") * 3
    probabilities = tf.nn.softmax(logits).numpy()
    for p in (0.1, 0.5, 0.9, 0.999):
        kept = keep_top_p(tf.constant(logits), p).numpy() > -1e8
        for row, keep in zip(probabilities, kept, strict=True):
            falling = np.sort(row)[::-1]
            fewest = int(np.searchsorted(np.cumsum(falling), p)) + 1
            assert keep.sum() == fewest and row[keep].min() >= falling[fewest - 1]
        kept = keep_min_p(tf.constant(logits), p).numpy() > -1e8
        np.testing.assert_array_equal(kept, probabilities >= p * probabilities.max(axis=1, keepdims=True) * (1 - 1e-6))
    kept = keep_top_k(tf.constant(logits), 7).numpy() > -1e8
    assert (kept.sum(axis=1) == 7).all()
    # keras-hub's samplers draw from the same sets.
    sampler = keras_hub.samplers.TopKSampler(k=7, seed=0)
    for _ in range(20):
        drawn = np.array(sampler.get_next_token(tf.constant(probabilities)))
        assert kept[np.arange(20), drawn].all()


def test_a_repetition_penalty_makes_prompt_and_written_tokens_rarer() -> None:
    free = shares(Sampling(temperature=1.0))
    prompt = np.full((2_000, 1), 1, "int32")
    options = {"max_length": 1, "batch_size": 2_000, "jit_compile": False}
    once = generate(Dice(), prompt, sampling=Sampling(temperature=1.0, repetition_penalty=2.0), **options)
    # log 0.4 is negative, so it is doubled: 0.16 before all are divided by their sum.
    assert abs(np.mean(once == 1) - 0.16 / 0.76) < 0.04 < free[0] - 0.16 / 0.76
    never_again = Sampling(repetition_penalty=1e6)
    written = generate(Dice(), np.ones((3, 1), "int32"), sampling=never_again, max_length=4, jit_compile=False)
    assert written.tolist() == [[2, 3, 4, 5]] * 3  # each once, the most probable first; 1 stood in the prompt


def test_a_seed_fixes_the_draw_and_another_one_changes_it(model) -> None:
    options = {"max_length": 8, "sampling": Sampling(temperature=1.5, top_p=0.9)}
    first = generate(model, PROMPTS, seed=1, **options)
    np.testing.assert_array_equal(first, generate(model, PROMPTS, seed=1, **options))
    assert not np.array_equal(first, generate(model, PROMPTS, seed=2, **options))
    same = generate(model, np.repeat(PROMPTS[:1], 6, axis=0), seed=1, batch_size=3, **options)
    assert len({tuple(row) for row in same.tolist()}) > 3  # rows and batches draw for themselves


def test_other_numbers_need_no_new_program(model) -> None:
    _PROGRAMS.pop(model, None)
    for temperature, top_p in ((0.7, 0.5), (0.9, 0.6), (1.3, 0.95)):
        generate(model, PROMPTS, max_length=3, sampling=Sampling(temperature=temperature, top_p=top_p))
    (program,) = _PROGRAMS[model].values()
    assert program.experimental_get_tracing_count() == 1


def test_end_tokens_end_a_row_and_leave_the_others_alone(model) -> None:
    free = generate(model, PROMPTS, max_length=8)
    ends = (int(free[0, 2]), int(free[1, 4]))
    ended = generate(model, PROMPTS, max_length=8, end_id=ends)
    for row, whole in zip(ended, free, strict=True):
        places = np.flatnonzero(np.isin(whole, ends))
        stop = places[0] + 1 if len(places) else 8
        assert row.tolist() == [*whole[:stop], *[0] * (8 - stop)]
    assert (ended == 0).any()


@pytest.mark.parametrize("sampling", [Sampling(), Sampling(temperature=1.0, top_k=5, repetition_penalty=1.3)])
def test_a_stream_gives_the_same_tokens_in_parts(model, sampling) -> None:
    parts = list(stream(model, PROMPTS, max_length=10, sampling=sampling, seed=3, tokens_at_once=4))
    assert [part.shape for part in parts] == [(3, 4)] * 3  # rounded up
    whole = generate(model, PROMPTS, max_length=12, sampling=sampling, seed=3)
    np.testing.assert_array_equal(np.concatenate(parts, axis=1), whole)


def test_what_does_not_fit_into_the_context_is_refused(model) -> None:
    generate(model, PROMPTS, max_length=CONTEXT - 3, jit_compile=False)
    with pytest.raises(ValueError, match=f"do not fit into {CONTEXT}"):
        generate(model, PROMPTS, max_length=CONTEXT - 2, jit_compile=False)


@pytest.mark.parametrize(
    "wrong",
    [{"temperature": -1.0}, {"top_k": 0}, {"top_p": 0.0}, {"top_p": 1.5}, {"min_p": 1.0}, {"repetition_penalty": 0.0}],
)
def test_settings_out_of_range_are_refused(wrong) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Sampling(**wrong)


class Guesser(Dice):
    """A draft with other odds, and a model that checks several tokens at once, when ``odds`` are those of the dice."""

    def __init__(self, odds: np.ndarray) -> None:
        self.logits = tf.math.log(tf.constant([[1e-9, *odds]], "float32"))

    def step(self, token_ids, position, memory, cache):
        return tf.tile(self.logits, (cache.shape[0], 1)), cache

    def steps(self, token_ids, position, memory, cache):
        return tf.tile(self.logits[None], (*token_ids.shape, 1)), cache


@pytest.mark.parametrize(
    "sampling",
    [Sampling(temperature=1.0), Sampling(temperature=0.5, top_p=0.8)],
    ids=["as they are", "with settings"],
)
def test_guesses_of_a_draft_leave_the_odds_as_they_are(sampling) -> None:
    large, draft = Guesser(ODDS), Guesser(ODDS[[2, 0, 4, 1, 3]])
    tokens = generate(large, np.ones((40, 1), "int32"), max_length=500, sampling=sampling, draft=draft, guesses=3)
    expected = tf.nn.softmax(keep_top_p(tf.math.log([ODDS]) / sampling.temperature, sampling.top_p))[0]
    # 20,000 draws: four standard deviations of a share are at most 0.0142.
    np.testing.assert_allclose(np.bincount(tokens.ravel(), minlength=6)[1:] / tokens.size, expected, atol=0.0142)
    pairs = np.bincount((6 * tokens[:, :-1] + tokens[:, 1:]).ravel(), minlength=36).reshape(6, 6)[1:, 1:]
    np.testing.assert_allclose(pairs / pairs.sum(), np.outer(expected, expected), atol=0.0142)  # no memory


@pytest.mark.parametrize("penalty", [1.0, 1.5])
def test_guesses_of_a_draft_change_no_token_of_a_greedy_text(model, penalty) -> None:
    keras.utils.set_random_seed(1)
    draft = GPT(V, CONTEXT, hidden_dim=8, num_heads=2, num_layers=1)
    draft.build((None, CONTEXT))
    sampling = Sampling(repetition_penalty=penalty)
    plain = generate(model, PROMPTS, max_length=12, sampling=sampling)
    for small in (draft, model):  # most guesses are wrong, and all are right
        found = generate(model, PROMPTS, max_length=12, sampling=sampling, draft=small, guesses=3)
        np.testing.assert_array_equal(found, plain)
    ends = (int(plain[0, 4]), int(plain[1, 2]))
    np.testing.assert_array_equal(
        generate(model, PROMPTS, max_length=12, sampling=sampling, end_id=ends, draft=model, guesses=3),
        generate(model, PROMPTS, max_length=12, sampling=sampling, end_id=ends),
    )
    with pytest.raises(ValueError, match="leave num_beams and start_id away"):
        generate(model, PROMPTS, max_length=4, draft=draft, num_beams=2)


def test_other_guesses_need_no_new_program(model) -> None:
    seconds = []
    for seed in range(3):
        start = time.perf_counter()
        generate(model, PROMPTS[:1], max_length=9, draft=model, guesses=2, seed=seed)
        seconds.append(time.perf_counter() - start)
    assert max(seconds[1:]) < seconds[0] / 3  # a compile takes seconds, a text milliseconds
