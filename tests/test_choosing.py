"""The table of pretrained models: what is found, what it is said to cost, what cannot be loaded."""

import shutil

import pytest

from keras_llm import choosing
from keras_llm.errors import InputError
from keras_llm.models import load_pretrained
from keras_llm.models.pretrained import read_sizes
from tests.test_models_pretrained import bert_folder, gpt2_folder  # noqa: F401  (fixtures)

pytest_plugins = ["tests.command_line_fixtures"]


@pytest.fixture(autouse=True)
def no_other_models(monkeypatch, tmp_path) -> None:
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hub"))


def test_the_parameters_are_those_of_the_model(bert_folder, gpt2_folder) -> None:  # noqa: F811
    for folder in (bert_folder, gpt2_folder):
        kind, _, count = read_sizes(folder)
        model = load_pretrained(folder)
        # The file has a pooler that this course leaves there, or lacks the row of padding that it adds.
        assert count == model.count_params() + (8 * 8 + 8 if kind == "bert" else -8)


def test_operations_are_those_that_a_step_multiplies(bert_folder, monkeypatch) -> None:  # noqa: F811
    import tensorflow as tf

    from keras_llm.training.flops import matrix_flops

    monkeypatch.setattr(choosing, "BATCH", 4)
    monkeypatch.setattr(choosing, "LENGTH", 8)
    found = choosing.candidates([bert_folder])[-1]
    model = load_pretrained(bert_folder, dropout=0.0)

    @tf.function
    def step(token_ids):
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(model(token_ids) ** 2)
        return tape.gradient(loss, [weight.value for weight in model.trainable_weights])

    counted = matrix_flops(step.get_concrete_function(tf.TensorSpec((4, 8), "int32")).graph)
    assert found.operations == pytest.approx(counted, rel=0.05)
    assert found.seconds(1e9) == pytest.approx(found.operations / 1e9 / choosing.USED["float32"])
    assert found.full_gb > found.lora_gb > 4 * found.parameters / 1e9


def test_models_are_found_in_folders_and_one_level_below(bert_folder, tmp_path) -> None:  # noqa: F811
    for name in ("one", "two"):
        shutil.copytree(bert_folder, tmp_path / "models" / name)
    (tmp_path / "models" / "three").mkdir()
    (tmp_path / "models" / "three" / "config.json").write_text('{"model_type": "t5"}', encoding="utf-8")
    snapshot = tmp_path / "hub" / "hub" / "models--someone--small" / "snapshots" / "abc"
    shutil.copytree(bert_folder, snapshot)
    (snapshot / "README.md").write_text("---\nlanguage:\n- en\n- zh\nlicense: mit\n---\n# Small\n", encoding="utf-8")
    found = {each.name: each for each in choosing.candidates([tmp_path / "models"])}
    assert {str(tmp_path / "models" / name) for name in ("one", "two", "three")} | {str(snapshot)} <= found.keys()
    assert "t5" in found[str(tmp_path / "models" / "three")].about
    assert found[str(tmp_path / "models" / "three")].seconds(1e9) is None
    assert found[str(snapshot)].languages == "en, zh"
    with pytest.raises(InputError, match="no folder"):
        choosing.candidates([tmp_path / "nowhere"])


@pytest.mark.parametrize(
    ("tokens", "languages"),
    [
        (["good", "##ly", "schön"], "scripts: Latin"),
        (["好", "天", "film", "!"], "scripts: Latin, Chinese"),
        (["дом"] * 10 + ["a"] * 90, "scripts: Latin, Cyrillic"),
        (["дом"] + ["a"] * 99, "scripts: Latin"),
        ([], "unknown"),
    ],
)
def test_languages_without_a_card_are_the_scripts_of_the_vocabulary(tokens, languages) -> None:
    assert choosing._scripts(tokens) == languages


def test_the_table_on_the_command_line(cli, bert_folder) -> None:  # noqa: F811
    answer = cli("models", str(bert_folder))
    assert "minilm" in answer.out and "GB, LoRA" in answer.out
    answer = cli("models", "nowhere")
    assert answer.code == 2 and "There is no folder nowhere" in answer.err
