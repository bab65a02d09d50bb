"""keras_llm.training.losses: what Keras computes from one-hot labels, from the labels themselves."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_llm.training import SparseCrossentropy, fit

DRAW = np.random.default_rng(0)
LOGITS = DRAW.normal(size=(3, 5, 7)).astype("float32") * 3
LABELS = DRAW.integers(1, 7, (3, 5))
LABELS[0, 3:], LABELS[2, 1:] = 0, 0  # padding
WEIGHTS = DRAW.uniform(size=(3, 5)).astype("float32")


def value_and_gradient(loss, labels, logits, weights=None) -> tuple[np.ndarray, np.ndarray]:
    """Compiled by XLA."""

    @tf.function(jit_compile=True)
    def run(logits):
        with tf.GradientTape() as tape:
            tape.watch(logits)
            value = loss(labels, logits, sample_weight=weights)
        return value, tape.gradient(value, logits)

    return tuple(np.asarray(tf.cast(result, "float32")) for result in run(tf.constant(logits)))


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("reduction", ["sum_over_batch_size", "sum", "mean_with_sample_weight", None])
@pytest.mark.parametrize("weighted", [False, True])
def test_it_is_keras_crossentropy_of_one_hot_labels(smoothing, reduction, weighted) -> None:
    weights = WEIGHTS if weighted else None
    theirs = keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=smoothing, reduction=reduction)
    ours = SparseCrossentropy(smoothing, reduction=reduction)
    expected = value_and_gradient(theirs, np.eye(7, dtype="float32")[LABELS], LOGITS, weights)
    for given in (LABELS, LABELS[..., None]):
        for value, wanted in zip(value_and_gradient(ours, given, LOGITS, weights), expected, strict=True):
            np.testing.assert_allclose(value, wanted, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("ignored", [0, -100])
@pytest.mark.parametrize("reduction", ["sum_over_batch_size", "sum", "mean_with_sample_weight"])
@pytest.mark.parametrize("weighted", [False, True])
def test_the_ignored_label_has_no_part(ignored, reduction, weighted) -> None:
    real = LABELS > 0
    labels, weights = np.where(real, LABELS, ignored), WEIGHTS if weighted else None
    loss = SparseCrossentropy(0.1, ignore_class=ignored, reduction=reduction)
    value, gradient = value_and_gradient(loss, labels, LOGITS, weights)
    only, only_gradient = value_and_gradient(
        SparseCrossentropy(0.1, reduction=reduction), LABELS[real], LOGITS[real], WEIGHTS[real] if weighted else None
    )
    assert value == pytest.approx(only, rel=1e-5)  # the mean of those that count, not of all
    np.testing.assert_allclose(gradient[real], only_gradient, rtol=1e-4, atol=1e-6)
    assert not gradient[~real].any()
    theirs = keras.losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=ignored, reduction=reduction)
    plain = SparseCrossentropy(ignore_class=ignored, reduction=reduction)
    expected = value_and_gradient(theirs, labels, LOGITS, weights)
    np.testing.assert_allclose(value_and_gradient(plain, labels, LOGITS, weights)[0], expected[0], rtol=1e-5)


def test_all_labels_ignored_is_nought_and_no_class_is_nan() -> None:
    value, gradient = value_and_gradient(SparseCrossentropy(ignore_class=0), np.zeros((3, 5), int), LOGITS)
    assert value == 0 and not gradient.any()
    for wrong in (-1, 7):
        labels = LABELS.copy()
        labels[1, 1] = wrong
        assert np.isnan(value_and_gradient(SparseCrossentropy(ignore_class=0), labels, LOGITS)[0])


def test_losses_of_bfloat16_logits_are_computed_in_float32() -> None:
    logits = tf.cast(LOGITS, "bfloat16")
    value, gradient = value_and_gradient(SparseCrossentropy(0.1), LABELS, logits)
    expected, expected_gradient = value_and_gradient(SparseCrossentropy(0.1), LABELS, tf.cast(logits, "float32"))
    assert SparseCrossentropy()(LABELS, logits).dtype == "float32"
    assert value == pytest.approx(expected, rel=1e-6)  # bfloat16 has three digits
    np.testing.assert_allclose(gradient, expected_gradient, rtol=1e-2)


def test_the_mask_of_a_model_counts_and_a_saved_model_knows_its_loss(tmp_path) -> None:
    ids = np.where(LABELS > 0, LABELS, 0)
    losses = []
    for loss, mask_zero in ((SparseCrossentropy(0.1), True), (SparseCrossentropy(0.1, ignore_class=0), False)):
        keras.utils.set_random_seed(0)
        model = keras.Sequential([keras.layers.Embedding(7, 4, mask_zero=mask_zero), keras.layers.Dense(7)])
        model.compile("sgd", loss)
        losses.append(fit(model, (ids, ids), batch_size=3, epochs=2, verbose=0).history["loss"])
    np.testing.assert_allclose(losses[0], losses[1], rtol=1e-5)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras").loss
    assert type(loaded) is SparseCrossentropy and loaded.get_config() == loss.get_config()


def test_a_share_out_of_range_is_refused() -> None:
    with pytest.raises(ValueError, match=r"label_smoothing=1.0: give a share"):
        SparseCrossentropy(label_smoothing=1.0)
