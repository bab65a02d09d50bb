"""One run of a chapter: its options, its folder, and what is left in it when the run ends, however it ends.

A lesson begins with ``run = begin("ch03_lstm_classifier")``. Under ``keras-llm run`` the options come from the command
line; in a notebook they are the defaults.
"""

import csv
import hashlib
import io
import json
import shlex
import tempfile
import time
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from keras_llm import book, machine
from keras_llm.errors import InputError

PRESETS = ("smoke", "cpu", "full")
HISTORY_FIELDS = ("stage", "epoch", "loss", "accuracy", "val_loss", "val_accuracy", "learning_rate", "seconds")


@dataclass(frozen=True)
class Options:
    """What ``keras-llm run`` was asked for."""

    preset: str = "cpu"
    data: Path | None = None
    test_data: Path | None = None
    encoding: str = "utf-8"
    output: Path | None = None
    seed: int = 0
    resume: bool = False


_requested = Options()
_active: "Run | None" = None


def request(options: Options) -> None:
    """Set the options of the run that the next lesson begins."""
    global _requested
    _requested = options


def active() -> "Run | None":
    """The run that was begun last in this process."""
    return _active


def begin(chapter: str) -> "Run":
    """Start (or go on with) a run of a chapter.

    Args:
        chapter: the chapter's folder name, for instance ``"ch03_lstm_classifier"``.

    Raises:
        InputError: when the output folder cannot be written, holds another run, or ``--resume`` finds none.
    """
    global _active
    _active = Run(chapter, _requested)
    _active.introduce()
    return _active


