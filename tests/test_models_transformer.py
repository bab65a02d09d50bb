"""keras_llm.models.Transformer behaves as an encoder-decoder must; defects that hit others are planted and caught."""

import functools
import json
from dataclasses import replace

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_llm.errors import InputError
from keras_llm.layers import MultiHeadAttention, padding_mask
from keras_llm.models import Transformer
from keras_llm.text import SubwordTokenizer, WordTokenizer
from keras_llm.training import SparseCrossentropy, fit
from keras_llm.translator import Translator
from tests.examples import reversals

V, START, END = 12, 1, 2
SIZES = {"hidden_dim": 16, "num_heads": 2, "intermediate_dim": 32, "num_layers": 2, "dropout": 0.0}


SOURCE, TARGET, LABELS = reversals(64, 0, V)


def made(kind: type[Transformer] = Transformer, **options) -> Transformer:
    keras.utils.set_random_seed(0)
    model = kind(V, **{**SIZES, **options})
    model({"source_ids": SOURCE, "target_ids": TARGET})
    return model


# --- what must hold, as functions of a model, so that wrong models can be put to the same question ------------------


def sees_the_future(model: Transformer) -> bool:
    other = TARGET.copy()
    other[:, 3:] = np.where(other[:, 3:] > 2, 3 + (other[:, 3:] - 2) % (V - 3), other[:, 3:])
    logits = [model({"source_ids": SOURCE, "target_ids": each}).numpy() for each in (TARGET, other)]
    return not np.allclose(logits[0][:, :3], logits[1][:, :3], atol=1e-5)


def reads_source_padding(model: Transformer) -> bool:
    wider = np.pad(SOURCE, ((0, 0), (0, 4)))
    logits = [model({"source_ids": each, "target_ids": TARGET}).numpy() for each in (SOURCE, wider)]
    real = TARGET > 0
    return not np.allclose(logits[0][real], logits[1][real], atol=1e-4)


def reads_the_source(model: Transformer) -> bool:
    other = SOURCE[::-1].copy()
    logits = [model({"source_ids": each, "target_ids": TARGET}).numpy() for each in (SOURCE, other)]
    return not np.allclose(logits[0], logits[1], atol=1e-4)


def learned(model: Transformer, epochs: int = 60) -> tuple[float, float]:
    """Share of right tokens after training on the reversals: with the right target before it, and on its own."""
    source, target, labels = reversals(2_000, 1, V)
    model.compile(keras.optimizers.Adam(3e-3), SparseCrossentropy(ignore_class=0))
    fit(model, ({"source_ids": source, "target_ids": target}, labels), epochs=epochs, batch_size=100, verbose=0)
    told = np.argmax(model({"source_ids": SOURCE, "target_ids": TARGET}), axis=-1)
    from keras_llm.generation import generate

    alone = generate(model, SOURCE, max_length=6, start_id=START, end_id=END)
    real = LABELS > 0
    return float(np.mean(told[real] == LABELS[real])), float(np.mean(alone[real] == LABELS[real]))


def test_it_starts_at_chance() -> None:
    """Also with the labels that a tied table would favour, those equal to the input."""
    model = made(hidden_dim=256, num_heads=4)
    logits = model({"source_ids": SOURCE, "target_ids": TARGET})
    for labels in (LABELS, TARGET):
        assert float(SparseCrossentropy(ignore_class=0)(labels, logits)) == pytest.approx(np.log(V), abs=0.7)


@pytest.mark.parametrize("pre_norm", [True, False])
def test_it_reads_what_it_should_and_nothing_else(pre_norm) -> None:
    model = made(pre_norm=pre_norm)
    assert reads_the_source(model)
    assert not sees_the_future(model)
    assert not reads_source_padding(model)


def test_it_learns_to_translate() -> None:
    told, alone = learned(made())
    assert told > 0.98 and alone > 0.98


# --- planted defects ------------------------------------------------------------------------------------------------


class Swapped(Transformer):
    """keras-io#1997: encoder and decoder inputs change places."""

    def call(self, inputs, training=False):
        return self.decode(inputs["source_ids"], self.encode(inputs["target_ids"]), inputs["target_ids"], training)


class NoPaddingMask(Transformer):
    """The source's padding is read as words."""

    def decode(self, target_ids, memory, source_ids, training=False, return_weights=False):
        return super().decode(target_ids, memory, tf.ones_like(source_ids), training, return_weights)


class Echo(Transformer):
    """keras-io#1968: the target is not shifted, so that the answer is the input."""

    def call(self, inputs, training=False):
        target = tf.concat([inputs["target_ids"][:, 1:], tf.zeros_like(inputs["target_ids"][:, :1])], axis=1)
        return super().call({**inputs, "target_ids": target}, training)


