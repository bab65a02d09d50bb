"""Paraphrases found through translations: what one translation joins, parts that share no phrase."""

import numpy as np
import pytest

from keras_llm.data.paraphrases import load_paraphrases, paraphrases_of

TOY = [
    (f"{verb} {noun} {number}", f"{translation} {noun} {number}")
    for number in range(40)
    for noun in ("lamp", "door")
    for verb, translation in (("open", "auf"), ("unlock", "auf"), ("close", "zu"), ("shut", "zu"))
]


def phrases(pairs) -> set[str]:
    return {*pairs.firsts, *pairs.seconds}


@pytest.fixture(scope="module")
def toy():
    return paraphrases_of(TOY)


def test_one_translation_makes_a_paraphrase(toy) -> None:
    translation = dict(TOY)
    for part in toy.values():
        for first, second, label in zip(part.firsts, part.seconds, part.labels, strict=True):
            assert (translation[first] == translation[second]) == bool(label)
            assert first != second
    assert sum(int(part.labels.sum()) for part in toy.values()) == 160


def test_other_pairs_share_a_word(toy) -> None:
    part = toy["train"]
    zeros = np.flatnonzero(part.labels == 0)
    assert 0.4 < len(zeros) / len(part) < 0.6
    assert all(set(part.firsts[row].split()) & set(part.seconds[row].split()) for row in zeros)


def test_parts_share_no_phrase(toy) -> None:
    train, validation, test = (phrases(toy[name]) for name in ("train", "validation", "test"))
    assert train and validation and test
    assert not train & validation and not train & test and not validation & test


def test_fewer_rows(toy) -> None:
    few = toy["train"].take(5)
    assert (few.firsts, few.seconds) == (toy["train"].firsts[:5], toy["train"].seconds[:5])
    assert few.labels.tolist() == toy["train"].labels[:5].tolist()
    assert len(toy["train"].take(None)) == len(toy["train"].take(10**6)) == len(toy["train"])


def test_spelling_makes_no_paraphrase() -> None:
    pairs = paraphrases_of([("Turn on", "an"), ("turn ON!", "an"), ("Switch on", "an"), ("Turn off", "aus")])
    found = [
        (first, second) for part in pairs.values() for first, second in zip(part.firsts, part.seconds, strict=True)
    ]
    assert ("Switch on", "Turn on") in found
    assert not any("turn ON!" in pair for pair in found)


def test_the_seed_decides() -> None:
    assert paraphrases_of(TOY, 1)["test"].firsts == paraphrases_of(reversed(TOY), 1)["test"].firsts
    assert paraphrases_of(TOY, 1)["test"].firsts != paraphrases_of(TOY, 2)["test"].firsts


@pytest.mark.network
def test_the_catalogs_have_thousands() -> None:
    pairs = load_paraphrases()
    assert len(pairs["train"]) > 2_000
    assert len(pairs["test"]) > 400
    assert not phrases(pairs["train"]) & phrases(pairs["test"])
