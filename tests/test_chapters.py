"""Each chapter: its lesson can be read and run, its smoke run leaves what the design promises, its record agrees."""

import csv
import json
import math
import re
from pathlib import Path

import pytest
from PIL import Image

from keras_llm import book
from keras_llm.runs import HISTORY_FIELDS, PRESETS

pytest_plugins = ["tests.command_line_fixtures"]
CHAPTERS = book.chapters()
SERIALISED = {"tokenizer.json", "classifier.json", "translator.json", "language_model.json"}
SERIALISED |= {"shards", "writer"}  # folders of chapters 2 and 6, and of chapter 8
SERIALISED |= {"results.json", "lora.safetensors"}  # of chapter 7
# What chapter 7 trains is large: in clusters where it computes in bfloat16, and by its update alone in short trainings.
COMPILED = {"ch07_finetuning": {True, "clusters", "update"}}
HEADS = "search"  # its search trains heads for a second each, op by op
ONE_BATCH = {"one_sentence"}  # trainings of chapter 5 whose epochs are one batch long
FIGURE = re.compile(r"(baseline_)?(train|validation|test)_[a-z0-9]+(_[a-z0-9]+)*")


def cells(lesson: Path) -> list[tuple[str, str]]:
    """The percent cells of a lesson: kind ("code" or "markdown") and text."""
    found = []
    for line in lesson.read_text(encoding="utf-8").splitlines(keepends=True):
        if line.startswith("# %%"):
            assert line.strip() in ("# %%", "# %% [markdown]"), line
            found.append(("markdown" if "[markdown]" in line else "code", ""))
        else:
            kind, text = found.pop()  # a line before the first cell is an error here
            found.append((kind, text + line))
    return found


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_the_lesson_is_made_of_percent_cells(chapter) -> None:
    lesson = CHAPTERS[chapter] / "lesson.py"
    kinds = [kind for kind, _ in cells(lesson)]
    assert kinds[0] == "markdown"
    assert {"markdown", "code"} == set(kinds)
    assert cells(lesson)[0][1].startswith("# # ")
    for kind, text in cells(lesson):
        assert text.strip()
        if kind == "markdown":
            assert all(line.startswith("#") for line in text.strip().splitlines())
        else:
            compile(text, str(lesson), "exec")


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_the_package_says_what_it_is(chapter) -> None:
    facts = book.about(CHAPTERS[chapter])
    assert facts["title"]
    assert re.fullmatch(r"D[0-4] §.+", facts["reproduces"])


def test_a_chapter_without_a_record_has_no_minutes(tmp_path) -> None:
    (tmp_path / "__init__.py").write_text('"""A title\n\nReproduces: D9 §1\n"""\n', encoding="utf-8")
    expected = {"title": "A title", "reproduces": "D9 §1", "minutes": "", "measured": ""}
    assert book.about(tmp_path) == expected
    record = {"headline": "test_f1", "minutes": 7.4, "figures": {"test_f1": {"value": 0.81234}}}
    (tmp_path / "expected.json").write_text(json.dumps(record), encoding="utf-8")
    assert book.about(tmp_path) == {**expected, "minutes": "7", "measured": "test_f1 0.812"}


# --- the smoke run ------------------------------------------------------------------------------------------------