def test_swapped_inputs_are_caught() -> None:
    assert sees_the_future(made(Swapped))


def test_an_ignored_padding_mask_is_caught() -> None:
    assert reads_source_padding(made(NoPaddingMask))


def test_a_visible_future_is_caught(monkeypatch) -> None:
    right = MultiHeadAttention.call

    @functools.wraps(right)
    def blind_to_causality(self, *args, **options):
        return right(self, *args, **options | {"use_causal_mask": False})

    monkeypatch.setattr(MultiHeadAttention, "call", blind_to_causality)
    assert sees_the_future(made())


def test_a_decoder_that_echoes_is_caught() -> None:
    """It shines when it is told the answer, and knows nothing when it has to write by itself."""
    model = made(Echo)
    assert sees_the_future(model)
    told, alone = learned(model, epochs=25)
    assert told > 0.75 and alone < 0.5


def test_scoring_with_padding_counted_is_caught() -> None:
    """The loss must not change with more padding, whatever the model says there; one that counts the padding does."""
    logits = 3 * np.random.default_rng(0).normal(size=(64, 12, V)).astype("float32")
    losses = {}
    for name, loss in (("right", SparseCrossentropy(ignore_class=0)), ("wrong", SparseCrossentropy())):
        losses[name] = float(loss(LABELS, logits[:, :6])), float(loss(np.pad(LABELS, ((0, 0), (0, 6))), logits))
    assert losses["right"][0] == pytest.approx(losses["right"][1], rel=1e-5)
    assert losses["wrong"][0] != pytest.approx(losses["wrong"][1], rel=1e-2)


# --- saving, and text in and out ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def translator() -> Translator:
    tokenizer = SubwordTokenizer.train(["the light is on", "das Licht ist an"] * 9, 300)
    keras.utils.set_random_seed(0)
    model = Transformer(tokenizer.vocabulary_size, **SIZES)
    model({"source_ids": SOURCE, "target_ids": TARGET})
    return Translator(tokenizer, longest=20, languages=("en", "de"), model=model)


def test_saved_and_loaded_it_gives_the_same_logits(tmp_path) -> None:
    model = made(pre_norm=False)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    inputs = {"source_ids": SOURCE, "target_ids": TARGET}
    np.testing.assert_array_equal(loaded(inputs), model(inputs))
    assert loaded.get_config() == model.get_config()


def test_a_translator_comes_back_from_its_folder(translator, tmp_path) -> None:
    translator.save(tmp_path)
    loaded = Translator.load(tmp_path)
    assert (loaded.longest, loaded.languages) == (20, ("en", "de"))
    sentences = ["the light", "", "is on " * 40]
    assert loaded.translate(sentences, num_beams=1) == translator.translate(sentences, num_beams=1)
    assert loaded.translate(["", " "]) == ["", ""]


def test_a_translator_keeps_its_length_penalty_and_searches_with_it(translator, tmp_path, monkeypatch) -> None:
    from keras_llm import translator as module

    replace(translator, length_penalty=2.5).save(tmp_path)
    loaded, asked = Translator.load(tmp_path), []

    def generate(model, prompt, **options):
        asked.append(options["length_penalty"])
        return np.full((len(prompt), 1), translator.tokenizer.end_id)

    monkeypatch.setattr(module, "generate", generate)
    for penalty in (None, 0.0):
        loaded.translate(["the light"], length_penalty=penalty)
    assert asked == [2.5, 0.0]


def test_ids_begin_and_end_as_they_should(translator) -> None:
    (source,), (target,) = translator.source_ids(["the light"]), translator.target_ids(["das Licht"])
    assert source[-1] == target[-1] == translator.tokenizer.end_id
    assert target[0] == translator.tokenizer.start_id
    assert len(translator.source_ids(["x" * 99])[0]) == 20
    assert len(translator.target_ids(["x" * 99])[0]) == 21  # one more, since input and labels each leave one away


def test_a_folder_of_another_kind_is_refused(translator, tmp_path) -> None:
    translator.save(tmp_path)
    (tmp_path / "translator.json").unlink()
    with pytest.raises(InputError, match=r"holds no translator\.json"):
        Translator.load(tmp_path)
    translator.save(tmp_path)
    WordTokenizer.train(["a b"], 4).save(tmp_path / "tokenizer.json")
    with pytest.raises(InputError, match="subword"):
        Translator.load(tmp_path)
    translator.save(tmp_path)
    about = json.loads((tmp_path / "translator.json").read_text())
    (tmp_path / "translator.json").write_text(json.dumps({**about, "tokenizer": "0"}))
    with pytest.raises(InputError, match="not the tokenizer"):
        Translator.load(tmp_path)


def test_padding_mask_names_what_is_real() -> None:
    assert padding_mask(SOURCE).numpy().tolist() == (SOURCE != 0).tolist()
