"""keras_llm.chat: the template, a loss on replies alone, conversations and their command."""

import io
import sys

import keras
import numpy as np
import pytest

from keras_llm.chat import Conversation, chat_examples, dialogue_ids
from keras_llm.cli import main
from keras_llm.errors import InputError
from keras_llm.generation import GREEDY
from keras_llm.language_model import LanguageModel
from keras_llm.models import GPT
from keras_llm.text import SubwordTokenizer
from keras_llm.training import SparseCrossentropy, fit

DIALOGUES = [["hello", "good day"], ["who are you", "a model"], ["hello", "good day", "who are you", "a model"]]
CONTEXT = 64


@pytest.fixture(scope="module")
def tokenizer() -> SubwordTokenizer:
    return SubwordTokenizer.train([turn for turns in DIALOGUES for turn in turns] * 3, vocabulary_size=280)


@pytest.fixture(scope="module")
def answering(tokenizer) -> LanguageModel:
    """A model that knows three dialogues by heart."""
    keras.utils.set_random_seed(0)
    language_model = LanguageModel(tokenizer, CONTEXT, "en", ends=True, chats=True)
    model = language_model.model = GPT(tokenizer.vocabulary_size, CONTEXT, 32, 2, 1, positions="rotary")
    model.compile(keras.optimizers.Adam(0.01), SparseCrossentropy(ignore_class=0))
    fit(model, chat_examples(tokenizer, DIALOGUES, CONTEXT, rounds=400), batch_size=3, verbose=0)
    return language_model


def test_the_template_parts_the_turns_and_what_is_learned_is_the_replies(tokenizer) -> None:
    ids, learned = dialogue_ids(tokenizer, ["hello", "good day", "who are you", "a model"])
    assert ids.count(1) == 2 and ids.count(2) == 4
    replies = tokenizer.decode([i for i, is_reply in zip(ids, learned, strict=True) if is_reply and i > 2])
    assert replies == "good daya model"
    assert [i for i, is_reply in zip(ids, learned, strict=True) if is_reply].count(2) == 2  # it learns to stop
    assert tokenizer.decode([i for i in dialogue_ids(tokenizer, ["<s> a </s>"])[0] if i > 2]) == "<s> a </s>"
    assert dialogue_ids(tokenizer, ["<s> a </s>"])[0].count(2) == 1  # what a user types ends no turn


def test_labels_are_shifted_and_count_in_replies_alone(tokenizer) -> None:
    for turns in DIALOGUES:
        inputs, labels = chat_examples(tokenizer, [turns], CONTEXT)
        assert inputs.shape == labels.shape == (1, CONTEXT)
        ids, learned = dialogue_ids(tokenizer, turns)
        places = np.flatnonzero(labels[0])
        np.testing.assert_array_equal(labels[0, places], np.array(ids)[places + 1])
        assert places.tolist() == [i - 1 for i, is_reply in enumerate(learned) if is_reply]
    short, cut = chat_examples(tokenizer, DIALOGUES[2:], 5)
    whole = dialogue_ids(tokenizer, DIALOGUES[2])[0]
    assert short[0].tolist() == whole[-6:-1] and cut[0, -1] == 2  # the end of a long dialogue stays


def test_a_row_holds_whole_dialogues_and_each_round_has_an_order_of_its_own(tokenizer) -> None:
    ids = [dialogue_ids(tokenizer, turns)[0] for turns in DIALOGUES]
    room = len(ids[0]) + len(ids[1]) - 1  # for the first two, to the last token
    inputs, labels = chat_examples(tokenizer, DIALOGUES[:2], room)
    assert inputs.tolist() == [[*ids[0], *ids[1]][:-1]] and labels[0, -1] == 2
    inputs, labels = chat_examples(tokenizer, DIALOGUES[:2], room - 1)
    assert [row[row > 0].tolist() for row in inputs] == [ids[0][:-1], ids[1][:-1]]
    many, _ = chat_examples(tokenizer, DIALOGUES, 256, rounds=8)
    joined = [i for row in many for i in row if i > 0]
    assert joined.count(tokenizer.start_id) == 8 * 4  # nothing is lost at the end of a row
    again, other = (chat_examples(tokenizer, DIALOGUES, 256, rounds=8, seed=seed)[0] for seed in (0, 1))
    np.testing.assert_array_equal(again, many)
    assert not np.array_equal(other, many)


def test_a_conversation_remembers_and_forgets_what_does_not_fit(answering) -> None:
    talk = Conversation(answering, GREEDY)
    assert "".join(talk.reply("hello")) == "good day"
    assert "".join(talk.reply("who are you")) == "a model"
    assert talk.turns == DIALOGUES[2]
    for _ in range(8):  # far beyond the context
        "".join(talk.reply("hello"))
    assert len(talk.turns) == 20
    broken = talk.reply("hello")
    next(broken)
    broken.close()
    assert len(talk.turns) == 20  # a reply that was stopped is none


def test_a_model_that_only_goes_on_does_not_chat(answering, tmp_path, capsys) -> None:
    plain = LanguageModel(answering.tokenizer, CONTEXT, "en", ends=True, model=answering.model)
    with pytest.raises(InputError, match="keras-llm generate"):
        Conversation(plain, GREEDY)
    plain.save(tmp_path)
    with pytest.raises(SystemExit) as stopped:
        main(["chat", str(tmp_path)])
    assert stopped.value.code == 2 and "not learned to answer" in capsys.readouterr().err


def test_the_command_answers_line_by_line(answering, tmp_path, monkeypatch, capsys) -> None:
    answering.save(tmp_path)
    monkeypatch.setattr(sys, "stdin", io.StringIO("hello\n\n/new\nwho are you\n"))
    main(["chat", str(tmp_path), "--temperature", "0", "--repetition-penalty", "1"])
    assert capsys.readouterr().out.split("\n")[:2] == ["good day", "a model"]
