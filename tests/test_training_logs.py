"""The JSON lines that a training writes, also after an interruption, and its line on the terminal."""

import json
import re
from datetime import datetime
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import callbacks

from keras_llm.errors import InputError
from keras_llm.training import Checkpoint, TrainingLog, fit, logs, warmup_linear
from tests.examples import X, Y, perceptron

GIVEN = {"batch_size": 8, "verbose": 0, "epochs": 3}  # 5 steps an epoch
NOT_TIME = ("stage", "event", "epoch", "step", "loss", "accuracy", "val_loss", "learning_rate")


def read(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def without_times(lines: list[dict]) -> list[dict]:
    return [{name: value for name, value in line.items() if name in NOT_TIME} for line in lines]


# The file


def test_each_epoch_has_its_line(model, tmp_path) -> None:
    log = TrainingLog(tmp_path / "deep" / "log.jsonl")
    history = fit(model, (X, Y), validation_data=(X, Y), callbacks=[log], **GIVEN)
    lines = read(log.path)
    assert [(line["event"], line["epoch"], line["step"]) for line in lines] == [("epoch", e, 5 * e) for e in (1, 2, 3)]
    for name, values in history.history.items():
        assert [line[name] for line in lines] == pytest.approx(values)
    assert all(line["learning_rate"] == pytest.approx(1e-3) for line in lines)
    assert lines[-1]["step_ms"] > 0 and lines[-1]["rows_per_second"] > 0 and lines[-1]["mfu"] is None
    assert 0 < lines[0]["seconds"] <= lines[1]["seconds"] <= lines[2]["seconds"]
    assert datetime.fromisoformat(lines[0]["time"]).tzinfo is not None
    assert "stage" not in lines[0]


def test_steps_in_between(model, tmp_path) -> None:
    log = TrainingLog(tmp_path / "steps.jsonl", every_steps=2)
    fit(model, (X, Y), callbacks=[log], steps_per_program=1, **{**GIVEN, "epochs": 2})
    lines = read(log.path)
    assert [(line["event"], line["step"]) for line in lines] == [
        ("step", 2), ("step", 4), ("epoch", 5), ("step", 7), ("step", 9), ("epoch", 10)
    ]  # fmt: skip
    slow = TrainingLog(tmp_path / "time.jsonl", every_seconds=0.0)
    fit(model, (X, Y), callbacks=[slow], **GIVEN)  # "auto": the log does not slow the loop down
    events = [line["event"] for line in read(slow.path)]
    assert events.count("epoch") == 3 and 3 < events.count("step") < 15


def test_the_rate_in_the_log_is_that_of_the_step(tmp_path) -> None:
    rates = warmup_linear(0.1, steps=10, warmup=5)
    log = TrainingLog(tmp_path / "log.jsonl", every_steps=1)
    fit(perceptron(keras.optimizers.SGD(rates)), (X[:32], Y[:32]), callbacks=[log], steps_per_program=2, **GIVEN)
    for line in read(log.path):
        assert line["learning_rate"] == pytest.approx(float(rates(line["step"] - 1)))


class Stop(callbacks.Callback):
    """The interruption: before the log sees the end of an epoch, or after it and before the checkpoint."""

    def __init__(self, epoch: int) -> None:
        super().__init__()
        self.epoch = epoch

    def on_epoch_end(self, epoch, logs=None) -> None:
        if epoch == self.epoch:
            raise KeyboardInterrupt


@pytest.mark.parametrize("when", ["before the log", "after the log", "after the log, its line cut"])
def test_a_training_that_goes_on_leaves_the_log_of_one_that_was_never_stopped(when, model, tmp_path) -> None:
    start = [np.array(v) for v in (*model.variables, *model.optimizer.variables)]

    def train(name: str, stop: callbacks.Callback | None = None) -> list[dict]:
        for variable, value in zip((*model.variables, *model.optimizer.variables), start, strict=True):
            variable.assign(value)
        log = TrainingLog(tmp_path / f"{name}.jsonl", "second", every_steps=2)
        checkpoint = Checkpoint(tmp_path / name)
        given = [log, checkpoint] if stop is None else [log, stop, checkpoint]
        if when == "before the log" and stop is not None:
            given = [stop, log, checkpoint]
        fit(model, (X, Y), callbacks=given, steps_per_program=1, **GIVEN)
        return read(log.path)

    whole = train("whole")
    path = tmp_path / "parts.jsonl"
    other = {"stage": "first", "event": "epoch", "epoch": 9, "step": 999, "seconds": 5.0}
    path.write_text(json.dumps(other) + "\n", encoding="utf-8")
    with pytest.raises(KeyboardInterrupt):
        train("parts", Stop(epoch=1))
    seconds = [line["seconds"] for line in read(path) if line["step"] <= 5]
    if when.endswith("cut"):
        path.write_bytes(path.read_bytes()[:-9])
    lines = train("parts")
    assert lines.pop(0) == other  # another stage's
    assert without_times(lines) == without_times(whole)
    times = [line["seconds"] for line in lines]
    assert times[: len(seconds)] == seconds and times == sorted(times)


def test_a_file_that_is_no_log_is_refused_and_left_alone(model, tmp_path) -> None:
    path = tmp_path / "log.jsonl"
    for text in ('{"step": 1, "seconds": 0}\nhello\n', "[1]\n", '{"step": "x", "seconds": 0}\n'):
        path.write_text(text)
        with pytest.raises(InputError, match=r"Line \d of .*log\.jsonl is none of a training's log: remove"):
            fit(model, (X, Y), callbacks=[TrainingLog(path)], **GIVEN)
        assert path.read_text() == text


def test_numbers_that_json_does_not_know(tmp_path) -> None:
    model = perceptron(metrics=[keras.metrics.F1Score(threshold=0.5)])
    log = TrainingLog(tmp_path / "log.jsonl", every_steps=1)
    rate = callbacks.LearningRateScheduler(lambda epoch: [0.1, np.inf, 0.1][epoch])
    fit(model, (X, Y[:, None]), callbacks=[rate, log, callbacks.TerminateOnNaN()], **GIVEN)
    lines = read(log.path)
    assert len(lines[0]["f1_score"]) == 1 and lines[0]["loss"] > 0
    assert lines[-1]["loss"] is None and "NaN" not in log.path.read_text()


def test_model_fit_can_write_it_too(tmp_path) -> None:
    log = TrainingLog(tmp_path / "log.jsonl")
    perceptron().fit(X, Y, callbacks=[log], **GIVEN)
    assert [line["step"] for line in read(log.path)] == [5, 10, 15] and "step_ms" not in read(log.path)[0]


# The line on the terminal

FIGURES = {"step_ms": 31.24, "tokens_per_second": 41234.0, "mfu": 0.234}
LOGS = {"accuracy": 0.51234, "loss": 0.69314, "val_accuracy": 0.55, "val_loss": 0.70123}


@pytest.fixture
def line(monkeypatch, capsys):
    """Draws an epoch of 1000 steps, in which something happens after 120, on a terminal 100 columns wide."""

    def draw(verbose: int, seen=LOGS) -> str:
        monkeypatch.setattr(logs, "columns", lambda: 100)
        progress = logs.ProgressLine()
        progress.set_params({"verbose": verbose, "epochs": 3, "steps": 1000})
        progress.set_model(keras.Sequential())
        meter = type("Meter", (), {"laps": 0, "figures": lambda self, since: FIGURES})()
        progress.model.history = type("History", (), {"meter": meter})()
        progress.on_train_begin()
        progress.on_epoch_begin(1)
        progress.began -= 12.0
        progress.on_train_batch_end(119, {name: seen[name] for name in ("accuracy", "loss")})
        progress.on_train_batch_end(999, seen)  # too soon to be drawn
        progress.on_epoch_end(1, seen)
        return capsys.readouterr().out

    return draw


LAST = """\
1000/1000 - 12s - loss: 0.6931 - accuracy: 0.5123 - val_accuracy: 0.5500 - val_loss: 0.7012
    31.2 ms/step - 41.2k tokens/s - MFU 23%
"""


def test_a_file_gets_lines_of_a_hundred_columns(line) -> None:
    assert line(verbose=2) == "Epoch 2/3\n" + LAST


def test_a_terminal_gets_one_line_that_moves(line) -> None:
    first, moving, last = re.split(r"(?<=Epoch 2/3\n)|\r", line(verbose=1))
    assert first == "Epoch 2/3\n"
    left = "120/1000 - 1:28 left - loss: 0.6931 - accuracy: 0.5123 - 31.2 ms/step - 41.2k tokens/s - MFU 23%"
    assert moving == left and len(left) < 100
    assert re.sub(" +\n", "\n", last) == LAST
    assert len(last.splitlines()[0]) >= len(left)  # nothing is left of the line before


def test_many_metrics_never_make_the_moving_line_wrap(line) -> None:
    many = {**LOGS, "accuracy": 123456789.0}
    moving = line(verbose=1, seen=many).split("\r")[0].splitlines()[1]
    assert "accuracy" not in moving and "loss: 0.6931" in moving and "MFU" in moving and len(moving) < 100


def test_figures_in_words() -> None:
    assert logs.shown_speed({"step_ms": None, "rows_per_second": 123.4, "mfu": None}) == ["123 rows/s"]
    assert logs.shown_speed({"step_ms": 1234.5, "tokens_per_second": 1.26e7, "mfu": 0.0042}) == [
        "1234 ms/step", "12.6M tokens/s", "MFU 0.42%"
    ]  # fmt: skip
    assert [logs.clock(seconds) for seconds in (0.4, 59.6, 185, 3600, 36_061)] == [
        "0s", "1:00", "3:05", "1:00:00", "10:01:01"
    ]  # fmt: skip
    assert logs.shown_metrics({"b": 2e-5, "loss": np.array([1.0, 2.0])}) == ["loss: 1.5000", "b: 2.0000e-05"]
