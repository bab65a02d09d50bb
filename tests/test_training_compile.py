"""How a step is compiled, and a batch worked through in parts: the same losses and weights, whichever way."""

import gc
import weakref

import keras
import numpy as np
import pytest
import tensorflow as tf
from tensorflow.python.eager import context

from keras_llm.training import SparseCrossentropy, fit
from keras_llm.training.feed import Feed
from keras_llm.training.program import programs_of, way_to_compile
from keras_llm.training.step import number_of_parts
from tests.examples import X, Y, perceptron

DRAW = np.random.default_rng(0)
LENGTHS = np.sort(DRAW.integers(1, 9, (30, 1)), axis=0)  # sorted: the parts of a batch have different numbers of tokens
IDS = np.where(np.arange(8) < LENGTHS, DRAW.integers(1, 20, (30, 8)), 0).astype("int32")
LABELS = DRAW.integers(1, 20, (30, 8)).astype("int32")
WEIGHTS = DRAW.uniform(0, 2, (30, 8)).astype("float32")
OPTIONS = {"batch_size": 12, "epochs": 2, "shuffle": False, "verbose": 0}  # batches of 12, 12 and 6
LOSSES = {
    "mask": lambda: keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    "mean of weights": lambda: SparseCrossentropy(0.1, reduction="mean_with_sample_weight"),
    "ignored label": lambda: SparseCrossentropy(ignore_class=3),
}


def tagger(loss: keras.losses.Loss | str) -> keras.Model:
    """Token ids to logits of twenty labels a token; padding is masked, and an L2 penalty is added to the loss."""
    keras.utils.set_random_seed(1)
    ids = keras.Input((8,), dtype="int32")
    x = keras.layers.Embedding(20, 6, mask_zero=True)(ids)
    model = keras.Model(ids, keras.layers.Dense(20, kernel_regularizer="l2")(x))
    model.compile(keras.optimizers.Adam(0.01, global_clipnorm=1.0), loss, weighted_metrics=["accuracy"])
    return model


def trained(loss: str, **given) -> tuple[dict, list[np.ndarray]]:
    data = (IDS, LABELS, WEIGHTS) if loss == "mean of weights" else (IDS, LABELS)
    model = tagger(LOSSES[loss]())
    return fit(model, data, **OPTIONS, **given).history, model.get_weights()


def assert_same(left: tuple[dict, list], right: tuple[dict, list]) -> None:
    assert left[0].keys() == right[0].keys()
    for name, values in left[0].items():
        np.testing.assert_allclose(values, right[0][name], rtol=1e-5, err_msg=name)
    for a, b in zip(left[1], right[1], strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)


@pytest.mark.parametrize("loss", LOSSES)
def test_parts_that_are_added_up_are_the_whole_batch(loss) -> None:
    assert_same(trained(loss, gradient_accumulation_steps=5), trained(loss))


@pytest.mark.parametrize("jit_compile", [False, "clusters", "update"])
def test_parts_however_they_are_compiled(jit_compile) -> None:
    whole = trained("ignored label", jit_compile=jit_compile)
    assert_same(trained("ignored label", jit_compile=jit_compile, gradient_accumulation_steps=3), whole)
    assert_same(whole, trained("ignored label"))


