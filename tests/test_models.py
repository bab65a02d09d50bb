"""keras_llm.models: the classifier starts at chance, can learn, ignores padding and survives saving."""

import keras
import numpy as np
import pytest
from keras import layers

from keras_llm.layers import LSTM
from keras_llm.models import LSTMClassifier
from keras_llm.training import fit, predict

OPTIONS = [
    {},
    {"num_classes": 3, "pooling": "max"},
    {"bidirectional": True, "dropout": 0.5},
    {"num_classes": 3, "bidirectional": True, "pooling": "max", "l2": 0.01},
    {"num_layers": 1, "pooling": "max", "dropout": 0.5, "l2": 0.01},
    {"num_layers": 3, "bidirectional": True, "l2": 0.01},
]


def small(seed: int = 1, **options) -> LSTMClassifier:
    keras.utils.set_random_seed(seed)
    return LSTMClassifier(**{"vocabulary_size": 20, "embedding_dim": 4, "units": 3, **options})


def described(options: dict) -> str:
    return "-".join(f"{name}={value}" for name, value in options.items()) or "document"


@pytest.mark.parametrize("num_classes", [2, 5])
@pytest.mark.parametrize("options", [{}, {"bidirectional": True, "pooling": "max"}], ids=described)
def test_untrained_loss_is_that_of_guessing(num_classes, options, token_ids) -> None:
    model = small(num_classes=num_classes, embedding_dim=32, units=16, **options)
    probabilities = np.array(model(token_ids))
    if num_classes == 2:
        probabilities = np.concatenate([1 - probabilities, probabilities], axis=1)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-5)
    loss = -np.log(probabilities[np.arange(40), np.arange(40) % num_classes]).mean()
    assert loss == pytest.approx(np.log(num_classes), abs=0.05)


@pytest.mark.parametrize(
    ("options", "jit_compile"),
    [({"num_layers": 1}, True), ({"num_classes": 3, "bidirectional": True, "pooling": "max"}, False)],
    ids=["sigmoid-xla", "softmax-bidirectional-max"],
)
def test_one_batch_can_be_learned_by_heart(options, jit_compile, token_ids, labels) -> None:
    model = small(units=8, embedding_dim=8, **options)
    model.compile(keras.optimizers.Adam(0.05), model.loss_name, metrics=["accuracy"])
    x = np.unique(token_ids, axis=0)[:8]
    y = labels[:8] % options.get("num_classes", 2)
    assert len(set(y)) > 1
    logs = fit(model, (x, y), epochs=60, batch_size=8, verbose=0, jit_compile=jit_compile).history
    assert logs["loss"][0] > 0.5 and logs["loss"][-1] < 0.05 and logs["accuracy"][-1] == 1


@pytest.mark.parametrize("options", OPTIONS, ids=described)
def test_padding_changes_nothing(options, token_ids) -> None:
    model = small(**options)
    model(token_ids)
    model.set_word_vectors(np.random.default_rng(0).normal(size=(20, 4)), np.ones(20, bool))  # so that a word counts
    before = model(token_ids)
    np.testing.assert_allclose(model(np.pad(token_ids, [(0, 0), (0, 5)])), before, atol=1e-6)
    assert np.abs(model(np.where(token_ids == 0, 19, token_ids)) - before).max() > 1e-3  # a word does change it


def test_max_pooling_looks_at_words_only() -> None:
    model = small(num_layers=1, pooling="max", units=3)
    model.build((None, 4))
    states = np.array([[[-0.5, 0.1, -0.9], [-0.4, 0.0, -0.8], [0.9, 0.9, 0.9], [0.9, 0.9, 0.9]]], "float32")
    model.recurrent_layers[0].call = lambda x, mask=None: keras.ops.convert_to_tensor(states)
    expected = model.head(np.array([[-0.4, 0.1, -0.8]], "float32"))
    np.testing.assert_allclose(model(np.array([[5, 6, 0, 0]])), expected, atol=1e-6)


