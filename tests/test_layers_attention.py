"""keras_llm.layers: attention is Keras's own in outputs and gradients, and looks only where its masks let it."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import ops

from keras_llm.layers import (
    MultiHeadAttention,
    attention,
    causal_mask,
    masks,
    padding_mask,
    scaled_dot_product_attention,
)
from tests import layer_checks
from tests.layer_checks import (
    MEMORY,
    MEMORY_REAL,
    REAL,
    B,
    D,
    H,
    S,
    T,
    X,
    assert_close,
    outputs_and_gradients,
    with_random_weights,
)

HOLES = {length: np.random.default_rng(0).random((B, T, length)) < 0.6 for length in (T, S)}
for holes in HOLES.values():
    holes[:, :, 0] = True  # each row sees something


def build(memory: bool = False, **options) -> MultiHeadAttention:
    return with_random_weights(MultiHeadAttention(H, **options), X.shape, *[MEMORY.shape] * memory)


def keras_attention(own: MultiHeadAttention) -> keras.layers.MultiHeadAttention:
    """Keras's layer with the weights of ours."""
    theirs = keras.layers.MultiHeadAttention(H, D // H, use_bias=own.use_bias)
    theirs.build(X.shape, MEMORY.shape)
    theirs.set_weights([np.reshape(w, t.shape) for w, t in zip(own.get_weights(), theirs.weights, strict=True)])
    return theirs


@pytest.mark.parametrize("memory", [False, True], ids=["self", "cross"])
@pytest.mark.parametrize("case", ["none", "padding", "causal", "padding and causal", "pairs", "all and xla"])
def test_attention_is_keras_attention(memory, case) -> None:
    """Outputs, weights, gradients of the inputs and of all kernels and biases."""
    own = build(memory, use_bias=case != "none")
    theirs = keras_attention(own)
    padding, options = None, {"use_causal_mask": "causal" in case or "all" in case}
    if "padding" in case or "all" in case:
        padding = MEMORY_REAL if memory else REAL
    if "pairs" in case or "all" in case:
        options["attention_mask"] = HOLES[S if memory else T]
    inputs = [X, MEMORY] if memory else [X]

    def our_call(*inputs):
        return own(*inputs, **{"memory_mask" if memory else "mask": padding}, return_weights=True, **options)

    def their_call(x, memory=None):
        values = x if memory is None else memory
        return theirs(x, values, value_mask=padding, return_attention_scores=True, **options)

    expected = outputs_and_gradients(their_call, inputs, theirs.weights)
    result = outputs_and_gradients(our_call, inputs, own.weights, jit_compile="xla" in case)
    assert_close([np.reshape(r, e.shape) for r, e in zip(result, expected, strict=True)], expected)
    assert len(result) == 2 + len(inputs) + (4 if case == "none" else 8)
    np.testing.assert_allclose(result[1].sum(axis=-1), 1, rtol=1e-5)


@pytest.mark.parametrize("shared", [1, 2])
@pytest.mark.parametrize("fused", [False, True], ids=["separate", "fused"])
def test_fewer_heads_of_keys_and_values_are_keras_grouped_queries(shared, fused) -> None:
    heads = 4
    own = with_random_weights(MultiHeadAttention(heads, num_key_value_heads=shared, fused=fused), X.shape)
    theirs = keras.layers.GroupQueryAttention(D // heads, heads, shared)
    theirs.build(X.shape, X.shape)
    theirs.set_weights([np.reshape(w, t.shape) for w, t in zip(own.get_weights(), theirs.weights, strict=True)])
    expected = outputs_and_gradients(lambda x: theirs(x, x, value_mask=REAL, use_causal_mask=True), [X], theirs.weights)
    result = outputs_and_gradients(lambda x: own(x, mask=REAL, use_causal_mask=True), [X], own.weights)
    assert_close([np.reshape(r, e.shape) for r, e in zip(result, expected, strict=True)], expected)
    assert own.kernels["key"].shape == (D, shared * D // heads) and len(result) == 10


@pytest.mark.parametrize("memory", [False, True], ids=["self", "cross"])
def test_fused_products_give_the_same_with_fewer_of_them(memory) -> None:
    plain, fused = build(memory), build(memory, fused=True)
    inputs = [X, MEMORY] if memory else [X]
    assert_close(*(outputs_and_gradients(layer, inputs, layer.weights) for layer in (plain, fused)))

    def dots(layer) -> int:
        compiled = tf.function(layer, jit_compile=True).experimental_get_compiler_ir(*map(tf.constant, inputs))
        return compiled(stage="hlo").count(" dot(")

    assert dots(plain) == 6  # query, key, value, scores, means, output
    assert dots(fused) == (5 if memory else 4)


def test_formula() -> None:
    layer_checks.assert_is_the_formula(scaled_dot_product_attention)


def without_root(query, key, value, mask):
    return scaled_dot_product_attention(query * query.shape[-1] ** 0.5, key, value, mask)


def softmax_over_queries(query, key, value, mask):
    scores = ops.where(mask, ops.matmul(query, ops.swapaxes(key, -1, -2)) / query.shape[-1] ** 0.5, -3e4)
    weights = ops.softmax(scores, axis=-2)
    return ops.matmul(weights, value), weights


@pytest.mark.parametrize("wrong", [without_root, softmax_over_queries])
def test_wrong_formulas_are_found(wrong) -> None:
    with pytest.raises(AssertionError):
        layer_checks.assert_is_the_formula(wrong)


def check_causal() -> None:
    layer_checks.assert_causal(lambda x: build()(x, use_causal_mask=True), X)


def check_padding() -> None:
    """Of x and of a memory: padding is seen by nobody, and everybody sees all the rest."""
    layer, real = build(), REAL[:, None] | np.eye(T, dtype=bool)  # a row feels its own input, as a query
    layer_checks.assert_sees_only(lambda x: layer(x, mask=REAL), X, real)
    cross = build(memory=True)
    layer_checks.assert_reads_the_memory(lambda x, m: cross(x, m, memory_mask=MEMORY_REAL), X, MEMORY, MEMORY_REAL)


def check_pairs() -> None:
    layer, sees_itself = build(), HOLES[T] | np.eye(T, dtype=bool)
    layer_checks.assert_sees_only(lambda x: layer(x, attention_mask=sees_itself), X, sees_itself)
    layer_checks.assert_sees_only(lambda x: layer(x, attention_mask=sees_itself[0]), X[:1], sees_itself[:1])
    all_heads = np.repeat(sees_itself[:, None], H, axis=1)  # (B, H, T, S)
    layer_checks.assert_sees_only(lambda x: layer(x, attention_mask=all_heads), X, sees_itself)


CHECKS = {"causal": check_causal, "padding": check_padding, "pairs": check_pairs}


@pytest.mark.parametrize("check", CHECKS)
def test_nobody_looks_where_a_mask_forbids(check) -> None:
    CHECKS[check]()


DEFECTS = {
    "causal missing": ("causal", lambda keys, pairs, causal: masks.allowed(keys, pairs)),
    "causal inverted": ("causal", lambda keys, pairs, causal: ops.logical_not(causal)),
    "padding ignored": ("padding", lambda keys, pairs, causal: masks.allowed(pairs, causal)),
    "padding inverted": ("padding", lambda keys, pairs, causal: ops.logical_not(masks.allowed(keys))),
    "pairs ignored": ("pairs", lambda keys, pairs, causal: masks.allowed(keys, causal)),
    "pairs inverted": ("pairs", lambda keys, pairs, causal: ops.logical_not(masks.allowed(keys, pairs))),
}


@pytest.mark.parametrize("defect", DEFECTS)
def test_wrong_masks_are_found(defect, monkeypatch) -> None:
    check, wrong = DEFECTS[defect]
    monkeypatch.setattr(attention, "allowed", wrong)
    with pytest.raises(AssertionError):
        CHECKS[check]()


def test_masks_are_what_they_say() -> None:
    assert causal_mask(2, 3).numpy().tolist() == [[True, False, False], [True, True, False]]
    np.testing.assert_array_equal(causal_mask(T), np.tri(T, dtype=bool))
    np.testing.assert_array_equal(padding_mask(np.array([[4, 0, 9], [1, 1, 0]])), [[1, 0, 1], [1, 1, 0]])
    assert padding_mask(np.array([[5, 0]]), padding_id=5).numpy().tolist() == [[False, True]]
    assert masks.allowed() is None and masks.allowed(None, None) is None


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
def test_a_row_that_may_see_nothing_gives_numbers(dtype) -> None:
    layer, nothing = build(dtype=dtype), np.zeros((B, T), bool)
    results = outputs_and_gradients(lambda x: layer(x, mask=nothing, return_weights=True), [X], layer.weights)
    assert all(np.isfinite(array.astype("float32")).all() for array in results)
    np.testing.assert_allclose(results[1].astype("float32"), 1 / T, rtol=1e-2)  # the mean of all


def test_keras_masks_are_honoured_and_passed_on() -> None:
    """Those that ``Embedding(mask_zero=True)`` hangs on its outputs: of x, and of a memory."""
    embedding = keras.layers.Embedding(20, D, mask_zero=True)
    ids, source = np.array([[3, 4, 5, 0, 0]]), np.array([[7, 8, 0]])
    layer, cross = build(), build(memory=True)
    x, memory = embedding(ids), embedding(source)
    np.testing.assert_allclose(layer(x)[:, :3], layer(embedding(ids[:, :3])), atol=1e-6)
    # With a further tensor in the call Keras no longer fills in the mask by itself.
    np.testing.assert_allclose(layer(x, attention_mask=np.ones((T, T), bool)), layer(x), atol=1e-6)
    np.testing.assert_allclose(cross(x, memory), cross(x, embedding(source[:, :2])), atol=1e-6)
    for y in (layer(x), cross(x, memory)):
        np.testing.assert_array_equal(y._keras_mask, ids != 0)
    assert not np.allclose(layer(x), layer(x, mask=np.ones((1, T), bool)), atol=1e-3)  # a given mask comes first


def test_dropout_drops_attention_weights_in_training_only() -> None:
    layer = build(dropout=0.5)
    assert not np.allclose(layer(X, training=True), layer(X), atol=1e-3)
    np.testing.assert_array_equal(layer(X), build()(X))
    # A value that is all ones tells how much weight is left: 1 without dropout, 0 to 2 with it.
    ones, logits = ops.ones((1, H, 400, 4)), ops.zeros((1, H, 400, 4))
    layer.kernels["output"].assign(np.eye(D))
    layer.biases["output"].assign(np.zeros(D))
    left = layer.attend(logits, logits, ones, training=True)[0].numpy()
    assert left.mean() == pytest.approx(1, abs=0.02) and left.std() > 0.01


@pytest.mark.parametrize("dtype", ["mixed_bfloat16", "bfloat16", "float16"])
def test_narrow_dtypes_stay_near_float32(dtype) -> None:
    layer = build(dtype=dtype)
    y = layer(X, mask=REAL, use_causal_mask=True)
    assert keras.backend.standardize_dtype(y.dtype) == dtype.removeprefix("mixed_")
    expected = build()(X, mask=REAL, use_causal_mask=True).numpy()
    # bfloat16 keeps 8 bits: 0.4 % a rounding. Which sums are rounded on the way depends on the processor.
    assert np.linalg.norm(ops.cast(y, "float32") - expected) < 0.04 * np.linalg.norm(expected)
    assert np.abs(expected).max() > 1


def test_config_has_every_option() -> None:
    options = {"dropout": 0.25, "rotary": True, "use_bias": False, "fused": True, "name": "look", "dtype": "bfloat16"}
    layer = MultiHeadAttention(4, kernel_initializer=keras.initializers.HeNormal(seed=3), **options)
    clone = MultiHeadAttention.from_config(layer.get_config())
    assert clone.get_config() == layer.get_config()
    assert [clone.get_config()[name] for name in ("num_heads", "dropout", "rotary", "fused")] == [4, 0.25, True, True]
    for each in (layer, clone):
        each.build((1, T, D))
    np.testing.assert_array_equal(clone.kernels["value"], layer.kernels["value"])  # the initializer came along
    assert not clone.biases


def test_functional_model_of_any_batch_and_length_survives_saving(tmp_path) -> None:
    x, memory = keras.Input((None, D)), keras.Input((None, D))
    y = MultiHeadAttention(H, rotary=True)(x, use_causal_mask=True)
    y, weights = MultiHeadAttention(H)(y, memory, return_weights=True)
    assert y.shape == (None, None, D) and weights.shape == (None, H, None, None)
    model = keras.Model([x, memory], [y, weights])
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    for rows in (1, 3):
        expected = model([X[:rows], MEMORY[:rows]])
        assert_close(loaded([X[:rows], MEMORY[:rows]]), expected, atol=0)
    assert_close(model.predict([X, MEMORY], verbose=0), expected)


def test_what_is_wrong_is_said() -> None:
    with pytest.raises(ValueError, match="num_heads=3 does not divide the width 8"):
        MultiHeadAttention(3)(X)
    with pytest.raises(ValueError, match="num_heads=0"):
        MultiHeadAttention(0)(X)
    with pytest.raises(ValueError, match="rotary=True is for self-attention"):
        MultiHeadAttention(2, rotary=True)(X, MEMORY)
    with pytest.raises(ValueError, match="even width, got 1"):
        MultiHeadAttention(8, rotary=True)(X)
