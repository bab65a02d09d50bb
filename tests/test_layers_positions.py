"""keras_llm.layers: positions are keras_hub's, and say how far apart two tokens stand."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_llm.layers import LearnedPositions, MultiHeadAttention, SinusoidalPositions, rotate, sinusoidal_positions
from tests.layer_checks import normal, with_random_weights

B, T, D = 2, 6, 8
X = normal(B, T, D)


def same_at_each_distance(products: np.ndarray) -> bool:
    """Whether the numbers ``(T, T)`` are equal along each diagonal."""
    return np.allclose(products[1:, 1:], products[:-1, :-1], rtol=1e-4, atol=1e-4)


def test_sinusoids_are_those_of_keras_hub(keras_hub) -> None:
    for length, width, base in ((T, D, 10_000), (50, 7, 100)):  # an odd width too
        expected = keras_hub.layers.SinePositionEncoding(max_wavelength=base)(np.zeros((1, length, width), "float32"))
        np.testing.assert_allclose(sinusoidal_positions(length, width, base), expected[0], atol=2e-5)


def test_products_of_sinusoids_tell_the_distance() -> None:
    table = sinusoidal_positions(40, D)
    products = table @ table.T
    assert same_at_each_distance(products)
    assert (products[0, 0] > products[0, 1:]).all()  # nothing is nearer than itself
    np.testing.assert_allclose(np.diag(products), D / 2, rtol=1e-5)
    anything = normal(40, D)
    assert not same_at_each_distance(anything @ anything.T)  # the check can fail


def test_sinusoidal_layer_adds_the_table() -> None:
    np.testing.assert_allclose(SinusoidalPositions(base=50.0)(X), X + sinusoidal_positions(T, D, 50.0), rtol=1e-6)


def test_rotation_is_that_of_keras_hub(keras_hub) -> None:
    for base, start in ((10_000, 0), (100, 9)):
        theirs = keras_hub.layers.RotaryEmbedding(max_wavelength=base)(X, start_index=start)
        np.testing.assert_allclose(rotate(X, start, base), theirs, atol=1e-5)


def test_rotated_products_depend_on_the_distance_only() -> None:
    query, key = (np.repeat(normal(1, D, seed=seed), 30, axis=0) for seed in (1, 2))  # one vector at 30 places
    near, far = (np.array(rotate(query, start)) @ np.array(rotate(key, start)).T for start in (0, 1000))
    assert same_at_each_distance(near)
    np.testing.assert_allclose(near, far, atol=1e-3)  # wherever the text begins
    assert near[0].std() > 0.1  # and on the distance they do depend
    assert not same_at_each_distance(np.array(rotate(query)) @ key.T)


def test_rotation_keeps_lengths_and_starts_anywhere() -> None:
    whole = np.array(rotate(X))
    np.testing.assert_allclose(np.linalg.norm(whole, axis=-1), np.linalg.norm(X, axis=-1), rtol=1e-5)
    np.testing.assert_allclose(whole[:, 0], X[:, 0], rtol=1e-6)  # position 0 is not turned
    for start in (4, tf.constant(4)):
        np.testing.assert_allclose(rotate(X[:, 4:], start), whole[:, 4:], atol=1e-6)
    assert rotate(tf.cast(X, "bfloat16")).dtype == "bfloat16"
    assert rotate(X[None]).shape == (1, B, T, D)


def test_permuted_inputs_give_permuted_outputs_unless_positions_are_told() -> None:
    order = np.random.default_rng(0).permutation(T)

    def is_a_bag_of_words(*stack) -> bool:
        def call(x):
            for layer in stack:
                x = layer(x)
            return np.array(x)

        return np.allclose(call(X[:, order]), call(X)[:, order], atol=1e-5)

    attention = with_random_weights(MultiHeadAttention(2), X.shape)
    rotary = with_random_weights(MultiHeadAttention(2, rotary=True), X.shape)
    assert is_a_bag_of_words(attention)
    assert not is_a_bag_of_words(rotary)
    for positions in (SinusoidalPositions(), with_random_weights(LearnedPositions(T), X.shape)):
        assert not is_a_bag_of_words(positions, attention)


def test_learned_positions_are_added_and_refuse_what_is_too_long() -> None:
    layer = with_random_weights(LearnedPositions(T), X.shape)
    np.testing.assert_allclose(layer(X), X + np.array(layer.vectors), rtol=1e-6)
    np.testing.assert_allclose(layer(X[:, :2]), layer(X)[:, :2], rtol=1e-6)
    with pytest.raises(ValueError, match="7 positions, but vectors for 6"):
        layer(normal(B, T + 1, D))


def test_learned_positions_learn() -> None:
    layer = with_random_weights(LearnedPositions(T), X.shape)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(layer(X)[:, :4])
    gradient = tape.gradient(loss, layer.vectors.value)
    np.testing.assert_array_equal(gradient, np.repeat([[B]] * 4 + [[0]] * 2, D, axis=1))


def test_rotation_refuses_an_odd_width() -> None:
    with pytest.raises(ValueError, match="even width, got 3"):
        rotate(normal(1, 4, 3))


@pytest.mark.parametrize("layer", [SinusoidalPositions(base=77.0), LearnedPositions(9, "ones")], ids=lambda x: x.name)
def test_position_layers_survive_saving_and_pass_masks_on(layer, tmp_path) -> None:
    ids = np.array([[3, 4, 0, 0]])
    model = keras.Sequential([keras.Input((4,)), keras.layers.Embedding(9, D, mask_zero=True), layer])
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded(ids), model(ids))
    assert loaded.layers[-1].get_config() == layer.get_config()
    np.testing.assert_array_equal(layer(model.layers[0](ids))._keras_mask, ids != 0)
    with pytest.raises(ValueError, match="fixed sequence length"):
        type(layer).from_config(layer.get_config())(keras.Input((None, D)))


@pytest.mark.parametrize("dtype", ["mixed_bfloat16", "bfloat16", "float16"])
def test_positions_far_from_the_start_are_told_apart_in_narrow_dtypes(dtype) -> None:
    """A bfloat16 cannot count beyond 256, so angles are reckoned in a wider type."""
    compute_dtype = dtype.removeprefix("mixed_")
    far = rotate(tf.ones((1, 8, D), compute_dtype), start=1000)
    np.testing.assert_allclose(tf.cast(far, "float32"), rotate(tf.ones((1, 8, D)), start=1000), atol=0.02)
    for layer in (SinusoidalPositions(dtype=dtype), LearnedPositions(1001, dtype=dtype)):
        added = layer(tf.zeros((1, 1001, D)))
        assert added.dtype == layer.table(5, D).dtype == compute_dtype
        assert not np.array_equal(added[0, 999], added[0, 1000])
    table = SinusoidalPositions(dtype=dtype).table(1001, D)
    np.testing.assert_allclose(tf.cast(table, "float32"), sinusoidal_positions(1001, D), atol=0.01)
