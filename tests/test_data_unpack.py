"""What is read out of an archive, and what is refused."""

import gzip
import io
import tarfile
import zipfile
from pathlib import Path

import pytest

from keras_llm.data import unpack


def make_zip(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def make_tar(members: dict[str, bytes], link: str | None = None) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
        if link:
            info = tarfile.TarInfo(link)
            info.type, info.linkname = tarfile.SYMTYPE, "/etc/hosts"
            archive.addfile(info)
    return buffer.getvalue()


def files_below(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def read(tmp_path: Path, data: bytes, *members: str, inside: str | None = None) -> dict[str, bytes]:
    (tmp_path / "archive").write_bytes(data)
    return unpack.read_members(tmp_path / "archive", members, inside)


def test_unpack_reads_only_what_is_asked(tmp_path) -> None:
    members = {"a/one.txt": b"1", "a/b/two.txt": b"2", "a/c/three.txt": b"3", "a/c/deep/four.txt": b"4"}
    for data in (make_zip(members), make_tar(members)):
        assert read(tmp_path, data, "a/one.txt") == {"one.txt": b"1"}
        bundle = read(tmp_path, data, "a/*/*.txt")["members.zip"]
        with zipfile.ZipFile(io.BytesIO(bundle)) as archive:
            assert archive.namelist() == ["a/b/two.txt", "a/c/three.txt"]
        with pytest.raises(unpack.UnsafeArchive, match=r"no member 'a/none.txt'"):
            read(tmp_path, data, "a/none.txt")


@pytest.mark.parametrize("make", [make_zip, make_tar])
@pytest.mark.parametrize("name", ["../evil.txt", "/abs/evil.txt", "C:/evil.txt"])
def test_unpack_refuses_paths_that_escape(tmp_path, make, name) -> None:
    with pytest.raises(unpack.UnsafeArchive, match="leads out"):
        read(tmp_path, make({name: b"x"}), "/*/*.txt" if name.startswith("/") else "*/*.txt")
    assert files_below(tmp_path) == ["archive"]


def test_unpack_refuses_links(tmp_path) -> None:
    with pytest.raises(unpack.UnsafeArchive, match="a link or a device"):
        read(tmp_path, make_tar({"a": b"1"}, link="b"), "b")
    info = zipfile.ZipInfo("b")
    info.external_attr = 0o120777 << 16
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(info, "/etc/hosts")
    with pytest.raises(unpack.UnsafeArchive, match="a link or a device"):
        read(tmp_path, buffer.getvalue(), "b")


def test_unpack_refuses_bombs_and_broken_archives(tmp_path, monkeypatch) -> None:
    bomb = {"bomb": bytes(20 * 2**20), "z": b"1"}
    with pytest.raises(unpack.UnsafeArchive, match="unpacks to far more"):
        read(tmp_path, make_zip(bomb), "bomb")
    with pytest.raises(unpack.UnsafeArchive, match="unpacks to far more"):
        read(tmp_path, make_tar(bomb), "z")  # the bomb lies on the way
    with pytest.raises(unpack.UnsafeArchive, match="unpacks to far more"):
        read(tmp_path, make_zip({"i": make_tar(bomb)}), "z", inside="i")
    for broken in (b"", b"no archive", make_zip({"z": b"1"})[:-9], make_tar({"z": b"1"})[:40], gzip.compress(b"x")):
        with pytest.raises(unpack.UnsafeArchive):
            read(tmp_path, broken, "z")
    monkeypatch.setattr(unpack, "MAX_MEMBER", 3)
    with pytest.raises(unpack.UnsafeArchive, match="over the limit"):
        read(tmp_path, make_zip({"z": b"1234"}), "z")
