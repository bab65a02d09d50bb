"""The subword tokenizer and its Keras layer: nothing is lost, and each path gives the same ids."""

import random
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_llm.text import SubwordTokenizer, load_tokenizer

TEXTS = [
    "The film isn't bad, it's good!  Very good in 1995.\n\nWatch it <pad> <s>now</s>",
    "这部电影很好看，我喜欢。这部电影不好看，我不喜欢！",
    "    indented\n        twice as far",  # runs of spaces, whose merges must not reach into the next word
    "Größe, naïveté, сюжет и актёры, 映画はとても面白い。",
] * 5
SIZE = 380
MIXED = [
    "Hello, world",
    "  two spaces  and a tail  ",
    "\n\n a\r\n\tb \u00a0\u3000c",
    "电影good看12345",
    "I'LL, don't, can’t",
    "<pad><s></s> <pad",
    "हिन्दी ६ अंक, ६६",
    "🎬👩‍👩‍👧 e\u0301 \x00 \ufeff",
    "Ġ Ĵ Ċ",
    "",
]
TRICKY = st.lists(st.sampled_from([*MIXED, *TEXTS[:4], "<", "pad", ">", "६", " ", "'s"])).map("".join)


@pytest.fixture(scope="module")
def subwords() -> SubwordTokenizer:
    return SubwordTokenizer.train(TEXTS, vocabulary_size=SIZE)


@settings(max_examples=500, deadline=None)
@given(text=st.one_of(st.text(), TRICKY))
def test_decode_gives_back_any_text(subwords: SubwordTokenizer, text: str) -> None:
    ids = subwords.encode(text)
    assert subwords.decode(ids) == text
    assert not {subwords.padding_id, subwords.start_id, subwords.end_id} & set(ids)  # no text can name a special id


def test_special_names_in_the_training_text_teach_no_special_id() -> None:
    tokenizer = SubwordTokenizer.train(["<pad></s><s>", "<pad> <s> </s>"] * 50, vocabulary_size=400)
    assert tokenizer.vocabulary[:3] == ["<pad>", "<s>", "</s>"]
    for name in tokenizer.special_tokens:
        assert min(tokenizer.encode(name)) > tokenizer.end_id
        assert tokenizer.decode(tokenizer.encode(name)) == name


def test_special_ids_are_no_text(subwords: SubwordTokenizer) -> None:
    ids = subwords.encode("好看")
    assert subwords.decode([subwords.start_id, *ids, subwords.end_id, 0, 0]) == "好看"


def test_half_a_character_decodes_to_the_replacement_mark() -> None:
    tokenizer = SubwordTokenizer.train(["a"], vocabulary_size=259)  # bytes alone, no merge
    ids = tokenizer.encode("好")
    assert len(ids) == 3
    assert tokenizer.decode(ids[:2]) == "\ufffd"


def test_merges_shorten_what_was_seen() -> None:
    tokenizer = SubwordTokenizer.train(["电影", "好看的电影"] * 9, vocabulary_size=300)
    assert len(tokenizer.encode("电影")) == 1  # six bytes
    assert len(tokenizer.encode("剧本")) > 3  # never seen, still encoded


def test_encode_all_equals_encode_across_blocks(subwords: SubwordTokenizer) -> None:
    texts = [f"{text} {number}" for number in range(250) for text in MIXED]  # 2,500: more than one block
    assert subwords.encode_all(texts) == [subwords.encode(text) for text in texts]
    assert subwords.encode_all([]) == []
    with pytest.raises(TypeError, match="list"):
        subwords.encode_all("one string")


def test_a_huge_text_without_spaces(subwords: SubwordTokenizer) -> None:
    text = "".join(random.Random(0).choices("电影很好看不我喜欢", k=100_000))
    assert subwords.decode(subwords.encode(text)) == text


def test_training_is_deterministic(subwords: SubwordTokenizer) -> None:
    shuffled = random.Random(1).sample(TEXTS, len(TEXTS))
    assert SubwordTokenizer.train(shuffled, vocabulary_size=SIZE).fingerprint == subwords.fingerprint
    code = (
        "from keras_llm.text import SubwordTokenizer; from tests.test_text_tokenizers import SIZE, TEXTS;"
        "print(SubwordTokenizer.train(TEXTS, vocabulary_size=SIZE).fingerprint)"
    )
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert other.stdout.strip() == subwords.fingerprint


