"""What a training says of itself as it goes: a file of JSON lines, and the line on the terminal."""

import json
import math
import shutil
import time
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from keras.callbacks import Callback, ProgbarLogger

from keras_llm.errors import InputError
from keras_llm.training.schedules import rate_of_step

REDRAW = 0.1  # seconds between two states of the line that moves


class TrainingLog(Callback):
    """Write a training down as it goes, a JSON object a line: while an epoch runs, and at its end.

    Fields: ``stage`` (when given), ``event`` ("step" or "epoch"), ``epoch`` (from 1), ``step`` (updates since the
    training began), the loss and metrics, ``learning_rate`` (of that step), ``step_ms``, ``tokens_per_second`` or
    ``rows_per_second``, ``mfu`` (see :class:`keras_llm.training.meter.Meter`), ``seconds`` (since the training began,
    interruptions left out) and ``time`` (of day). A loss in a "step" line is the mean since its epoch began, as in
    Keras. What is not known is null.

    A training that goes on appends to the file; what the interrupted one wrote after the step from which it goes on
    is dropped first, and so is a last line that a kill has cut. Put this callback before one that saves checkpoints.

    Args:
        path: the file, for instance ``log.jsonl``.
        stage: name of the training, when several write into one file; lines of other stages are left alone.
        every_seconds: time between two "step" lines, which come at the ends of programs.
        every_steps: a number of steps between them instead.

    Raises:
        InputError: when the file holds something else.

    Example:
        >>> fit(model, data, callbacks=[TrainingLog("log.jsonl")])  # doctest: +SKIP
    """

    def __init__(
        self, path: str | Path, stage: str | None = None, every_seconds: float = 10.0, every_steps: int | None = None
    ) -> None:
        super().__init__()
        self.path, self.stage = Path(path), stage
        self.every_seconds, self.every_steps = every_seconds, every_steps

    def on_train_begin(self, logs: dict | None = None) -> None:
        self.began = time.perf_counter()
        self.seconds_before: float | None = None  # of the sessions before this one; not looked up yet

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        if self.seconds_before is None:  # only now have all callbacks restored what they restore
            self.seconds_before = self._go_on_from(int(self.model.optimizer.iterations))
        self.epoch, self.epoch_laps = epoch, self._laps()
        self._mark()

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        step = int(self.model.optimizer.iterations)
        if self.every_steps is None:
            due = time.perf_counter() - self.marked >= self.every_seconds
        else:
            due = step - self.marked_step >= self.every_steps
        if due:
            self._write("step", step, logs, self.marked_laps)
            self._mark()

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        self._write("epoch", int(self.model.optimizer.iterations), logs, self.epoch_laps)

    def _mark(self) -> None:
        """Count from here to the next line."""
        self.marked, self.marked_laps = time.perf_counter(), self._laps()
        self.marked_step = int(self.model.optimizer.iterations)

    def _laps(self) -> int:
        meter = getattr(self.model.history, "meter", None)  # model.fit has none
        return meter.laps if meter is not None else 0

    def _write(self, event: str, step: int, logs: Mapping[str, Any] | None, laps: int) -> None:
        line = {} if self.stage is None else {"stage": self.stage}
        line |= {"event": event, "epoch": self.epoch + 1, "step": step}
        line |= {name: _plain(value) for name, value in (logs or {}).items()}
        line["learning_rate"] = rate_of_step(self.model.optimizer, step - 1)
        if (meter := getattr(self.model.history, "meter", None)) is not None:
            line |= meter.figures(laps)
        line["seconds"] = round(self.seconds_before + time.perf_counter() - self.began, 2)
        line["time"] = datetime.now().astimezone().isoformat(timespec="seconds")
        with self.path.open("a", encoding="utf-8") as file:  # closed, so written, whatever happens next
            file.write(json.dumps(line, ensure_ascii=False) + "\n")

    def _go_on_from(self, step: int) -> float:
        """Drop what was written after ``step``; return the seconds that the training took until then."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        text = self.path.read_text(encoding="utf-8", errors="replace") if self.path.exists() else ""
        lines = text.splitlines(keepends=True)
        if lines and not lines[-1].endswith("\n"):
            lines.pop()  # the line that a kill has cut
        seconds, kept = 0.0, []
        for number, line in enumerate(lines, 1):
            try:
                entry = json.loads(line)
                ours = entry.get("stage") == self.stage
                late = ours and entry["step"] > step
                seconds = entry["seconds"] if ours and not late else seconds
            except (ValueError, KeyError, AttributeError, TypeError) as error:
                raise InputError(
                    f"Line {number} of {self.path} is none of a training's log: remove the file, or name another one."
                ) from error
            kept += [] if late else [line]
        if "".join(kept) != text:
            partial = self.path.with_name(f"partial.{self.path.name}")
            partial.write_text("".join(kept), encoding="utf-8")
            partial.replace(self.path)
        return seconds


class ProgressLine(ProgbarLogger):
    """Keras's progress bar, as a line with the loop's own figures; ``fit`` adds it unless ``verbose=0``.

    With ``verbose=1`` the line moves while an epoch runs. What does not fit into the terminal's width goes into a
    second line at the end of the epoch.
    """

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        if self.epochs > 1:
            print(f"Epoch {epoch + 1}/{self.epochs}", flush=True)
        self.began, self.drawn, self.length = time.perf_counter(), 0.0, 0
        self.seen, self.laps = 0, self.model.history.meter.laps

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        self.seen, now = batch + 1, time.perf_counter()
        if self.verbose != 1 or now - self.drawn < REDRAW:
            return
        head, metrics, speed = self._count(), shown_metrics(logs), self._speed()
        if self.target:
            seconds = (now - self.began) / self.seen * (self.target - self.seen)
            head.append(f"{clock(seconds)} left")
        while len(line := " - ".join([*head, *metrics, *speed])) >= columns() and metrics:
            metrics.pop()
        self._draw(line[: columns() - 1], end="")
        self.drawn = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        head = [*self._count(), clock(time.perf_counter() - self.began)]
        for line in wrapped([*head, *shown_metrics(logs), *self._speed()], columns() - 1):
            self._draw(line, end="\n")

    def _count(self) -> list[str]:
        return [f"{self.seen}/{self.target or 'unknown'}"]

    def _speed(self) -> list[str]:
        return shown_speed(self.model.history.meter.figures(self.laps))

    def _draw(self, line: str, end: str) -> None:
        """Over the line that is there, of which nothing may be left."""
        start = "\r" if self.verbose == 1 and self.length else ""
        print(start + line.ljust(self.length), end=end, flush=True)
        self.length = len(line) if not end else 0


def shown_metrics(logs: Mapping[str, Any] | None) -> list[str]:
    """``loss: 0.6931`` …, the loss first."""
    names = sorted(logs or {}, key=lambda name: name != "loss")
    means = {name: float(np.mean(logs[name])) for name in names}
    return [f"{name}: {mean:.4f}" if abs(mean) > 1e-3 else f"{name}: {mean:.4e}" for name, mean in means.items()]


def shown_speed(figures: Mapping[str, float | None]) -> list[str]:
    """``12.3 ms/step``, ``41.2k tokens/s``, ``MFU 23%``: those that are known."""
    known = {name: value for name, value in figures.items() if value is not None}
    shown = []
    for name, value in known.items():
        if name == "step_ms":
            shown.append(f"{value:.0f} ms/step" if value >= 100 else f"{value:.3g} ms/step")
        elif name == "mfu":
            shown.append(f"MFU {100 * value:.2g}%")
        else:
            power = 0 if value < 1000 else min(int(math.log10(value)) // 3, 3)
            amount = value / 1000**power
            shown.append(f"{amount:.0f}" if amount >= 100 else f"{amount:.3g}")
            shown[-1] += f"{['', 'k', 'M', 'G'][power]} {name.removesuffix('_per_second')}/s"
    return shown


def clock(seconds: float) -> str:
    """``42s``, ``3:05`` or ``1:00:00``."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}" if minutes else f"{rest}s"


def wrapped(items: list[str], width: int) -> list[str]:
    """Items in lines of at most ``width``; a line after the first is indented."""
    lines = [items[0]]
    for item in items[1:]:
        if len(lines[-1]) + 3 + len(item) <= width:
            lines[-1] += f" - {item}"
        else:
            lines.append(f"    {item}")
    return lines


def columns() -> int:
    return shutil.get_terminal_size(fallback=(100, 24)).columns


def _plain(value: Any) -> Any:
    """A number that JSON can hold, or a list of them."""
    if np.ndim(value):
        return [_plain(each) for each in np.asarray(value).tolist()]
    return float(value) if math.isfinite(value) else None