@dataclass
class Run:
    """A run and its folder. The folder is made when there is something to put into it."""

    chapter: str
    options: Options
    metrics: dict[str, float] = field(default_factory=dict)
    rows: list[dict[str, Any]] = field(default_factory=list)
    stages: dict[str, dict[str, Any]] = field(default_factory=dict)
    provenance: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.preset, self.seed = self.options.preset, self.options.seed
        self.recorder = None  # the callback of the training under way
        self.started, self.earlier_seconds = time.time(), 0.0
        self.output = self._choose_output()
        if self.options.resume:
            self._read_back()

    # --- what a lesson uses ---------------------------------------------------------------------------------------

    def introduce(self) -> None:
        """Say what runs, where its results go, and what a recorded run took."""
        print(f"{self.chapter}, preset {self.preset}, seed {self.seed}; results go to {self.output}")
        record = book.record_of(book.chapters()[self.chapter])
        if record and record["preset"] == self.preset and not self.own_data:
            print(
                f"A recorded run took {record['minutes']:.1f} minutes and {record['peak_memory_gb']:.1f} GB on "
                f"{record['machine']['processor']}, {record['machine']['cores']} cores."
            )

    @property
    def own_data(self) -> bool:
        """Whether the user brought a file of their own."""
        return self.options.data is not None

    def load_own_data(self):
        """The user's files as a :class:`keras_llm.data.ClassificationData`; what was dropped is said."""
        from keras_llm.data import from_files

        data = from_files(self.options.data, self.options.test_data, encoding=self.options.encoding)
        for warning in data.provenance.get("warnings", ()):
            print(f"Note: {warning}")
        return data

    def use_data(self, dataset, rows_at_least: int = 1) -> None:
        """Note in ``run.json`` where the texts come from.

        Raises:
            InputError: when there are fewer training texts than ``rows_at_least``, one batch.
        """
        if len(dataset.train) < rows_at_least:
            raise InputError(
                f"{dataset.name} leaves {len(dataset.train)} texts for training, fewer than one batch of "
                f"{rows_at_least}: bring more rows."
            )
        self.provenance.append(dataset.provenance)

    def can_fetch(self, name: str) -> bool:
        """Whether a file of the catalog is here or can be had. With the user's own data, a run goes on without it.

        Raises:
            InputError: when it cannot be had, and the run is not about the user's own data.
        """
        from keras_llm.data import fetch

        try:
            fetch(name)
        except InputError as error:
            if not self.own_data:
                raise
            print(f"Note: going on without {name}: {error}")
            return False
        return True

    def use_font_for(self, texts) -> None:
        """Make figures able to show these texts: Chinese takes an installed font, or else the catalog's."""
        from keras_llm.data import fetch_file
        from keras_llm.plots import chinese_font, register_font

        if all(ord(character) < 0x2E80 for each in texts for character in each) or chinese_font():
            return
        try:
            print(f"Chinese text in figures is set in {register_font(fetch_file('noto_sans_cjk'))}")
        except InputError as error:
            print(f"Note: figures do without Chinese text: {error}")

    def callbacks(self, stage: str, early_stopping=None, classifier=None) -> list:
        """The callbacks that record a training in this run and let it go on after an interruption.

        Args:
            stage: name of the training in ``history.csv``.
            early_stopping: the training's EarlyStopping, if any; it comes first in the list that is returned.
            classifier: the :class:`keras_llm.classifier.Classifier` whose model is trained; an interruption saves it.
        """
        from keras_llm.recorder import stage_callbacks

        return stage_callbacks(self, stage, early_stopping, classifier)

    def record(self, **metrics: float) -> None:
        """Add figures to ``metrics.json``."""
        self.metrics |= {name: round(float(value), 6) for name, value in metrics.items()}
        self.write("metrics.json", json.dumps(self.metrics, indent=2))

    def figure(self, name: str, figure) -> Path:
        """Save a figure as ``<name>.png``."""
        from keras_llm.plots import save

        path = self.folder() / f"{name}.png"
        save(figure, path)
        return path

    def compare_with_record(self) -> None:
        """Print this run's figures beside the recorded ones, and which of them are outside the tolerance."""
        record = book.record_of(book.chapters()[self.chapter])
        comparable = bool(record) and record["preset"] == self.preset and not self.own_data
        print(f"\n{'figure':<42}{'this run':>10}" + (f"{'recorded':>10}{'tolerance':>11}" if comparable else ""))
        for name, value in self.metrics.items():
            line = f"{name:<42}{value:>10.4f}"
            if comparable and name in record["figures"]:
                figure = record["figures"][name]
                outside = abs(value - figure["value"]) > figure["tolerance"]
                line += f"{figure['value']:>10.4f}{figure['tolerance']:>11.4f}" + ("   outside" if outside else "")
            print(line)

    def finish(self) -> None:
        """The run is complete: note it, and drop what only a resume would need."""
        self._write_about("done")
        for file in self._unfinished().glob("*"):
            file.unlink()
        if self._unfinished().exists():
            self._unfinished().rmdir()
        minutes = (time.time() - self.started + self.earlier_seconds) / 60
        print(f"\nDone in {minutes:.1f} minutes. Figures, history and model: {self.output}")

    def interrupted(self) -> str:
        """Leave history, a figure and the best model so far; return the sentence that says how to go on."""
        if self.recorder is None and not (self.output / "run.json").exists():
            return "Interrupted before the first training; nothing was written."
        where = ""
        if self.recorder is not None:
            where = self.recorder.rescue()
        self._write_about("interrupted")
        return f"Interrupted{where}. What there is so far is in {self.output}; go on with: {self.resume_command()}"

    def failed(self) -> None:
        """The work failed: what was measured until then stays, marked as such."""
        if (self.output / "run.json").exists():
            self._write_about("failed")

    # --- the folder -----------------------------------------------------------------------------------------------

    def folder(self) -> Path:
        """The output folder, made at the first call."""
        if not (self.output / "run.json").exists():
            self.output.mkdir(parents=True, exist_ok=True)
            self._write_about("running")
        return self.output

    def write(self, name: str, text: str) -> None:
        """Write a whole file of the run, or none."""
        path = self.folder() / name
        partial = path.with_name(f"partial.{name}")
        partial.write_text(text, encoding="utf-8")
        partial.replace(path)

    def checkpoint_path(self, stage: str) -> Path:
        return self._unfinished() / f"{stage}.npz"

    def add_row(self, **row: Any) -> None:
        """Add a line to ``history.csv``; a line of the same stage and epoch is replaced."""
        same = (row["stage"], row["epoch"])
        self.rows = [old for old in self.rows if (old["stage"], int(old["epoch"])) != same]
        self.rows.append(row)
        text = io.StringIO()
        writer = csv.DictWriter(text, HISTORY_FIELDS, restval="", extrasaction="ignore", lineterminator="\n")
        writer.writeheader()
        writer.writerows(self.rows)
        self.write("history.csv", text.getvalue())

    def resume_command(self) -> str:
        words = ["keras-llm", "run", self.chapter, "--preset", self.preset, "--seed", str(self.seed)]
        for option in ("data", "test_data"):
            value = getattr(self.options, option)
            if value is not None:
                words += [f"--{option.replace('_', '-')}", str(value)]
        if self.options.encoding != "utf-8":
            words += ["--encoding", self.options.encoding]
        return shlex.join([*words, "--output", str(self.output), "--resume"])

    def _unfinished(self) -> Path:
        return self.output / "unfinished"

    def _choose_output(self) -> Path:
        wanted = self.options.output
        if wanted is None:
            stem = f"{self.chapter}-{self.preset}-seed{self.seed}"
            candidates = [Path("runs") / stem, *(Path("runs") / f"{stem}-{number}" for number in range(2, 10_000))]
            taken = [path for path in candidates if path.exists()]
            if self.options.resume:
                if not taken:
                    raise InputError(f"There is no run to resume in {candidates[0]}: name its folder with --output.")
                return taken[-1]
            wanted = next(path for path in candidates if not path.exists())
        else:
            wanted = Path(wanted)
            if wanted.exists() and not wanted.is_dir():
                raise InputError(f"--output {wanted} is a file: give a folder.")
            if self.options.resume and not (wanted / "run.json").is_file():
                raise InputError(f"--output {wanted} holds no run to resume: leave out --resume to start one there.")
            if not self.options.resume:
                ours = [name for name in ("run.json", "metrics.json", "history.csv", "model.keras", "unfinished")]
                found = next((name for name in ours if (wanted / name).exists()), None)
                if found:
                    raise InputError(
                        f"--output {wanted} holds another run ({found}): choose an empty folder, or go on with that "
                        "run by --resume."
                    )
        _check_writable(wanted)
        return wanted

    def _read_back(self) -> None:
        try:
            about = json.loads((self.output / "run.json").read_text(encoding="utf-8"))
            metrics_path, history_path = self.output / "metrics.json", self.output / "history.csv"
            metrics = json.loads(metrics_path.read_text(encoding="utf-8")) if metrics_path.exists() else {}
            status, wanted, seconds = about["status"], about["asked"], float(about["seconds"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise InputError(f"{self.output} holds no run that can be read ({error}): start a new one.") from error
        if status == "done":
            raise InputError(f"The run in {self.output} is finished: there is nothing to resume.")
        asked = self._asked()
        for name, value in asked.items():
            if wanted.get(name) != value:
                raise InputError(
                    f"The run in {self.output} was started with {name} {wanted.get(name)!r}, not {value!r}: resume it "
                    "with the same options, or start a new one."
                )
        self.metrics, self.earlier_seconds, self.stages = metrics, seconds, about.get("stages", {})
        if history_path.exists():
            with history_path.open(encoding="utf-8", newline="") as file:
                self.rows = list(csv.DictReader(file))

    def _asked(self) -> dict[str, Any]:
        """What a resume must agree with."""
        files = {name: getattr(self.options, name) for name in ("data", "test_data")}
        digests = {name: _digest(path) if path else None for name, path in files.items()}
        return {"chapter": self.chapter, "preset": self.preset, "seed": self.seed, **digests}

    def _write_about(self, status: str) -> None:
        about = {
            "chapter": self.chapter,
            "preset": self.preset,
            "seed": self.seed,
            "status": status,
            "started": datetime.fromtimestamp(self.started).astimezone().isoformat(timespec="seconds"),
            "seconds": round(time.time() - self.started + self.earlier_seconds, 1),
            "peak_memory_gb": machine.peak_memory_gb(),
            "asked": self._asked(),
            "versions": machine.versions(),
            "machine": machine.description(),
            "data": self.provenance,
            "stages": self.stages,
        }
        path = self.output / "run.json"
        partial = path.with_name("partial.run.json")
        partial.write_text(json.dumps(about, ensure_ascii=False, indent=2, default=str), encoding="utf-8")
        partial.replace(path)


def _check_writable(folder: Path) -> None:
    """Find out now, not after the training, that a folder cannot be written; leave nothing behind."""
    nearest = next(path for path in (folder, *folder.absolute().parents) if path.is_dir())
    try:
        with tempfile.TemporaryFile(dir=nearest):
            pass
    except OSError as error:
        raise InputError(
            f"The output folder {folder} cannot be written ({error.strerror}): choose another one with --output."
        ) from error


def _digest(path: Path) -> str | None:
    try:
        with Path(path).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return None  # load_own_data says it better
