"""Splits that are the same everywhere and share no text; parts; batches."""

import hashlib
import random
import sys

import numpy as np
import pytest

from keras_llm.data import ClassificationData, Part, from_files, length_for, pad_sequences_to
from keras_llm.data.batches import row_numbers
from keras_llm.data.splits import deduplicate, fingerprints, normalise, stratified_split
from keras_llm.errors import InputError

CLASSES = ("x", "y", "z")


def synthetic(count: int = 300) -> tuple[list[str], list[int]]:
    return [f"Text number {row}, ein schöner Tag" for row in range(count)], [min(row % 6, 2) for row in range(count)]


def split(texts: list[str], labels: list[int], seed: int = 0) -> list[list[str]]:
    places = fingerprints(texts, seed)[1]
    return [[texts[row] for row in part] for part in stratified_split(labels, places, (0.1, 0.2), CLASSES, "here")]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("  Hello,   WORLD_2! ", "hello world 2"),
        ("Ｈｅｌｌｏ straße", "hello strasse"),
        ("我，喜欢！", "我 喜欢"),
        (" :-) ", ":-)"),
        ("É", "é"),
    ],
)
def test_normalise(text, expected) -> None:
    assert normalise(text) == expected


def test_ascii_shortcut_agrees_with_the_general_way() -> None:
    draw = random.Random(0)
    for _ in range(200):
        text = "".join(chr(draw.randrange(128)) for _ in range(30)) + "a"
        assert normalise(text + "é") == (normalise(text + "e")[:-1] + "é")


def test_split_is_the_same_on_every_machine() -> None:
    parts = split(*synthetic())
    digest = hashlib.sha256("\n".join("\t".join(part) for part in parts).encode()).hexdigest()
    assert digest == "09eaa6e92fe20da936265ee7fd570fba76e29c125ae2006bbb9cf6774df177f9"


def test_split_ignores_row_order_and_follows_the_seed() -> None:
    texts, labels = synthetic()
    rows = list(zip(texts, labels, strict=True))
    random.Random(1).shuffle(rows)
    assert split([text for text, _ in rows], [label for _, label in rows]) == split(texts, labels)
    assert split(texts, labels, seed=1) != split(texts, labels)


def test_split_is_stratified_whole_and_disjoint() -> None:
    texts, labels = synthetic()
    train, validation, test = split(texts, labels)
    assert sorted(train + validation + test) == sorted(texts)
    label_of = dict(zip(texts, labels, strict=True))
    shares = [np.bincount([label_of[text] for text in part]).tolist() for part in (train, validation, test)]
    assert shares == [[35, 35, 140], [5, 5, 20], [10, 10, 40]]
    # Parts are mixed, not sorted by class.
    assert len({label_of[text] for text in train[:60]}) == 3


def test_split_needs_rows_of_each_class_and_sound_fractions() -> None:
    texts = [f"t{row}" for row in range(8)]
    places = fingerprints(texts, 0)[1]
    with pytest.raises(InputError, match=r"here: the class 'y' has only 2 distinct row\(s\).*at least 3"):
        stratified_split([0, 0, 0, 0, 0, 0, 1, 1], places, (0.1, 0.2), ("x", "y"), "here")
    for fractions in ((0.5, 0.5), (-0.1, 0.2), (1.0, 0.0)):
        with pytest.raises(InputError, match="validation_fraction"):
            stratified_split([0, 1] * 4, places, fractions, ("x", "y"), "here")
    train, validation, test = stratified_split([0, 1] * 4, places, (0.0, 0.2), ("x", "y"), "here")
    assert (len(train), len(validation), len(test)) == (6, 0, 2)


def test_deduplicate_counts_what_it_drops() -> None:
    texts = ["Good film!", "good film", "bad", "so-so", "So so", "good  film."]
    kept, duplicates, ambiguous = deduplicate(fingerprints(texts, 0)[0], ["p", "p", "n", "n", "p", "p"])
    assert (kept, duplicates, ambiguous) == ([0, 2], 2, 2)


def test_no_text_is_in_two_parts(tmp_path) -> None:
    draw = random.Random(0)
    lines = ["text,label"]
    for _ in range(2000):
        number = draw.randrange(600)
        lines.append(
            draw.choice(["Film {}!", "film {}", "FILM, {}", "film   {} ..."]).format(number).join('""')
            + f",{number % 2}"
        )
    path = tmp_path / "rows.csv"
    path.write_text("\n".join(lines), encoding="utf-8")
    data = from_files(path)
    seen = [{normalise(text) for text in part.texts} for part in (data.train, data.validation, data.test)]
    assert sum(map(len, seen)) == len(set.union(*seen)) == data.provenance["rows"]
    assert data.provenance["dropped_duplicates"] == 2000 - data.provenance["rows"] > 1000


