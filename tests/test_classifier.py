"""A saved classifier: it says the same after loading, and what is wrong with its files is one sentence."""

import io
import json
import shutil
import sys
import zipfile
from pathlib import Path

import keras
import numpy as np
import pytest

from keras_llm.classifier import Classifier
from keras_llm.data import Part
from keras_llm.errors import InputError
from keras_llm.models import LSTMClassifier
from keras_llm.text import SubwordTokenizer, WordTokenizer
from keras_llm.text_model import load_model

pytest_plugins = ["tests.command_line_fixtures"]
TEXTS = ["a moving film", "a dull film", "what a clever, clever film"]


def make(num_classes: int = 2, words: int = 8, length: int = 4) -> Classifier:
    """A classifier that has learned nothing."""
    keras.utils.set_random_seed(0)
    tokenizer = WordTokenizer.train(TEXTS, vocabulary_size=words)
    model = LSTMClassifier(num_classes, tokenizer.vocabulary_size, embedding_dim=3, units=2)
    model.build((None, length))
    names = ("差评", "好评", "so-so", "none")[:num_classes]
    return Classifier(tokenizer, length, names, model)


@pytest.fixture(scope="session")
def saved(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("classifier")
    make().save(folder)
    return folder


@pytest.fixture
def copy(saved, tmp_path) -> Path:
    """A copy of the saved classifier, to be damaged."""
    return Path(shutil.copytree(saved, tmp_path / "copy"))


def archive(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        for name, content in files.items():
            file.writestr(name, content)
    return buffer.getvalue()


@pytest.mark.parametrize("num_classes", [2, 4])
def test_it_says_the_same_after_loading(tmp_path, num_classes) -> None:
    classifier = make(num_classes)
    before = classifier.probabilities(TEXTS)
    classifier.save(tmp_path)
    loaded = Classifier.load(tmp_path)
    np.testing.assert_array_equal(loaded.probabilities(TEXTS), before)
    assert (loaded.classes, loaded.sequence_length) == (classifier.classes, classifier.sequence_length)
    assert before.shape == (3, num_classes)
    np.testing.assert_allclose(before.sum(axis=1), 1, rtol=1e-6)
    assert {path.name for path in tmp_path.iterdir()} == {"model.keras", "tokenizer.json", "classifier.json"}


def test_many_texts_say_what_few_do() -> None:
    classifier = make(3)
    many = classifier.probabilities(TEXTS * 20, batch_size=16)  # compiled, in batches with a smaller last one
    np.testing.assert_allclose(many[:3], classifier.probabilities(TEXTS), atol=1e-6)
    np.testing.assert_allclose(many[:3], many[-3:], atol=1e-6)


def test_texts_scored_beside_others_of_similar_length_keep_their_places() -> None:
    classifier = make(3, length=8)
    texts = [*TEXTS, "film", "a dull film what a moving film", *TEXTS * 10]
    one_length = classifier.probabilities(texts)
    np.testing.assert_allclose(classifier.probabilities(texts, 4, boundaries=(2, 4, 8)), one_length, atol=1e-6)
    assert not np.allclose(one_length[3], one_length[4], atol=1e-6)  # else any order would do


def test_long_texts_lose_their_middle_and_short_ones_are_padded() -> None:
    classifier = make(length=4)
    ids = classifier.token_ids(["a film", "a dull film what a moving film"])
    word = classifier.tokenizer.token_to_id
    assert ids.tolist() == [[word["a"], word["film"], 0, 0], [word["a"], word["dull"], word["moving"], word["film"]]]
    assert ids.dtype == np.int32
    x, y = classifier.arrays(Part(("a film",), np.array([1])))
    assert x.shape == (1, 4)
    assert y.tolist() == [1]


def test_only_a_training_that_was_not_stopped_counts_as_finished(tmp_path) -> None:
    assert not Classifier.is_finished(tmp_path)
    make().save(tmp_path, interrupted=True)
    assert not Classifier.is_finished(tmp_path)
    make().save(tmp_path)
    assert Classifier.is_finished(tmp_path)


def test_a_save_that_is_cut_off_is_no_classifier(copy, monkeypatch) -> None:
    def full(*arguments, **options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(keras.Model, "save", full)
    with pytest.raises(OSError, match="No space"):
        make(words=6).save(copy)
    assert not any(path.name.startswith("partial") for path in copy.iterdir())
    with pytest.raises(InputError, match=r"holds no classifier\.json"):
        Classifier.load(copy)


# --- files that are wrong -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["model.keras", "tokenizer.json", "classifier.json"])
def test_a_missing_file_is_named(copy, name) -> None:
    (copy / name).unlink()
    with pytest.raises(InputError, match=rf"copy holds no {name}: give the folder of a finished run"):
        Classifier.load(copy)


@pytest.mark.parametrize(
    "content", ["", "{", "[]", "null", "{}", '{"sequence_length": "x", "classes": []}', "\ufeff{}"]
)
def test_a_damaged_classifier_json(copy, content) -> None:
    (copy / "classifier.json").write_text(content, encoding="utf-8")
    with pytest.raises(InputError, match=r"classifier\.json is damaged"):
        Classifier.load(copy)


def test_the_tokenizer_of_another_run(copy) -> None:
    WordTokenizer.train(["other words"], 5).save(copy / "tokenizer.json")
    with pytest.raises(InputError, match=r"tokenizer\.json is not the tokenizer that .*model\.keras learned"):
        Classifier.load(copy)
    SubwordTokenizer.train(["其他的词"], 300).save(copy / "tokenizer.json")
    with pytest.raises(InputError, match="is not the tokenizer"):
        Classifier.load(copy)


@pytest.mark.parametrize("other", [{"words": 6}, {"num_classes": 4}])
def test_the_model_of_another_run(copy, tmp_path, other) -> None:
    make(**other).save(tmp_path)
    shutil.copy(tmp_path / "model.keras", copy)
    with pytest.raises(InputError, match=r"model\.keras is of another run"):
        Classifier.load(copy)


@pytest.mark.parametrize("share", [0.0, 0.3, 0.7, 0.999])
def test_a_truncated_model(copy, share) -> None:
    path = copy / "model.keras"
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(InputError, match=r"model\.keras is damaged .*: run the chapter again"):
        Classifier.load(copy)


def test_a_flipped_byte_in_the_weights(copy) -> None:
    path = copy / "model.keras"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)
    with pytest.raises(InputError, match="is damaged"):
        Classifier.load(copy)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("LSTMClassifier", "Nowhere"),
        ('"units": 2', '"units": 3'),
        ('"units": 2', '"width": 2'),
        ('"num_classes": 2', '"num_classes": 0'),
    ],
)
def test_a_model_that_is_not_ours(copy, old, new) -> None:
    with zipfile.ZipFile(copy / "model.keras") as file:
        files = {name: file.read(name) for name in file.namelist()}
    config = files["config.json"].decode()
    assert old in config
    files["config.json"] = config.replace(old, new).encode()
    (copy / "model.keras").write_bytes(archive(files))
    with pytest.raises(
        InputError, match=r"model\.keras cannot be loaded \(.+\): is it a model of this course\?"
    ) as info:
        Classifier.load(copy)
    assert "\n" not in str(info.value)


