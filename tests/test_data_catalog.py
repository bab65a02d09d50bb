"""The catalog, the cache and the way from an archive to a dataset. A local function stands in for the index."""

import hashlib
import json
import os
import re
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from keras_llm.data import available, cache, catalog, describe, download, fetch, fetch_file, is_cached, load, unpack
from keras_llm.data.catalog import Archive, Entry, Source
from keras_llm.data.readers import READERS
from keras_llm.errors import InputError
from tests.test_data_unpack import files_below, make_tar, make_zip

RATINGS = "1\t2.0\tlovely\r\n2\t-1.5\tdreadful\r\n3\t0.2\tso so"


class FakeIndex:
    """Stands for the package index: bytes by package name; no bytes, no package; ``offline`` answers nobody."""

    def __init__(self) -> None:
        self.contents: dict[str, bytes] = {}
        self.asked: list[str] = []
        self.offline = False

    def find_and_download(self, archive: Archive, folder: Path) -> Path:
        self.asked.append(archive.package)
        if self.offline:
            raise download.NoConnection("no connection to the package index")
        if archive.package not in self.contents:
            raise download.DownloadFailed("the package index offers no such file")
        path = folder / f"{archive.package}.archive"
        path.write_bytes(self.contents[archive.package])
        return path


def archive_of(data: bytes, package: str) -> Archive:
    return Archive(package, "1.0", "sdist", hashlib.sha256(data).hexdigest(), len(data), "MIT")


@pytest.fixture
def index(monkeypatch, tmp_path) -> FakeIndex:
    """An empty cache and a catalog with one dataset ``toy`` of two sources: a tar in a tar, and a zip."""
    index = FakeIndex()
    first = make_tar({"p/inner.tar.gz": make_tar({"x/toy.txt": RATINGS.encode()})})
    second = make_zip({"q/toy.txt": f"id\tsentiment\ttext\r\n{RATINGS}".encode()})
    index.contents = {"first": first, "second": second}
    sources = (
        Source(archive_of(first, "first"), ("x/toy.txt",), "p/inner.tar.gz"),
        Source(archive_of(second, "second"), ("q/toy.txt",)),
    )
    toy = Entry("toy", "A toy", "MIT", "nobody", sources, "", "classification", "en", "ratings", ("bad", "good"), 2)
    monkeypatch.setattr(catalog, "available", lambda: {"toy": toy})
    monkeypatch.setattr(download, "_find_and_download", index.find_and_download)
    monkeypatch.setenv("KERAS_LLM_HOME", str(tmp_path / "home"))
    return index


def test_catalog_is_complete() -> None:
    for name, entry in available().items():
        assert entry.title and entry.licence and entry.citation and entry.sources
        assert catalog.card(name).startswith(f"# {name}: ")
        for source in entry.sources:
            assert re.fullmatch("[0-9a-f]{64}", source.archive.sha256)
            assert source.archive.kind in ("sdist", "wheel") and source.archive.size > 0
        if entry.is_dataset:
            assert entry.task in ("classification", "corpus", "translation", "dialogue") and entry.rows > 0
            assert bool(entry.target_language) == (entry.task == "translation")
            assert f"**{entry.rows:,}**" in catalog.card(name)
        if entry.task == "classification":
            assert entry.reader in READERS and len(entry.classes) >= 2


def test_unknown_name_gives_the_nearest_and_all() -> None:
    with pytest.raises(InputError, match=r"'movie_review'; did you mean 'movie_reviews'\? known: .*bbc_news"):
        load("movie_review")
    with pytest.raises(InputError, match="no dataset called 'glove'"):
        load("glove")


def test_import_is_light() -> None:
    heavy = "('tensorflow', 'pyarrow', 'rich', 'unearth')"
    code = f"import sys, keras_llm.data; print([name for name in {heavy} if name in sys.modules])"
    output = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert output.strip() == "[]"


