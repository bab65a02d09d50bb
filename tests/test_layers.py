"""keras_llm.layers: the LSTMs are Keras's own in outputs and gradients; dropout drops what it says."""

import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_llm.layers import LSTM, BidirectionalLSTM, Dropout
from keras_llm.layers.dropout import random_bits

B, T, D, H = 4, 5, 3, 2
FULL = np.ones((B, T), bool)
PADDED = np.arange(T) < np.array([[5], [3], [1], [4]])
HOLES = np.array([[1, 0, 1, 1, 0], [0, 1, 1, 0, 1], [0, 0, 0, 0, 0], [1, 1, 1, 1, 1]], bool)  # third row: nothing
MASKS = {"none": None, "padded": PADDED, "holes": HOLES}


def inputs(*shape: int) -> np.ndarray:
    return np.random.default_rng(len(shape)).normal(size=shape).astype("float32")


def with_same_weights(*recurrent: keras.layers.Layer) -> None:
    """Build the layers and give all of them one set of random weights, biases too."""
    for layer in recurrent:
        layer.build((B, T, D))
    draw = np.random.default_rng(7)
    weights = [draw.normal(size=w.shape, scale=0.5) for w in recurrent[0].get_weights()]
    for layer in recurrent:
        layer.set_weights(weights)


