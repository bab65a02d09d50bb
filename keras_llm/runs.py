"""One run of a chapter: its options, its folder, and what is left in it when the run ends, however it ends.

A lesson begins with ``run = begin("ch03_lstm_classifier")``. Under ``keras-llm run`` the options come from the command
line; in a notebook they are the defaults.
"""

import csv
import hashlib
import io
import json
import shlex
import shutil
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from keras_llm import book, languages, machine
from keras_llm.errors import InputError
from keras_llm.estimate import Estimate
from keras_llm.outputs import choose_folder, read_back, write_text
from keras_llm.printed import FILE, Printed
from keras_llm.sources import Options, Sources

PRESETS = ("smoke", "cpu", "full")
INTERRUPTED = "interrupted.png"  # the curves of a training that was stopped; a finished run has it no more
# For XLA: a program that runs for seconds is not worth the passes that take long to make it faster.
QUICK_COMPILATION = " ".join(("--xla_backend_optimization_level=0", "--xla_llvm_disable_expensive_passes=true"))
LOG = "log.jsonl"  # what the trainings of a run wrote as they went
RESULTS = "results.json"  # what the small trainings of a study gave, one by one
HISTORY_FIELDS = ("stage", "epoch", "loss", "accuracy", "val_loss", "val_accuracy", "learning_rate", "seconds")

_requested = Options()
_active: "Run | None" = None


def request(options: Options) -> None:
    """Set the options of the run that the next lesson begins."""
    global _requested
    _requested = options


def active() -> "Run | None":
    """The run that was begun last in this process."""
    return _active


def begin(chapter: str, takes_weights: bool = False) -> "Run":
    """Start (or go on with) a run of a chapter.

    Args:
        chapter: the chapter's folder name, for instance ``"ch03_lstm_classifier"``.
        takes_weights: the chapter begins with pretrained weights, and ``--weights`` may name others.

    Raises:
        InputError: when the output folder cannot be written, holds another run, or ``--resume`` finds none; or
            ``--weights`` is given to a chapter that has no use for it.
    """
    global _active
    _active = None
    if _requested.weights is not None and not takes_weights:
        raise InputError(f"{chapter} begins with no pretrained weights: leave --weights away.")
    _active = Run(chapter, _requested)
    languages.speak(_active.translation)
    _active.introduce()
    return _active


