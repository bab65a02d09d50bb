"""Pretrained weights: equal to the reference, and each thing that can be wrong with a folder is said by name."""

import hashlib
import json
import random
import shutil
from pathlib import Path

import numpy as np
import pytest

from keras_llm.errors import InputError
from keras_llm.models import Encoder, load_pretrained
from keras_llm.text import PretrainedTokenizer, load_tokenizer

RECORD = Path(__file__).parent / "recorded" / "minilm.json"
SENTENCES = ("A film that stays with you for days.", "Café müller, 你好 🎬 antidisestablishmentarianism!!")
PIECES = (
    "the film",
    "Unbelievable",
    "naïve café",
    "ÀÉÎÕÜ ñ ç",
    "电影很好看",
    "東京タワー",
    "한국어",
    "🎬🎉",
    "👩‍👩‍👧",
    "don't",
    "U.S.A.",
    "$3.50",
    "...",
    "\u00ad soft",
    "a\tb\nc",
    "x" * 120,
    "antidisestablishmentarianism",
    "Привет",
    "مرحبا",
    "ﬁne",
    "\u0000 nul",
    "  spaces  ",
    "e\u0301",
    "İstanbul",
    "straße",
    "C++",
    "foo_bar@baz.com",
    "—–-",
)


def mixed_strings() -> list[str]:
    """1,000 strings of accents, Chinese, emoji, long words and what else a text may hold; always the same."""
    draw = random.Random(0)
    return ["".join(draw.choice((" ", "", " ")) + draw.choice(PIECES) for _ in range(1 + n % 12)) for n in range(1_000)]


def digest(ids: list[list[int]]) -> str:
    return hashlib.sha256(json.dumps(ids).encode()).hexdigest()


# --- the catalog's encoder ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def minilm() -> Path:
    from keras_llm import data

    return data.fetch_file("minilm").parent


@pytest.mark.network
class TestTheCatalogsEncoder:
    def test_its_outputs_are_those_of_the_reference(self, minilm) -> None:
        record = json.loads(RECORD.read_text(encoding="utf-8"))
        states = load_pretrained(minilm)(np.array(record["token_ids"])).numpy()
        for number, (ids, some) in enumerate(zip(record["token_ids"], record["states"], strict=True)):
            length = np.count_nonzero(ids)
            np.testing.assert_allclose(states[number, :length, ::16], some, atol=1e-5)

    def test_its_ids_are_those_of_the_reference(self, minilm) -> None:
        record = json.loads(RECORD.read_text(encoding="utf-8"))
        tokenizer = PretrainedTokenizer.from_folder(minilm)
        assert digest(tokenizer.encode_all(mixed_strings())) == record["ids_sha256"]
        for text, ids in zip(SENTENCES, record["token_ids"], strict=True):
            framed = [tokenizer.start_id, *tokenizer.encode(text), tokenizer.end_id]
            assert framed == [token_id for token_id in ids if token_id]

    def test_the_vocabulary_alone_gives_the_same_ids(self, minilm, tmp_path) -> None:
        record = json.loads(RECORD.read_text(encoding="utf-8"))
        whole = PretrainedTokenizer.from_folder(minilm)
        (tmp_path / "vocab.txt").write_text("\n".join(whole.vocabulary) + "\n", encoding="utf-8")
        assert digest(PretrainedTokenizer.from_folder(tmp_path).encode_all(mixed_strings())) == record["ids_sha256"]

    def test_the_tokenizer_is_saved_and_loaded(self, minilm, tmp_path) -> None:
        tokenizer = PretrainedTokenizer.from_folder(minilm)
        tokenizer.save(tmp_path / "tokenizer.json")
        loaded = load_tokenizer(tmp_path / "tokenizer.json")
        assert loaded.fingerprint == tokenizer.fingerprint
        assert loaded.encode(SENTENCES[1]) == tokenizer.encode(SENTENCES[1])
        assert tokenizer.decode(tokenizer.encode("unaffable films")) == "unaffable films"


# --- small folders ------------------------------------------------------------------------------------------------

BERT = {
    "model_type": "bert",
    "vocab_size": 30,
    "max_position_embeddings": 12,
    "hidden_size": 8,
    "num_attention_heads": 2,
    "num_hidden_layers": 2,
    "intermediate_size": 16,
    "type_vocab_size": 2,
    "hidden_act": "gelu",
    "hidden_dropout_prob": 0.1,
    "attention_probs_dropout_prob": 0.1,
    "layer_norm_eps": 1e-12,
    "pad_token_id": 0,
}
GPT2 = {
    "model_type": "gpt2",
    "vocab_size": 30,
    "n_positions": 12,
    "n_embd": 8,
    "n_head": 2,
    "n_layer": 2,
    "activation_function": "gelu_new",
    "layer_norm_epsilon": 1e-5,
    "resid_pdrop": 0.1,
    "embd_pdrop": 0.1,
    "attn_pdrop": 0.1,
}


