"""keras_llm.training: the loop does what ``model.fit`` does, in compiled programs, and says what is wrong."""

import gc
import re
import weakref

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_llm.errors import WorkError
from keras_llm.models import LSTMClassifier
from keras_llm.training import evaluate, fit, predict
from keras_llm.training.feed import Feed
from keras_llm.training.pace import Pace
from keras_llm.training.program import programs_of
from tests.examples import Batches, X, Y, assert_same_weights, perceptron

# The same as Keras


@pytest.mark.parametrize(
    "options",
    [{}, {"num_layers": 1, "bidirectional": True, "dropout": 0.3, "l2": 0.01}, {"num_layers": 1, "num_classes": 3}],
    ids=["document", "bidirectional-dropout-l2", "softmax"],
)
def test_losses_are_those_of_model_fit_step_by_step(options, token_ids, labels) -> None:
    rows, y = [], labels % options.get("num_classes", 2)
    for train in (keras.Model.fit, lambda model, x, y, **given: fit(model, (x, y), **given)):
        keras.utils.set_random_seed(3)
        model = LSTMClassifier(vocabulary_size=20, embedding_dim=4, units=3, **options)
        model.compile(keras.optimizers.Adam(0.01), model.loss_name, metrics=["accuracy"], jit_compile=True)
        batches = Batches()
        train(model, token_ids, y, epochs=2, batch_size=10, shuffle=False, verbose=0, callbacks=[batches])
        rows.append(batches.rows)
    assert len(rows[1]) == 8
    np.testing.assert_allclose(rows[1], rows[0], rtol=1e-5)


@pytest.mark.parametrize(
    "weights",
    [{}, {"class_weight": {0: 0.2, 1: 3.0}}, {"sample_weight": np.linspace(0, 2, 38)}],
    ids=lambda weights: next(iter(weights), "unweighted"),
)
def test_weights_and_the_last_smaller_batch_count_as_in_model_fit(weights) -> None:
    own, theirs = perceptron(weighted_metrics=["mse"]), perceptron(weighted_metrics=["mse"])
    given = {"epochs": 2, "batch_size": 8, "shuffle": False, "verbose": 0, **weights}
    expected = theirs.fit(X, Y, **given).history
    history = fit(own, (X, Y), **given).history
    assert history.keys() == expected.keys()
    for name, values in expected.items():
        np.testing.assert_allclose(history[name], values, rtol=1e-5, err_msg=name)
    assert_same_weights(own, theirs)


@pytest.mark.parametrize("weighted", [False, True])
def test_evaluate_is_model_evaluate(model, weighted) -> None:
    weights = np.linspace(0, 2, 38) if weighted else None
    expected = model.evaluate(X, Y, batch_size=8, sample_weight=weights, verbose=0, return_dict=True)
    scores = evaluate(model, (X, Y), batch_size=8, sample_weight=weights)
    assert scores == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("form", ["array", "dict", "tuple", "dataset", "fewer rows than a batch"])
def test_predict_is_model_predict(form) -> None:
    inputs = [keras.Input((2,), name="left"), keras.Input((2,), name="right")]
    if form == "dict":
        x, inputs = {"left": X[:, :2], "right": X[:, 2:]}, {i.name: i for i in inputs}
        joined = keras.layers.Concatenate()(list(inputs.values()))
    elif form == "tuple":
        x, joined = (X[:, :2], X[:, 2:]), keras.layers.Concatenate()(inputs)
    else:
        inputs = joined = keras.Input((4,))
        x = X[:3] if form.startswith("fewer") else X
    model = keras.Model(inputs, {"a": keras.layers.Dense(2)(joined), "b": joined})  # never compiled
    expected = model.predict(x, verbose=0)
    given = tf.data.Dataset.from_tensor_slices((x, Y)).batch(8) if form == "dataset" else x
    outputs = predict(model, given, batch_size=8)
    for name in ("a", "b"):
        np.testing.assert_allclose(outputs[name], expected[name], rtol=1e-5, atol=1e-6)
    assert programs_of(model).traces["predict"] == 1  # the last batch is filled up, not compiled anew


def test_a_metric_with_a_number_for_each_class() -> None:
    def softmax() -> keras.Model:
        keras.utils.set_random_seed(1)
        model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, activation="softmax")])
        model.compile("sgd", "categorical_crossentropy", metrics=[keras.metrics.F1Score()])
        return model

    x, y = X[:32], np.eye(3)[np.arange(32) % 3]
    expected = softmax().fit(x, y, batch_size=8, shuffle=False, verbose=0).history
    history = fit(softmax(), (x, y), batch_size=8, shuffle=False, verbose=0).history
    assert history["f1_score"][0].shape == (3,)
    np.testing.assert_allclose(history["f1_score"], expected["f1_score"], rtol=1e-5)


# Programs


def stack_of(data, batch_size: int, capacity: int):
    return next(Feed(data, batch_size).stacks(range(1), capacity, lambda: capacity))