def outputs_and_gradients(layer, x: np.ndarray, mask: np.ndarray | None, jit_compile: bool = False) -> list[np.ndarray]:
    """Output, gradient of the input, gradients of the weights, for a loss that weighs each number differently."""

    def run(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = layer(x, mask=None if mask is None else tf.constant(mask))
            loss = tf.reduce_sum(y * tf.constant(inputs(*y.shape)))
        return [y, *tape.gradient(loss, [x, *(w.value for w in layer.trainable_weights)])]

    run = tf.function(run, jit_compile=True) if jit_compile else run
    return [np.array(array) for array in run(tf.constant(x))]


def assert_equal(left: list[np.ndarray], right: list[np.ndarray]) -> None:
    assert len(left) == len(right) == 2 + len(left[2:])
    for a, b in zip(left, right, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=2e-6)


@pytest.mark.parametrize("jit_compile", [False, True], ids=["eager", "xla"])
@pytest.mark.parametrize(
    ("mask", "sequences", "backwards"), itertools.product(MASKS, [False, True], [False, True]), ids=str
)
def test_lstm_is_keras_lstm(mask, sequences, backwards, jit_compile) -> None:
    options = {"return_sequences": sequences, "go_backwards": backwards}
    own, theirs = LSTM(H, **options), keras.layers.LSTM(H, **options)
    with_same_weights(own, theirs)
    x = inputs(B, T, D)
    expected = outputs_and_gradients(theirs, x, MASKS[mask])
    assert_equal(outputs_and_gradients(own, x, MASKS[mask], jit_compile), expected)
    assert expected[0].shape == own.compute_output_shape((B, T, D))


@pytest.mark.parametrize(("mask", "sequences"), itertools.product(MASKS, [False, True]), ids=str)
def test_bidirectional_is_keras_bidirectional(mask, sequences) -> None:
    own = BidirectionalLSTM(H, return_sequences=sequences)
    theirs = keras.layers.Bidirectional(keras.layers.LSTM(H, return_sequences=sequences))
    with_same_weights(own, theirs)
    x = inputs(B, T, D)
    expected = outputs_and_gradients(theirs, x, MASKS[mask])
    assert_equal(outputs_and_gradients(own, x, MASKS[mask]), expected)
    assert expected[0].shape == own.compute_output_shape((B, T, D))


@pytest.mark.parametrize("layer", [LSTM(H), LSTM(H, go_backwards=True), BidirectionalLSTM(H)], ids=lambda x: x.name)
def test_padding_changes_nothing(layer) -> None:
    with_same_weights(layer)
    x, mask = inputs(B, T, D), FULL
    padded = np.concatenate([x, 9 * inputs(B, 4, D)], axis=1)  # whatever stands there
    with_padding = outputs_and_gradients(layer, padded, np.concatenate([mask, np.zeros((B, 4), bool)], axis=1))
    assert not with_padding[1][:, T:].any()  # nor does the padding get a gradient
    with_padding[1] = with_padding[1][:, :T]
    assert_equal(with_padding, outputs_and_gradients(layer, x, mask))
    assert not np.allclose(layer(padded), with_padding[0], atol=1e-3)  # without the mask it would


def test_lstm_compiles_to_a_loop_with_the_input_projection_outside() -> None:
    layer = LSTM(H)
    with_same_weights(layer)
    x = tf.constant(inputs(B, T, D))
    hlo = tf.function(layer, jit_compile=True).experimental_get_compiler_ir(x)(stage="hlo")
    entry = hlo[hlo.index("\nENTRY") :]
    assert entry.count(" while(") == 2  # one for each half of the batch
    assert entry.count(" dot(") == 1 and hlo.count(" dot(") == 3  # x W once for all steps; h U in the loops


@pytest.mark.parametrize("recurrent", [LSTM, BidirectionalLSTM])
def test_masks_go_on_only_with_sequences(recurrent) -> None:
    x, mask = inputs(B, T, D), tf.constant(PADDED)
    assert recurrent(H, return_sequences=True).compute_mask(x, mask) is mask
    assert recurrent(H).compute_mask(x, mask) is None
    embedding = keras.layers.Embedding(9, D, mask_zero=True)
    ids = np.array([[3, 4, 0, 0, 0]])
    model = keras.Sequential([embedding, recurrent(H, return_sequences=True), recurrent(H)])
    np.testing.assert_allclose(model(ids), model(ids[:, :2]), atol=1e-6)  # Keras hands the mask on by itself


@pytest.mark.parametrize("recurrent", [LSTM, BidirectionalLSTM])
def test_recurrent_layers_survive_saving(recurrent, tmp_path) -> None:
    options = {"go_backwards": True} if recurrent is LSTM else {}
    layer = recurrent(H, return_sequences=True, kernel_regularizer=keras.regularizers.L2(0.1), name="states", **options)
    model = keras.Sequential([keras.Input((T, D)), layer])
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    x = inputs(B, T, D)
    np.testing.assert_array_equal(loaded(x), model(x))
    assert loaded.layers[0].get_config() == layer.get_config()
    assert float(loaded.losses[0]) == float(model.losses[0])


def test_regularizer_counts_the_input_kernels() -> None:
    penalty = keras.regularizers.L2(0.1)
    single, double = LSTM(H, kernel_regularizer=penalty), BidirectionalLSTM(H, kernel_regularizer=penalty)
    with_same_weights(single)
    with_same_weights(double)
    assert float(sum(single.losses)) == pytest.approx(0.1 * np.square(single.kernel).sum(), rel=1e-5)
    kernels = [double.from_left.kernel, double.from_right.kernel]
    assert float(sum(double.losses)) == pytest.approx(0.1 * sum(np.square(k).sum() for k in kernels), rel=1e-5)
    assert not LSTM(H).losses


def test_forget_gate_starts_open() -> None:
    layer = LSTM(H)
    layer.build((B, T, D))
    np.testing.assert_array_equal(layer.bias, [0, 0, 1, 1, 0, 0, 0, 0])


def test_lstm_says_what_is_wrong() -> None:
    with pytest.raises(ValueError, match="units=0"):
        LSTM(0)
    with pytest.raises(ValueError, match="fixed sequence length"):
        LSTM(H).build((B, None, D))


def test_dropout_drops_its_rate_and_keeps_the_mean() -> None:
    x = np.ones((100, 200), "float32")
    y = np.array(Dropout(0.3, seed=1)(x, training=True))
    assert np.mean(y == 0) == pytest.approx(0.3, abs=0.01)  # 6 standard deviations
    np.testing.assert_allclose(y[y != 0], 1 / 0.7, rtol=1e-6)


def test_dropout_outside_training_is_nothing() -> None:
    x = inputs(B, T, D)
    layer = Dropout(0.9, seed=1)
    np.testing.assert_array_equal(layer(x), x)
    np.testing.assert_array_equal(layer(x, training=False), x)
    np.testing.assert_array_equal(Dropout(0.0)(x, training=True), x)


def test_dropout_draws_anew_each_call_and_the_same_from_one_seed() -> None:
    x = np.ones((10, 10), "float32")
    layer, twin, other = (Dropout(0.5, seed=seed) for seed in (3, 3, 4))
    before = np.array(layer.seed_generator.state)
    first, second = layer(x, training=True), layer(x, training=True)
    assert not np.array_equal(layer.seed_generator.state, before)
    assert not np.array_equal(first, second)
    np.testing.assert_array_equal(twin(x, training=True), first)
    np.testing.assert_array_equal(twin(x, training=True), second)
    assert not np.array_equal(other(x, training=True), first)


def test_dropout_compiled_is_as_random_and_as_repeatable() -> None:
    def program(layer: Dropout):
        return tf.function(lambda x: layer(x, training=True), jit_compile=True)

    x, layer, twin = tf.ones((100, 200)), Dropout(0.3, seed=3), Dropout(0.3, seed=3)
    first, second = program(layer), program(twin)
    draws = [np.array(first(x)) for _ in range(2)]
    assert np.mean(draws[0] == 0) == pytest.approx(0.3, abs=0.01)
    assert not np.array_equal(*draws)  # the program advances the state …
    np.testing.assert_array_equal(layer.seed_generator.state, [3, 2])  # … by one a call
    for draw in draws:
        np.testing.assert_array_equal(second(x), draw)


def test_dropout_draws_the_same_compiled_and_op_by_op() -> None:
    x = tf.ones((40, 30))
    compiled, twin = Dropout(0.3, seed=3), Dropout(0.3, seed=3)
    program = tf.function(lambda x: compiled(x, training=True), jit_compile=True)
    for _ in range(2):
        np.testing.assert_array_equal(program(x), twin(x, training=True))


def test_random_bits_look_random() -> None:
    """Each bit and each byte is as often set as chance allows; neighbours, seeds and calls have nothing in common."""
    rows = 200_000
    seeds = [(3, 0), (3, 1), (3, 2), (4, 0), (0, 0), (2**32 - 1, 7)]
    draws = [np.array(random_bits([rows], tf.constant(seed, "uint32"))) for seed in seeds]
    for bits in draws:
        ones = np.unpackbits(bits.view("uint8").reshape(rows, 4), axis=1).mean(axis=0)  # (32,)
        assert abs(ones - 0.5).max() < 5 * 0.5 / rows**0.5
        for byte in bits.view("uint8").reshape(rows, 4).T:
            counts = np.bincount(byte, minlength=256)
            chi_squared = ((counts - rows / 256) ** 2 / (rows / 256)).sum()  # 255 degrees: mean 255, deviation 22.6
            assert 140 < chi_squared < 370
    uniform = [bits / 2**32 - 0.5 for bits in draws]
    pairs = [(u[lag:], u[:-lag]) for u in uniform for lag in (1, 2, 64, 384)]
    pairs += [(uniform[a], uniform[b]) for a in range(len(seeds)) for b in range(a)]
    assert max(abs(np.corrcoef(a, b)[0, 1]) for a, b in pairs) < 5 / rows**0.5


def test_dropout_of_whole_features() -> None:
    y = np.array(Dropout(0.5, noise_shape=(None, 1, D), seed=0)(np.ones((50, T, D), "float32"), training=True))
    assert (y == y[:, :1]).all()  # the same at each step …
    assert 0 < np.mean(y[:, 0] == 0) < 1 and not (y == y[:1]).all()  # … and not the same in each row


def test_dropout_survives_saving() -> None:
    layer = Dropout(0.5, noise_shape=(None, 1), seed=3)
    clone = Dropout.from_config(layer.get_config())
    x = np.ones((20, 4), "float32")
    np.testing.assert_array_equal(clone(x, training=True), layer(x, training=True))