def test_take_keeps_shares_and_is_deterministic() -> None:
    texts, labels = synthetic()
    part = Part(tuple(texts), np.array(labels))
    small = part.take(30)
    assert np.bincount(small.labels).tolist() == [5, 5, 20]
    assert small.texts == part.take(30).texts != part.take(30, seed=1).texts
    assert set(zip(small.texts, small.labels.tolist(), strict=True)) <= set(zip(texts, labels, strict=True))
    assert [len(part.take(n)) for n in range(3, 300)] == list(range(3, 300))
    assert part.take(None) is part and part.take(1000) is part
    with pytest.raises(InputError, match="take at least 3"):
        part.take(2)
    rare = Part(tuple("abcdefghij"), np.array([0] * 9 + [1]))
    assert sorted(rare.take(2).labels.tolist()) == [0, 1]


def test_part_is_read_only_and_consistent() -> None:
    part = Part(("a", "b"), np.array([0, 1]))
    assert part.labels.dtype == np.int32 and len(part) == 2
    with pytest.raises(ValueError, match="read-only"):
        part.labels[0] = 1
    with pytest.raises(ValueError, match="2 texts"):
        Part(("a", "b"), np.array([0]))


def test_data_take_and_summary() -> None:
    texts, labels = synthetic()
    whole = Part(tuple(texts), np.array(labels))
    data = ClassificationData("toy", "en", CLASSES, whole, whole.take(60), whole.take(30), {"rows": 300})
    small = data.take(train=90, test=12)
    assert (len(small.train), len(small.validation), len(small.test)) == (90, 60, 12)
    assert small.provenance == {"rows": 300, "taken": {"train": 90, "validation": 60, "test": 12}}
    lines = small.summary().splitlines()
    assert lines[0].startswith("toy (en)") and lines[-1].split() == ["total", "90", "60", "12"]
    assert lines[2].split() == ["x", "15", "10", "2"]


def test_pad_sequences_to() -> None:
    ids = [[1, 2, 3, 4], [], np.array([5]), (6, 7)]
    assert pad_sequences_to(ids, 3).tolist() == [[1, 2, 3], [0, 0, 0], [5, 0, 0], [6, 7, 0]]
    assert pad_sequences_to(ids, 3, keep="tail", padding_id=9).tolist() == [[2, 3, 4], [9, 9, 9], [5, 9, 9], [6, 7, 9]]
    assert pad_sequences_to([], 3).shape == (0, 3) and pad_sequences_to(ids, 3).dtype == np.int32
    for wrong in ({"sequence_length": 0}, {"sequence_length": 2, "keep": "middle"}):
        with pytest.raises(ValueError, match="sequence_length"):
            pad_sequences_to(ids, **wrong)


def test_length_for() -> None:
    lengths = list(range(1, 101))
    assert length_for(lengths) == 96 and length_for(lengths, 1.0) == 104 and length_for(lengths, 0.5) == 56
    assert length_for(lengths, 1.0, maximum=64) == 64 and length_for([0]) == 8
    for wrong in (([], 0.9), ([1], 0.0), ([1], 1.1)):
        with pytest.raises(ValueError, match="share"):
            length_for(*wrong)


def test_batches_drop_nothing_and_shuffle_by_seed() -> None:
    from keras_llm.data import batches

    inputs, labels = np.arange(20, dtype=np.int32).reshape(10, 2), np.arange(10)

    def epoch(dataset) -> list[int]:
        return [label for _, batch in dataset.as_numpy_iterator() for label in batch.tolist()]

    plain = batches(inputs, labels, batch_size=4)
    assert [len(batch) for _, batch in plain.as_numpy_iterator()] == [4, 4, 2] and int(plain.cardinality()) == 3
    assert epoch(plain) == list(range(10))
    shuffled = batches(inputs, labels, batch_size=4, shuffle_seed=3)
    first, second = epoch(shuffled), epoch(shuffled)
    assert sorted(first) == sorted(second) == list(range(10)) and first != second != list(range(10))
    again = batches(inputs, labels, batch_size=4, shuffle_seed=3)
    assert [epoch(again), epoch(again)] == [first, second]
    for rows, batch in shuffled.as_numpy_iterator():
        assert (rows[:, 0] == 2 * batch).all()  # inputs and labels stay together


def test_many_rows_are_shuffled_in_a_window(monkeypatch) -> None:
    monkeypatch.setattr(sys.modules[row_numbers.__module__], "MOST_SHUFFLED", 4)
    rows = list(row_numbers(100, shuffle_seed=0).as_numpy_iterator())
    assert sorted(rows) == list(range(100)) != rows
    assert all(row < place + 4 for place, row in enumerate(rows))  # none comes before it is among the next four


def test_batches_shapes_and_structures() -> None:
    from keras_llm.data import batches

    inputs, labels = np.zeros((8, 5), np.int32), np.zeros(8)
    assert batches(inputs, batch_size=4).element_spec.shape == (4, 5)
    assert batches(inputs, batch_size=3).element_spec.shape.as_list() == [None, 5]
    weighted = batches({"a": inputs, "b": inputs}, labels, batch_size=4, sample_weight=np.ones(8))
    rows, _, weight = next(iter(weighted))
    assert rows["b"].shape == (4, 5) and weight.shape == (4,)
    for wrong in (
        {"inputs": inputs, "labels": labels[:7]},
        {"inputs": inputs[:0]},
        {"inputs": inputs, "sample_weight": labels},
    ):
        with pytest.raises(ValueError, match=r"number of examples|needs labels"):
            batches(**wrong, batch_size=4)
