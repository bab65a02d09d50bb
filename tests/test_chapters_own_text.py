"""Running text of the user's own in chapter 2, and the chapter that takes no file: what works, what is refused."""

import json
from pathlib import Path

import pytest

from keras_llm.data import open_shards
from tests.command_line import TEXT_CHAPTER as CHAPTER
from tests.command_line import about, files_below, write_novel

pytest_plugins = ["tests.command_line_fixtures"]


def test_a_text_of_mixed_scripts_goes_through_the_whole_chapter(novel_run) -> None:
    metrics = json.loads((novel_run / "metrics.json").read_text(encoding="utf-8"))
    assert metrics["test_unknown_rate_bpe_own"] == metrics["test_unknown_rate_bytes_own"] == 0
    assert metrics["test_compression_bytes_own"] < metrics["test_compression_characters_own"] == 1
    assert metrics["test_compression_bpe_own"] > 1
    assert 0 < metrics["baseline_test_bits_per_character"] < 8
    assert not any(name.startswith("validation_accuracy") for name in metrics)  # that needs labels
    assert metrics["train_waste_packing"] < metrics["train_waste_padding"]
    (own,) = about(novel_run)["data"]
    assert own["dataset"] == "novel" and len(own["files"]["train"]["sha256"]) == 64


def test_the_shards_of_the_run_can_be_opened(novel_run) -> None:
    shards = open_shards(novel_run / "shards")
    assert len(shards) > 100
    assert list(shards.features) == ["token_ids"]


def test_the_figures_of_another_language_are_not_there(novel_run) -> None:
    names = {path.stem for path in novel_run.glob("*.png")}
    assert {"compression_own", "heaps", "zipf", "cleaning_bits", "language_model", "rectangles"} == names


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("", "novel.txt"),
        ("   \n\n \n", "novel.txt"),
        ("好", "novel"),
        ("😀🎬\n\n" * 400, "no letter or digit"),
        ("A few words.\n\nAnd some more.\n\nThe end.\n\nReally.", "bring a text of"),
        (b"\xff\xfe\x00\x01" * 100, "novel.txt"),
        ("Größe\n\n".encode("latin-1") * 500, "line 1"),
    ],
    ids=["empty", "blank", "one character", "emoji", "short", "binary", "latin-1"],
)
def test_a_text_that_cannot_be_used_gets_one_sentence(cli, content, says) -> None:
    Path("novel.txt").write_bytes(content if isinstance(content, bytes) else content.encode())
    before = files_below(Path())
    answer = cli("run", CHAPTER, "--preset", "smoke", "--data", "novel.txt", "--output", "mine")
    assert answer.code == 2
    assert says in answer.sentence
    assert answer.sentence.startswith("keras-llm: ") and "Traceback" not in answer.err
    assert files_below(Path()) == before


def test_a_table_is_no_running_text(cli) -> None:
    Path("reviews.csv").write_text("text,label\na,b\n", encoding="utf-8")
    answer = cli("run", CHAPTER, "--preset", "smoke", "--data", "reviews.csv")
    assert answer.code == 2
    assert "reviews.csv: running text comes as .txt" in answer.sentence


def test_a_chapter_that_makes_its_data_takes_no_file(cli) -> None:
    write_novel(Path("novel.txt"))
    answer = cli("run", "ch01_neural_network", "--preset", "smoke", "--data", "novel.txt")
    assert answer.code == 2
    assert "ch01_neural_network takes no file of yours" in answer.sentence
    assert not Path("runs").exists()
