"""Checkpoints on the disk: folders that are whole or not there, newest and best, and what to do with damaged ones."""

import hashlib
import json
import os
import re
import shutil
from errno import EDQUOT, ENOSPC
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from keras_llm.errors import InputError

ARRAYS, STATE, MANIFEST, BEST = "arrays.npz", "state.json", "manifest.json", "best.json"
AS = " as "  # between an array's name and the dtype that its bits mean
PARTIAL = "partial."  # what a folder or file is called until it is whole
NAME = re.compile(r"step-(\d{8,})(-epoch-(\d+))?")


class Saved(NamedTuple):
    """A checkpoint that was read back."""

    path: Path
    state: dict[str, Any]
    arrays: dict[str, np.ndarray]
    files: dict[str, bytes]


class Damaged(Exception):
    """A checkpoint is not as it was written; the message says how."""


def name_of(step: int, epochs: int | None = None) -> str:
    """A checkpoint's folder: after ``step`` steps in all; with ``epochs``, at the end of that many epochs."""
    return f"step-{step:08d}" + ("" if epochs is None else f"-epoch-{epochs}")


def names(folder: Path) -> list[str]:
    """The checkpoints in a folder, the oldest first."""
    found = [match for path in folder.iterdir() if (match := NAME.fullmatch(path.name))]
    return [match[0] for match in sorted(found, key=lambda match: (int(match[1]), int(match[3] or -1)))]


def prepare(folder: Path) -> None:
    """Make the folder, find out now whether it can be written, and drop what a kill left half-written.

    Raises:
        InputError: when it is a file, or may not be written. (A full disk may have room again later.)
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for pattern in ("step-*", BEST, "probe"):
            for path in folder.glob(f"{PARTIAL}{pattern}"):
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        probe = folder / f"{PARTIAL}probe"
        probe.touch()
        probe.unlink()
    except OSError as error:
        if error.errno not in (ENOSPC, EDQUOT):
            raise InputError(
                f"Checkpoints cannot be written into {folder} ({error.strerror}): give another folder."
            ) from error


def write(folder: Path, name: str, arrays: dict[str, np.ndarray], state: dict, files: dict[str, bytes]) -> None:
    """Write a checkpoint, whole or not at all.

    Args:
        folder: the folder of all checkpoints.
        name: of this one, from :func:`name_of`.
        arrays: saved without pickle.
        state: JSON values.
        files: further files by name.

    Raises:
        OSError: when the disk is full, for instance; nothing half-written is left.
    """
    partial, final = folder / f"{PARTIAL}{name}", folder / name
    try:
        partial.mkdir()
        with (partial / ARRAYS).open("wb") as file:
            np.savez(file, **dict(map(_to_file, arrays.items())))
        for file_name, content in {**files, STATE: json.dumps(state, indent=1).encode()}.items():
            (partial / file_name).write_bytes(content)
        manifest = {path.name: {"bytes": path.stat().st_size, "sha256": digest(path)} for path in partial.iterdir()}
        (partial / MANIFEST).write_text(json.dumps(manifest, indent=1), encoding="utf-8")
        for path in (*partial.iterdir(), partial):
            sync(path)
        if final.exists():  # damaged, or the training had gone back behind it
            shutil.rmtree(final)
        partial.rename(final)
        sync(folder)
    except BaseException:  # Ctrl-C too
        shutil.rmtree(partial, ignore_errors=True)
        raise


def tidy(folder: Path, newest: str, keep: int, best: dict[str, Any] | None) -> None:
    """Point to the best checkpoint in ``best.json``; drop all but it and the last ``keep``.

    Args:
        folder: the folder of all checkpoints.
        newest: the one just written or read; later ones were damaged and passed over, and go too.
        keep: how many stay, ``newest`` among them.
        best: the name under ``"checkpoint"``, and what makes it the best.
    """
    found = names(folder)
    until = found.index(newest) + 1
    wanted = set(found[max(0, until - keep) : until])
    if best is not None and best["checkpoint"] in found:
        wanted.add(best["checkpoint"])
        partial = folder / f"{PARTIAL}{BEST}"
        partial.write_text(json.dumps(best), encoding="utf-8")
        sync(partial)
        partial.replace(folder / BEST)
    for name in found:
        if name not in wanted:
            # Renamed first, so that a kill does not leave half a checkpoint under its name.
            shutil.rmtree((folder / name).rename(folder / f"{PARTIAL}{name}"))


def latest(folder: Path) -> Saved | None:
    """The newest whole checkpoint, None when there is none at all. Damaged ones are named and passed over.

    Raises:
        InputError: when there are checkpoints and none is whole.
    """
    found = names(folder)
    for name in reversed(found):
        try:
            return read(folder / name)
        except Damaged as damage:
            print(f"The checkpoint {folder / name} is damaged ({damage}); the one before it is taken.")
    if found:
        raise InputError(f"No checkpoint in {folder} is whole: remove the folder to start this training anew.")
    return None


def read(path: Path) -> Saved:
    """Read a checkpoint, and check each file against the manifest.

    Raises:
        Damaged: when a file is missing, cut or altered.
    """
    try:
        manifest = json.loads((path / MANIFEST).read_text(encoding="utf-8"))
        for name, about in {ARRAYS: None, STATE: None, **manifest}.items():
            if about is None or not (path / name).is_file():
                raise Damaged(f"{name} is missing")
            if (path / name).stat().st_size != about["bytes"]:
                raise Damaged(f"{name} has {(path / name).stat().st_size} bytes instead of {about['bytes']}")
            if digest(path / name) != about["sha256"]:
                raise Damaged(f"{name} has another sha256 than in {MANIFEST}")
        state = json.loads((path / STATE).read_text(encoding="utf-8"))
        with np.load(path / ARRAYS, allow_pickle=False) as file:
            arrays = dict(_from_file(name, file[name]) for name in file.files)
        files = {name: (path / name).read_bytes() for name in manifest if name not in (ARRAYS, STATE)}
    except FileNotFoundError as error:
        raise Damaged(f"{Path(error.filename).name} is missing") from error
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise Damaged(f"{MANIFEST} cannot be read: {error}".splitlines()[0]) from error
    return Saved(path, state, arrays, files)


def _to_file(named: tuple[str, np.ndarray]) -> tuple[str, np.ndarray]:
    name, array = named
    if array.dtype.kind != "V":
        return named
    return f"{name}{AS}{array.dtype.name}", array.view(f"u{array.itemsize}")  # bfloat16: npz knows no such numbers


def _from_file(name: str, array: np.ndarray) -> tuple[str, np.ndarray]:
    name, _, dtype = name.partition(AS)
    return name, array.view(dtype) if dtype else array


def digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sync(path: Path) -> None:
    """Have a file or folder on the disk itself before anything that builds on it."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