@pytest.mark.network
@pytest.mark.parametrize("chapter", CHAPTERS)
class TestSmokeRun:
    def test_the_figures(self, finished_run, chapter) -> None:
        metrics = json.loads((finished_run(chapter) / "metrics.json").read_text(encoding="utf-8"))
        assert any(name.startswith("test_") for name in metrics)
        assert any(name.startswith("baseline_test_") for name in metrics)
        for name, value in metrics.items():
            assert FIGURE.fullmatch(name), name
            assert math.isfinite(value), name
            if re.search("accuracy|precision|recall|f1", name):
                assert 0 <= value <= 1, name

    def test_the_history(self, finished_run, chapter) -> None:
        with (finished_run(chapter) / "history.csv").open(encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file)
            rows = list(reader)
        assert tuple(reader.fieldnames) == HISTORY_FIELDS
        epochs: dict[str, list[int]] = {}
        for row in rows:
            epochs.setdefault(row["stage"], []).append(int(row["epoch"]))
            assert float(row["loss"]) > 0
            assert row["val_loss"] == "" or float(row["val_loss"]) > 0
            assert float(row["seconds"]) >= 0
        assert all(numbers == list(range(1, len(numbers) + 1)) for numbers in epochs.values())

    def test_the_figures_are_pictures(self, finished_run, chapter) -> None:
        pictures = list(finished_run(chapter).glob("*.png"))
        assert pictures
        for path in pictures:
            assert path.stat().st_size > 5_000, path
            with Image.open(path) as picture:
                picture.load()
                assert picture.format == "PNG"
                assert min(picture.size) > 300

    def test_the_folder_holds_what_the_readme_says_and_no_leftovers(self, finished_run, chapter) -> None:
        names = {path.name for path in finished_run(chapter).iterdir() if path.suffix != ".png"}
        needed = {"metrics.json", "history.csv", "log.jsonl", "model.keras", "printed.json", "run.json"}
        assert needed <= names <= needed | SERIALISED
        assert not (finished_run(chapter) / "interrupted.png").exists()

    def test_run_json(self, finished_run, chapter) -> None:
        about = json.loads((finished_run(chapter) / "run.json").read_text(encoding="utf-8"))
        assert (about["chapter"], about["preset"], about["seed"], about["status"]) == (chapter, "smoke", 0, "done")
        assert {"python", "keras", "tensorflow", "keras_llm"} <= about["versions"].keys()
        assert {"processor", "cores", "memory_gb", "system"} == about["machine"].keys()
        assert about["seconds"] > 0
        assert all(each["sha256"] and each["licence"] for each in about["data"])
        assert about["stages"]
        for name, stage in about["stages"].items():
            if name.startswith(HEADS):
                continue
            assert stage["program"]["jit_compile"] in COMPILED.get(chapter, {True}), name
            few = name in ONE_BATCH or stage["program"]["jit_compile"] == "update"  # two or three steps in smoke
            assert stage["program"]["steps_per_program"] > 1 or few, name

    def test_what_the_cells_printed(self, finished_run, chapter) -> None:
        printed = json.loads((finished_run(chapter) / "printed.json").read_text(encoding="utf-8"))
        code = [text for kind, text in cells(CHAPTERS[chapter] / "lesson.py") if kind == "code"]
        assert printed["0"].startswith(f"{chapter}, preset smoke, seed 0; results go to ")
        assert all("print" in code[int(number)] or "run." in code[int(number)] for number in printed)
        (last,) = [number for number, text in enumerate(code) if "run.finish()" in text]
        assert "Done in " in printed[str(last)]

    def test_the_record_has_the_figures_of_a_run(self, finished_run, chapter) -> None:
        record = book.record_of(CHAPTERS[chapter])
        if record is None:
            pytest.skip("no recorded run yet")
        metrics = json.loads((finished_run(chapter) / "metrics.json").read_text(encoding="utf-8"))
        assert metrics.keys() <= record["figures"].keys()  # the smoke preset trains fewer models


# --- the record ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_the_record_is_consistent(chapter) -> None:
    record = book.record_of(CHAPTERS[chapter])
    if record is None:
        pytest.skip("no recorded run yet")
    assert record["chapter"] == chapter
    assert record["preset"] in PRESETS
    assert record["seed"] == record["seeds"][0]
    assert record["headline"] in record["figures"]
    assert record["lesson"] == book.code_digest(CHAPTERS[chapter]), "the lesson's code has changed: record it anew"
    assert record["minutes"] > 0
    assert record["peak_memory_gb"] > 0
    assert {"processor", "cores"} <= record["machine"].keys()
    assert "keras" in record["versions"]
    for name, figure in record["figures"].items():
        assert FIGURE.fullmatch(name), name
        assert figure["tolerance"] >= 0, name
        assert figure["value"] == figure["over_seeds"][0], name
        assert len(figure["over_seeds"]) == len(record["seeds"]), name
    assert f"baseline_{record['headline']}" in record["figures"]


def test_a_record_is_stale_when_the_code_changes_and_only_then(tmp_path) -> None:
    lesson = (CHAPTERS[next(iter(CHAPTERS))] / "lesson.py").read_text(encoding="utf-8")

    def digest(text: str) -> str:
        (tmp_path / "lesson.py").write_text(text, encoding="utf-8")
        return book.code_digest(tmp_path)

    recorded = digest(lesson)
    assert digest(lesson.replace("# **You will build**", "# **You will see**")) == recorded
    assert digest(lesson + '\nprint("Good-bye.")\n') == recorded
    assert digest(lesson.replace("noise=0.25", "noise=0.26")) != recorded
    assert digest(lesson + "\nrun.record(test_accuracy=1.0)\n") != recorded
