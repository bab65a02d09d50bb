"""Members out of an archive: into memory, within bounds, and never to a path that the archive chose."""

import fnmatch
import gzip
import io
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import BinaryIO

MAX_MEMBER = 200 * 2**20  # bytes of one member, unpacked
MAX_TOTAL = 2**30  # bytes of one archive, unpacked
MAX_RATIO = 200  # unpacked over packed; text reaches about 10, a bomb 1000
GZIP_MAGIC = b"\x1f\x8b"
TOO_LARGE = "it unpacks to far more than an archive of its size should"


class UnsafeArchive(Exception):
    """The archive is broken, lacks a member, or tries something that no catalog entry needs."""


def read_members(archive: Path, members: tuple[str, ...], inside: str | None = None) -> dict[str, bytes]:
    """Reads the members of a ``.whl``, ``.zip`` or ``.tar.gz``, by what the file is, not by its name.

    Args:
        archive: the file.
        members: paths within it; a ``*`` matches within one folder level and must match something.
        inside: path of an archive within ``archive``, which then holds the members.

    Returns:
        The bytes by file name. Members that a pattern found come as one uncompressed zip ``members.zip``.

    Raises:
        UnsafeArchive: a member is missing, is a link, has an absolute path or ``..``, or unpacks to too much.
    """
    try:
        with archive.open("rb") as file:
            if inside is not None:
                (packed,) = _read(file, archive.stat().st_size, (inside,)).values()
                found = _read(io.BytesIO(packed), len(packed), members)
            else:
                found = _read(file, archive.stat().st_size, members)
    except (tarfile.TarError, zipfile.BadZipFile, EOFError, zlib.error, gzip.BadGzipFile, RuntimeError) as error:
        raise UnsafeArchive(f"it is no readable archive ({error})") from error
    by_pattern = {name: data for name, data in found.items() if name not in members}
    result = {PurePosixPath(name).name: data for name, data in found.items() if name in members}
    return result | ({"members.zip": _bundle(by_pattern)} if by_pattern else {})


def _read(file: BinaryIO, size: int, members: tuple[str, ...]) -> dict[str, bytes]:
    budget = min(MAX_TOTAL, MAX_RATIO * size + 2**20)
    walk = _walk_tar if file.read(2) == GZIP_MAGIC else _walk_zip
    file.seek(0)
    found = dict(walk(file, members, budget))
    for member in members:
        if not any(_matches(name, member) for name in found):
            raise UnsafeArchive(f"it has no member '{member}'")
    return found


def _walk_zip(file: BinaryIO, members: tuple[str, ...], budget: int) -> Iterator[tuple[str, bytes]]:
    with zipfile.ZipFile(file) as archive:
        for info in archive.infolist():
            if info.is_dir() or not any(_matches(info.filename, member) for member in members):
                continue
            kind = stat.S_IFMT(info.external_attr >> 16)
            _check(info.filename, info.file_size, is_file=kind in (0, stat.S_IFREG))
            budget -= info.file_size  # zipfile reads no more than this, whatever the stream holds
            if budget < 0:
                raise UnsafeArchive(TOO_LARGE)
            yield info.filename, archive.read(info)


def _walk_tar(file: BinaryIO, members: tuple[str, ...], budget: int) -> Iterator[tuple[str, bytes]]:
    # A tar has no directory, so finding a member unpacks all before it: the budget counts every byte on the way.
    with gzip.GzipFile(fileobj=file) as plain, tarfile.open(fileobj=_Budget(plain, budget), mode="r|") as archive:
        for info in archive:
            if info.isdir() or not any(_matches(info.name, member) for member in members):
                continue
            _check(info.name, info.size, is_file=info.isreg())
            yield info.name, archive.extractfile(info).read()


class _Budget:
    """A stream that refuses to give more than ``budget`` bytes."""

    def __init__(self, file: BinaryIO, budget: int) -> None:
        self.file, self.budget = file, budget

    def read(self, size: int) -> bytes:
        data = self.file.read(size)
        self.budget -= len(data)
        if self.budget < 0:
            raise UnsafeArchive(TOO_LARGE)
        return data


def _matches(name: str, member: str) -> bool:
    return name == member or (
        "*" in member and name.count("/") == member.count("/") and fnmatch.fnmatchcase(name, member)
    )


def _check(name: str, size: int, *, is_file: bool) -> None:
    if name.startswith("/") or "\\" in name or ":" in name or ".." in PurePosixPath(name).parts:
        raise UnsafeArchive(f"its member '{name}' has a path that leads out of the archive")
    if not is_file:
        raise UnsafeArchive(f"its member '{name}' is a link or a device, not a file")
    if size > MAX_MEMBER:
        raise UnsafeArchive(
            f"its member '{name}' is {size / 2**20:.0f} MB large, over the limit of {MAX_MEMBER >> 20} MB"
        )


def _bundle(members: dict[str, bytes]) -> bytes:
    """One zip with fixed dates and order, so that each machine stores the same bytes."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as bundle:
        for name in sorted(members):
            bundle.writestr(zipfile.ZipInfo(name), members[name])
    return buffer.getvalue()
