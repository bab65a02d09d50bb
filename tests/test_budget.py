"""What of a file is fine-tuned on in so many minutes."""

import pytest

from keras_llm.budget import COST_OF_TRAINING, PADDED, budget

FILE = {"validation": 100, "test": 100}


def plan(minutes, seconds=1e-3, texts=1_000, length=100, **options):
    return budget(minutes, seconds, [length] * texts, 100, 200, **{"epochs": 3, **FILE, **options})


def test_without_a_limit_all_is_taken() -> None:
    found = plan(None)
    assert (found.epochs, found.texts, found.scored_length) == (3, 1_000, 200)
    trained, scored = 3 * 1_000 + 100, 3 * 100 + 100
    read = 100 * (trained * COST_OF_TRAINING["float32"] + scored)
    assert found.minutes == pytest.approx(PADDED * 1e-3 * read / 60, abs=0.05)


@pytest.mark.parametrize("minutes", [30.0, 20.0, 14.0, 8.0, 4.0, 2.0])
def test_no_more_is_taken_than_fits_and_no_less(minutes) -> None:
    found = plan(minutes)
    assert found.minutes <= minutes + 0.05
    if found.texts < 1_000:
        assert found.epochs == 1 and found.minutes == pytest.approx(minutes, rel=0.05)
    elif found.epochs < 3:
        assert plan(None, epochs=found.epochs + 1).minutes > minutes


def test_scoring_leaves_time_for_the_training() -> None:
    assert plan(2.0, length=200, test=300).scored_length == 100
    assert plan(9.0, length=200, test=300).scored_length == 200


def test_a_file_without_time_still_gets_some_texts() -> None:
    found = plan(0.5, test=100_000)
    assert (found.epochs, found.texts, found.scored_length) == (1, 32, 100) and found.minutes > 0.5
