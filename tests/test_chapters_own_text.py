"""Running text of the user's own in chapters 2, 6 and 8, and the chapter that takes no file: what works, what not."""

import json
from pathlib import Path

import pytest

from keras_llm.data import open_shards
from tests.command_line import TEXT_CHAPTER as CHAPTER
from tests.command_line import WRITING_CHAPTERS, about, files_below, shell, write_novel

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


@pytest.mark.slow
@pytest.mark.network
@pytest.mark.parametrize("chapter", WRITING_CHAPTERS)
def test_a_text_of_mixed_scripts_trains_a_model_that_writes(chapter, tmp_path) -> None:
    write_novel(tmp_path / "novel.txt")
    answer = shell(f"keras-llm run {chapter} --preset smoke --data novel.txt --output run", tmp_path, timeout=600)
    assert answer.code == 0, answer.err
    answer = shell(["keras-llm", "generate", "run", "The old man", "--max-tokens", "20"], tmp_path)
    assert answer.code == 0 and answer.out.startswith("The old man"), answer.err


@pytest.mark.parametrize("chapter", WRITING_CHAPTERS)
def test_a_text_that_is_too_short_to_train_on_gets_one_sentence(cli, chapter) -> None:
    write_novel(Path("novel.txt"), paragraphs=20)
    answer = cli("run", chapter, "--preset", "smoke", "--data", "novel.txt", "--output", "mine")
    assert answer.code == 2
    assert "bring a text of" in answer.sentence and "novel" in answer.sentence
    assert not Path("mine").exists()


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
