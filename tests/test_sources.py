"""The texts of a run: the catalog's, the user's own, or none at all."""

from pathlib import Path

import pytest

from keras_llm import data, sources
from keras_llm.errors import InputError
from keras_llm.sources import Options, Sources


class Reader(Sources):
    chapter = "ch01_neural_network"

    def __init__(self, **options) -> None:
        self.options, self.provenance = Options(**options), []


@pytest.fixture
def novel(tmp_path) -> Path:
    path = tmp_path / "novel.txt"
    path.write_text("\n\n".join(f"Paragraph {i} tells of {i * i} things." for i in range(60)), encoding="utf-8")
    return path


@pytest.mark.parametrize("option", ["data", "test_data"])
def test_a_chapter_without_use_for_a_file_says_so(novel, option) -> None:
    with pytest.raises(InputError, match=r"ch01_neural_network takes no file of yours \(its points\): leave --data"):
        Reader(**{option: novel}).refuse_own_data("its points")
    Reader().refuse_own_data("its points")
    with pytest.raises(InputError, match=r"leave --data, --dataset and --test-data away"):
        Reader(dataset="movie_reviews").refuse_own_data("its points")


def test_a_dataset_of_another_task_or_of_no_name_is_refused() -> None:
    with pytest.raises(InputError, match=r"home_assistant_en_zh is no dataset for classification: .* movie_reviews, "):
        Reader(dataset="home_assistant_en_zh").load_own_data()
    with pytest.raises(InputError, match=r"movie_reviews is no dataset for translation: .* home_assistant_en_zh, "):
        Reader(dataset="movie_reviews").load_own_data("translation")
    with pytest.raises(InputError, match=r"did you mean 'home_assistant_en_\w\w'\?"):
        Reader(dataset="home_assistant_en").load_own_data("translation")
    with pytest.raises(InputError, match="no dataset called 'glove'"):
        Reader(dataset="glove").load_own_data()


def test_a_chosen_dataset_counts_as_the_users_data(monkeypatch) -> None:
    monkeypatch.setattr(data, "load", lambda name: f"the dataset {name}")
    reader = Reader(dataset="tweets")
    assert reader.own_data and reader.load_own_data() == "the dataset tweets"
    assert not Reader().own_data


def test_pairs_are_read_as_such_and_noted(tmp_path, capsys) -> None:
    path = tmp_path / "pairs.tsv"
    path.write_text("".join(f"cat {i}\tKatze {i}\n" for i in [*range(40), 0]), encoding="utf-8")
    reader = Reader(data=path)
    pairs = reader.load_own_data("translation")
    assert len(pairs.train) + len(pairs.validation) + len(pairs.test) == 40
    assert capsys.readouterr().out.startswith("Note: 1 pair(s) of pairs left out")
    reader.use_data(pairs)
    assert reader.provenance[0]["dataset"] == "pairs"


def test_running_text_is_read_as_such_and_noted(novel) -> None:
    reader = Reader(data=novel)
    corpus = reader.load_own_data("corpus")
    assert sum(len(list(part)) for part in (corpus.train, corpus.validation, corpus.test)) == 60
    reader.use_data(corpus)
    assert reader.provenance[0]["dataset"] == "novel"


def test_a_large_file_is_announced(novel, monkeypatch, capsys) -> None:
    Reader(data=novel).load_own_data("corpus")
    assert capsys.readouterr().out == ""
    monkeypatch.setattr(sources, "LARGE", 100)
    Reader(data=novel).load_own_data("corpus")
    assert capsys.readouterr().out.startswith(f"Reading {novel}, 0.0 GB")


def test_a_file_of_the_other_kind_is_refused(novel, tmp_path) -> None:
    with pytest.raises(InputError, match=r"novel\.txt"):
        Reader(data=novel).load_own_data()
    table = tmp_path / "reviews.csv"
    table.write_text("text,label\ngood,1\nbad,0\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"running text comes as \.txt"):
        Reader(data=table).load_own_data("corpus")


def test_fewer_texts_than_a_batch_are_refused(tmp_path) -> None:
    table = tmp_path / "reviews.csv"
    rows = "".join(f"good {i},1\nbad {i},0\n" for i in range(20))
    table.write_text("text,label\n" + rows, encoding="utf-8")
    reader = Reader(data=table)
    with pytest.raises(InputError, match="fewer than one batch of 64"):
        reader.use_data(reader.load_own_data(), rows_at_least=64)
    assert not reader.provenance