def test_first_fetch_announces_then_the_cache_serves(index, capsys) -> None:
    assert not is_cached("toy")
    path = fetch_file("toy")
    assert path.read_bytes().decode() == RATINGS
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    for fact in ("toy", "first 1.0", "MB", "MIT", " s at ", str(cache.cache_folder())):
        assert fact in said
    index.offline = True
    assert is_cached("toy") and fetch_file("toy") == path
    assert capsys.readouterr().err == "" and index.asked == ["first"]
    assert files_below(cache.cache_folder()) == ["toy/first-1.0/manifest.json", "toy/first-1.0/toy.txt"]


def test_second_source_when_the_first_is_gone_or_wrong(index) -> None:
    del index.contents["first"]
    paths, source = cache.fetch_with_source("toy")
    assert source.archive.package == "second" and list(paths) == ["toy.txt"]
    index.contents["first"] = b"something else"
    (cache.cache_folder() / "toy" / "second-1.0" / "manifest.json").unlink()
    assert cache.fetch_with_source("toy")[1].archive.package == "second"


def test_both_sources_give_the_same_rows(index) -> None:
    rows = []
    for package in ("first", "second"):
        rows.append(list(READERS["ratings"](fetch("toy"), ("bad", "good"))))
        index.contents.pop(package)
        for path in fetch("toy").values() if package == "first" else ():
            path.unlink()
    assert rows[0] == rows[1] == [("lovely", 1), ("dreadful", 0), ("so so", None)]


def test_wrong_sha256_names_both_hashes_and_leaves_nothing(index) -> None:
    index.contents = {"first": b"evil", "second": b"evil"}
    expected, found = catalog.find("toy").sources[0].archive.sha256, hashlib.sha256(b"evil").hexdigest()
    with pytest.raises(InputError, match=f"first version 1.0.*{found}.*{expected}.*second version 1.0"):
        fetch("toy")
    assert files_below(cache.cache_folder()) == []
    assert list(cache.cache_folder().iterdir()) == []


def test_no_network_and_no_cache(index) -> None:
    index.offline = True
    with pytest.raises(
        InputError, match=r"cannot fetch toy \(package first version 1.0: no connection.*data fetch toy`"
    ):
        fetch("toy")
    assert index.asked == ["first"]  # the second is on the same index: no second wait


@pytest.mark.parametrize("harm", ["truncate", "flip", "delete", "manifest"])
def test_damaged_cache_is_noticed_and_fetched_again(index, capsys, harm) -> None:
    path = fetch_file("toy")
    if harm == "truncate":
        path.write_bytes(path.read_bytes()[:-5])
    elif harm == "flip":
        path.write_bytes(path.read_bytes().replace(b"lovely", b"lonely"))
    elif harm == "delete":
        path.unlink()
    else:
        path.with_name("manifest.json").write_text("{", encoding="utf-8")
    assert not is_cached("toy")
    capsys.readouterr()
    index.offline = True
    with pytest.raises(InputError, match=r"cached copy of toy is damaged.*cannot fetch toy"):
        fetch("toy")
    index.offline = False
    assert fetch_file("toy").read_bytes().decode() == RATINGS
    assert "is damaged" in capsys.readouterr().err


def test_killed_in_the_middle_leaves_no_half_entry(index, monkeypatch) -> None:
    real, calls = Path.replace, []

    def replace_or_die(self: Path, target: Path) -> Path:
        calls.append(target)
        if target.name == "manifest.json":
            raise KeyboardInterrupt
        return real(self, target)

    monkeypatch.setattr(Path, "replace", replace_or_die)
    with pytest.raises(KeyboardInterrupt):
        fetch("toy")
    assert calls and not is_cached("toy")
    assert files_below(cache.cache_folder()) == ["toy/first-1.0/toy.txt"]  # whole, but without its manifest
    monkeypatch.setattr(Path, "replace", real)
    assert fetch_file("toy").read_bytes().decode() == RATINGS


def test_full_disk_is_one_sentence_and_leaves_nothing(index, monkeypatch) -> None:
    def full(self: Path, data: bytes) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(InputError, match=r"No space left on device.*KERAS_LLM_HOME"):
        fetch("toy")
    assert list(cache.cache_folder().iterdir()) == []