def computations(hlo: str) -> dict[str, str]:
    """Name to text of each computation of a program; the entry's name is ENTRY."""
    found = re.findall(r"^(ENTRY )?%([\w.-]+) \(.*?\{$(.*?)^\}", hlo, re.MULTILINE | re.DOTALL)
    return {"ENTRY" if entry else name: text for entry, name, text in found}


def reached_from(name: str, parts: dict[str, str]) -> str:
    """The text of a computation and of all that it calls."""
    names, waiting = set(), {name}
    while waiting:
        names |= waiting
        called = {c for n in waiting for c in re.findall(r"(?:body|condition|to_apply|calls)=%([\w.-]+)", parts[n])}
        waiting = called - names
    return "\n".join(parts[n] for n in names)


@pytest.mark.parametrize("kind", ["perceptron", "lstm"])
def test_the_compiled_program_encloses_the_training_steps(kind, model, token_ids, labels) -> None:
    data, products = (X, Y), 2 + 3  # forward; back, where the input needs no gradient
    if kind == "lstm":
        model = LSTMClassifier(vocabulary_size=20, embedding_dim=4, units=3, num_layers=1)
        model(token_ids)
        model.compile("adam", model.loss_name)
        model.optimizer.build(model.trainable_variables)
        # x W and the head, h U for each half of the batch; two gradients of each
        data, products = (token_ids, labels % 2), 3 * (2 + 2)
    parts = computations(programs_of(model).hlo("train", stack_of(data, 8, 5)))
    loops = re.findall(r" while\(.*body=%([\w.-]+)", parts["ENTRY"])
    assert len(loops) == 1  # one loop over the steps …
    assert " dot(" not in parts["ENTRY"] and " sqrt(" not in parts["ENTRY"]  # … with nothing left outside …
    step = reached_from(loops[0], parts)
    assert step.count(" dot(") == products  # … forward and backward pass inside …
    assert step.count(" sqrt(") >= len(model.trainable_variables)  # … and Adam, a root for each weight
    assert not re.search("custom-call.*(callback|host)|infeed|outfeed|send\\(", "\n".join(parts.values()))
    with pytest.raises(ValueError, match="jit_compile=True"):
        programs_of(model, jit_compile=False).hlo("train", stack_of(data, 8, 5))


def test_fit_runs_the_compiled_programs_and_traces_each_shape_once(model) -> None:
    programs = programs_of(model)
    traces = dict(programs.traces)
    for epochs in (3, 2):
        history = fit(model, (X, Y), epochs=epochs, batch_size=8, verbose=0, validation_data=(X, Y))
        assert len(history.epoch) == epochs and history.program["jit_compile"] is True
    assert programs_of(model) is programs and programs.traces == traces
    for name in ("train", "test", "predict"):
        arguments = (X[:8],) if name == "predict" else programs.arguments(stack_of((X, Y), 8, 5))
        function = getattr(programs, name).get_concrete_function(*tf.nest.map_structure(tf.constant, arguments))
        assert function.function_def.attr["_XlaMustCompile"].b  # compiled or refused, never op by op


class Unfit(keras.layers.Layer):
    """Runs Python in the middle of a step, which XLA cannot."""

    def call(self, inputs):
        return tf.ensure_shape(tf.numpy_function(lambda x: x, [inputs], tf.float32), inputs.shape)


def test_what_xla_cannot_run_is_refused_and_not_run_op_by_op() -> None:
    model = keras.Sequential([keras.Input((4,)), Unfit(), keras.layers.Dense(1)], name="unfit")
    model.compile("sgd", "mse")
    with pytest.raises(WorkError, match=r"'unfit' .*jit_compile=False"):
        fit(model, (X, Y), batch_size=8, verbose=0)
    with pytest.raises(WorkError, match="'unfit'"):
        evaluate(model, (X, Y), batch_size=8)
    with pytest.raises(WorkError, match="'unfit'"):
        predict(model, X)
    history = fit(model, (X, Y), batch_size=8, verbose=0, jit_compile=False)
    assert len(history.history["loss"]) == 1 and history.program["jit_compile"] is False


def test_steps_per_program_changes_no_result(model) -> None:
    first = fit(model, (X, Y), epochs=3, batch_size=8, verbose=0)
    assert first.program["steps_per_program"] == 4  # batches of 8; the one of 6 is a program of its own
    for steps in (1, 2):
        other = perceptron()
        history = fit(other, (X, Y), epochs=3, steps_per_program=np.int64(steps), batch_size=8, verbose=0)
        assert history.program["steps_per_program"] == steps
        assert history.program["traces"] == 2  # one for each shape, whatever the number of epochs
        np.testing.assert_allclose(history.history["loss"], first.history["loss"], rtol=1e-5)
        assert_same_weights(other, model)


