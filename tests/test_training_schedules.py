"""keras_llm.training.schedules: where they begin, turn and end."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_llm.training import fit, warmup_cosine, warmup_linear
from tests.examples import X, Y, perceptron

SCHEDULES = pytest.mark.parametrize("schedule", [warmup_cosine, warmup_linear])


@tf.function(jit_compile=True, autograph=False)
def _at(schedule, steps):
    return tf.map_fn(schedule, steps, fn_output_signature="float32")


def rates_of(schedule, steps: int) -> np.ndarray:
    """The rates of ``steps + 1`` updates, compiled by XLA."""
    return _at(schedule, tf.range(steps + 1, dtype="int64")).numpy()


@SCHEDULES
@pytest.mark.parametrize("case", range(8))
def test_it_rises_to_the_peak_and_falls_to_the_end(schedule, case) -> None:
    draw = np.random.default_rng(case)
    steps = int(draw.integers(2, 80))
    warmup, peak = int(draw.integers(1, steps)), float(10 ** draw.uniform(-5, 0))
    final = float(peak * draw.choice([0.0, 0.1, 1.0]))
    rates = rates_of(schedule(peak, steps, warmup, final), steps + 5)
    assert rates[0] == 0
    assert rates[warmup] == pytest.approx(peak, rel=1e-5) == rates.max()
    np.testing.assert_allclose(rates[: warmup + 1], np.linspace(0, peak, warmup + 1), rtol=1e-5, atol=1e-9)
    assert (np.diff(rates[warmup:]) <= 1e-6 * peak).all()
    np.testing.assert_allclose(rates[steps:], final, atol=1e-6 * peak)
    middle = warmup + (steps - warmup) / 2  # both are half way down there
    assert float(schedule(peak, steps, warmup, final)(middle)) == pytest.approx((peak + final) / 2, rel=1e-4)


@SCHEDULES
def test_a_share_is_a_number_of_steps_and_none_begins_at_the_peak(schedule) -> None:
    np.testing.assert_array_equal(rates_of(schedule(0.1, 50, 0.2), 50), rates_of(schedule(0.1, 50, 10), 50))
    assert rates_of(schedule(0.1, 50), 50)[0] == np.float32(0.1)


@SCHEDULES
@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"warmup": 10}, "warmup=10, steps=10"),
        ({"warmup": 1.5}, "warmup=1.5"),
        ({"warmup": -1}, "warmup=-1"),
        ({"final": 0.2}, "final=0.2"),
        ({"peak": 0.0}, "peak=0.0"),
    ],
)
def test_what_makes_no_schedule_is_refused(schedule, arguments, says) -> None:
    with pytest.raises(ValueError, match=says):
        schedule(**{"peak": 0.1, "steps": 10, **arguments})


@SCHEDULES
def test_in_the_loop_the_rate_is_that_of_the_step_and_is_saved_with_the_model(schedule, tmp_path) -> None:
    rates = schedule(0.5, steps=8, warmup=3, final=0.1)
    model, by_hand = perceptron(keras.optimizers.SGD(rates)), perceptron(keras.optimizers.SGD(0.0))
    fit(model, (X[:32], Y[:32]), batch_size=8, epochs=2, shuffle=False, verbose=0)
    for step, rate in enumerate(rates_of(rates, 7)):
        by_hand.optimizer.learning_rate = rate
        by_hand.train_on_batch(X[8 * (step % 4) :][:8], Y[8 * (step % 4) :][:8])
    for value, expected in zip(model.get_weights(), by_hand.get_weights(), strict=True):
        np.testing.assert_allclose(value, expected, rtol=1e-5, atol=1e-6)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(rates_of(loaded.optimizer._learning_rate, 8), rates_of(rates, 8))
