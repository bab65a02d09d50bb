"""keras_llm.layers: the Transformer's blocks are keras_hub's in outputs and gradients, and look where they may."""

import inspect

import keras
import numpy as np
import pytest
from keras import ops

from keras_llm.layers import DecoderBlock, EncoderBlock, FeedForward, SinusoidalPositions, attention, masks
from tests import layer_checks
from tests.layer_checks import (
    INPUTS,
    MEMORY,
    MEMORY_REAL,
    REAL,
    WIDE,
    B,
    D,
    H,
    S,
    T,
    X,
    assert_close,
    normal,
    outputs_and_gradients,
    random_block,
    with_random_weights,
)

BOTH = pytest.mark.parametrize("kind", [EncoderBlock, DecoderBlock])


def with_weights_of(block: EncoderBlock, theirs: keras.Layer) -> tuple[list, list]:
    """Give keras_hub's block the weights of ours; the weights of both, in one order."""
    pairs = [
        (block.self_attention, theirs._self_attention_layer),
        (block.self_norm, theirs._self_attention_layer_norm),
        (block.feed_forward.into, theirs._feedforward_intermediate_dense),
        (block.feed_forward.out_of, theirs._feedforward_output_dense),
        (block.feed_norm, theirs._feedforward_layer_norm),
    ]
    if isinstance(block, DecoderBlock):
        pairs.append((block.cross_attention, theirs._cross_attention_layer))
        pairs.append((block.cross_norm, theirs._cross_attention_layer_norm))
    both = [(w, t) for ours, hub in pairs for w, t in zip(ours.weights, hub.weights, strict=True)]
    for weight, their in both:
        their.assign(ops.reshape(weight, their.shape))
    assert len(both) == len(theirs.trainable_weights)
    return tuple(zip(*both, strict=True))


CASES = ["pre-norm", "post-norm", "pre-norm, padding and causal", "post-norm, padding", "pre-norm, padding, xla"]


@pytest.mark.parametrize("case", CASES)
def test_encoder_is_that_of_keras_hub(case, keras_hub) -> None:
    activation, causal, pre_norm = "gelu" if "padding" in case else "relu", "causal" in case, "pre-norm" in case
    block = random_block(EncoderBlock, pre_norm=pre_norm, activation=activation)
    options = {"activation": activation, "normalize_first": pre_norm, "layer_norm_epsilon": 1e-5}
    theirs = keras_hub.layers.TransformerEncoder(WIDE, H, **options)
    theirs.build(X.shape)
    weights, their_weights = with_weights_of(block, theirs)
    padding = REAL if "padding" in case else None
    pairs = np.tile(np.tri(T, dtype=bool), (B, 1, 1)) if causal else None
    expected = outputs_and_gradients(lambda x: theirs(x, padding, pairs), [X], their_weights)
    result = outputs_and_gradients(
        lambda x: block(x, mask=padding, use_causal_mask=causal), [X], weights, jit_compile="xla" in case
    )
    assert_close([np.reshape(r, e.shape) for r, e in zip(result, expected, strict=True)], expected, atol=2e-5)


@pytest.mark.parametrize("case", [case for case in CASES if "causal" not in case])
def test_decoder_is_that_of_keras_hub(case, keras_hub) -> None:
    pre_norm, xla = "pre-norm" in case, "xla" in case
    block = random_block(DecoderBlock, pre_norm=pre_norm)
    theirs = keras_hub.layers.TransformerDecoder(WIDE, H, normalize_first=pre_norm)
    theirs.build(X.shape, MEMORY.shape)
    weights, their_weights = with_weights_of(block, theirs)
    target, source = (REAL, MEMORY_REAL) if "padding" in case else (None, None)
    hub_masks = {"decoder_padding_mask": target, "encoder_padding_mask": source}
    expected = outputs_and_gradients(lambda x, m: theirs(x, m, **hub_masks), [X, MEMORY], their_weights)
    own_masks = {"mask": target, "memory_mask": source}
    result = outputs_and_gradients(lambda x, m: block(x, m, **own_masks), [X, MEMORY], weights, xla)
    assert_close([np.reshape(r, e.shape) for r, e in zip(result, expected, strict=True)], expected, atol=2e-5)


