"""The classifier on a pretrained model: what it reads of a text, its heads, its losses."""

import keras
import numpy as np
import pytest

from keras_llm.models import GPT, Encoder, SequenceClassifier

IDS = np.array([[3, 5, 7, 0, 0], [4, 6, 8, 9, 2]])


def encoder() -> Encoder:
    return Encoder(20, 8, hidden_dim=8, num_heads=2, num_layers=1, num_segments=2)


def gpt() -> GPT:
    return GPT(20, 8, hidden_dim=8, num_heads=2, num_layers=1)


@pytest.mark.parametrize(("make", "pooling"), [(encoder, "mean"), (encoder, "first"), (gpt, "last"), (gpt, "mean")])
def test_padding_changes_nothing(make, pooling) -> None:
    model = SequenceClassifier(make(), num_classes=3, pooling=pooling)
    alone = model(IDS[:1, :3]).numpy()
    np.testing.assert_allclose(model(IDS).numpy()[:1], alone, atol=1e-6)


def test_what_each_pooling_reads() -> None:
    states = np.arange(2 * 5 * 8, dtype="float32").reshape(2, 5, 8)
    tensors = keras.ops.convert_to_tensor(states), keras.ops.convert_to_tensor(IDS)
    expected = {"first": states[:, 0], "last": states[[0, 1], [2, 4]]}
    expected["mean"] = np.stack([states[0, :3].mean(axis=0), states[1].mean(axis=0)])
    for pooling, vectors in expected.items():
        pooled = SequenceClassifier(encoder(), pooling=pooling).pool(*tensors)
        np.testing.assert_allclose(pooled.numpy(), vectors, rtol=1e-6)


@pytest.mark.parametrize(
    ("classes", "several", "units", "total", "loss"),
    [
        (2, False, 1, None, "binary_crossentropy"),
        (4, False, 4, 1.0, "sparse_categorical_crossentropy"),
        (2, True, 2, None, "binary_crossentropy"),
        (1, True, 1, None, "binary_crossentropy"),
    ],
)
def test_the_heads(classes, several, units, total, loss) -> None:
    model = SequenceClassifier(encoder(), classes, multi_label=several)
    outputs = model(IDS).numpy()
    assert outputs.shape == (2, units)
    assert model.loss_name == loss
    assert ((outputs > 0) & (outputs < 1)).all()
    if total:
        np.testing.assert_allclose(outputs.sum(axis=1), total, rtol=1e-5)


def test_segments_are_read() -> None:
    model = SequenceClassifier(encoder(), num_classes=3)
    one = model({"token_ids": IDS, "segment_ids": np.zeros_like(IDS)}).numpy()
    two = model({"token_ids": IDS, "segment_ids": np.array([[0, 1, 1, 0, 0]] * 2)}).numpy()
    np.testing.assert_allclose(one, model(IDS).numpy(), atol=1e-6)
    assert not np.allclose(one, two)


@pytest.mark.parametrize("make", [encoder, gpt])
def test_it_is_saved_and_loaded(make, tmp_path) -> None:
    model = SequenceClassifier(make(), 3, "last", dropout=0.2)
    outputs = model(IDS).numpy()
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert np.array_equal(loaded(IDS).numpy(), outputs)
    assert loaded.config == model.config
    assert loaded.encoder.config == model.encoder.config


def test_wrong_arguments_are_refused() -> None:
    with pytest.raises(ValueError, match="at least two"):
        SequenceClassifier(encoder(), num_classes=1)
    with pytest.raises(ValueError, match="'max'"):
        SequenceClassifier(encoder(), pooling="max")
