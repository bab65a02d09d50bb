"""The minutes of a run, told before it starts."""

import pytest

from keras_llm.estimate import Estimate
from keras_llm.training.yardstick import machine_speed, times_as_fast

RECORD = {
    "minutes": 12.0,
    "peak_memory_gb": 3.0,
    "machine": {"processor": "abacus", "cores": 2},
    "speed": {"products": 1e11, "steps": 10_000.0},
    "stages": {"long": 60.0, "short": 2.0},
}


def test_a_machine_of_the_same_speed_takes_as_long() -> None:
    estimate = Estimate.of(RECORD, RECORD["speed"])
    assert estimate.minutes == pytest.approx(12)
    assert "12.0 minutes on abacus, 2 cores" in str(estimate)
    assert "took 1.50 times as long" in estimate.against(18)


def test_both_measurements_count_and_neither_alone() -> None:
    assert times_as_fast({"products": 4e11, "steps": 10_000.0}, RECORD["speed"]) == pytest.approx(2)
    assert times_as_fast({"products": 1e11, "steps": 2_500.0}, RECORD["speed"]) == pytest.approx(0.5)
    estimate = Estimate.of(RECORD, {"products": 4e11, "steps": 40_000.0})
    assert estimate.minutes == pytest.approx(3)
    assert estimate.seconds_of("long") == pytest.approx(15)


def test_a_short_or_a_new_training_has_no_estimate_of_its_own() -> None:
    estimate = Estimate.of(RECORD, RECORD["speed"])
    assert estimate.seconds_of("short") is None
    assert estimate.seconds_of("of tomorrow") is None


def test_the_speed_of_this_machine_is_that_of_a_machine() -> None:
    speed = machine_speed()
    assert 1e9 < speed["products"] < 1e15
    assert 100 < speed["steps"] < 1e7