def test_pace_learns_what_fits_into_half_a_second() -> None:
    batch = (np.zeros((8, 4), "float32"),)
    pace = Pace("auto", batch, 1000, [])
    assert (pace.capacity, pace.steps()) == (128, 1)
    for seconds, expected in [(0.0, 1), (1e-4, 4), (1e-4, 16), (5.0, 1), (0.1, 4)]:  # 0.0: it compiled
        pace.tell(pace.steps(), seconds)
        assert pace.steps() == expected
    chosen = Pace(10, batch, 1000, [])
    chosen.tell(10, 60.0)
    assert chosen.steps() == 10  # a number that the user gave stays
    assert Pace("auto", (np.zeros((2**20, 8), "float64"),), 1000, []).capacity == 1  # 64 MB a batch


def test_compiling_the_model_again_makes_new_programs() -> None:
    model = perceptron(keras.optimizers.SGD(0.0))
    before = model.get_weights()
    fit(model, (X[:32], Y[:32]), batch_size=8, verbose=0)
    np.testing.assert_array_equal(model.get_weights()[0], before[0])  # a rate of nought
    programs = programs_of(model)
    model.layers[0].trainable = False
    model.compile(keras.optimizers.SGD(1.0), "binary_crossentropy")
    fit(model, (X[:32], Y[:32]), batch_size=8, verbose=0)
    assert programs_of(model) is not programs and programs_of(model).traces["train"] == 1
    np.testing.assert_array_equal(model.get_weights()[0], before[0])  # frozen
    assert np.abs(model.get_weights()[2] - before[2]).max() > 0.01  # the new rate


@pytest.mark.parametrize("kind", ["perceptron", "lstm"])
def test_programs_do_not_keep_a_model_alive(kind, token_ids) -> None:
    if kind == "lstm":
        model, x = LSTMClassifier(vocabulary_size=20, embedding_dim=4, units=3, num_layers=1, l2=0.1), token_ids[:32]
        model.compile("adam", model.loss_name)
    else:
        model, x = perceptron(), X[:32]
    for jit_compile in (True, False) if kind == "perceptron" else (False,):
        fit(model, (x, Y[:32]), validation_data=(x, Y[:32]), batch_size=8, verbose=0, jit_compile=jit_compile)
        predict(model, x, jit_compile=jit_compile)
    died = weakref.ref(model)
    del model
    gc.collect()
    assert died() is None


def test_accumulated_small_batches_are_the_large_one() -> None:
    large = perceptron(keras.optimizers.SGD(0.5))
    small = perceptron(keras.optimizers.SGD(0.5, gradient_accumulation_steps=4))
    start = large.get_weights()
    fit(large, (X[:32], Y[:32]), batch_size=8, epochs=2, seed=5, verbose=0)
    fit(small, (X[:32], Y[:32]), batch_size=2, epochs=2, seed=5, verbose=0)
    assert_same_weights(small, large)
    assert np.abs(large.get_weights()[0] - start[0]).max() > 0.01


# Several epochs in one program


@pytest.mark.parametrize("rows", [32, 38], ids=["even", "with a smaller batch at the end"])
@pytest.mark.parametrize("steps", ["auto", 3, 7])
def test_epochs_that_share_programs_are_those_of_model_fit(rows, steps) -> None:
    own, theirs = perceptron(dropout=0.0), perceptron(dropout=0.0)
    given = {"epochs": 5, "batch_size": 8, "shuffle": False, "verbose": 0}
    expected = theirs.fit(X[:rows], Y[:rows], **given).history
    history = fit(own, (X[:rows], Y[:rows]), steps_per_program=steps, **given)
    assert history.epoch == [0, 1, 2, 3, 4]
    for name, values in expected.items():
        np.testing.assert_allclose(history.history[name], values, rtol=1e-5, err_msg=name)
    assert_same_weights(own, theirs)
    assert rows == 38 or steps == "auto" or history.program["steps_per_program"] == steps


def test_somebody_who_looks_between_epochs_finds_the_weights_of_that_moment(model) -> None:
    class Weights(keras.callbacks.Callback):
        def __init__(self) -> None:
            super().__init__()
            self.seen: list[np.ndarray] = []

        def on_epoch_end(self, epoch, logs=None) -> None:
            self.seen.append(self.model.get_weights()[0])

    weights, data = Weights(), (X[:32], Y[:32])
    fit(model, data, epochs=3, batch_size=8, verbose=0, callbacks=[weights])
    assert len({each.tobytes() for each in weights.seen}) == 3


def test_a_loss_that_breaks_in_a_later_epoch_of_a_program_is_found_there() -> None:
    model = perceptron(
        keras.optimizers.SGD(keras.optimizers.schedules.PiecewiseConstantDecay([9], [0.1, float("nan")]))
    )
    with pytest.raises(WorkError, match="at step 4 of epoch 3, with learning rate nan"):
        fit(model, (X[:32], Y[:32]), epochs=5, batch_size=8, verbose=0, steps_per_program=20)
    assert model.history.epoch == [0, 1]