def test_leftovers_of_killed_processes_go_but_not_those_at_work(index) -> None:
    home = cache.cache_folder()
    for name, age in ((".download-dead", 3600), (".download-busy", 1)):
        (home / name).mkdir(parents=True)
        (home / name / "half").write_bytes(b"1")
        for path in (home / name / "half", home / name):
            os.utime(path, (time.time() - age,) * 2)
    fetch("toy")
    assert [path.name for path in home.glob(".download-*")] == [".download-busy"]


def test_many_at_once_do_no_harm(index, monkeypatch) -> None:
    def slow(archive: Archive, folder: Path) -> Path:
        time.sleep(0.05)
        return index.find_and_download(archive, folder)

    monkeypatch.setattr(download, "_find_and_download", slow)
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: fetch_file("toy").read_bytes(), range(8)))
    assert set(found) == {RATINGS.encode()} and len(index.asked) > 1
    assert files_below(cache.cache_folder()) == ["toy/first-1.0/manifest.json", "toy/first-1.0/toy.txt"]


def test_cache_folder_that_cannot_be_written(index, monkeypatch, tmp_path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    monkeypatch.setenv("KERAS_LLM_HOME", str(tmp_path / "file"))
    with pytest.raises(InputError, match=r"cannot write toy to the cache folder.*set KERAS_LLM_HOME"):
        fetch("toy")
    assert index.asked == []


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write anywhere")
def test_read_only_cache_serves_what_it_has(index, monkeypatch) -> None:
    fetch("toy")
    home = cache.cache_folder()
    home.chmod(0o500)
    try:
        assert fetch("toy")
        monkeypatch.setattr(catalog, "available", lambda: {"other": replace(catalog.find("toy"), name="other")})
        with pytest.raises(InputError, match="KERAS_LLM_HOME"):
            fetch("other")
    finally:
        home.chmod(0o700)


def test_cache_folder_follows_the_environment(monkeypatch, tmp_path) -> None:
    monkeypatch.setenv("KERAS_LLM_HOME", "~/here")
    assert cache.cache_folder() == Path.home() / "here"
    monkeypatch.setenv("KERAS_LLM_HOME", "")
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache.cache_folder() == tmp_path / "keras_llm"
    monkeypatch.setattr(sys, "platform", "darwin")
    assert cache.cache_folder() == Path.home() / "Library" / "Caches" / "keras_llm"


def test_an_unsafe_archive_is_told_as_one_sentence(index, monkeypatch) -> None:
    monkeypatch.setattr(unpack, "MAX_MEMBER", 3)
    with pytest.raises(InputError, match=r"first version 1.0: its member 'p/inner.tar.gz' is .* over the limit"):
        fetch("toy")
    assert list(cache.cache_folder().iterdir()) == []


def test_index_of_pip_is_used(monkeypatch) -> None:
    listing = "global.index-url='https://mirror.example/simple'\nglobal.trusted-host='mirror.example other.example'\n"
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: subprocess.CompletedProcess([], 0, stdout=listing))
    monkeypatch.delenv("PIP_INDEX_URL", raising=False)
    monkeypatch.delenv("PIP_TRUSTED_HOST", raising=False)
    assert download._pip_settings() == ("https://mirror.example/simple", ["mirror.example", "other.example"])
    monkeypatch.setenv("PIP_INDEX_URL", "https://nearer.example/simple")
    assert download._pip_settings()[0] == "https://nearer.example/simple"


def test_unreachable_index_is_told_soon(monkeypatch, tmp_path) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with pytest.raises(download.NoConnection, match="no connection to the package index"):
        download.download(archive_of(b"", "toy"), tmp_path)


def test_local_index_is_read_and_never_changed(monkeypatch, tmp_path) -> None:
    data = make_zip({"z": b"1"})
    page = tmp_path / "simple" / "toy"
    page.mkdir(parents=True)
    (page / "toy-1.0-py3-none-any.whl").write_bytes(data)
    (page / "index.html").write_text('<a href="toy-1.0-py3-none-any.whl">toy</a>', encoding="utf-8")
    monkeypatch.setenv("PIP_INDEX_URL", (tmp_path / "simple").as_uri())
    archive = replace(archive_of(data, "toy"), kind="wheel")
    (tmp_path / "to").mkdir()
    assert download.download(archive, tmp_path / "to").read_bytes() == data
    with pytest.raises(download.DownloadFailed, match="expected was 0000"):
        download.download(replace(archive, sha256="0" * 64), tmp_path / "to")
    with pytest.raises(download.DownloadFailed, match="offers no sdist"):
        download.download(replace(archive, kind="sdist"), tmp_path / "to")
    assert (page / "toy-1.0-py3-none-any.whl").read_bytes() == data


