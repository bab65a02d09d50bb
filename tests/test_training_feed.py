"""What the loop eats: arrays and Datasets, shuffled and stacked; and what it refuses, in one sentence."""

import threading

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_llm.training import evaluate, fit, predict
from keras_llm.training.feed import Feed, ahead
from tests.examples import Batches, X, Y, perceptron


def test_a_dataset_is_as_good_as_arrays(model) -> None:
    def by_hand():
        for start in range(0, 38, 8):
            yield X[start : start + 8], Y[start : start + 8]

    ready = tf.data.Dataset.from_tensor_slices((X, Y)).batch(8)
    unknown = tf.data.Dataset.from_generator(by_hand, output_signature=ready.element_spec)
    given = {"epochs": 2, "batch_size": 8, "shuffle": False, "verbose": 0}
    expected = fit(model, (X, Y), validation_data=(X, Y), **given).history
    for data in (ready, unknown):
        history = fit(perceptron(), data, validation_data=data, steps_per_program=5, **given).history
        assert history.keys() == expected.keys()
        for name, values in expected.items():
            np.testing.assert_allclose(history[name], values, rtol=1e-5, err_msg=name)


def test_a_pass_over_a_dataset_does_not_end_with_waiting_for_its_tuning() -> None:
    """The thread that would tune the pipeline sleeps up to ten seconds, and the end of a pass would wait for it."""
    dataset = tf.data.Dataset.range(8).map(lambda x: (x, x), num_parallel_calls=tf.data.AUTOTUNE).batch(2)
    assert Feed(dataset).dataset.options().autotune.enabled is False
    assert len(list(Feed(dataset).batches(epoch=0))) == 4


def test_shuffling_is_decided_by_seed_and_epoch() -> None:
    def rows(seed, epoch) -> list[int]:
        return [int(i) for (batch,) in Feed(np.arange(40), 8, seed).batches(epoch) for i in batch]

    assert rows(None, 0) == rows(None, 1) == list(range(40))
    assert rows(7, 0) == rows(7, 0)
    assert len({tuple(rows(seed, epoch)) for seed in (7, 8) for epoch in (0, 1)}) == 4
    assert sorted(rows(7, 3)) == list(range(40))


def test_seed_and_shuffle_reach_the_training(model) -> None:
    losses = []
    model.optimizer.learning_rate = 0.0  # nothing is learned: only the order of the rows differs
    for options in ({}, {"seed": 0}, {"seed": 1}, {"shuffle": False}):
        seen = Batches()
        fit(model, (X, Y), batch_size=8, verbose=0, callbacks=[seen], **options)
        losses.append(tuple(row[-1] for row in seen.rows))  # means since the epoch began
    assert losses[0] == losses[1] and len(set(losses)) == 3
    np.testing.assert_allclose([row[-1] for row in losses], losses[0][-1], rtol=1e-5)  # each row once


def test_inputs_labels_and_weights_are_shuffled_together() -> None:
    for x, y, w in Feed(({"i": np.arange(40)}, -np.arange(40), np.arange(40) / 2), 7, shuffle_seed=1).batches(0):
        np.testing.assert_array_equal(x["i"], -y)
        np.testing.assert_array_equal(x["i"], 2 * w)


def test_a_stack_keeps_its_shape_and_never_mixes_shapes() -> None:
    stacks = list(Feed((X,), 8).stacks(range(1), 3, lambda: 3))
    assert [stack.steps for stack in stacks] == [3, 1, 1]
    assert [stack.arrays[0].shape for stack in stacks] == [(3, 8, 4), (3, 8, 4), (3, 6, 4)]
    real = np.concatenate([stack.arrays[0][step] for stack in stacks for step in range(stack.steps)])
    np.testing.assert_array_equal(real, X.astype("float32"))


RAGGED = tf.data.Dataset.from_tensor_slices(tf.ragged.constant([[1.0], [1.0, 2.0]]))
ENDLESS = tf.data.Dataset.from_tensor_slices((X, Y)).batch(8).repeat()


@pytest.mark.parametrize(
    ("data", "options", "message"),
    [
        ((X, Y[:3]), {}, r"differ in length: \[3, 38\]"),
        ((X[:0], Y[:0]), {}, "no rows"),
        (tf.data.Dataset.from_tensor_slices((X[:0], Y[:0])).batch(8), {}, "no rows"),
        (ENDLESS, {}, "never ends.*take"),
        (RAGGED.batch(2), {}, "pad them"),
        (tf.data.Dataset.from_tensor_slices((X, Y)), {}, "batch"),
        ([X, Y], {}, "tuple"),
        ((X.tolist(), Y.tolist()), {}, "asarray"),
        ((np.array(["a", "b"]), Y[:2]), {}, "token ids"),
        ((np.array([[1], [1, 2]], dtype=object), Y[:2]), {}, "padded to one length"),
        (tf.data.Dataset.from_tensor_slices((["a", "b"], Y[:2])).batch(2), {}, "token ids"),
        ((X, Y), {"steps_per_program": 0}, "positive whole number"),
        ((X, Y), {"steps_per_program": 1.5}, "positive whole number"),
        ((X, Y), {"steps_per_program": "all"}, "'auto'"),
        ((X, Y), {"class_weight": {0: 2.0}, "sample_weight": Y}, "not both"),
        ((X, Y, Y), {"class_weight": {0: 2.0}}, "no sample weights"),
        (ENDLESS.take(2), {"sample_weight": Y}, "its own sample weights"),
    ],
)
def test_wrong_input_is_said_in_a_sentence(model, data, options, message) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        fit(model, data, verbose=0, **options)
    assert "\n" not in str(caught.value)


def test_models_that_are_not_ready_and_predictions_of_nothing(model) -> None:
    plain = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
    for work in (fit, evaluate):
        with pytest.raises(ValueError, match="Compile the model first"):
            work(plain, (X, Y))
    for nothing in (X[:0], tf.data.Dataset.from_tensor_slices(X[:0]).batch(8)):
        with pytest.raises(ValueError, match="no rows"):
            predict(model, nothing)
    with pytest.raises(ValueError, match="token ids"):  # it would abort the whole process
        predict(model, np.array(["a", "b"]))


def test_the_next_stack_is_made_while_the_last_is_worked_with() -> None:
    made = [threading.Event() for _ in range(4)]

    def stacks():
        for number, event in enumerate(made):
            event.set()
            yield number

    for number in ahead(stacks()):
        assert number == 3 or made[number + 1].wait(10), "nothing is made before it is asked for"
    assert number == 3


def test_what_goes_wrong_with_the_input_is_raised_where_it_is_used() -> None:
    def stacks():
        yield 1
        raise ZeroDivisionError("in the pipeline")

    found = ahead(stacks())
    assert next(found) == 1
    with pytest.raises(ZeroDivisionError, match="in the pipeline"):
        next(found)


def test_a_loop_that_stops_early_leaves_no_thread() -> None:
    stacks = ahead(iter(range(1000)))
    assert next(stacks) == 0
    stacks.close()
    assert not [thread for thread in threading.enumerate() if thread.name == "keras_llm input"]


def test_the_loop_says_where_its_time_went() -> None:
    program = fit(perceptron(), (X, Y), batch_size=8, epochs=3, verbose=0).program
    assert program["seconds"].keys() == {"input", "compile", "compute"}
    assert program["seconds"]["compile"] == pytest.approx(program["compile_seconds"], abs=0.01) and (
        program["seconds"]["compute"] > 0
    )
