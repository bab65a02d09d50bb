"""The cache: members of archives on disk, fetched once, checked at each use.

    <cache>/<entry>/<package>-<version>/<member>      and manifest.json, which has the size and sha256 of each member

Each file is written under a temporary name and moved into place, the manifest last: whoever finds a manifest finds
whole files. Two processes that fetch at once write the same bytes to the same names, so neither needs a lock.
"""

import hashlib
import json
import os
import shutil
import sys
import tempfile
import time
from functools import cache
from pathlib import Path

from keras_llm.data.catalog import Entry, Source, find
from keras_llm.data.download import DownloadFailed, NoConnection, download, file_sha256
from keras_llm.data.unpack import UnsafeArchive, read_members
from keras_llm.errors import InputError

ABANDONED = 600  # seconds without a write after which a temporary folder belongs to a killed process


def cache_folder() -> Path:
    """``KERAS_LLM_HOME`` when set, else ``keras_llm`` in the user's cache folder of this system."""
    if home := os.environ.get("KERAS_LLM_HOME"):
        return Path(home).expanduser().absolute()
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "keras_llm"


def fetch(name: str) -> dict[str, Path]:
    """The files of a catalog entry, from the cache or, when it lacks them, from the package index.

    Args:
        name: a name from :func:`keras_llm.data.available`.

    Returns:
        The paths by file name.

    Raises:
        InputError: the name is unknown, the archive cannot be had or is not the one of the catalog, or the cache
            folder cannot be written. Nothing half-written stays behind.
    """
    return fetch_with_source(name)[0]


def fetch_file(name: str) -> Path:
    """The path of a catalog entry that is one file, such as ``noto_sans_cjk``; of several, the first.

    Raises:
        InputError: as :func:`fetch`.
    """
    return next(iter(fetch(name).values()))


def fetch_with_source(name: str) -> tuple[dict[str, Path], Source]:
    """What :func:`fetch` gives, and which of the entry's sources it came from."""
    entry = find(name)
    damage = ""
    for source in entry.sources:
        try:
            if paths := _look_up(entry, source):
                return paths, source
        except _Damaged as error:
            damage = f"the cached copy of {name} is damaged ({error}); "
            print(f"keras_llm: {damage}fetching it again.", file=sys.stderr)
    return _download_any(entry, damage)


def is_cached(name: str) -> bool:
    """Whether :func:`fetch` would need no connection."""
    entry = find(name)
    for source in entry.sources:
        try:
            if _look_up(entry, source):
                return True
        except _Damaged:
            continue
    return False


class _Damaged(Exception):
    """A cached file is not what the manifest says."""


def _folder(entry: Entry, source: Source) -> Path:
    return cache_folder() / entry.name / f"{source.archive.package}-{source.archive.version}"


def _look_up(entry: Entry, source: Source) -> dict[str, Path] | None:
    folder = _folder(entry, source)
    try:
        manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
        if manifest["archive_sha256"] != source.archive.sha256 or manifest["members"] != list(source.members):
            return None  # an earlier catalog's
        files = {folder / name: (file["size"], file["sha256"]) for name, file in manifest["files"].items()}
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise InputError(f"cannot read the cache folder {folder} ({error.strerror}); set KERAS_LLM_HOME.") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise _Damaged("manifest.json is unreadable") from error
    for path, (size, sha256) in files.items():
        if not path.is_file():
            raise _Damaged(f"{path.name} is gone")
        status = path.stat()
        if status.st_size != size or _sha256(path, status.st_size, status.st_mtime_ns) != sha256:
            raise _Damaged(f"{path.name} has changed")
    return {path.name: path for path in files}


@cache
def _sha256(path: Path, size: int, mtime_ns: int) -> str:
    # Size and time are part of the key: a file is hashed once a process, and again when it changes.
    return file_sha256(path)


def _download_any(entry: Entry, damage: str) -> tuple[dict[str, Path], Source]:
    reasons = []
    for source in entry.sources:
        try:
            return _download(entry, source), source
        except (DownloadFailed, UnsafeArchive) as error:
            reasons.append(f"package {source.archive.package} version {source.archive.version}: {error}")
            if isinstance(error, NoConnection):
                break  # the other source is on the same index
        except OSError as error:
            raise InputError(
                f"cannot write {entry.name} to the cache folder {cache_folder()} ({error.strerror or error}); "
                "make room or set KERAS_LLM_HOME to a folder you may write to."
            ) from error
    raise InputError(
        f"{damage}cannot fetch {entry.name} ({'; '.join(reasons)}); connect once and run "
        f"`keras-llm data fetch {entry.name}`, or set KERAS_LLM_HOME to a cache that has it."
    )


def _download(entry: Entry, source: Source) -> dict[str, Path]:
    archive, home, target = source.archive, cache_folder(), _folder(entry, source)
    home.mkdir(parents=True, exist_ok=True)
    _remove_abandoned(home)
    with tempfile.TemporaryDirectory(prefix=".download-", dir=home) as temporary:
        megabytes = archive.size / 1e6
        print(
            f"keras_llm: downloading {entry.name} from {archive}: {megabytes:.1f} MB, licence {entry.licence}, "
            f"about {max(1, round(megabytes / 2.5))} s at 20 Mbit/s, kept in {target}",
            file=sys.stderr,
        )
        path = download(archive, Path(temporary))
        contents = read_members(path, source.members, source.inside)
        files = {
            name: {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()} for name, data in contents.items()
        }
        manifest = {"archive_sha256": archive.sha256, "members": list(source.members), "files": files}
        contents["manifest.json"] = json.dumps(manifest, indent=2).encode()
        ready = Path(temporary) / "ready"
        ready.mkdir()
        for name, data in contents.items():
            (ready / name).write_bytes(data)
        target.mkdir(parents=True, exist_ok=True)
        for name in contents:  # all are whole by now; the manifest is the last
            (ready / name).replace(target / name)
    return {name: target / name for name in files}


def _remove_abandoned(home: Path) -> None:
    for folder in home.glob(".download-*"):
        try:
            last_write = max(path.stat().st_mtime for path in [folder, *folder.rglob("*")])
        except FileNotFoundError:
            continue  # its process has just finished with it
        if time.time() - last_write > ABANDONED:
            shutil.rmtree(folder, ignore_errors=True)