def test_the_mean_of_the_parts_would_be_another_loss() -> None:
    """The tests above can fail: Keras's own accumulation weighs parts alike, whatever they contain."""
    losses = []
    for steps in (None, 3):
        model = tagger(LOSSES["mask"]())
        model.optimizer.gradient_accumulation_steps = steps
        fit(model, (IDS, LABELS), **{**OPTIONS, "batch_size": 12 // (steps or 1)})
        losses.append(model.get_weights())
    assert max(np.abs(a - b).max() for a, b in zip(*losses, strict=True)) > 1e-3


def test_an_uneven_batch_is_divided_evenly() -> None:
    assert [number_of_parts(rows, 4) for rows in (12, 7, 6, 4, 1)] == [3, 7, 2, 1, 1]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"gradient_accumulation_steps": 0}, r"=0: give a whole number from 1 to the 8 rows"),
        ({"gradient_accumulation_steps": 9}, r"=9: give a whole number from 1 to the 8 rows"),
        ({"gradient_accumulation_steps": 2, "loss": keras.losses.MeanSquaredError("sum")}, 'reduction="sum"'),
        ({"gradient_accumulation_steps": 2, "optimizer": keras.optimizers.SGD(gradient_accumulation_steps=2)}, "both"),
        ({"jit_compile": "xla"}, r"jit_compile='xla': give True, False, 'clusters', 'update' or 'auto'"),
    ],
)
def test_what_cannot_be_done_is_said(given, message) -> None:
    options = {name: given.pop(name) for name in ("loss", "optimizer") if name in given}
    with pytest.raises(ValueError, match=message):
        fit(perceptron(**options), (X, Y), batch_size=8, verbose=0, **given)


def test_a_step_of_the_models_own_is_not_taken_apart() -> None:
    class Own(keras.Sequential):
        def train_step(self, data):
            return super().train_step(data)

    model = Own([keras.Input((4,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    with pytest.raises(ValueError, match="train_step of its own"):
        fit(model, (X, Y), batch_size=8, verbose=0, gradient_accumulation_steps=2)
    assert fit(model, (X, Y), batch_size=8, verbose=0, jit_compile="clusters").program["jit_compile"] == "clusters"


def test_bfloat16_on_a_cpu_is_compiled_in_clusters() -> None:
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        half = perceptron()
    finally:
        keras.config.set_dtype_policy("float32")
    expected = True if tf.config.list_physical_devices("GPU") else "clusters"
    assert way_to_compile(half, "auto") == expected and way_to_compile(perceptron(), "auto") is True
    assert all(way_to_compile(half, way) is way for way in (True, False, "update"))


def test_clusters_are_xla_around_products_of_onednn() -> None:
    graphs = graphs_run("clusters")
    outside = {node.op for graph in graphs for node in graph.node}
    ran = outside | {node.op for graph in graphs for f in graph.library.function for node in f.node_def}
    assert "_XlaRun" in ran, "nothing was compiled"
    assert any("MatMul" in name for name in ran), "the products are in the clusters"
    alone = {"Tanh", "TanhGrad", "Sigmoid", "Log", "Sqrt", "Mul", "RealDiv"} & outside
    assert not alone, f"outside the clusters: {alone}"


def test_of_a_short_training_only_the_update_is_compiled() -> None:
    nodes = [node for graph in graphs_run("update") for node in graph.node]
    assert "TanhGrad" in {node.op for node in nodes}, "the gradient was compiled"
    assert "Sqrt" not in {node.op for node in nodes}, "Adam's update was not"
    assert [node.attr["_XlaMustCompile"].b for node in nodes if node.op == "StatefulPartitionedCall"] == [True]


@pytest.mark.parametrize("jit_compile", [True, False, "clusters", "update"])
def test_trainings_that_are_over_leave_nothing_in_memory(jit_compile) -> None:
    variables = []
    for _ in range(3):
        model = perceptron()
        fit(model, (X, Y), batch_size=8, verbose=0, jit_compile=jit_compile)
        variables.append([weakref.ref(v.value.handle) for v in (*model.weights, *model.optimizer.variables)])
        del model
        gc.collect()
    assert not any(each() is not None for each in variables[0])


def graphs_run(jit_compile: bool | str) -> list:
    """The graphs that TensorFlow runs for a stack of steps, not those that it was asked for."""
    model = perceptron()
    feed = Feed((X[:32], Y[:32]), batch_size=8)
    model._symbolic_build(data_batch=feed.first_batch())
    programs, stack = programs_of(model, jit_compile), next(feed.stacks(range(1), 4, lambda: 4))
    context.enable_run_metadata()
    try:
        programs.run("train", stack)
        return context.export_run_metadata().partition_graphs
    finally:
        context.disable_run_metadata()