def bert_shapes() -> dict[str, tuple[int, ...]]:
    def dense(name: str, into: int, out: int) -> dict:
        return {f"{name}.weight": (out, into), f"{name}.bias": (out,)}

    def norm(name: str) -> dict:
        return {f"{name}.weight": (8,), f"{name}.bias": (8,)}

    shapes = {"embeddings.word_embeddings.weight": (30, 8), "embeddings.position_embeddings.weight": (12, 8)}
    shapes |= {"embeddings.token_type_embeddings.weight": (2, 8), **norm("embeddings.LayerNorm")}
    for layer in ("encoder.layer.0", "encoder.layer.1"):
        for part in ("self.query", "self.key", "self.value", "output.dense"):
            shapes |= dense(f"{layer}.attention.{part}", 8, 8)
        shapes |= dense(f"{layer}.intermediate.dense", 8, 16) | dense(f"{layer}.output.dense", 16, 8)
        shapes |= norm(f"{layer}.attention.output.LayerNorm") | norm(f"{layer}.output.LayerNorm")
    return shapes | dense("pooler.dense", 8, 8)


def gpt2_shapes() -> dict[str, tuple[int, ...]]:
    shapes = {"wte.weight": (30, 8), "wpe.weight": (12, 8), "ln_f.weight": (8,), "ln_f.bias": (8,)}
    for layer in ("h.0", "h.1"):
        for name, into, out in (
            ("attn.c_attn", 8, 24),
            ("attn.c_proj", 8, 8),
            ("mlp.c_fc", 8, 32),
            ("mlp.c_proj", 32, 8),
        ):
            shapes |= {f"{layer}.{name}.weight": (into, out), f"{layer}.{name}.bias": (out,)}
        shapes |= {f"{layer}.{name}.{part}": (8,) for name in ("ln_1", "ln_2") for part in ("weight", "bias")}
    return shapes


def tensors(shapes: dict) -> dict[str, np.ndarray]:
    draw = np.random.default_rng(0)
    return {name: draw.normal(0, 0.5, shape).astype("float32") for name, shape in shapes.items()}


def write(folder: Path, config: dict, weights: dict[str, np.ndarray] | None) -> Path:
    from safetensors.numpy import save_file

    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    if weights is not None:
        save_file(weights, folder / "model.safetensors", {"format": "pt"})
    return folder


@pytest.fixture(scope="module")
def bert_folder(tmp_path_factory) -> Path:
    return write(tmp_path_factory.mktemp("bert"), BERT, tensors(bert_shapes()))


@pytest.fixture(scope="module")
def gpt2_folder(tmp_path_factory) -> Path:
    return write(tmp_path_factory.mktemp("gpt2"), GPT2, tensors(gpt2_shapes()))


def test_a_bert_gives_what_keras_hub_gives(bert_folder, keras_hub) -> None:
    import keras

    hub = keras_hub.models.BertBackbone.from_preset(str(bert_folder))
    for layer in hub.layers:  # its converter takes the tanh approximation, BERT has the exact function
        if hasattr(layer, "_feedforward_intermediate_dense"):
            layer._feedforward_intermediate_dense.activation = keras.activations.gelu
    ids, segments = np.array([[3, 5, 7, 9], [4, 6, 0, 0]]), np.array([[0, 0, 1, 1], [0, 1, 0, 0]])
    expected = hub({"token_ids": ids, "segment_ids": segments, "padding_mask": ids != 0})["sequence_output"]
    states = load_pretrained(bert_folder)({"token_ids": ids, "segment_ids": segments})
    np.testing.assert_allclose(states.numpy()[ids != 0], expected.numpy()[ids != 0], atol=1e-5)


def test_a_gpt2_gives_what_keras_hub_gives(gpt2_folder, keras_hub) -> None:
    hub = keras_hub.models.GPT2Backbone.from_preset(str(gpt2_folder))
    ids = np.array([[0, 5, 7, 29]])
    states = hub({"token_ids": ids, "padding_mask": np.ones_like(ids)})
    expected = states.numpy() @ np.array(hub.token_embedding.embeddings).T
    logits = load_pretrained(gpt2_folder)(ids + 1).numpy()
    np.testing.assert_allclose(logits[..., 1:], expected, atol=1e-4)


def test_names_with_a_prefix_and_old_names_of_norms_are_found(bert_folder, tmp_path) -> None:
    weights = {
        f"bert.{name}".replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta"): value
        for name, value in tensors(bert_shapes()).items()
        if not name.startswith("pooler")
    }
    ids = np.array([[3, 5, 7]])
    old = load_pretrained(write(tmp_path, BERT, weights))(ids).numpy()
    assert np.array_equal(old, load_pretrained(bert_folder)(ids).numpy())


