"""The minutes of a run, told before it starts."""

import re
from pathlib import Path

import keras
import numpy as np
import pytest

from keras_llm import book, runs
from keras_llm.estimate import Estimate
from keras_llm.training import fit, yardstick
from keras_llm.training.yardstick import machine_speed, times_as_fast
from tests.command_line import CHAPTER, about, write_reviews

pytest_plugins = ["tests.command_line_fixtures"]

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


# --- in a run -------------------------------------------------------------------------------------------------------


@pytest.fixture
def begun(cli, monkeypatch):
    """Begins a run of a chapter whose record is ``RECORD``, on a machine twice as fast."""
    monkeypatch.setattr(book, "record_of", lambda folder: {**RECORD, "preset": "cpu"})
    fast = {"products": 2e11, "steps": 20_000.0}
    monkeypatch.setattr(yardstick, "machine_speed", lambda: fast)

    def begin(**options) -> runs.Run:
        runs.request(runs.Options(output=Path("mine"), **options))
        return runs.begin(CHAPTER)

    return begin


def test_a_run_says_before_and_after_how_long_it_takes(begun, capsys) -> None:
    run = begun()
    assert "About 6.0 minutes and 3.0 GB" in capsys.readouterr().out
    run.started -= 9 * 60
    run.record(test_accuracy=0.5)
    run.finish()
    assert "Estimated were 6.0 minutes: it took 1.50 times as long" in capsys.readouterr().out
    facts = about(Path("mine"))
    assert facts["estimated_minutes"] == 6.0
    assert facts["speed"]["steps"] == 20_000


@pytest.mark.parametrize("options", [{"preset": "smoke"}, {"preset": "full"}, {"data": Path("reviews.csv")}])
def test_what_was_never_recorded_has_no_estimate(begun, capsys, options) -> None:
    write_reviews(Path("reviews.csv"))
    run = begun(**options)
    assert run.estimate is None
    assert "minutes" not in capsys.readouterr().out


def test_a_long_training_says_so_too(begun, capsys) -> None:
    run = begun()
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    x = np.ones((8, 2), "float32")
    for stage in ("long", "short"):
        fit(model, (x, x[:, :1]), verbose=0, callbacks=run.callbacks(stage))
    out = capsys.readouterr().out
    assert "long: about 30 s of training" in out
    assert re.search(r"long: \d s of training, 30 were estimated", out)
    assert "short" not in out