@pytest.mark.parametrize("options", OPTIONS, ids=described)
def test_saved_and_loaded_it_is_the_same_model(options, token_ids, tmp_path) -> None:
    model = small(**options)
    before = model(token_ids)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded(token_ids), before)
    assert loaded.get_config() == model.get_config()
    np.testing.assert_allclose(loaded.losses, model.losses)
    assert len(loaded.losses) == len(model.losses)


def test_document_sizes_are_the_documents_network(token_ids) -> None:
    own = LSTMClassifier()
    document = keras.Sequential(
        [
            layers.Embedding(10_000, 256, mask_zero=True),
            layers.LSTM(128, return_sequences=True),
            layers.LSTM(128),
            layers.Dense(1, activation="sigmoid"),
        ]
    )
    for model in (own, document):
        model.build((None, 6))
    assert own.count_params() == document.count_params()
    own.set_weights(document.get_weights())
    np.testing.assert_allclose(own(token_ids), document(token_ids), atol=1e-6)


def test_regularization_adds_a_loss_for_each_input_kernel_and_the_head(token_ids) -> None:
    plain, penalised = small(bidirectional=True), small(bidirectional=True, l2=0.1)
    for model in (plain, penalised):
        model(token_ids)
    assert not plain.losses
    kernels = [w for w in penalised.trainable_weights if w.path.endswith("/kernel")]
    assert len(penalised.losses) == len(kernels) == 5  # two layers of two directions, and the head
    assert float(sum(penalised.losses)) == pytest.approx(0.1 * sum(np.square(w).sum() for w in kernels), rel=1e-5)


def test_dropout_acts_in_training_only(token_ids) -> None:
    model = small(dropout=0.5)
    quiet = model(token_ids)
    np.testing.assert_array_equal(model(token_ids), quiet)
    assert not np.allclose(model(token_ids, training=True), quiet, atol=1e-3)


@pytest.mark.parametrize("bidirectional", [False, True])
def test_options_shape_the_network(bidirectional, token_ids) -> None:
    model = small(num_classes=4, num_layers=3, bidirectional=bidirectional)
    assert model(token_ids).shape == (40, 4)
    assert len(model.recurrent_layers) == 3
    assert isinstance(model.recurrent_layers[0], LSTM) is not bidirectional
    assert model.loss_name == "sparse_categorical_crossentropy"
    assert small().loss_name == "binary_crossentropy"


def test_word_vectors_replace_the_words_they_know(token_ids) -> None:
    model = small()
    vectors = np.random.default_rng(0).normal(size=(20, 4), scale=3).astype("float32")
    found = np.arange(20) % 2 == 0
    with pytest.raises(ValueError, match="build it"):
        model.set_word_vectors(vectors, found)
    model(token_ids)
    before = np.array(model.embedding.embeddings)
    model.set_word_vectors(vectors, found)
    after = np.array(model.embedding.embeddings)
    np.testing.assert_array_equal(after[found], vectors[found])
    # The others keep their direction, and are stretched to the size of the known ones.
    np.testing.assert_allclose(after[~found], before[~found] * (vectors[found].std() / before.std()), rtol=1e-5)
    with pytest.raises(ValueError, match="do not fit"):
        model.set_word_vectors(vectors[:5], found)
    model.set_word_vectors(vectors, np.zeros(20, bool))
    np.testing.assert_array_equal(model.embedding.embeddings, after)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_classes": 1}, "two classes"),
        ({"num_layers": 0}, "a layer"),
        ({"pooling": "mean"}, "'last' or 'max'"),
        ({"units": 0}, "units=0"),
    ],
    ids=str,
)
def test_impossible_options_are_refused(options, message) -> None:
    with pytest.raises(ValueError, match=message):
        small(**options)


def test_compiled_prediction_is_the_models_output(token_ids) -> None:
    model = small(bidirectional=True, pooling="max")
    np.testing.assert_allclose(predict(model, token_ids, batch_size=32), model(token_ids), atol=1e-6)
