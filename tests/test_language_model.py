"""keras_llm.language_model: texts in, texts out, as one folder; and the command that writes with it."""

import json

import keras
import numpy as np
import pytest

from keras_llm.data import windows
from keras_llm.errors import InputError
from keras_llm.generation import Sampling
from keras_llm.language_model import LanguageModel
from keras_llm.models import GPT
from keras_llm.text import CharacterTokenizer, SubwordTokenizer
from keras_llm.training import SparseCrossentropy, fit

TEXT = "the cat sat on the mat; the dog sat on the log. "
CONTEXT = 32


@pytest.fixture(scope="module")
def by_heart() -> LanguageModel:
    """A model that knows one line by heart."""
    keras.utils.set_random_seed(0)
    language_model = LanguageModel(CharacterTokenizer.train([TEXT]), CONTEXT, "en")
    ids = language_model.token_ids([TEXT * 12])
    model = language_model.model = GPT(language_model.tokenizer.vocabulary_size, CONTEXT, 32, 4, 2)
    model.compile(keras.optimizers.Adam(5e-3), SparseCrossentropy())
    rows = [windows(ids[shift:], CONTEXT) for shift in range(0, 32, 4)]
    x, y = (np.concatenate(each) for each in zip(*rows, strict=True))
    fit(model, (x, y), epochs=25, batch_size=16, verbose=0)
    return language_model


def test_it_goes_on_with_what_it_has_read(by_heart) -> None:
    written = by_heart.write(["the cat sat on ", "the dog sat"], 12)
    assert written == ["the mat; the", " on the log. "[:12]]
    assert by_heart.write([""], 4) != [""]  # something stands at every beginning


def test_a_text_may_grow_beyond_the_context(by_heart) -> None:
    pieces = list(by_heart.stream("the cat sat on the mat; ", 100))
    assert "".join(pieces) == (TEXT * 4)[24:124] and len(pieces) > 5
    assert "".join(by_heart.stream("the cat sat on the mat; ", 3)) == "the"
    assert len(by_heart.write(["the cat sat on "], CONTEXT)[0]) == CONTEXT  # the prompt's last token is all that fits
    for wrong in (0, CONTEXT + 1):
        with pytest.raises(ValueError, match="must be 1 to 32"):
            by_heart.write(["the"], wrong)


def test_a_draw_is_fixed_by_its_seed(by_heart) -> None:
    sampling = Sampling(temperature=3.0)
    texts = ["".join(by_heart.stream("the ", 40, sampling, seed)) for seed in (1, 1, 2)]
    assert texts[0] == texts[1] != texts[2]


def test_a_report_counts_tokens_and_characters(by_heart) -> None:
    report = by_heart.report([TEXT * 4])
    assert report.tokens == report.characters == 160  # five rows of 32 of 192 characters
    assert report.perplexity < 1.5 and report.bits_per_character == report.bits_per_byte


def test_an_end_token_ends_what_is_written_and_pieces_of_characters_wait() -> None:
    keras.utils.set_random_seed(0)
    tokenizer = SubwordTokenizer.train(["ab电影"] * 3, vocabulary_size=259)
    language_model = LanguageModel(tokenizer, CONTEXT, "zh", ends=True)
    ids = language_model.token_ids(["ab电影"] * 40)
    assert (ids == tokenizer.end_id).sum() == 40
    model = language_model.model = GPT(tokenizer.vocabulary_size, CONTEXT, 32, 4, 1)
    model.compile(keras.optimizers.Adam(5e-3), SparseCrossentropy())
    fit(model, windows(ids, CONTEXT), epochs=60, batch_size=4, verbose=0)
    assert language_model.write(["a", "ab电"], 20) == ["b电影", "影"]
    pieces = list(language_model.stream("a", 20))
    assert "".join(pieces) == "b电影" and "\ufffd" not in "".join(pieces)
    assert language_model.write([""], 20) == ["ab电影"]


def test_saved_and_loaded_it_writes_the_same(by_heart, tmp_path) -> None:
    by_heart.save(tmp_path)
    loaded = LanguageModel.load(tmp_path)
    assert loaded.write(["the dog "], 10) == by_heart.write(["the dog "], 10)
    assert (loaded.context_length, loaded.language, loaded.ends, loaded.chats) == (CONTEXT, "en", False, False)
    about = json.loads((tmp_path / "language_model.json").read_text())
    (tmp_path / "language_model.json").write_text(json.dumps({**about, "context_length": 16}))
    with pytest.raises(InputError, match="of another run"):
        LanguageModel.load(tmp_path)


def test_the_command_writes_and_refuses(by_heart, tmp_path, capsys) -> None:
    from keras_llm.cli import main

    by_heart.save(tmp_path)
    main(["generate", str(tmp_path), "the cat sat on ", "--max-tokens", "7", "--temperature", "0"])
    assert capsys.readouterr().out.strip() == "the cat sat on the mat"
    for arguments, words in (
        (["--top-p", "0"], "--top-p 0.0 must be above 0"),
        (["--temperature", "-1"], "--temperature"),
    ):
        with pytest.raises(SystemExit) as stopped:
            main(["generate", str(tmp_path), "the", *arguments])
        assert stopped.value.code == 2 and words in capsys.readouterr().err
