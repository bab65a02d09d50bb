"""The tokenizer that belongs to pretrained weights: ids must mean what they meant when the weights were learned."""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import tokenizers
from tokenizers import decoders, models, normalizers, pre_tokenizers

from keras_llm.errors import InputError
from keras_llm.text.tokenizer import Tokenizer, refuse_single_string, utf8

# What opens and closes a row, by the names that BERT and GPT-2 gave them.
STARTS, ENDS = ("[CLS]", "<|endoftext|>"), ("[SEP]", "<|endoftext|>")


class PretrainedTokenizer(Tokenizer):
    """A BERT's WordPiece or a GPT-2's byte-level BPE, with the ids of the reference implementation.

    GPT-2 has no padding, and an exclamation mark for id 0: its ids are moved up by one, as
    :func:`keras_llm.models.load_pretrained` moves its table of vectors.

    Args:
        tokenizer: the JSON of Hugging Face ``tokenizers``; :meth:`from_folder` makes it.

    Attributes:
        start_id: opens a row: ``[CLS]``; GPT-2 has one token for start and end.
        end_id: closes it: ``[SEP]``.
        mask_id: hides a token; None in a GPT-2.

    Raises:
        ValueError: when the JSON is no such tokenizer.

    Example:
        >>> tokenizer = PretrainedTokenizer.from_folder("bert-base-uncased")  # doctest: +SKIP
        >>> tokenizer.tokens("unaffable")  # doctest: +SKIP
        ['una', '##ffa', '##ble']

    Source: Devlin et al. 2019, section 3; Radford et al. 2019, section 2.2.
    """

    kind = "pretrained"
    special_tokens = ()

    def __init__(self, tokenizer: str) -> None:
        try:
            self._encoder = tokenizers.Tokenizer.from_str(tokenizer)
        except Exception as error:  # the library raises nothing more precise
            raise ValueError(f"no tokenizer of Hugging Face ({error})") from error
        self._encoder.no_padding()
        self._encoder.no_truncation()
        ids = self._encoder.get_vocab(with_added_tokens=True)
        names = {token_id: token for token, token_id in ids.items()}
        super().__init__([names.get(token_id, f"<unused {token_id}>") for token_id in range(max(names) + 1)])
        self.start_id, self.end_id = self._first(STARTS), self._first(ENDS)
        if self.vocabulary[0] not in ("[PAD]", "<pad>"):
            raise ValueError(f"its id 0 is {self.vocabulary[0]!r}, where this course has padding")
        self.unknown_id, self.mask_id = ids.get("[UNK]"), ids.get("[MASK]")

    def _first(self, names: Sequence[str]) -> int:
        for name in names:
            if name in self.token_to_id:
                return self.token_to_id[name]
        raise ValueError(f"it lacks {' and '.join(names)}")

    @classmethod
    def from_folder(cls, folder: str | Path) -> "PretrainedTokenizer":
        """The tokenizer of a folder in Hugging Face's layout.

        Args:
            folder: with ``tokenizer.json``; or with ``vocab.txt`` of a BERT, whose ``tokenizer_config.json`` says how
                it treats case, accents and Chinese characters; or with ``vocab.json`` and ``merges.txt`` of a GPT-2.

        Raises:
            InputError: when there is none of them, or one is damaged.
        """
        folder = Path(folder)
        readers = {"tokenizer.json": _whole, "vocab.txt": _word_pieces, "merges.txt": _byte_pairs}
        for name, read in readers.items():
            if (folder / name).is_file():
                try:
                    return cls(json.dumps(_with_padding(read(folder))))
                except OSError as error:
                    raise InputError(f"{error.filename}: cannot be read ({error.strerror}).") from error
                except (ValueError, KeyError, TypeError, AttributeError) as error:
                    raise InputError(f"{folder / name} is no tokenizer that this course reads: {error}.") from error
        raise InputError(f"{folder} holds none of {', '.join(readers)}: give a folder with its tokenizer.")

    def encode(self, text: str) -> list[int]:
        utf8(text)
        return self._encoder.encode(text, add_special_tokens=False).ids

    def encode_all(self, texts: Sequence[str]) -> list[list[int]]:
        refuse_single_string(texts)
        for text in texts:
            utf8(text)
        return [each.ids for each in self._encoder.encode_batch_fast(list(texts), add_special_tokens=False)]

    def framed(self, ids: Sequence[int]) -> list[int]:
        return [self.start_id, *ids, self.end_id]

    def framed_pair(self, first: Sequence[int], second: Sequence[int]) -> tuple[list[int], list[int]]:
        """Two texts as one row, ``[CLS] first [SEP] second [SEP]``, and the segment of each token, 0 or 1.

        Source: Devlin et al. 2019 (BERT), section 3.
        """
        begin, end = self.framed(first), [*second, self.end_id]
        return begin + end, [0] * len(begin) + [1] * len(end)

    def decode(self, ids: Iterable[int]) -> str:
        return self._encoder.decode(self._checked(ids), skip_special_tokens=True)

    def tokens(self, text: str) -> list[str]:
        return [self.vocabulary[token_id] for token_id in self.encode(text)]

    def content(self) -> dict:
        return {"tokenizer": self._encoder.to_str()}


def _whole(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))


def _word_pieces(folder: Path) -> dict[str, Any]:
    settings = {"do_lower_case": True, "strip_accents": None, "tokenize_chinese_chars": True}
    if (folder / "tokenizer_config.json").is_file():
        settings |= json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8"))
    tokens = (folder / "vocab.txt").read_text(encoding="utf-8").rstrip("\n").split("\n")
    vocabulary = {token: token_id for token_id, token in enumerate(tokens)}
    tokenizer = tokenizers.Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]", max_input_chars_per_word=100))
    tokenizer.normalizer = normalizers.BertNormalizer(
        lowercase=settings["do_lower_case"],
        strip_accents=settings["strip_accents"],  # None: as lowercase
        handle_chinese_chars=settings["tokenize_chinese_chars"],
    )
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    tokenizer.add_special_tokens([token for token in special if token in vocabulary])
    return json.loads(tokenizer.to_str())


def _byte_pairs(folder: Path) -> dict[str, Any]:
    tokenizer = tokenizers.Tokenizer(models.BPE.from_file(str(folder / "vocab.json"), str(folder / "merges.txt")))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(["<|endoftext|>"])
    return json.loads(tokenizer.to_str())


def _with_padding(content: dict[str, Any]) -> dict[str, Any]:
    """Without what it puts around a text, which is ours to do; a byte-level BPE with all ids one higher, 0 padding."""
    content["post_processor"] = None
    if content["model"]["type"] == "BPE":
        content["model"]["vocab"] = {"<pad>": 0} | {
            token: token_id + 1 for token, token_id in content["model"]["vocab"].items()
        }
        for token in content["added_tokens"]:
            token["id"] += 1
    return content
