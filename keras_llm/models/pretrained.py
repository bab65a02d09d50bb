"""Weights that others have trained: from a folder in Hugging Face's layout into the models of this course.

    config.json          sizes and architecture: "bert" becomes an Encoder, "gpt2" a GPT
    model.safetensors    the weights, by name; or several files and model.safetensors.index.json
    tokenizer.json       the tokenizer that belongs to them, see keras_llm.text.PretrainedTokenizer

A file of pickled weights (pytorch_model.bin) is a program: opening it runs what its author wrote. It is never opened.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np

from keras_llm.errors import InputError
from keras_llm.models.encoder import Encoder
from keras_llm.models.gpt import GPT

WEIGHTS, INDEX = "model.safetensors", "model.safetensors.index.json"
BUFFERS = ("position_ids", ".attn.bias", ".attn.masked_bias")
PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl")
ACTIVATIONS = {name: name for name in ("gelu", "relu", "silu")}
ACTIVATIONS |= {"swish": "silu", "gelu_new": "gelu_tanh", "gelu_pytorch_tanh": "gelu_tanh"}


def load_pretrained(folder: str | Path, *, weights: bool = True, **options: Any) -> Encoder | GPT:
    """The model in a folder.

    Args:
        folder: with ``config.json`` and ``model.safetensors``, of a BERT or a GPT-2 of any size. Heads that lie beside
            the encoder (a pooler, a classifier, a masked-language-model head) are left there. A GPT-2 has no padding:
            its ids are moved up by one, as :class:`keras_llm.text.PretrainedTokenizer` does, to make room for id 0.
        weights: False: the same architecture with random weights.
        options: to replace what the configuration says, such as ``dropout=0.0`` or ``adapter_dim=16``.

    Raises:
        InputError: when a file is missing or damaged, the architecture is another one, the weights are pickled, or a
            tensor is missing or has another shape than the configuration says.

    Source: Devlin et al. 2019 (BERT); Radford et al. 2019 (GPT-2); document D2, ``BertModel.from_pretrained``.
    """
    folder = Path(folder)
    architecture, config = read_config(folder)
    model = architecture.model(config, folder / "config.json", options)
    model.build((None, 2))
    if weights:
        tensors = _Tensors(folder, architecture.prefix)
        for variable, name, change in architecture.names(model):
            variable.assign(tensors.read(name, tuple(variable.shape), change))
    return model


def read_config(folder: Path) -> tuple["Architecture", dict[str, Any]]:
    """What ``config.json`` says, and which of the two architectures it describes."""
    path = folder / "config.json"
    if not folder.is_dir():
        raise InputError(f"{folder}: there is no such folder; give one with config.json and {WEIGHTS}.")
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
        kind = config["model_type"]
    except FileNotFoundError as error:
        raise InputError(f"{folder} holds no config.json: give a folder in Hugging Face's layout.") from error
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}).") from error
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path} is no model's configuration ({error!r}): download the folder again.") from error
    if kind not in ARCHITECTURES:
        raise InputError(f"{path}: model_type is {kind!r}; this course loads {' and '.join(ARCHITECTURES)}.")
    return ARCHITECTURES[kind], config


def read_sizes(folder: str | Path) -> tuple[str, dict[str, Any], int]:
    """What a folder holds, without building it: architecture, arguments of the model, number of parameters.

    Raises:
        InputError: as :func:`load_pretrained`, but for tensors that are missing.
    """
    folder = Path(folder)
    architecture, config = read_config(folder)
    arguments = architecture.options(config, folder / "config.json")
    return architecture.kind, arguments, _Tensors(folder, architecture.prefix).count()


class _Tensors:
    """The tensors of a folder, read one by one."""

    def __init__(self, folder: Path, prefix: str) -> None:
        files = [folder / WEIGHTS]
        if not files[0].is_file() and (folder / INDEX).is_file():
            try:
                shards = json.loads((folder / INDEX).read_text(encoding="utf-8"))["weight_map"].values()
                files = [folder / name for name in sorted(set(shards))]
            except (ValueError, KeyError, AttributeError) as error:
                raise InputError(f"{folder / INDEX} is damaged ({error!r}): download it again.") from error
        self.folder, self.prefix = folder, prefix
        self.places: dict[str, Any] = {}
        for path in files:
            self.places |= dict.fromkeys((opened := self._open(path)).keys(), opened)

    def _open(self, path: Path) -> Any:
        from safetensors import SafetensorError, safe_open

        if not path.is_file():
            pickles = sorted(each.name for each in self.folder.iterdir() if each.suffix in PICKLES)
            if pickles:
                raise InputError(
                    f"{self.folder / pickles[0]} is a pickle, which can run any program when it is opened: it is not "
                    f"read. Give a folder with {WEIGHTS}."
                )
            raise InputError(f"{self.folder} holds no {path.name}, the file of the weights.")
        try:
            return safe_open(path, framework="np")
        except (SafetensorError, OSError) as error:
            raise InputError(f"{path} is damaged ({error}): download it again.") from error

    def count(self) -> int:
        """How many numbers they are, without the masks and positions that some writers store among them."""
        sizes = {name: int(np.prod(file.get_slice(name).get_shape())) for name, file in self.places.items()}
        return sum(size for name, size in sizes.items() if not name.endswith(BUFFERS))

    def read(self, name: str, shape: tuple[int, ...], change: "Change") -> np.ndarray:
        """One tensor, under any of its names, changed to the layout of our variable."""
        old = name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta")
        found = [each for each in (name, self.prefix + name, old, self.prefix + old) if each in self.places]
        if not found:
            raise InputError(f"{self.folder / WEIGHTS} lacks the tensor {name}: is it the model of its config.json?")
        tensor = change(np.asarray(self.places[found[0]].get_tensor(found[0]), "float32"))
        if tensor.shape != shape:
            raise InputError(
                f"{self.folder / WEIGHTS}: the tensor {found[0]} becomes {tensor.shape}, config.json says {shape}."
            )
        return tensor


# --- the two architectures ----------------------------------------------------------------------------------------


class Change:
    """From the stored layout of a tensor to ours; a function of the array."""

    def __init__(self, transpose: bool = False, third: int | None = None, padding: bool = False) -> None:
        self.transpose, self.third, self.padding = transpose, third, padding

    def __call__(self, tensor: np.ndarray) -> np.ndarray:
        if self.third is not None and tensor.shape[-1] % 3 == 0:  # queries, keys and values lie side by side
            tensor = np.split(tensor, 3, axis=-1)[self.third]
        if self.padding:
            # All vectors of a GPT-2 share a large part, on which states lie far on the negative side: three times that
            # part gives padding logits far below any token's.
            tensor = np.concatenate([3 * tensor.mean(axis=0, keepdims=True), tensor])
        return tensor.T if self.transpose else tensor


Names = Iterator[tuple[keras.Variable, str, Change]]


def _dense(kernel: keras.Variable, bias: keras.Variable, name: str, transpose: bool, third: int | None = None) -> Names:
    yield kernel, f"{name}.weight", Change(transpose, third)
    yield bias, f"{name}.bias", Change(third=third)


def _norm(layer: keras.layers.LayerNormalization, name: str) -> Names:
    yield layer.gamma, f"{name}.weight", Change()
    yield layer.beta, f"{name}.bias", Change()


def _bert_names(model: Encoder) -> Names:
    yield model.embedding.embeddings, "embeddings.word_embeddings.weight", Change()
    yield model.positions.vectors, "embeddings.position_embeddings.weight", Change()
    yield model.segments.embeddings, "embeddings.token_type_embeddings.weight", Change()
    yield from _norm(model.embedding_norm, "embeddings.LayerNorm")
    for index, block in enumerate(model.blocks):
        at, attention, feed = f"encoder.layer.{index}", block.self_attention, block.feed_forward
        for part in ("query", "key", "value"):
            yield from _dense(attention.kernels[part], attention.biases[part], f"{at}.attention.self.{part}", True)
        yield from _dense(attention.kernels["output"], attention.biases["output"], f"{at}.attention.output.dense", True)
        yield from _norm(block.self_norm, f"{at}.attention.output.LayerNorm")
        yield from _dense(feed.into.kernel, feed.into.bias, f"{at}.intermediate.dense", True)
        yield from _dense(feed.out_of.kernel, feed.out_of.bias, f"{at}.output.dense", True)
        yield from _norm(block.feed_norm, f"{at}.output.LayerNorm")


def _gpt2_names(model: GPT) -> Names:
    yield model.embedding.embeddings, "wte.weight", Change(padding=True)
    yield model.positions.vectors, "wpe.weight", Change()
    for index, block in enumerate(model.blocks):
        at, attention, feed = f"h.{index}", block.self_attention, block.feed_forward
        yield from _norm(block.self_norm, f"{at}.ln_1")
        for third, part in enumerate(("query", "key", "value")):
            kernel, bias = attention.kernels[part], attention.biases[part]
            yield from _dense(kernel, bias, f"{at}.attn.c_attn", False, third)
        yield from _dense(attention.kernels["output"], attention.biases["output"], f"{at}.attn.c_proj", False)
        yield from _norm(block.feed_norm, f"{at}.ln_2")
        yield from _dense(feed.into.kernel, feed.into.bias, f"{at}.mlp.c_fc", False)
        yield from _dense(feed.out_of.kernel, feed.out_of.bias, f"{at}.mlp.c_proj", False)
    yield from _norm(model.norm, "ln_f")


def _bert(config: dict) -> dict[str, Any]:
    return {
        "vocabulary_size": config["vocab_size"],
        "context_length": config["max_position_embeddings"],
        "hidden_dim": config["hidden_size"],
        "num_heads": config["num_attention_heads"],
        "num_layers": config["num_hidden_layers"],
        "intermediate_dim": config["intermediate_size"],
        "dropout": config.get("hidden_dropout_prob", 0.1),
        "num_segments": config.get("type_vocab_size", 2),
        "activation": ACTIVATIONS[config.get("hidden_act", "gelu")],
        "epsilon": config.get("layer_norm_eps", 1e-12),
    }


def _gpt2(config: dict) -> dict[str, Any]:
    return {
        "vocabulary_size": config["vocab_size"] + 1,
        "context_length": config["n_positions"],
        "hidden_dim": config["n_embd"],
        "num_heads": config["n_head"],
        "num_layers": config["n_layer"],
        "intermediate_dim": config.get("n_inner"),
        "dropout": config.get("resid_pdrop", 0.1),
        "activation": ACTIVATIONS[config.get("activation_function", "gelu_new")],
    }


# What the models of this course fix: another value in config.json would be another architecture.
FIXED = {
    "bert": {"position_embedding_type": "absolute", "is_decoder": False},
    "gpt2": {"layer_norm_epsilon": 1e-5, "scale_attn_by_inverse_layer_idx": False, "reorder_and_upcast_attn": False},
}


class Architecture(NamedTuple):
    """How one kind of folder becomes a model of ours."""

    kind: str
    build: type[Encoder] | type[GPT]
    prefix: str  # before each name, when the folder was saved with a head
    arguments: Any
    names: Any

    def options(self, config: dict, path: Path) -> dict[str, Any]:
        """The arguments of the model; ``path`` is where the configuration stands."""
        for name, value in FIXED[self.kind].items():
            if config.get(name, value) != value:
                raise InputError(f"{path}: {name} is {config[name]!r}; this course loads only {value!r}.")
        try:
            return self.arguments(config)
        except (KeyError, TypeError) as error:
            raise InputError(f"{path}: no {self.kind} can be built from it ({error!r}).") from error

    def model(self, config: dict, path: Path, options: dict[str, Any]) -> Encoder | GPT:
        arguments = {**self.options(config, path), **options}
        try:
            return self.build(**arguments)
        except (TypeError, ValueError) as error:
            raise InputError(f"{path}: no {self.kind} can be built from it ({error!r}).") from error


ARCHITECTURES = {
    "bert": Architecture("bert", Encoder, "bert.", _bert, _bert_names),
    "gpt2": Architecture("gpt2", GPT, "transformer.", _gpt2, _gpt2_names),
}