def test_a_model_without_its_parts(copy) -> None:
    with zipfile.ZipFile(copy / "model.keras") as file:
        files = {name: file.read(name) for name in file.namelist()}
    for name in ("config.json", "model.weights.h5"):
        (copy / "model.keras").write_bytes(archive({key: files[key] for key in files if key != name}))
        with pytest.raises(InputError, match=r"model\.keras (is damaged|cannot be loaded)"):
            load_model(copy / "model.keras")


def test_a_lambda_layer_is_not_run(tmp_path) -> None:
    layers = [keras.Input((4,)), keras.layers.Lambda(lambda x: x * 2), keras.layers.Dense(1)]
    keras.Sequential(layers).save(tmp_path / "model.keras")
    with pytest.raises(InputError, match="Lambda layer, which would run code from the file"):
        load_model(tmp_path / "model.keras")


def test_no_file_and_no_folder(tmp_path) -> None:
    with pytest.raises(InputError, match="There is no folder"):
        Classifier.load(tmp_path / "none")
    with pytest.raises(InputError, match="There is no model file"):
        load_model(tmp_path / "none.keras")


# --- keras-llm predict --------------------------------------------------------------------------------------------


def type_lines(monkeypatch, content: bytes) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content), encoding="utf-8"))


def test_predict_names_the_class_and_its_probability(cli, saved) -> None:
    answer = cli("predict", saved, "A dull film.", "好看")
    assert answer.code == 0, answer.err
    assert not answer.err
    first, second = answer.out.splitlines()
    label, share, text = first.split("  ")
    assert label in ("差评", "好评")
    assert 50 <= float(share.rstrip("%")) <= 100
    assert text == "A dull film."
    assert second.endswith("好看")


