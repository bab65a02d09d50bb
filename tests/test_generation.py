"""keras_llm.generation: searches find what they should, with a cache and compiled as without; defects are caught."""

import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_llm.generation import generate
from keras_llm.generation.generate import _PROGRAMS
from keras_llm.models import Transformer
from keras_llm.training import SparseCrossentropy, fit
from tests.examples import reversals

START, END, V = 1, 2, 5
SOURCES = np.array([[3, 4, 4, 2, 0, 0], [3, 3, 2, 0, 0, 0], [3, 4, 4, 3, 4, 2]], "int32")
OPTIONS = {"start_id": START, "end_id": END}


@pytest.fixture(scope="module")
def model() -> Transformer:
    """A Transformer that has half learned to reverse sentences: it writes different things, and doubts them."""
    keras.utils.set_random_seed(0)
    source, target, labels = reversals(1_000, 0, V)
    model = Transformer(V, hidden_dim=16, num_heads=2, intermediate_dim=32, num_layers=1, dropout=0.1)
    model.compile(keras.optimizers.Adam(5e-3), SparseCrossentropy(ignore_class=0))
    fit(model, ({"source_ids": source, "target_ids": target}, labels), epochs=6, batch_size=50, verbose=0)
    return model


def uncached(model: Transformer, sources: np.ndarray, max_length: int) -> np.ndarray:
    """Greedy search as plain as it gets."""
    memory, written = model.encode(sources), np.full((len(sources), 1), START)
    for _ in range(max_length):
        logits = model.decode(written, memory, sources)
        written = np.concatenate([written, np.argmax(logits[:, -1:], axis=-1)], axis=1)
    written = written[:, 1:]
    ended = np.cumsum(written == END, axis=1) - (written == END) > 0
    return np.where(ended, 0, written)


def log_probabilities(model: Transformer, source: np.ndarray, outputs: list[tuple[int, ...]]) -> np.ndarray:
    """Of each output, ``(len(outputs),)``, told by the whole model at once."""
    longest = max(map(len, outputs))
    tokens = np.array([[*output, *[0] * (longest - len(output))] for output in outputs])
    targets = np.concatenate([np.full((len(outputs), 1), START), tokens[:, :-1]], axis=1)
    logits = model({"source_ids": np.repeat(source[None], len(outputs), axis=0), "target_ids": targets})
    steps = np.take_along_axis(tf.nn.log_softmax(logits).numpy(), tokens[..., None], axis=-1)[..., 0]
    counts = np.arange(longest) < np.array([[len(output)] for output in outputs])
    return (steps * counts).sum(axis=1)


def best_output(model: Transformer, source: np.ndarray, max_length: int, length_penalty: float) -> tuple[int, ...]:
    """The best of all outputs there are."""
    tokens = [token for token in range(V) if token != END]
    outputs = [(*begin, END) for length in range(max_length) for begin in itertools.product(tokens, repeat=length)]
    outputs += list(itertools.product(tokens, repeat=max_length))
    lengths = np.array([len(output) for output in outputs])
    ranks = log_probabilities(model, source, outputs) / ((5 + lengths) / 6) ** length_penalty
    return outputs[int(np.argmax(ranks))]


@pytest.mark.parametrize("jit_compile", [False, True], ids=["op by op", "xla"])
def test_greedy_search_with_a_cache_is_greedy_search(model, jit_compile) -> None:
    found = generate(model, SOURCES, max_length=9, jit_compile=jit_compile, **OPTIONS)
    np.testing.assert_array_equal(found, uncached(model, SOURCES, 9))
    assert len({tuple(row) for row in found.tolist()}) == 3  # the sources matter


