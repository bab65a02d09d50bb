"""The output folder of a run: which one it is, whether it can be written, and what an earlier session left in it."""

import csv
import json
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from keras_llm.errors import InputError

OURS = ("run.json", "metrics.json", "history.csv", "log.jsonl", "model.keras", "printed.json", "unfinished")


@dataclass(frozen=True)
class Earlier:
    """What a run that goes on knows of its earlier sessions."""

    metrics: dict[str, float]
    rows: list[dict[str, Any]]
    stages: dict[str, dict[str, Any]]
    results: dict[str, Any]
    seconds: float


def choose_folder(wanted: Path | None, stem: str, resume: bool) -> Path:
    """The folder of a run; nothing is made yet.

    Args:
        wanted: what the user asked for; None takes a new ``runs/<stem>``, or with ``resume`` the last unfinished one.
        stem: name of the folder when the user gave none.
        resume: whether an earlier run goes on.

    Raises:
        InputError: when the folder cannot be written, holds another run, or there is none to resume.
    """
    if wanted is None:
        candidates = [Path("runs") / (stem if number == 1 else f"{stem}-{number}") for number in range(1, 10_000)]
        if not resume:
            folder = next(path for path in candidates if not path.exists())
        elif begun := [path for path in candidates if _status(path) not in (None, "done")]:
            folder = begun[-1]
        else:
            raise InputError(
                f"There is no unfinished run in {candidates[0]}: leave out --resume to start one, or name the folder "
                "with --output."
            )
    else:
        folder = Path(wanted)
        _check_wanted(folder, resume)
    _check_writable(folder)
    return folder


def read_back(folder: Path, asked: dict[str, Any]) -> Earlier:
    """What an unfinished run left.

    Raises:
        InputError: when it cannot be read, is finished, or was started with other options than ``asked``.
    """
    try:
        about = json.loads((folder / "run.json").read_text(encoding="utf-8"))
        status, before, go_on = about["status"], dict(about["asked"]), about["resume"]
        metrics, results = (
            dict(json.loads(path.read_text("utf-8"))) if (path := folder / name).exists() else {}
            for name in ("metrics.json", "results.json")
        )
        rows, stages = _rows(folder / "history.csv"), dict(about["stages"])
        earlier = Earlier(metrics, rows, stages, results, float(about["seconds"]))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, csv.Error) as error:
        raise InputError(
            f"The run in {folder} cannot be read ({type(error).__name__}: {error}): start a new one in another folder."
        ) from error
    if status == "done":
        raise InputError(f"The run in {folder} is finished: there is nothing to resume.")
    for name, value in asked.items():
        if before.get(name) != value:
            option = name.replace("_", "-")
            what = (
                "another file, or it has changed"
                if option.endswith(("data", "weights"))
                else f"{before.get(name)}, not {value}"
            )
            raise InputError(f"The run in {folder} was started with another {option} ({what}): go on with: {go_on}")
    return earlier


def write_text(path: Path, text: str) -> None:
    """Write a whole file, UTF-8, or none."""
    partial = path.with_name(f"partial.{path.name}")
    try:
        partial.write_text(text, encoding="utf-8")
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def _check_wanted(folder: Path, resume: bool) -> None:
    try:
        if folder.exists() and not folder.is_dir():
            raise InputError(f"--output {folder} is a file: give a folder.")
        found = next((name for name in OURS if (folder / name).exists()), None)
    except OSError as error:  # a name that is too long, for instance
        raise InputError(f"--output {folder} cannot be a folder ({error.strerror}): choose another one.") from error
    if resume and not (folder / "run.json").is_file():
        raise InputError(f"--output {folder} holds no run to resume: leave out --resume to start one there.")
    if found and not resume:
        raise InputError(
            f"--output {folder} holds another run ({found}): choose an empty folder, or go on with that run by "
            "--resume."
        )


def _check_writable(folder: Path) -> None:
    """Find out now, not after the training, that a folder cannot be written; leave nothing behind."""
    missing = [path for path in (folder, *folder.absolute().parents) if not path.exists()]  # the innermost first
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise InputError(
            f"The output folder {folder} cannot be written ({error.strerror}): choose another one with --output."
        ) from error
    finally:
        for path in missing:
            with suppress(OSError):  # it was never made, or another run has begun to fill it
                path.rmdir()


def _status(folder: Path) -> str | None:
    try:
        return json.loads((folder / "run.json").read_text(encoding="utf-8"))["status"]
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _rows(path: Path) -> list[dict[str, Any]]:
    if not path.exists():
        return []
    with path.open(encoding="utf-8", newline="") as file:
        return [row | {"epoch": int(row["epoch"]), "seconds": float(row["seconds"])} for row in csv.DictReader(file)]