@pytest.mark.parametrize(
    ("about", "words"),
    [
        ({"status": "done", "preset": "smoke"}, "smoke preset has learned nothing"),
        ({"status": "interrupted", "preset": "cpu", "resume": "keras-llm run x"}, "go on with: keras-llm run x"),
        ({"status": "done", "preset": "cpu"}, ""),
    ],
)
def test_predict_says_what_cannot_be_expected(cli, saved, tmp_path, about, words) -> None:
    folder = shutil.copytree(saved, tmp_path / "run")
    (folder / "run.json").write_text(json.dumps(about), encoding="utf-8")
    answer = cli("predict", folder, "A dull film.")
    assert answer.code == 0 and len(answer.out.splitlines()) == 1
    assert words in answer.err and bool(answer.err) == bool(words)


def test_predict_as_json(cli, saved) -> None:
    answer = cli("predict", saved, "--json", "A dull film.")
    content = json.loads(answer.out)
    assert content["text"] == "A dull film."
    assert content["label"] == max(content["probabilities"], key=content["probabilities"].get)
    assert sum(content["probabilities"].values()) == pytest.approx(1, abs=1e-5)


def test_predict_reads_a_sentence_a_line(cli, saved, monkeypatch) -> None:
    type_lines(monkeypatch, "a dull film\r\n\n  \n好看".encode())  # blank lines are passed over
    answer = cli("predict", saved)
    assert [line.split("  ")[2] for line in answer.out.splitlines()] == ["a dull film", "好看"]


@pytest.mark.parametrize(
    ("typed", "words", "says"),
    [
        (None, [""], "Sentence 1 is empty"),
        (None, ["good", "  "], "Sentence 2 is empty"),
        (None, ["caf\udce9"], "Sentence 1 is not utf-8"),
        (b"good\ncaf\xe9\n", [], "standard input are not utf-8"),
    ],
)
def test_predict_refuses_what_is_no_sentence(cli, saved, monkeypatch, typed, words, says) -> None:
    if typed is not None:
        type_lines(monkeypatch, typed)
    answer = cli("predict", saved, *words)
    assert answer.code == 2
    assert says in answer.sentence


def test_predict_says_what_is_wrong_with_a_folder(cli, copy) -> None:
    (copy / "model.keras").write_bytes(b"")
    answer = cli("predict", copy, "good")
    assert answer.code == 2
    assert answer.sentence.startswith("keras-llm: ")
    assert "model.keras is damaged" in answer.sentence


# --- on a pretrained model ----------------------------------------------------------------------------------------


def test_a_pretrained_model_gets_its_texts_framed(tmp_path) -> None:
    from keras_llm.models import Encoder, SequenceClassifier
    from keras_llm.text import PretrainedTokenizer

    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "good", "film"]
    (tmp_path / "vocab.txt").write_text("\n".join(words), encoding="utf-8")
    tokenizer = PretrainedTokenizer.from_folder(tmp_path)
    model = SequenceClassifier(Encoder(len(words), 6, hidden_dim=8, num_heads=2, num_layers=1))
    model.build((None, 6))
    classifier = Classifier(tokenizer, 6, ("bad", "good"), model)
    assert classifier.token_ids(["A good film", "a a a good good film"]).tolist() == [
        [2, 5, 6, 7, 3, 0],
        [2, 5, 5, 6, 7, 3],  # both ends are kept, and the frame around them
    ]
    classifier.save(tmp_path)
    loaded = Classifier.load(tmp_path)
    assert np.array_equal(loaded.probabilities(["a film"]), classifier.probabilities(["a film"]))
    assert loaded.fits()
    loaded.model.encoder.config["vocabulary_size"] += 1
    assert not loaded.fits()