def test_feed_forward_is_two_dense_layers() -> None:
    layer = with_random_weights(FeedForward(WIDE), X.shape)
    first, first_bias, second, second_bias = layer.get_weights()
    np.testing.assert_allclose(layer(X), np.maximum(X @ first + first_bias, 0) @ second + second_bias, atol=1e-5)
    bare = FeedForward(WIDE, "gelu", use_bias=False, kernel_initializer="he_normal")
    bare.build(X.shape)
    assert [w.shape for w in bare.weights] == [(D, WIDE), (WIDE, D)]
    assert FeedForward.from_config(bare.get_config()).get_config() == bare.get_config()


def check_causal() -> None:
    block, decoder = random_block(EncoderBlock), random_block(DecoderBlock)
    layer_checks.assert_causal(lambda x: block(x, use_causal_mask=True), X)
    layer_checks.assert_causal(lambda x: decoder(x, MEMORY), X)


def check_padding() -> None:
    block, decoder, itself = random_block(EncoderBlock), random_block(DecoderBlock), np.eye(T, dtype=bool)
    layer_checks.assert_sees_only(lambda x: block(x, mask=REAL), X, REAL[:, None] | itself)
    earlier = np.tri(T, dtype=bool)
    layer_checks.assert_sees_only(lambda x: decoder(x, MEMORY, mask=REAL), X, REAL[:, None] & earlier | itself)


def check_memory(kind: type = DecoderBlock) -> None:
    decoder = random_block(kind)
    layer_checks.assert_reads_the_memory(lambda x, m: decoder(x, m, memory_mask=MEMORY_REAL), X, MEMORY, MEMORY_REAL)


def test_a_block_sees_what_it_may_and_nothing_else() -> None:
    check_causal()
    check_padding()
    check_memory()


def test_wrong_masks_are_found(monkeypatch) -> None:
    monkeypatch.setattr(attention, "allowed", lambda keys, pairs, causal: masks.allowed(keys, pairs))
    with pytest.raises(AssertionError):
        check_causal()
    monkeypatch.setattr(attention, "allowed", lambda keys, pairs, causal: masks.allowed(pairs, causal))
    for check in (check_padding, check_memory):
        with pytest.raises(AssertionError):
            check()


class LooksAtItself(DecoderBlock):
    def call(self, x, memory, **options):
        return super().call(x, x)


class ResidualTwice(EncoderBlock):
    """x + (x + sub-layer(x)), as document D3 has it."""

    def leave(self, x, y, norm, training=False):
        return super().leave(x, x + y, norm, training)


def test_a_decoder_that_does_not_read_its_memory_is_found() -> None:
    with pytest.raises(AssertionError):
        check_memory(LooksAtItself)


def test_the_residual_is_added_once() -> None:
    for kind in (EncoderBlock, DecoderBlock):
        layer_checks.assert_residual_added_once(random_block(kind), *INPUTS[kind])
    with pytest.raises(AssertionError):
        layer_checks.assert_residual_added_once(random_block(ResidualTwice), X)


@BOTH
def test_a_sequence_without_any_real_place_gives_numbers(kind) -> None:
    block, nothing = random_block(kind), {"mask": np.zeros((B, T), bool)}
    if kind is DecoderBlock:
        nothing["memory_mask"] = np.zeros((B, S), bool)
    results = outputs_and_gradients(lambda *inputs: block(*inputs, **nothing), INPUTS[kind], block.trainable_weights)
    assert all(np.isfinite(array).all() for array in results)