def test_folder_reader_takes_what_is_not_utf8(tmp_path) -> None:
    bundle = make_zip({"d/a/1.txt": "£5".encode(), "d/b/2.txt": "£6".encode("cp1252")})
    (tmp_path / "members.zip").write_bytes(bundle)
    rows = list(READERS["folder_per_class"]({"members.zip": tmp_path / "members.zip"}, ("a", "b")))
    assert rows == [("£5", 0), ("£6", 1)]


def test_line_readers(tmp_path) -> None:
    paths = {name: tmp_path / name for name in ("neg.txt", "pos.txt", "table.txt")}
    paths["neg.txt"].write_text("one\u2028line\n\ntwo\n", encoding="utf-8")
    paths["pos.txt"].write_text("three", encoding="utf-8")
    paths["table.txt"].write_text("y\t四\nx\tfive\n", encoding="utf-8")
    assert list(READERS["file_per_class"](paths, ("n", "p"))) == [("one\u2028line", 0), ("two", 0), ("three", 1)]
    table = {"table.txt": paths["table.txt"]}
    assert list(READERS["label_and_text"](table, ("x", "y"))) == [("四", 1), ("five", 0)]


@pytest.fixture(scope="module")
def shared_home(tmp_path_factory) -> Path:
    """The user's own cache when there is one, so that a rerun downloads nothing."""
    return Path(os.environ.get("KERAS_LLM_HOME") or tmp_path_factory.mktemp("home"))


@pytest.mark.network
@pytest.mark.parametrize("name", [name for name, entry in available().items() if entry.task == "classification"])
def test_each_dataset_has_the_rows_of_its_catalog_and_card(name, shared_home, monkeypatch) -> None:
    monkeypatch.setenv("KERAS_LLM_HOME", str(shared_home))
    data = load(name)
    texts = data.train.texts + data.validation.texts + data.test.texts
    assert len(texts) == len(set(texts)) == available()[name].rows == data.provenance["rows"]
    row = r"\| {} \| ([0-9,]+) \|"
    for words, key in (("duplicates, left out", "dropped_duplicates"), ("ambiguous, left out", "dropped_ambiguous")):
        (stated,) = re.findall(row.format(words), catalog.card(name))
        assert int(stated.replace(",", "")) == data.provenance[key]
    shown = describe(name)
    assert shown["cached"] and len(shown["examples"]) == 3 and json.dumps(shown)


@pytest.mark.network
def test_second_source_of_the_ratings_has_the_same_rows(shared_home, monkeypatch) -> None:
    monkeypatch.setenv("KERAS_LLM_HOME", str(shared_home))
    names = ("movie_reviews", "amazon_reviews", "tweets")
    first = {name: list(READERS["ratings"](fetch(name), ())) for name in names}
    only_second = {name: replace(available()[name], sources=available()[name].sources[1:]) for name in names}
    monkeypatch.setattr(catalog, "available", lambda: only_second)
    for name in names:
        assert list(READERS["ratings"](fetch(name), ())) == first[name]


@pytest.mark.network
def test_glove_rows_belong_to_their_words(shared_home, monkeypatch) -> None:
    from keras_llm.data import load_glove

    monkeypatch.setenv("KERAS_LLM_HOME", str(shared_home))
    vectors, found = load_glove(["king", "Queen", "zzqqzz", "potato"])
    assert vectors.shape == (4, 50) and found.tolist() == [True, True, False, True] and not vectors[2].any()
    king, queen, _, potato = vectors / (((vectors**2).sum(1, keepdims=True)) ** 0.5 + 1e-9)
    assert king @ queen > 0.7 > king @ potato
    assert load_glove(["Queen"], lowercase=False)[1].tolist() == [False]
