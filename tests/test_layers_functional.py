"""Attention in Keras's functional models: weights as an output, masks that Keras hands on, save and load."""

import keras
import numpy as np
import pytest

from keras_llm.layers import DecoderBlock, EncoderBlock, MultiHeadAttention

B, T, S, D = 2, 3, 5, 8
IDS = np.array([[3, 4, 0, 0, 0], [1, 2, 3, 4, 5]])


def asker(layer) -> tuple[keras.Model, keras.Model]:
    """Token ids and queries to the outputs, and to the weights."""
    ids, queries = keras.Input((S,), dtype="int32"), keras.Input((T, D))
    memory = EncoderBlock(2, 16)(keras.layers.Embedding(9, D, mask_zero=True)(ids))
    outputs, weights = layer(queries, memory, return_weights=True)
    return keras.Model([ids, queries], outputs), keras.Model([ids, queries], weights)


@pytest.mark.parametrize("layer", [MultiHeadAttention, lambda heads: DecoderBlock(heads, 16)], ids=["layer", "block"])
def test_weights_are_an_output_of_a_functional_model(layer, tmp_path) -> None:
    outputs, weights = asker(layer(4))
    assert outputs.output_shape == (None, T, D)
    assert weights.output_shape == (None, 4, T, S)
    queries = np.random.default_rng(0).normal(size=(B, T, D)).astype("float32")
    seen = weights([IDS, queries]).numpy()
    np.testing.assert_allclose(seen.sum(axis=-1), 1, atol=1e-6)
    assert not seen[0, ..., 2:].any()  # the mask of the embedding came with the memory
    assert seen[1].all()
    outputs.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded([IDS, queries]), outputs([IDS, queries]))