def test_keras_masks_reach_every_block_of_a_model() -> None:
    """The vector of the padding token may be anything, in a Sequential and in a functional model."""
    embedding = keras.layers.Embedding(20, D, mask_zero=True)
    encoder, decoder = EncoderBlock(H, WIDE, pre_norm=False), DecoderBlock(H, WIDE)
    sequential = keras.Sequential(
        [keras.Input((T,)), embedding, SinusoidalPositions(), encoder, keras.layers.GlobalAveragePooling1D()]
    )
    source, target = keras.Input((S,)), keras.Input((T,))
    memory = encoder(embedding(source))
    functional = keras.Model([source, target], decoder(embedding(target), memory))
    target_ids, source_ids = np.where(REAL, 3 + np.arange(T), 0), np.where(MEMORY_REAL, 9 + np.arange(S), 0)

    def results():
        y = functional([source_ids, target_ids])
        np.testing.assert_array_equal(y._keras_mask, REAL)  # passed on: the target's, not the source's
        return [np.array(sequential(target_ids)), np.array(y)[REAL]]

    before = results()
    x, m = embedding(target_ids), encoder(embedding(source_ids))
    assert_close(before[1], np.array(decoder(x, m, mask=REAL, memory_mask=MEMORY_REAL))[REAL])
    embedding.embeddings.assign(ops.concatenate([50 + normal(1, D), embedding.embeddings[1:]], axis=0))
    assert_close(results(), before)
    unmasked = decoder(x, m, memory_mask=np.ones((B, S), bool))
    assert not np.allclose(np.array(unmasked)[REAL], before[1], atol=1e-3)


@BOTH
@pytest.mark.parametrize("option", ["dropout", "attention_dropout"])
def test_dropout_acts_in_training_only_and_repeats_with_a_seed(kind, option) -> None:
    def trained() -> np.ndarray:
        keras.utils.set_random_seed(3)
        return np.array(random_block(kind, **{option: 0.4})(*INPUTS[kind], training=True))

    block = random_block(kind, **{option: 0.4})
    np.testing.assert_array_equal(block(*INPUTS[kind]), random_block(kind)(*INPUTS[kind]))
    assert not np.allclose(trained(), block(*INPUTS[kind]), atol=1e-2)
    np.testing.assert_array_equal(trained(), trained())


@BOTH
def test_dropout_acts_on_each_sub_layer(kind) -> None:
    """Where all that they give is dropped, the residual connections are left."""
    block = random_block(kind, dropout=1 - 1e-6)
    np.testing.assert_array_equal(block(*INPUTS[kind], training=True), X)


@BOTH
def test_blocks_survive_saving_with_every_option(kind, tmp_path) -> None:
    options = {"dropout": 0.1, "activation": "gelu", "pre_norm": False, "attention_dropout": 0.2, "rotary": True}
    options |= {"fused": True, "epsilon": 1e-3, "norm": "rms", "use_bias": False, "num_key_value_heads": 1}
    options |= {"kernel_initializer": keras.initializers.Orthogonal(gain=0.5), "adapter_dim": 4}
    defaults = inspect.signature(EncoderBlock).parameters
    assert options.keys() == defaults.keys() - {"num_heads", "intermediate_dim", "kwargs"}
    assert all(options[name] != defaults[name].default for name in options)
    block = kind(H, WIDE, **options, name="block", dtype="mixed_bfloat16")
    inputs = [keras.Input(array.shape[1:]) for array in INPUTS[kind]]
    model = keras.Model(inputs, block(*inputs))
    assert model.output_shape == (None, T, D)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert loaded.get_layer("block").get_config() == block.get_config()
    options["kernel_initializer"] = keras.initializers.serialize(options["kernel_initializer"])
    assert options.items() <= block.get_config().items()
    for rows in (1, B):  # of any batch size
        batch = [array[:rows] for array in INPUTS[kind]]
        np.testing.assert_array_equal(loaded(batch), model(batch))


def test_cross_attention_weights_are_to_be_had() -> None:
    y, weights = random_block(DecoderBlock)(X, MEMORY, memory_mask=MEMORY_REAL, return_weights=True)
    assert y.shape == (B, T, D) and weights.shape == (B, H, T, S)
    assert not np.moveaxis(weights, -1, 1)[~MEMORY_REAL].any()


@BOTH
def test_heads_must_divide_the_width(kind) -> None:
    with pytest.raises(ValueError, match="num_heads=3 does not divide the width 8"):
        kind(3, WIDE)(*INPUTS[kind])
