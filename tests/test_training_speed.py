"""Operations counted from the traced graph, and what the loop says about its speed."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from keras_llm.layers import LSTM
from keras_llm.training import fit
from keras_llm.training.feed import Feed, Stack
from keras_llm.training.flops import matrix_flops
from keras_llm.training.meter import Meter, tokens_of
from keras_llm.training.program import programs_of
from tests.examples import X, Y

BATCH, TIME, WIDTH, UNITS = 8, 6, 5, 3


def step_flops(model: keras.Model, x: np.ndarray, y: np.ndarray, jit_compile: bool = True) -> int | None:
    model.compile("adam", "mse")
    feed = Feed((x, y), BATCH)
    model._symbolic_build(data_batch=feed.first_batch())
    arrays = next(feed.stacks(range(1), 4, lambda: 4)).arrays
    specs = tf.nest.map_structure(lambda array: tf.TensorSpec(array.shape, array.dtype), arrays)
    return programs_of(model, jit_compile).flops("train", specs)


def series(width: int = WIDTH) -> np.ndarray:
    return np.zeros((4 * BATCH, TIME, width), "float32")


def test_a_stack_of_dense_layers() -> None:
    model = keras.Sequential([keras.Input((7,)), layers.Dense(5, "relu"), layers.Dense(1)])
    # Forward; backward two products of the same size each, but the input of the first layer needs no gradient.
    expected = 2 * BATCH * (7 * 5 * 2 + 5 * 1 * 3)
    assert step_flops(model, np.zeros((32, 7)), np.zeros((32, 1))) == expected


def test_dense_layers_over_time_and_a_wide_head() -> None:
    model = keras.Sequential([keras.Input((TIME, WIDTH)), layers.Dense(4), layers.Dense(11)])
    assert step_flops(model, series(), series(11)) == 2 * BATCH * TIME * (WIDTH * 4 * 2 + 4 * 11 * 3)


@pytest.mark.parametrize("jit_compile", [True, False])
def test_keras_attention(jit_compile) -> None:
    x = keras.Input((TIME, WIDTH))
    model = keras.Model(x, layers.MultiHeadAttention(num_heads=2, key_dim=4)(layers.Dense(WIDTH)(x), x))
    inner = 2 * 4
    projections = TIME * WIDTH * inner * (3 + 2 + 2 + 3)  # query, key, value, output; x itself needs no gradient
    scores = 3 * 2 * TIME * TIME * inner  # Q Kᵀ and the weighted sum, each with two gradients
    dense = TIME * WIDTH * WIDTH * 2
    assert step_flops(model, series(), series(), jit_compile) == 2 * BATCH * (projections + scores + dense)


@pytest.mark.parametrize("layer", ["own", "keras"])
def test_a_loop_over_time_counts_each_turn(layer) -> None:
    recurrent = (LSTM if layer == "own" else layers.LSTM)(UNITS)
    x = np.ones((4 * BATCH, TIME), "int32")
    model = keras.Sequential([layers.Embedding(20, WIDTH), recurrent, layers.Dense(1)])
    inputs, hidden, head = WIDTH * 4 * UNITS, UNITS * 4 * UNITS, UNITS * 1
    expected = 2 * BATCH * (3 * TIME * (inputs + hidden) + 3 * head)
    assert step_flops(model, x, np.zeros((4 * BATCH, 1))) == expected


@pytest.mark.parametrize("layer", ["Conv1D", "Conv2D", "DepthwiseConv2D", "Conv3D", "SeparableConv1D"])
def test_convolutions(layer) -> None:
    dimensions = int(layer[-2])
    shape = (*[6] * dimensions, 4)
    options = {} if layer.startswith("Depthwise") else {"filters": 5}
    model = keras.Sequential([keras.Input(shape), getattr(layers, layer)(kernel_size=3, **options), layers.Flatten()])
    y = np.zeros((32, model.output_shape[-1]))
    sites = BATCH * 4**dimensions  # without padding, 6 - 3 + 1
    macs = {
        "Conv1D": 3 * 4 * 5 * 2,
        "Conv2D": 9 * 4 * 5 * 2,
        "Conv3D": 27 * 4 * 5 * 2,
        "DepthwiseConv2D": 9 * 4 * 2,
        "SeparableConv1D": 3 * 4 * 2 + 4 * 5 * 3,
    }[layer]
    assert step_flops(model, np.zeros((32, *shape)), y) == 2 * sites * macs


@pytest.mark.parametrize(
    ("equation", "shapes", "macs"),
    [
        ("ab,bc->ac", [(2, 3), (3, 5)], 30),
        ("...ab,bc->...ac", [(4, 6, 2, 3), (3, 5)], 24 * 30),
        ("a...b,...bc->...ac", [(2, 4, 3), (6, 4, 3, 5)], 24 * 30),
        ("ab,ab->ab", [(2, 3), (2, 3)], 0),  # no product of matrices
        ("ab->ba", [(2, 3)], 0),
        ("ab,a->b", [(2, 3), (2,)], 6),
    ],
)
def test_einsum(equation, shapes, macs) -> None:
    function = tf.function(lambda *x: tf.raw_ops.Einsum(inputs=list(x), equation=equation))
    graph = function.get_concrete_function(*(tf.TensorSpec(shape) for shape in shapes)).graph
    assert matrix_flops(graph) == 2 * macs


def test_branches_and_calls() -> None:
    inner = tf.function(lambda a: a @ a)

    def graph(otherwise):
        run = tf.function(lambda a, which: tf.cond(which, lambda: inner(inner(a)), lambda: otherwise(a)))
        return run.get_concrete_function(tf.TensorSpec((3, 3)), tf.TensorSpec((), "bool")).graph

    assert matrix_flops(graph(lambda a: a @ a @ a)) == 2 * 2 * 27
    assert matrix_flops(graph(lambda a: a)) is None  # it depends


def test_what_the_graph_does_not_tell_is_not_guessed() -> None:
    def graph(function, *shape):
        return tf.function(function).get_concrete_function(tf.TensorSpec(shape)).graph

    def until_large(a):
        return tf.while_loop(lambda a: tf.reduce_sum(a) < 9.0, lambda a: a @ a, [a])

    assert matrix_flops(graph(lambda a: a @ a, 3, 3)) == 54
    assert matrix_flops(graph(lambda a: a @ tf.transpose(a), None, 3)) is None
    anything = tf.function(lambda a: a @ a).get_concrete_function(tf.TensorSpec(None))
    assert matrix_flops(anything.graph) is None
    einsum = tf.function(lambda a: tf.raw_ops.Einsum(inputs=[a, a], equation="ab,bc->ac"))
    assert matrix_flops(einsum.get_concrete_function(tf.TensorSpec(None)).graph) is None
    assert matrix_flops(graph(until_large, 3, 3)) is None
    assert matrix_flops(graph(lambda a: tf.while_loop(lambda a: a[0, 0] < 9.0, lambda a: a * a, [a]), 3, 3)) == 0


# What the loop says of its speed


def a_lap(rows: int, dtype: str = "int32", steps: int = 4, **inputs) -> Stack:
    x = inputs or np.zeros((4, rows, 10), dtype)
    return Stack((x, np.zeros((4, rows))), steps)


def test_tokens_are_the_elements_of_the_first_integer_input() -> None:
    two = {"mask": np.zeros((4, 8, 10), "float32"), "source": np.zeros((4, 8, 7), "int32")}
    assert tokens_of(a_lap(8)) == ("tokens", 80)
    assert tokens_of(a_lap(8, **two)) == ("tokens", 56)
    assert tokens_of(a_lap(8, "float32")) == ("rows", 8)
    assert tokens_of(Stack((np.zeros((4, 8), "int64"),), 1)) == ("rows", 8)  # a number a row is no text


def test_figures_are_medians_over_the_steps(monkeypatch) -> None:
    monkeypatch.setattr("keras_llm.training.meter.matmul_peak", lambda dtype: {"bfloat16": 1e6}[dtype])
    meter = Meter("bfloat16", lambda specs: 1000 * specs[0].shape[1], shown=True)
    assert meter.figures() == {"step_ms": None, "rows_per_second": None, "mfu": None}
    meter.tell(a_lap(8), 0.0)  # it compiled
    assert meter.laps == 0
    meter.tell(a_lap(8), 1.5, waited=0.5)  # 4 steps of half a second
    assert meter.figures() == {"step_ms": 500.0, "tokens_per_second": 160.0, "mfu": None}  # too short for a peak
    meter.tell(a_lap(2, steps=1), 30.0)
    assert meter.figures() == {"step_ms": 500.0, "tokens_per_second": 160.0, "mfu": 0.016}
    assert meter.figures(since=1) == {"step_ms": 3e4, "tokens_per_second": 0.7, "mfu": 0.0001}
    assert meter.figures(since=2)["step_ms"] is None


@pytest.mark.parametrize("case", ["unseen", "unknown"])
def test_no_peak_is_measured_for_nobody_or_nothing(case, monkeypatch) -> None:
    monkeypatch.setattr("keras_llm.training.meter.matmul_peak", None)  # it would be an error to call it
    meter = Meter("float32", lambda specs: None if case == "unknown" else 1, shown=case != "unseen")
    meter.tell(a_lap(8), 100.0)
    assert meter.figures()["mfu"] is None and meter.figures()["step_ms"] == 25000.0


def test_history_says_how_fast_the_steps_were(model, monkeypatch) -> None:
    monkeypatch.setattr("keras_llm.training.meter.matmul_peak", lambda dtype: {"float32": 1e9}[dtype])
    monkeypatch.setattr("keras_llm.training.meter.WORTHWHILE", 0.0)
    unseen = fit(model, (X[:32], Y[:32]), batch_size=8, epochs=2, verbose=0).program
    assert unseen["mfu"] is None and unseen["step_ms"] > 0
    traces = dict(programs_of(model).traces)
    program = fit(model, (X[:32], Y[:32]), batch_size=8, epochs=4, verbose=2).program
    assert program["rows_per_second"] == pytest.approx(8e3 / program["step_ms"], rel=1e-2)
    flops = 2 * 8 * (4 * 3 * 2 + 3 * 1 * 3)
    assert program["mfu"] == pytest.approx(flops / program["step_ms"] / 1e6, rel=0.05, abs=1e-4)
    assert programs_of(model).traces == traces  # counting compiles nothing
