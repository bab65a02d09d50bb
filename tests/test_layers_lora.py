"""LoRA: it begins as the model was, learns little, merges to the same outputs, and comes back from a file."""

import keras
import numpy as np
import pytest

from keras_llm.layers import LoRA
from keras_llm.models import GPT, Encoder, SequenceClassifier
from keras_llm.training import SparseCrossentropy, fit


def classifier(**options) -> SequenceClassifier:
    keras.utils.set_random_seed(0)
    encoder = Encoder(20, 6, hidden_dim=8, num_heads=2, num_layers=2, num_segments=2, **options)
    model = SequenceClassifier(encoder, num_classes=3)
    model.build((None, 6))
    return model


@pytest.fixture(scope="module")
def adapted(token_ids, labels):
    """A LoRA after some epochs, and the weights of the model inside as they were before."""
    model = LoRA(classifier(dropout=0.1), rank=2, alpha=4)
    model.compile(keras.optimizers.Adam(1e-2), "sparse_categorical_crossentropy")
    before = [np.array(weight) for weight in model.model.weights]
    model.build((None, 6))
    start = model(token_ids).numpy()
    seeds = [np.array(state) for state in model.states]
    fit(model, (token_ids, labels), epochs=10, batch_size=8, verbose=0)
    return model, before, start, seeds


def test_it_begins_as_the_model_was(adapted, token_ids) -> None:
    assert np.array_equal(adapted[2], classifier(dropout=0.1)(token_ids).numpy())


def test_only_corrections_and_head_are_trained(adapted) -> None:
    model, before, _, _ = adapted
    changed = {
        weight.path.split("/")[-2]
        for weight, old in zip(model.model.weights, before, strict=True)
        if not np.array_equal(weight, old)
    }
    assert changed == {"head"}
    assert len(model.corrections) == 4  # queries and values of two blocks
    assert all(np.any(np.array(b) != 0) for _, _, b in model.corrections)
    assert len(model.trainable_variables) == 2 * 4 + 2


def test_dropout_draws_anew_in_each_step(adapted) -> None:
    model, _, _, seeds = adapted
    assert seeds
    assert all(not np.array_equal(state, old) for state, old in zip(model.states, seeds, strict=True))


def test_merged_equals_unmerged(adapted, token_ids, tmp_path) -> None:
    model = adapted[0]
    outputs = model(token_ids).numpy()
    model.save(tmp_path / "lora.keras")
    loaded = keras.models.load_model(tmp_path / "lora.keras")
    assert np.array_equal(loaded(token_ids).numpy(), outputs)
    merged = loaded.merge()
    assert isinstance(merged, SequenceClassifier)
    np.testing.assert_allclose(merged(token_ids).numpy(), outputs, atol=1e-6)
    np.testing.assert_allclose(loaded(token_ids).numpy(), outputs, atol=1e-6)


def test_the_correction_is_the_papers_formula() -> None:
    dense = keras.layers.Dense(3, use_bias=False)
    model = LoRA(dense, rank=2, alpha=3, targets=["kernel"], trained=())
    x = np.random.default_rng(0).normal(size=(5, 4)).astype("float32")
    model(x)
    _, a, b = model.corrections[0]
    b.assign(np.random.default_rng(1).normal(size=(2, 3)))
    expected = x @ np.array(dense.kernel) + 3 / 2 * (x @ np.array(a)) @ np.array(b)
    np.testing.assert_allclose(model(x).numpy(), expected, rtol=1e-5)


def test_corrections_are_added_in_float32_under_mixed_precision() -> None:
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        dense = keras.layers.Dense(1, use_bias=False, kernel_initializer="ones")
        model = LoRA(dense, rank=1, alpha=1, targets=["kernel"], trained=())
        x = np.ones((1, 1), "float32")
        model(x)
        _, a, b = model.corrections[0]
        a.assign([[1.0]])
        b.assign([[0.007]])  # 1 and its neighbour in bfloat16 are 0.0078 apart
        assert float(model(x)[0, 0]) == 1 + 2**-7
        b.assign([[0.003]])
        assert float(model(x)[0, 0]) == 1
    finally:
        keras.config.set_dtype_policy(before)


def test_a_language_model_is_adapted_too(token_ids) -> None:
    model = LoRA(GPT(20, 6, hidden_dim=8, num_heads=2, num_layers=1), rank=2, trained=())
    model.compile(keras.optimizers.Adam(1e-2), SparseCrossentropy(ignore_class=0))
    losses = fit(model, (token_ids[:, :-1], token_ids[:, 1:]), epochs=3, batch_size=8, verbose=0).history["loss"]
    assert losses[-1] < losses[0]


def test_wrong_arguments_are_refused() -> None:
    with pytest.raises(ValueError, match="rank=0"):
        LoRA(classifier(), rank=0)
    with pytest.raises(ValueError, match="no kernel"):
        LoRA(classifier(), targets=["quarry"]).build((None, 6))
