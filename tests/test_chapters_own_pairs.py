"""Sentence pairs of the user's own in chapter 5: what works, what is refused; and the translator that a run leaves."""

import json
from pathlib import Path

import pytest

from keras_llm.translator import Translator
from tests.command_line import PAIR_CHAPTER as CHAPTER
from tests.command_line import about, files_below, shell, write_pairs

pytest_plugins = ["tests.command_line_fixtures"]


def test_pairs_go_through_the_whole_chapter(pairs_run) -> None:
    metrics = json.loads((pairs_run / "metrics.json").read_text(encoding="utf-8"))
    assert metrics["baseline_test_bleu"] > metrics["baseline_test_bleu_copy"]
    assert {"test_bleu", "test_chrf", "test_exact_match", "test_bleu_greedy", "validation_loss"} <= metrics.keys()
    assert "train_loss_one_sentence" not in metrics  # that belongs to the chapter's own run
    (own,) = about(pairs_run)["data"]
    assert own["dataset"] == "pairs" and len(own["files"]["train"]["sha256"]) == 64


def test_the_translator_of_the_run_can_be_loaded(pairs_run) -> None:
    translator = Translator.load(pairs_run)
    assert translator.languages[0] == "en"
    translations = translator.translate(["the old cat sees me", "", "das kenne ich nicht"], num_beams=2)
    assert len(translations) == 3 and translations[1] == ""
    assert Translator.is_finished(pairs_run)


def test_a_new_process_translates(pairs_run) -> None:
    answer = shell(["keras-llm", "translate", pairs_run.name, "the old cat sees me", "--beams", "2"], pairs_run.parent)
    assert answer.code == 0, answer.err
    assert answer.out.count("\n") == 1
    assert shell(["keras-llm", "translate", pairs_run.name, " "], pairs_run.parent).code == 2


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("", "pairs.tsv: the file is empty"),
        ("a house\tein Haus\nonly one\n", "pairs.tsv, line 2"),
        ("a house\tein Haus\tCC BY\n", "cut -f1,2"),
        ("a house\t\n", "pairs.tsv, line 1: the target is empty"),
        ("a house\tein Haus\n" * 50, "too few"),
        (b"Gr\xf6\xdfe\tsize\n" * 50, "line 1"),
    ],
    ids=["empty", "one field", "three fields", "no target", "all alike", "latin-1"],
)
def test_pairs_that_cannot_be_used_get_one_sentence(cli, content, says) -> None:
    Path("pairs.tsv").write_bytes(content if isinstance(content, bytes) else content.encode())
    before = files_below(Path())
    answer = cli("run", CHAPTER, "--preset", "smoke", "--data", "pairs.tsv", "--output", "mine")
    assert answer.code == 2
    assert says in answer.sentence
    assert answer.sentence.startswith("keras-llm: ") and "Traceback" not in answer.err
    assert files_below(Path()) == before


def test_a_dataset_of_another_task_is_refused(cli) -> None:
    answer = cli("run", CHAPTER, "--preset", "smoke", "--dataset", "movie_reviews")
    assert answer.code == 2
    assert "movie_reviews is no dataset for translation" in answer.sentence
    assert "home_assistant_en_de" in answer.sentence


def test_data_and_dataset_exclude_each_other(cli) -> None:
    write_pairs(Path("pairs.tsv"))
    answer = cli("run", CHAPTER, "--data", "pairs.tsv", "--dataset", "home_assistant_en_de")
    assert answer.code == 2
    assert "--data and --dataset exclude each other" in answer.sentence


def test_translate_wants_a_translator(cli) -> None:
    answer = cli("translate", "nowhere", "The light is on.")
    assert answer.code == 2
    assert "There is no folder nowhere" in answer.sentence