def test_the_cache_gives_the_logits_of_the_whole_sequence(model) -> None:
    written = np.array([[START, 4, 3, 3, 4]] * 3)
    whole = model({"source_ids": SOURCES, "target_ids": written}).numpy()
    memory, cache, first = model.start(tf.constant(SOURCES), 5)
    assert first == 0
    for position in range(5):
        logits, cache = model.step(tf.constant(written[:, position]), position, memory, cache)
        np.testing.assert_allclose(logits, whole[:, position], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("length_penalty", [0.0, 1.0])
def test_a_wide_beam_finds_the_best_output_of_all(model, length_penalty) -> None:
    found = generate(model, SOURCES, max_length=3, num_beams=100, length_penalty=length_penalty, **OPTIONS)
    for source, row in zip(SOURCES, found, strict=True):
        best = best_output(model, source, 3, length_penalty)
        assert tuple(row[: len(best)]) == best and not row[len(best) :].any()


def test_more_beams_never_find_a_worse_output_here_and_one_beam_is_greedy(model) -> None:
    probabilities = []
    for beams in (1, 2, 8):
        found = generate(model, SOURCES, max_length=6, num_beams=beams, length_penalty=0.0, **OPTIONS)
        outputs = [tuple(row[: np.flatnonzero(row == END)[0] + 1] if END in row else row) for row in found]
        probabilities.append(sum(log_probabilities(model, s, [o])[0] for s, o in zip(SOURCES, outputs, strict=True)))
    assert probabilities[0] <= probabilities[1] <= probabilities[2]
    np.testing.assert_array_equal(generate(model, SOURCES, max_length=6, **OPTIONS), uncached(model, SOURCES, 6))


class Coin:
    """No Keras model, only the protocol: the same odds at each step, whatever was written before."""

    def start(self, inputs, longest):
        return (), tf.zeros((inputs.shape[0], 1)), 0

    def step(self, token_ids, position, memory, cache):
        return tf.tile(tf.math.log([[1e-9, 1e-9, 0.4, 0.35, 0.25]]), (cache.shape[0], 1)), cache


def test_a_larger_length_penalty_gives_longer_outputs() -> None:
    options = {"max_length": 8, "num_beams": 6, "jit_compile": False, **OPTIONS}
    lengths = [np.count_nonzero(generate(Coin(), SOURCES, length_penalty=p, **options), axis=1) for p in (0.0, 10.0)]
    assert lengths[0].tolist() == [1, 1, 1]  # to end at once is the most probable output
    assert lengths[1].tolist() == [8, 8, 8]


def test_compiled_beam_search_is_beam_search(model) -> None:
    options = {"max_length": 7, "num_beams": 3, **OPTIONS}
    np.testing.assert_array_equal(
        generate(model, SOURCES, **options), generate(model, SOURCES, jit_compile=False, **options)
    )


def test_padding_of_the_source_and_the_other_rows_of_a_batch_change_nothing(model) -> None:
    options = {"max_length": 7, "num_beams": 3, "jit_compile": False, **OPTIONS}
    together = generate(model, SOURCES, **options)
    wider = generate(model, np.pad(SOURCES, ((0, 0), (0, 5))), **options)
    alone = np.concatenate([generate(model, SOURCES[row : row + 1], **options) for row in range(3)])
    in_parts = generate(model, SOURCES, batch_size=2, **options)
    for other in (wider, alone, in_parts):
        np.testing.assert_array_equal(other, together)


def test_another_length_penalty_needs_no_other_program(model) -> None:
    _PROGRAMS.pop(model, None)
    options = {"max_length": 6, "num_beams": 6, **OPTIONS}
    found = [generate(model, SOURCES, length_penalty=penalty, **options) for penalty in (0.0, 20.0)]
    (program,) = _PROGRAMS[model].values()
    assert program.experimental_get_tracing_count() == 1
    lengths = [np.count_nonzero(outputs) for outputs in found]
    assert lengths[0] < lengths[1]


def test_a_search_is_compiled_once_and_follows_the_weights(model) -> None:
    _PROGRAMS.pop(model, None)
    generate(model, SOURCES[[0, 1, 2, 0]], max_length=5, **OPTIONS)
    (program,) = _PROGRAMS[model].values()
    traces = program.experimental_get_tracing_count()
    weights = model.get_weights()
    model.set_weights([-weight for weight in weights])
    other = generate(model, SOURCES, max_length=5, **OPTIONS)  # three rows: the batch is filled up to four
    model.set_weights(weights)
    assert program.experimental_get_tracing_count() == traces
    assert not np.array_equal(other, generate(model, SOURCES, max_length=5, **OPTIONS))


@pytest.mark.parametrize("wrong", [{"max_length": 0}, {"num_beams": 0}, {"batch_size": 0}])
def test_numbers_out_of_range_are_refused(model, wrong) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        generate(model, SOURCES, **{"max_length": 5, **wrong}, **OPTIONS)
    with pytest.raises(ValueError, match="no rows"):
        generate(model, SOURCES[:0], max_length=5, **OPTIONS)
