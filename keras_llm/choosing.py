"""Which pretrained model to fine-tune: those of the catalog and of the disk, and what each would cost here.

The costs follow from the sizes alone. P parameters, L blocks of width D with an inner width of I and A heads, and rows
of T tokens, S tokens a step in all:

    a step's operations          3 · (2 · S · L (4 D² + 2 D I) + 4 · S · L T D), forward and twice that backward
    weights, gradients, Adam     16 P bytes for full fine-tuning; 4 P for LoRA, whose own numbers are few
    what the backward pass needs S · L (34 D + 5 A T) · 2 bytes in float32
"""

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from keras_llm.data.cache import fetch_file, is_cached
from keras_llm.data.catalog import Entry, available
from keras_llm.errors import InputError

BATCH, LENGTH = 32, 128  # of the step that is estimated
# Of the speed of a large matrix product: what `fit` reached with the catalog's encoder, 32 rows of 32 tokens, 2 cores.
USED = {"float32": 0.28, "bfloat16": 0.15}
SCRIPTS = {
    "Latin": "[A-Za-zÀ-ɏ]",
    "Cyrillic": "[Ѐ-ӿ]",
    "Greek": "[Ͱ-Ͽ]",
    "Arabic": "[؀-ۿ]",
    "Devanagari": "[ऀ-ॿ]",
    "Chinese": "[一-鿿]",
    "Japanese": "[぀-ヿ]",
    "Korean": "[가-힯]",
}
NOTED = 0.03  # a script with a smaller share of the vocabulary is no language that the model can read


@dataclass(frozen=True)
class Candidate:
    """A pretrained model.

    Attributes:
        name: of the catalog, or the folder.
        about: its architecture and sizes in words; of a model that cannot be loaded, why.
        languages: as its card says them, otherwise the scripts of its vocabulary.
        parameters: how many the folder holds, heads among them; None of a model that is not here or cannot be loaded.
        full_gb, lora_gb: memory for a step of full fine-tuning and of LoRA, in GB (10⁹ bytes).
        operations: of a step, with ``BATCH`` rows of ``LENGTH`` tokens.
    """

    name: str
    about: str
    languages: str = ""
    parameters: int | None = None
    full_gb: float | None = None
    lora_gb: float | None = None
    operations: float | None = None

    def seconds(self, products: float, dtype: str = "float32") -> float | None:
        """Of a step, on a machine with so many operations a second in large matrix products of this type."""
        return self.operations and self.operations / (USED[dtype] * products)


def candidates(folders: Sequence[Path] = ()) -> list[Candidate]:
    """The models of the catalog, those in Hugging Face's cache, and those in some folders or one level below.

    Args:
        folders: where else to look.

    Raises:
        InputError: when one of them is no folder.
    """
    found = [_of_entry(entry) for entry in available().values() if entry.is_weights]
    for folder in folders:
        if not Path(folder).is_dir():
            raise InputError(f"There is no folder {folder}: give one that holds pretrained models.")
    home = Path(os.environ.get("HF_HOME", Path.home() / ".cache" / "huggingface"))
    places = [place for folder in folders for place in (Path(folder), *sorted(Path(folder).iterdir()))]
    places += sorted(home.glob("hub/models--*/snapshots/*"))
    return found + [_of_folder(place, str(place)) for place in places if (place / "config.json").is_file()]


def _of_entry(entry: Entry) -> Candidate:
    if not is_cached(entry.name):
        return Candidate(entry.name, f"not here yet: keras-llm data fetch {entry.name}", entry.language)
    return _of_folder(fetch_file(entry.name).parent, entry.name, entry.language)


def _of_folder(folder: Path, name: str, languages: str = "") -> Candidate:
    from keras_llm.models.pretrained import read_sizes

    try:
        kind, sizes, parameters = read_sizes(folder)
    except InputError as error:
        return Candidate(name, str(error))
    layers, width = sizes["num_layers"], sizes["hidden_dim"]
    length = min(LENGTH, sizes["context_length"])
    tokens = BATCH * length
    kept = 2 * tokens * layers * (34 * width + 5 * sizes["num_heads"] * length)
    return Candidate(
        name,
        f"{kind}, {layers} blocks, {width} wide, rows up to {sizes['context_length']}",
        languages or _languages(folder),
        parameters,
        (16 * parameters + kept) / 1e9,
        (4 * parameters + kept) / 1e9,
        operations(sizes, BATCH, length),
    )


def operations(sizes: Mapping[str, Any], rows: int, length: int) -> float:
    """Of the matrix products of a training step.

    Args:
        sizes: ``num_layers``, ``hidden_dim`` and ``intermediate_dim`` of an encoder or a GPT.
        rows, length: of a batch, in texts and tokens.
    """
    layers, width, tokens = sizes["num_layers"], sizes["hidden_dim"], rows * length
    inner = sizes["intermediate_dim"] or 4 * width
    forward = 2 * tokens * layers * (4 * width**2 + 2 * width * inner) + 4 * tokens * layers * length * width
    return 3.0 * forward


def _languages(folder: Path) -> str:
    """What the model's card says, or else the scripts of its vocabulary."""
    card = folder / "README.md"
    if card.is_file():
        head = re.match(r"---\n(.*?)\n---", card.read_text(encoding="utf-8", errors="replace"), re.DOTALL)
        stated = head and re.search(r"^language:[ ]*(\S*)((?:\n- *\S+)*)", head[1], re.MULTILINE)
        if stated:
            return ", ".join(re.findall(r"[A-Za-z-]{2,}", f"{stated[1]} {stated[2]}"))
    return _scripts(_vocabulary(folder))


def _vocabulary(folder: Path) -> Iterable[str]:
    from keras_llm.text import PretrainedTokenizer

    try:
        tokenizer = PretrainedTokenizer.from_folder(folder)
    except InputError:
        return []
    return [tokenizer.decode([token_id]) for token_id in range(1, tokenizer.vocabulary_size)]


def _scripts(tokens: Iterable[str]) -> str:
    tokens = [token for token in tokens if token]
    counts = {name: sum(bool(re.search(letters, token)) for token in tokens) for name, letters in SCRIPTS.items()}
    shown = [name for name, count in counts.items() if tokens and count / len(tokens) >= NOTED]
    return "scripts: " + ", ".join(shown) if shown else "unknown"
