"""keras_llm.models: language models see what they may see, give what their formulas say, and come back from disk."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_llm.models import GPT, AdditiveLanguageModel, DocumentLanguageModel, MaskedLanguageModel
from keras_llm.training import SparseCrossentropy, evaluate, fit

V, T = 11, 7
IDS = np.random.default_rng(0).integers(1, V, (3, T)).astype("int32")
LLAMA = {"positions": "rotary", "norm": "rms", "activation": "swiglu", "num_key_value_heads": 2, "use_bias": False}
MODELS = {
    "gpt": lambda: GPT(V, T, hidden_dim=16, num_heads=4, num_layers=2, dropout=0.1),
    "llama": lambda: GPT(V, T, hidden_dim=16, num_heads=4, num_layers=2, **LLAMA),
    "additive": lambda: AdditiveLanguageModel(V),
    "additive of rank 4": lambda: AdditiveLanguageModel(V, hidden_dim=4),
    "D4's code": lambda: DocumentLanguageModel(V, 8, 8),
}


def with_random_weights(model: keras.Model, shape=(None, T)) -> keras.Model:
    model.build(shape)
    rng = np.random.default_rng(0)
    model.set_weights([rng.normal(size=w.shape).astype("float32") * 0.5 for w in model.weights])
    return model


@pytest.mark.parametrize("make", MODELS.values(), ids=MODELS)
def test_no_place_sees_a_later_one(make) -> None:
    model = with_random_weights(make())
    logits = model(IDS).numpy()
    assert logits.shape == (3, T, V) and logits.dtype == np.float32
    changed = IDS.copy()
    changed[:, 4] = changed[:, 4] % (V - 1) + 1
    other = model(changed).numpy()
    np.testing.assert_allclose(other[:, :4], logits[:, :4], atol=1e-5)
    assert np.abs(other[:, 4] - logits[:, 4]).max() > 1e-2


@pytest.mark.parametrize("make", MODELS.values(), ids=MODELS)
def test_what_each_place_can_see(make) -> None:
    model, kind = with_random_weights(make()), make
    changed = IDS.copy()
    changed[:, 0] = changed[:, 0] % (V - 1) + 1
    moved = np.abs(model(changed).numpy() - model(IDS).numpy()).max(axis=(0, 2)) > 1e-4
    sees_the_past = kind is not MODELS["D4's code"]
    assert moved.tolist() == [True] + [sees_the_past] * (T - 1)


@pytest.mark.parametrize("make", MODELS.values(), ids=MODELS)
def test_saved_and_loaded_it_gives_the_same_logits(make, tmp_path) -> None:
    model = with_random_weights(make())
    model.save(tmp_path / "model.keras")
    np.testing.assert_array_equal(keras.models.load_model(tmp_path / "model.keras")(IDS), model(IDS))


@pytest.mark.parametrize("make", MODELS.values(), ids=MODELS)
def test_an_untrained_model_guesses_evenly_and_compiles(make) -> None:
    model = make()
    model.compile("adam", SparseCrossentropy())
    labels = np.roll(IDS, -1, axis=1)
    fit(model, (IDS, labels), epochs=1, batch_size=3, verbose=0)
    fresh = make()
    loss = float(SparseCrossentropy()(labels, fresh(IDS)))
    assert abs(loss - np.log(V)) < 0.15 * np.log(V)


def test_the_additive_model_is_the_formula() -> None:
    model = with_random_weights(AdditiveLanguageModel(V))
    alone, votes = model.alone.numpy(), model.votes.embeddings.numpy()  # W_e (V,), W_h (V, V)
    for row, logits in zip(IDS, model(IDS).numpy(), strict=True):
        for t in range(T):
            np.testing.assert_allclose(logits[t], alone + sum(votes[w] for w in row[: t + 1]), rtol=1e-4, atol=1e-5)
    shuffled = IDS[:, [2, 0, 1, 3, 4, 5, 6]]
    np.testing.assert_allclose(model(shuffled)[:, 2:], model(IDS)[:, 2:], atol=1e-5)  # no order
    padded = np.pad(IDS[:, :4], ((0, 0), (2, 0)))
    np.testing.assert_allclose(model(padded)[:, 2:], model(IDS)[:, :4], atol=1e-5)  # padding adds nothing
    near = with_random_weights(AdditiveLanguageModel(V, reach=2))
    np.testing.assert_allclose(near(IDS)[:, 5], near(IDS[:, 4:6])[:, 1], atol=1e-5)
    bigram = with_random_weights(AdditiveLanguageModel(V, reach=1))
    np.testing.assert_allclose(bigram(IDS)[:, 5], bigram(IDS[:, 5:6])[:, 0], atol=1e-5)
    with pytest.raises(ValueError, match="reach"):
        AdditiveLanguageModel(V, reach=0)


@pytest.mark.parametrize("options", [{}, LLAMA], ids=["gpt", "llama"])
@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16"])
def test_the_cache_gives_the_logits_of_the_whole_row(options, policy) -> None:
    model = with_random_weights(GPT(V, T, hidden_dim=16, num_heads=4, num_layers=2, dtype=policy, **options))
    whole = model(IDS).numpy()
    for padding in (0, 2):
        prompt = np.pad(IDS[:, :3], ((0, 0), (padding, 0)))
        memory, cache, position = model.start(tf.constant(prompt), T - 2 - padding if padding else T - 2)
        assert position == 2 + padding
        for place in range(2, T - padding):
            logits, cache = model.step(tf.constant(IDS[:, place]), place + padding, memory, cache)
            tolerance = 2e-4 if policy == "float32" else 0.2
            np.testing.assert_allclose(logits, whole[:, place], rtol=tolerance, atol=tolerance)


def test_the_cache_holds_only_the_heads_of_keys_and_values() -> None:
    model = GPT(V, T, hidden_dim=16, num_heads=4, num_layers=2, num_key_value_heads=2)
    model.build((None, T))
    _, cache, _ = model.start(tf.constant(IDS[:, :3]), 4)
    assert [part.shape.as_list() for part in cache] == [[3, 2, 2, 7, 4]] * 2


def test_a_row_beyond_the_context_and_unknown_options_are_refused() -> None:
    model = GPT(V, 4, hidden_dim=8, num_heads=2, num_layers=1)
    with pytest.raises(ValueError, match="at most 4"):
        model(IDS)
    for wrong in ({"positions": "none"}, {"norm": "batch"}, {"num_key_value_heads": 3}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            GPT(V, 4, hidden_dim=8, num_heads=4, num_layers=1, **wrong)(IDS[:, :4])


def test_one_batch_can_be_learned_by_heart() -> None:
    keras.utils.set_random_seed(0)
    model = GPT(V, T - 1, hidden_dim=32, num_heads=4, num_layers=2, **LLAMA)
    model.compile(keras.optimizers.Adam(0.01), SparseCrossentropy())
    history = fit(model, (IDS[:, :-1], IDS[:, 1:]), epochs=150, batch_size=3, verbose=0)
    assert history.history["loss"][-1] < 0.5  # the first tokens cannot all be told


def masked() -> tuple[MaskedLanguageModel, dict[str, np.ndarray]]:
    keras.utils.set_random_seed(0)
    model = MaskedLanguageModel(V, T, hidden_dim=16, num_heads=4, num_layers=2)
    hidden = IDS.copy()
    hidden[:, [1, 4]] = model.mask_id
    return model, {"token_ids": hidden, "mask_positions": np.array([[1, 4]] * 3)}


def test_the_masked_model_sees_both_sides_and_no_padding(tmp_path) -> None:
    model, inputs = masked()
    logits = model(inputs).numpy()
    assert logits.shape == (3, 2, V)
    for place in (0, 6):
        changed = inputs["token_ids"].copy()
        changed[:, place] = changed[:, place] % (V - 1) + 1
        assert np.abs(model({**inputs, "token_ids": changed}) - logits).min(axis=-1).max() > 0
        assert np.abs(model({**inputs, "token_ids": changed}) - logits).max() > 1e-5
    short = {**inputs, "token_ids": np.where(np.arange(T) < 5, inputs["token_ids"], 0)}
    cut = {**inputs, "token_ids": inputs["token_ids"][:, :5]}
    np.testing.assert_allclose(model(short), model(cut), atol=1e-5)
    model.save(tmp_path / "model.keras")
    np.testing.assert_array_equal(keras.models.load_model(tmp_path / "model.keras")(inputs), logits)


def test_the_masked_model_learns_what_was_hidden_and_its_loss_begins_at_ln_v() -> None:
    model, inputs = masked()
    labels, weights = np.take_along_axis(IDS, inputs["mask_positions"], axis=1), np.ones((3, 2), "float32")
    assert abs(float(SparseCrossentropy()(labels, model(inputs))) - np.log(V)) < 0.2
    model.compile(keras.optimizers.Adam(0.005), SparseCrossentropy())
    fit(model, (inputs, labels, weights), epochs=120, batch_size=3, verbose=0)
    assert evaluate(model, (inputs, labels, weights))["loss"] < 0.05
