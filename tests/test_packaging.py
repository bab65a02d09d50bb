"""The wheel: one top-level name, all packages, the catalog and the chapters inside, and it answers from elsewhere."""

import configparser
import importlib.util
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from keras_llm import book
from tests.command_line import ROOT, environment

pytestmark = pytest.mark.skipif(
    shutil.which("git") is None or not (ROOT / ".git").exists() or importlib.util.find_spec("setuptools") is None,
    reason="builds from the files that git knows",
)


def tracked() -> list[Path]:
    """What git tracks or would track, and that is there."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(command, cwd=ROOT, capture_output=True, encoding="utf-8", check=True).stdout.split("\0")
    return [Path(name) for name in names if name and (ROOT / name).is_file()]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """The wheel, built from a copy so that the checkout gets no ``build`` folder."""
    source, target = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for path in tracked():
        (source / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / path, source / path)
    command = [sys.executable, "-m", "pip", "wheel", ".", "--no-deps", "--no-build-isolation", "-w", str(target)]
    done = subprocess.run(command, cwd=source, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (path,) = target.glob("keras_llm-*.whl")
    return path


@pytest.fixture(scope="module")
def names(wheel) -> set[str]:
    return set(zipfile.ZipFile(wheel).namelist())


def test_one_top_level_name(names) -> None:
    assert {name.partition("/")[0].partition("-")[0] for name in names} == {"keras_llm"}
    assert {name.partition("/")[0] for name in names if "dist-info" not in name} == {"keras_llm"}


def test_the_data_files_travel(names) -> None:
    assert "keras_llm/py.typed" in names
    assert any(name.endswith("LICENSE") and "dist-info" in name for name in names)
    assert "keras_llm/catalog/catalog.toml" in names
    cards = {f"keras_llm/catalog/cards/{path.name}" for path in (ROOT / "data" / "cards").glob("*.md")}
    assert cards and cards <= names
    for chapter, folder in book.chapters().items():
        assert f"keras_llm/chapters/{chapter}/lesson.py" in names
        if (folder / "expected.json").exists():
            assert f"keras_llm/chapters/{chapter}/expected.json" in names


def test_each_module_travels(names) -> None:
    places = {"keras_llm": "keras_llm", "data": "keras_llm/catalog", "chapters": "keras_llm/chapters"}
    for path in tracked():
        if path.suffix == ".py" and path.parts[0] in places:
            assert "/".join((places[path.parts[0]], *path.parts[1:])) in names
    assert not any(name.startswith(("keras_llm/tests", "tests")) for name in names)


def test_setup_cfg_lists_each_package() -> None:
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg", encoding="utf-8")
    listed = set(config["options"]["packages"].split())
    folders = {path.parent for path in tracked() if path.name == "__init__.py" and path.parts[0] != "tests"}
    inside = {"data": "keras_llm.catalog", "chapters": "keras_llm.chapters", "keras_llm": "keras_llm"}
    assert listed == {".".join((inside[folder.parts[0]], *folder.parts[1:])) for folder in folders}


@pytest.mark.parametrize(
    ("words", "says"), [(["list"], list(book.chapters())), (["data", "list"], ["movie_reviews", "noto_sans_cjk"])]
)
def test_it_answers_from_an_unpacked_wheel(wheel, tmp_path, words, says) -> None:
    zipfile.ZipFile(wheel).extractall(tmp_path / "site")
    code = "import keras_llm, sys; print(keras_llm.__file__); from keras_llm.cli import main; main(sys.argv[1:])"
    env = {**environment(tmp_path / "home"), "PYTHONPATH": str(tmp_path / "site")}
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    done = subprocess.run(
        [sys.executable, "-c", code, *words], cwd=elsewhere, env=env, capture_output=True, encoding="utf-8", check=False
    )
    assert done.returncode == 0, done.stderr
    place, _, answer = done.stdout.partition("\n")
    assert place == str(tmp_path / "site" / "keras_llm" / "__init__.py")
    assert all(word in answer for word in says)
    assert list(elsewhere.iterdir()) == []
    assert (
        subprocess.run(
            [sys.executable, "-m", "keras_llm", "--help"], cwd=elsewhere, env=env, check=False, capture_output=True
        ).returncode
        == 0
    )
