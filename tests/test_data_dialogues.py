"""keras_llm.data: dialogues are cleaned, counted once, and split by their openings."""

import io
import zipfile

import pytest

from keras_llm.data.dialogues import MOST_CHARACTERS, dialogues_of
from keras_llm.data.readers import conversations
from keras_llm.errors import InputError

FOUND = [(f"question {i}?", f"answer {i}") for i in range(40)]


def test_parts_share_no_opening_and_follow_the_seed() -> None:
    found = [*FOUND, *((question.upper(), "another answer") for question, _ in FOUND)]
    data = dialogues_of("toy", "en", found, {})
    openings = [{turns[0].lower() for turns in part} for part in (data.train, data.validation, data.test)]
    assert [len(part) for part in openings] == [32, 4, 4] and len(set.union(*openings)) == 40
    assert len(data.train) == 64  # both answers of an opening
    backwards = dialogues_of("toy", "en", found[::-1], {})
    assert set(backwards.test) == set(data.test)  # which part is no matter of the order in the file
    assert set(dialogues_of("toy", "en", found, {}, seed=1).test) != set(data.test)
    assert "train" in data.summary() and len(data.take(train=3).train) == 3


def test_turns_are_cleaned_and_what_has_no_reply_is_left_out() -> None:
    long = "x" * (MOST_CHARACTERS + 1)
    found = [("a\n  b", "c", long, "d"), ("e", long), ("f",), ("A b!", "C.")]
    data = dialogues_of("toy", "en", [*FOUND, *found], {}, validation_fraction=0, test_fraction=0)
    assert len(data.train) == 41 and ("a b", "c") in data.train
    assert data.provenance["dropped_without_reply"] == 2 and data.provenance["dropped_duplicates"] == 1


def test_too_few_openings_and_wrong_fractions_are_refused() -> None:
    with pytest.raises(InputError, match="9 distinct opening"):
        dialogues_of("toy", "en", FOUND[:9], {})
    with pytest.raises(InputError, match="leave something to train on"):
        dialogues_of("toy", "en", FOUND, {}, test_fraction=0.95)


def test_yaml_turns_are_texts_whatever_they_look_like(tmp_path) -> None:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as bundle:
        bundle.writestr("b.yml", "conversations:\n- - is it true\n  - yes\n- - how many\n  - 42\n  -\n")
        bundle.writestr("a.yml", "categories: [x]\nconversations:\n- - 你好\n  - 嗨\n")
    (tmp_path / "members.zip").write_bytes(content.getvalue())
    found = list(conversations({"members.zip": tmp_path / "members.zip"}))
    assert found == [("你好", "嗨"), ("is it true", "yes"), ("how many", "42", "")]
