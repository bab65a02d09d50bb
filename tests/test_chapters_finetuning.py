"""Chapter 7 on the user's own files and with the user's own weights: what works, what not."""

import json
from pathlib import Path

import pytest

from keras_llm.classifier import Classifier
from keras_llm.text import PretrainedTokenizer
from tests.command_line import WORDS, about, files_below, history, write_reviews
from tests.test_models_pretrained import BERT, GPT2, bert_shapes, gpt2_shapes, tensors, write

pytest_plugins = ["tests.command_line_fixtures"]
CHAPTER = "ch07_finetuning"
PIECES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "a", "and", "film", "with", "number", *WORDS["bad"], *WORDS["good"], "."]


def bert(folder: Path) -> Path:
    """A small BERT with random weights that knows the words of the reviews."""
    (write(folder, BERT, tensors(bert_shapes())) / "vocab.txt").write_text("\n".join(PIECES), encoding="utf-8")
    return folder


def test_two_texts_in_one_row(tmp_path) -> None:
    tokenizer = PretrainedTokenizer.from_folder(bert(tmp_path / "weights"))
    ids, segments = tokenizer.framed_pair(tokenizer.encode("a film"), tokenizer.encode("and"))
    assert [tokenizer.vocabulary[each] for each in ids] == ["[CLS]", "a", "film", "[SEP]", "and", "[SEP]"]
    assert segments == [0, 0, 0, 0, 1, 1]


def gpt2(folder: Path) -> Path:
    """A small GPT-2 that reads bytes."""
    from tokenizers.pre_tokenizers import ByteLevel

    shapes = {**gpt2_shapes(), "wte.weight": (257, 8)}
    write(folder, {**GPT2, "vocab_size": 257}, tensors(shapes))
    vocabulary = {token: number for number, token in enumerate([*sorted(ByteLevel.alphabet()), "<|endoftext|>"])}
    (folder / "vocab.json").write_text(json.dumps(vocabulary), encoding="utf-8")
    (folder / "merges.txt").write_text("#version: 0.2\n", encoding="utf-8")
    return folder


@pytest.mark.parametrize("make", [bert, gpt2])
def test_own_reviews_and_own_weights_make_a_classifier(cli, make) -> None:
    write_reviews(Path("train.csv"))
    write_reviews(Path("test.tsv"), rows=60, header="text\tlabel")
    files = ["--data", "train.csv", "--test-data", "test.tsv"]
    answer = cli("run", CHAPTER, "--preset", "smoke", *files, "--weights", make(Path("weights")), "--output", "mine")
    assert answer.code == 0, answer.err
    assert " training texts, 1 epochs of up to " in answer.out
    assert " over 60 texts" in answer.out  # those of the second file
    metrics = json.loads(Path("mine/metrics.json").read_text(encoding="utf-8"))
    assert {"test_accuracy", "test_f1", "baseline_test_accuracy", "validation_loss"} <= metrics.keys()
    assert not any("_some" in name or "written" in name for name in metrics)  # the studies are about films
    assert {row["stage"] for row in history(Path("mine"))} == {"full", "last"}
    assert about(Path("mine"))["status"] == "done"
    assert Classifier.load(Path("mine")).classes == ("bad", "good")
    answer = cli("predict", "mine", "a funny film")
    assert answer.code == 0 and answer.out.endswith("a funny film\n"), answer.err


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda folder: (folder / "vocab.txt").unlink(), "holds none of"),
        (lambda folder: (folder / "config.json").write_text('{"model_type": "llama"}'), "'llama'"),
        (lambda folder: (folder / "model.safetensors").rename(folder / "pytorch_model.bin"), "is a pickle"),
    ],
)
def test_weights_that_cannot_be_used_get_one_sentence(cli, spoil, says) -> None:
    write_reviews(Path("train.csv"))
    spoil(bert(Path("weights")))
    before = files_below(Path())
    answer = cli("run", CHAPTER, "--preset", "smoke", "--data", "train.csv", "--weights", "weights", "--output", "mine")
    assert answer.code == 2 and says in answer.sentence, answer.err
    assert files_below(Path()) == before


def test_no_folder_of_weights(cli) -> None:
    write_reviews(Path("train.csv"))
    answer = cli("run", CHAPTER, "--preset", "smoke", "--data", "train.csv", "--weights", "none", "--output", "mine")
    assert answer.code == 2 and "none" in answer.sentence and not Path("mine").exists()