@dataclass
class Run(Sources):
    """A run and its folder. The folder is made when there is something to put into it."""

    chapter: str
    options: Options
    metrics: dict[str, float] = field(default_factory=dict)
    rows: list[dict[str, Any]] = field(default_factory=list)
    stages: dict[str, dict[str, Any]] = field(default_factory=dict)
    results: dict[str, Any] = field(default_factory=dict)
    provenance: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.preset, self.seed = self.options.preset, self.options.seed
        self.translation = languages.translation(self.options.language, self.chapter)
        self.recorder = None  # the callback of the last training
        self.speed: dict[str, float] | None = None  # of this machine, measured where a run takes minutes
        self.estimate: Estimate | None = None
        self.started, self.earlier_seconds, self.status = time.time(), 0.0, "running"
        about = f"-{self.options.dataset}" if self.options.dataset else ""
        stem = f"{self.chapter}{about}-{self.preset}-seed{self.seed}"
        self.output = choose_folder(self.options.output, stem, self.options.resume)
        if self.options.resume:
            earlier = read_back(self.output, self.asked)
            self.metrics, self.rows, self.stages = earlier.metrics, earlier.rows, earlier.stages
            self.results = earlier.results
            self.earlier_seconds = earlier.seconds

    # --- what a lesson uses ---------------------------------------------------------------------------------------

    def introduce(self) -> None:
        """Say what runs, where its results go, and how many minutes it will take."""
        print(f"{self.chapter}, preset {self.preset}, seed {self.seed}; results go to {self.output}")
        if self.translation:
            self.use_font_for(["中文"])
        if self.options.watch:
            from keras_llm import watching

            print(f"TensorBoard: {watching.serve(self.output / watching.FOLDER)}")
        if self.preset == "smoke":
            return
        from keras_llm.training.yardstick import machine_speed

        self.speed = machine_speed()
        if record := self._comparable_record():
            self.estimate = Estimate.of(record, self.speed)
            print(self.estimate)

    def _comparable_record(self) -> dict[str, Any] | None:
        """The recorded run of this chapter, if it did the same work."""
        record = book.record_of(book.chapters()[self.chapter])
        own = self.own_data or self.options.weights is not None
        return record if record and record["preset"] == self.preset and not own else None

    def callbacks(self, stage: str, early_stopping=None, text_model=None, checkpoints: bool = True) -> list:
        """The callbacks that record a training in this run and let it go on after an interruption.

        Args:
            stage: name of the training in ``history.csv``.
            early_stopping: the training's EarlyStopping, if any; it comes first in the list that is returned.
            text_model: the Classifier or Translator whose model is trained; an interruption saves it.
            checkpoints: False for one of many short trainings of a large model, whose results :meth:`once` keeps: an
                interruption repeats it, and none of them leaves its weights on the disk.
        """
        from keras_llm.recorder import stage_callbacks

        return stage_callbacks(self, stage, early_stopping, text_model, checkpoints)

    def once(self, name: str, measure: Callable[[], Any]) -> Any:
        """What ``measure`` gives, kept in ``results.json``: a resumed run takes it from there.

        Args:
            name: of the result, different for each.
            measure: called without arguments; returns what JSON can hold.
        """
        if name not in self.results:
            self.results[name] = measure()
            self.write(RESULTS, json.dumps(self.results, indent=2))
        return self.results[name]

    def record(self, **metrics: float) -> None:
        """Add figures to ``metrics.json``."""
        self.metrics |= {name: float(f"{float(value):.6g}") for name, value in metrics.items()}
        self.write("metrics.json", json.dumps(self.metrics, indent=2))

    def figure(self, name: str, figure) -> Path:
        """Save a figure as ``<name>.png``; a notebook shows it too."""
        from keras_llm.plots import save

        if self.translation:
            languages.translate_figure(figure, self.translation)
        path = save(figure, self.folder() / f"{name}.png")
        if self.options.watch:
            from keras_llm import watching

            watching.show_figure(self.output / watching.FOLDER, path)
        jupyter = sys.modules.get("IPython")
        if jupyter is not None and jupyter.get_ipython() is not None:
            from IPython.display import Image, display

            display(Image(filename=str(path), width=800))
        return path

    def sample(self, name: str, text: str) -> None:
        """Print what a model has written; a run that is watched keeps it too."""
        print(text)
        if self.options.watch:
            from keras_llm import watching

            watching.show_text(self.folder() / watching.FOLDER, name, text)

    def compare_with_record(self) -> None:
        """Print this run's figures beside the recorded ones, and which of them are outside the tolerance."""
        record = self._comparable_record()
        print(f"\n{'figure':<42}{'this run':>10}" + (f"{'recorded':>10}{'tolerance':>11}" if record else ""))
        for name, value in self.metrics.items():
            line = f"{name:<42}{value:>10.4g}"
            if record and name in record["figures"]:
                figure = record["figures"][name]
                outside = abs(value - figure["value"]) > figure["tolerance"]
                line += f"{figure['value']:>10.4g}{figure['tolerance']:>11.2g}" + ("   outside" if outside else "")
            print(line)

    def finish(self) -> None:
        """The run is complete: note it, and drop what only a resume would need."""
        self.write_about("done")
        (self.output / INTERRUPTED).unlink(missing_ok=True)
        if self._unfinished().exists():
            shutil.rmtree(self._unfinished())
        print(f"\nDone in {self._seconds() / 60:.1f} minutes. Figures, history and model: {self.output}")
        if self.estimate:
            print(self.estimate.against(self._seconds() / 60))

    def keep_printed(self, printed: Printed) -> None:
        """Keep what the cells of a finished run printed; a resumed one prints each cell again, but for its epochs."""
        if self.status == "done":
            self.write(FILE, json.dumps(printed.cells(), ensure_ascii=False, indent=1))

    # --- how a run can end before that ----------------------------------------------------------------------------

    def interrupted(self) -> str:
        """Leave history, a figure and the best model so far; return the sentence that says how to go on."""
        if self.recorder is None and not (self.output / "run.json").exists():
            return "Interrupted before the first training; nothing was written."
        where = self.recorder.rescue() if self.recorder is not None else ""
        self.write_about("interrupted")
        return f"Interrupted{where}. {self._left()}; go on with: {self.resume_command()}"

    def failed(self, resumable: bool) -> str:
        """The work failed: mark it so; return a sentence on what is left, empty when nothing is."""
        if self.status == "done" or not (self.output / "run.json").exists():
            return ""
        with suppress(OSError):  # a full disk may be what failed; then the run.json of before stays
            self.write_about("failed")
        return f" {self._left()}; go on with: {self.resume_command()}" if resumable else f" {self._left()}."

    def _left(self) -> str:
        return f"What there is so far is in {self.output}"

    def resume_command(self) -> str:
        words = ["keras-llm", "run", self.chapter, "--preset", self.preset, "--seed", str(self.seed)]
        for option in ("data", "dataset", "test_data", "weights"):
            value = getattr(self.options, option)
            if value is not None:
                words += [f"--{option.replace('_', '-')}", str(value)]
        if self.options.encoding != "utf-8":
            words += ["--encoding", self.options.encoding]
        return shlex.join([*words, "--output", str(self.output), "--resume"])

    # --- the folder -----------------------------------------------------------------------------------------------

    def folder(self) -> Path:
        """The output folder, made at the first call."""
        if not (self.output / "run.json").exists():
            self.output.mkdir(parents=True, exist_ok=True)
            self.write_about("running")
        return self.output

    def write(self, name: str, text: str) -> None:
        """Write a whole file of the run, or none."""
        write_text(self.folder() / name, text)

    def checkpoint_folder(self, stage: str) -> Path:
        return self._unfinished() / stage

    def add_row(self, **row: Any) -> None:
        """Add a line to ``history.csv``; a line of the same stage and epoch is replaced."""
        same = (row["stage"], row["epoch"])
        self.rows = [old for old in self.rows if (old["stage"], old["epoch"]) != same]
        self.rows.append(row)
        text = io.StringIO()
        writer = csv.DictWriter(text, HISTORY_FIELDS, restval="", extrasaction="ignore", lineterminator="\n")
        writer.writeheader()
        writer.writerows(self.rows)
        self.write("history.csv", text.getvalue())
        self.write_about("running")

    def write_about(self, status: str) -> None:
        """Write ``run.json``."""
        self.status = status
        about = {
            "chapter": self.chapter,
            "preset": self.preset,
            "seed": self.seed,
            "status": status,
            "started": datetime.fromtimestamp(self.started).astimezone().isoformat(timespec="seconds"),
            "seconds": round(self._seconds(), 1),
            "estimated_minutes": round(self.estimate.minutes, 1) if self.estimate else None,
            "peak_memory_gb": machine.peak_memory_gb(),
            "speed": self.speed,
            "asked": self.asked,
            "resume": self.resume_command(),
            **self._surroundings,
            "data": self.provenance,
            "stages": self.stages,
        }
        write_text(self.output / "run.json", json.dumps(about, ensure_ascii=False, indent=2, default=str))

    @cached_property
    def asked(self) -> dict[str, Any]:
        """What a resume must agree with; files count by their content."""
        files = {name: getattr(self.options, name) for name in ("data", "test_data")}
        digests = {name: _digest(path) if path else None for name, path in files.items()}
        options = {"chapter": self.chapter, "preset": self.preset, "seed": self.seed}
        weights = self.options.weights
        digests["weights"] = [_digest(path) for path in sorted(weights.glob("*.safetensors"))] if weights else None
        return {**options, **digests, "dataset": self.options.dataset, "encoding": self.options.encoding}

    @cached_property
    def _surroundings(self) -> dict[str, Any]:
        code = book.code_digest(book.chapters()[self.chapter])
        return {"lesson": code, "versions": machine.versions(), "machine": machine.description()}

    def _seconds(self) -> float:
        return time.time() - self.started + self.earlier_seconds

    def _unfinished(self) -> Path:
        return self.output / "unfinished"


def _digest(path: Path) -> str | None:
    try:
        with Path(path).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return None  # load_own_data says it better