def test_weights_in_several_files_are_found(bert_folder, tmp_path) -> None:
    from safetensors.numpy import save_file

    write(tmp_path, BERT, None)
    places = {name: f"model-{number % 2}.safetensors" for number, name in enumerate(bert_shapes())}
    values = tensors(bert_shapes())
    for file in set(places.values()):
        save_file({name: values[name] for name, place in places.items() if place == file}, tmp_path / file)
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps({"weight_map": places}), encoding="utf-8")
    ids = np.array([[3, 5, 7]])
    assert np.array_equal(load_pretrained(tmp_path)(ids).numpy(), load_pretrained(bert_folder)(ids).numpy())


def test_random_weights_and_options(bert_folder) -> None:
    model = load_pretrained(bert_folder, weights=False, dropout=0.0, adapter_dim=2)
    assert isinstance(model, Encoder)
    assert model.config["adapter_dim"] == 2
    assert not np.array_equal(model.embedding.embeddings, tensors(bert_shapes())["embeddings.word_embeddings.weight"])


def test_new_adapters_change_nothing(bert_folder) -> None:
    ids = np.array([[3, 5, 7]])
    adapted = load_pretrained(bert_folder, adapter_dim=2)(ids).numpy()
    assert np.array_equal(adapted, load_pretrained(bert_folder)(ids).numpy())


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda f: shutil.rmtree(f), "no such folder"),
        (lambda f: (f / "config.json").unlink(), "no config.json"),
        (lambda f: (f / "config.json").write_text("{"), "no model's configuration"),
        (lambda f: (f / "config.json").write_text("[]"), "no model's configuration"),
        (lambda f: (f / "config.json").write_text(json.dumps({**BERT, "model_type": "llama"})), "'llama'"),
        (
            lambda f: (f / "config.json").write_text(json.dumps({**BERT, "position_embedding_type": "relative_key"})),
            "relative_key",
        ),
        (lambda f: (f / "config.json").write_text(json.dumps({**BERT, "hidden_act": "mish"})), "mish"),
        (lambda f: (f / "config.json").write_text(json.dumps({**BERT, "hidden_size": 16})), "config.json says"),
        (lambda f: (f / "model.safetensors").unlink(), "no model.safetensors"),
        (lambda f: (f / "model.safetensors").rename(f / "pytorch_model.bin"), r"pytorch_model\.bin is a pickle"),
        (lambda f: (f / "model.safetensors").write_bytes(b"\x80\x04junk" * 9), "damaged"),
        (
            lambda f: write(f, BERT, {k: v for k, v in tensors(bert_shapes()).items() if "1.output.dense.b" not in k}),
            r"lacks the tensor encoder\.layer\.1\.output\.dense\.bias",
        ),
    ],
)
def test_what_is_wrong_with_a_folder_is_said(spoil, message, bert_folder, tmp_path) -> None:
    folder = tmp_path / "folder"
    shutil.copytree(bert_folder, folder)
    spoil(folder)
    with pytest.raises(InputError, match=message):
        load_pretrained(folder)


def test_a_gpt2s_tokenizer_makes_room_for_padding(gpt2_folder, tmp_path) -> None:
    import tokenizers

    alphabet = sorted(tokenizers.pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {token: number for number, token in enumerate([*alphabet, "he", "<|endoftext|>"])}
    (tmp_path / "vocab.json").write_text(json.dumps(vocabulary), encoding="utf-8")
    (tmp_path / "merges.txt").write_text("#version: 0.2\nh e\n", encoding="utf-8")
    tokenizer = PretrainedTokenizer.from_folder(tmp_path)
    assert tokenizer.tokens("he!") == ["he", "!"]
    assert tokenizer.encode("he!") == [vocabulary["he"] + 1, vocabulary["!"] + 1]
    assert tokenizer.start_id == tokenizer.end_id == vocabulary["<|endoftext|>"] + 1
    assert tokenizer.decode([0, *tokenizer.encode("he! é"), tokenizer.end_id]) == "he! é"


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        (None, "", "holds none of"),
        ("tokenizer.json", "{", "no tokenizer that this course reads"),
        ("vocab.txt", "[UNK]\n[CLS]\n[SEP]\nthe\n", "id 0 is '\\[UNK\\]'"),
        ("vocab.txt", "[PAD]\n[UNK]\nthe\n", "lacks \\[CLS\\]"),
    ],
)
def test_what_is_wrong_with_a_tokenizer_is_said(name, content, message, tmp_path) -> None:
    if name:
        (tmp_path / name).write_text(content, encoding="utf-8")
    with pytest.raises(InputError, match=message):
        PretrainedTokenizer.from_folder(tmp_path)