def test_the_vocabulary_holds_the_asked_number_of_ids(subwords: SubwordTokenizer) -> None:
    assert subwords.vocabulary_size == len(subwords.vocabulary) == SIZE
    assert SubwordTokenizer.train(["ab"], vocabulary_size=8_000).vocabulary_size == 259  # nothing occurs twice


def test_a_merge_outside_the_vocabulary_is_refused(subwords: SubwordTokenizer) -> None:
    with pytest.raises(ValueError, match="merge"):
        SubwordTokenizer(subwords.vocabulary, [*subwords.merges, "no such"])


def test_fingerprint_sees_the_order_of_merges(subwords: SubwordTokenizer) -> None:
    assert SubwordTokenizer(subwords.vocabulary, subwords.merges[::-1]).fingerprint != subwords.fingerprint


@pytest.fixture(scope="module")
def layer(subwords: SubwordTokenizer):
    return subwords.to_keras()


def test_the_layer_gives_equal_ids_eagerly(subwords: SubwordTokenizer, layer) -> None:
    assert layer(MIXED) == subwords.encode_all(MIXED)
    assert [layer(text).tolist() for text in MIXED] == subwords.encode_all(MIXED)


def test_the_layer_gives_equal_ids_inside_tf_data(subwords: SubwordTokenizer, layer) -> None:
    import tensorflow as tf

    dataset = tf.data.Dataset.from_tensor_slices(MIXED)
    assert [row for batch in dataset.batch(3).map(layer) for row in batch.to_list()] == subwords.encode_all(MIXED)
    assert [ids.numpy().tolist() for ids in dataset.map(layer)] == subwords.encode_all(MIXED)


@settings(max_examples=100, deadline=None)
@given(texts=st.lists(st.one_of(st.text(), TRICKY), min_size=1, max_size=4))
def test_the_layer_gives_equal_ids_on_any_text(subwords: SubwordTokenizer, layer, graph, texts: list[str]) -> None:
    assert layer(texts) == graph(texts) == subwords.encode_all(texts)


@pytest.fixture(scope="module")
def graph(layer):
    import tensorflow as tf

    traced = tf.function(layer.tokenize, input_signature=[tf.TensorSpec([None], tf.string)])
    return lambda texts: traced(tf.constant(texts)).to_list()


def test_a_fixed_length_pads_and_cuts(subwords: SubwordTokenizer) -> None:
    import tensorflow as tf

    fixed = subwords.to_keras(sequence_length=4)
    expected = [(subwords.encode(text) + [0] * 4)[:4] for text in MIXED]
    assert fixed(MIXED).tolist() == expected
    dataset = tf.data.Dataset.from_tensor_slices(MIXED).batch(5, drop_remainder=True).map(fixed)
    assert dataset.element_spec.shape == (5, 4)
    assert [row for batch in dataset for row in batch.numpy().tolist()] == expected
    assert next(iter(tf.data.Dataset.from_tensors("").map(fixed))).numpy().tolist() == [0] * 4


def test_the_layer_is_saved_inside_a_keras_model(subwords: SubwordTokenizer, tmp_path) -> None:
    import keras
    import tensorflow as tf

    text = keras.Input((), dtype="string")
    model = keras.Model(text, keras.layers.Embedding(SIZE, 2)(subwords.to_keras(sequence_length=6)(text)))
    batch = tf.constant(MIXED)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert (loaded.predict(batch, verbose=0) == model.predict(batch, verbose=0)).all()
    assert (loaded(batch).numpy() == model(batch).numpy()).all()


def test_a_loaded_tokenizer_makes_the_same_layer(subwords: SubwordTokenizer, layer, tmp_path) -> None:
    subwords.save(tmp_path / "tokenizer.json")
    assert load_tokenizer(tmp_path / "tokenizer.json").to_keras()(MIXED) == layer(MIXED)
