"""A part of a model is trained, and that part alone is kept; AdamW with a rate for each layer."""

import keras
import numpy as np
import pytest

from keras_llm.errors import InputError
from keras_llm.layers import LoRA
from keras_llm.models import Encoder, SequenceClassifier
from keras_llm.training import (
    LayerwiseAdamW,
    fit,
    layerwise_decay,
    load_trainable,
    save_trainable,
    train_only,
    trainable_count,
)


def classifier(seed: int = 0) -> SequenceClassifier:
    keras.utils.set_random_seed(seed)
    model = SequenceClassifier(Encoder(20, 6, hidden_dim=8, num_heads=2, num_layers=2), num_classes=3)
    model.build((None, 6))
    return model


def trained(model: keras.Model, token_ids, labels, **options) -> keras.Model:
    optimizer = options.pop("optimizer", None) or keras.optimizers.Adam(1e-2)
    model.compile(optimizer, "sparse_categorical_crossentropy")
    fit(model, (token_ids, labels), batch_size=8, verbose=0, jit_compile=False, **options)
    return model


@pytest.mark.parametrize(
    ("parts", "changed"),
    [(["head/"], {"head"}), (["bias", "head/"], {"bias", "head"}), (["block_2/", "head/"], {"block_2", "head"})],
)
def test_only_the_parts_change(parts, changed, token_ids, labels) -> None:
    model = classifier()
    before = {weight.path: np.array(weight) for weight in model.weights}
    count = train_only(model, parts)
    trained(model, token_ids, labels)
    moved = [weight for weight in model.weights if not np.array_equal(weight, before[weight.path])]
    assert all(any(part in weight.path for part in changed) for weight in moved)
    assert {weight.path for weight in moved} <= {weight.path for weight in model.trainable_weights}
    assert count == trainable_count(model) == sum(int(np.prod(w.shape)) for w in model.trainable_weights)


def test_all_can_be_trained_again() -> None:
    model = classifier()
    train_only(model, ["head/"])
    assert train_only(model, [""]) == model.count_params()


def test_a_part_that_is_nowhere_is_refused() -> None:
    with pytest.raises(ValueError, match="'block_9/'"):
        train_only(classifier(), ["block_9/"])


@pytest.fixture(params=["head", "lora"])
def tuned(request, token_ids, labels):
    """A function that builds a model anew, and one that was trained."""

    def build() -> keras.Model:
        model = classifier()
        if request.param == "lora":
            model = LoRA(model, rank=2)
            model.build((None, 6))
        else:
            train_only(model, ["head/"])
        return model

    return build, trained(build(), token_ids, labels)


def test_what_was_trained_comes_back(tuned, token_ids, tmp_path) -> None:
    build, model = tuned
    classifier()  # Keras numbers the names of the models of a process: they must not matter
    size = save_trainable(model, tmp_path / "task.safetensors")
    assert size == (tmp_path / "task.safetensors").stat().st_size < 4 * model.count_params()
    fresh = build()
    assert not np.allclose(fresh(token_ids), model(token_ids))
    load_trainable(fresh, tmp_path / "task.safetensors")
    assert np.array_equal(fresh(token_ids).numpy(), model(token_ids).numpy())


def test_other_models_are_refused(tuned, tmp_path) -> None:
    build, model = tuned
    path = tmp_path / "task.safetensors"
    with pytest.raises(InputError, match="no file"):
        load_trainable(model, path)
    save_trainable(model, path)
    other = build()
    frozen = next(weight for weight in other.weights if not weight.trainable)
    frozen.assign(frozen + 1)
    with pytest.raises(InputError, match="other frozen weights"):
        load_trainable(other, path)
    whole = classifier()
    with pytest.raises(InputError, match="another model"):
        load_trainable(whole, path)
    path.write_bytes(path.read_bytes()[:50])
    with pytest.raises(InputError, match="damaged"):
        load_trainable(build(), path)


# --- a rate for each layer ----------------------------------------------------------------------------------------


def test_factors_fall_towards_the_input() -> None:
    optimizer, model = LayerwiseAdamW(1e-3, layerwise_decay(2, 0.5)), classifier()
    factors = {weight.path: optimizer.factor(weight.path) for weight in model.weights}
    for part, factor in {"head/": 1, "block_2/": 0.5, "block_1/": 0.25, "embedding": 0.125, "positions": 0.125}.items():
        found = {factors[path] for path in factors if part in path}
        assert found == {factor}, part


def test_a_factor_scales_step_and_decay(token_ids, labels) -> None:
    start = [np.array(weight) for weight in classifier().weights]

    def moved(optimizer) -> list[np.ndarray]:
        model = trained(classifier(), token_ids[:8], labels[:8], optimizer=optimizer)  # one update
        return [np.array(weight) - old for weight, old in zip(model.weights, start, strict=True)]

    options = {"learning_rate": 1e-3, "weight_decay": 0.1}
    plain = moved(keras.optimizers.AdamW(**options))
    for ours, theirs in zip(moved(LayerwiseAdamW(**options)), plain, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-7)
    for ours, theirs in zip(moved(LayerwiseAdamW(factors={"": 0.5}, **options)), plain, strict=True):
        np.testing.assert_allclose(ours, 0.5 * theirs, atol=1e-7)
    frozen = moved(LayerwiseAdamW(factors={"head/": 1.0, "": 0.0}, **options))
    assert all(not change.any() for change in frozen[:-2])
    assert frozen[-2].any()


def test_the_optimizer_is_saved_with_its_factors() -> None:
    optimizer = LayerwiseAdamW(1e-3, {"block_1/": 0.5}, weight_decay=0.1)
    assert LayerwiseAdamW.from_config(optimizer.get_config()).factors == {"block_1/": 0.5}
