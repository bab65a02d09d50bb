"""Which tokenizer: chosen for new texts by their language, for a saved file by its ``kind``."""

import json
from collections.abc import Sequence
from itertools import islice
from pathlib import Path

from keras_llm.errors import InputError
from keras_llm.text.characters import ByteTokenizer, CharacterTokenizer
from keras_llm.text.pretrained import PretrainedTokenizer
from keras_llm.text.subwords import SubwordTokenizer
from keras_llm.text.tokenizer import Tokenizer, refuse_single_string
from keras_llm.text.unigram import UnigramTokenizer
from keras_llm.text.word_pieces import WordPieceTokenizer
from keras_llm.text.words import WordTokenizer

TRAINED = (WordTokenizer, SubwordTokenizer, CharacterTokenizer, ByteTokenizer, WordPieceTokenizer, UnigramTokenizer)
KINDS: dict[str, type[Tokenizer]] = {cls.kind: cls for cls in (*TRAINED, PretrainedTokenizer)}
LANGUAGES_WITHOUT_SPACES = {"ja", "km", "lo", "my", "th", "zh"}
# English has one space in 6 characters, German one in 7, Chinese with spaces around its numbers one in 50.
CHARACTERS_PER_SPACE = 20
SAMPLE = 1_000


def train_tokenizer(texts: Sequence[str], language: str, vocabulary_size: int = 10_000) -> Tokenizer:
    """Word level for languages that put spaces between words, byte-level BPE for the others.

    Args:
        texts: the training part alone.
        language: language code such as ``"en"``, ``"zh"`` or ``"zh-CN"``. Texts of any language get subwords when
            fewer than one character in 20 is a space, for then there are no words to cut at.
        vocabulary_size: number of token ids, special ones included.

    Raises:
        InputError: when the texts are empty, or the vocabulary is too small.
        TypeError: when ``texts`` is one string.

    Example:
        >>> train_tokenizer(["这部电影很好看"], "zh", vocabulary_size=300).kind
        'subword'

    Source: document D0, sections 3.2.1 and 5.
    """
    refuse_single_string(texts)
    unspaced = language.lower().replace("_", "-").split("-")[0] in LANGUAGES_WITHOUT_SPACES
    if unspaced or _spaces_are_rare(texts):
        return SubwordTokenizer.train(texts, vocabulary_size)
    return WordTokenizer.train(texts, vocabulary_size)


def load_tokenizer(path: str | Path) -> Tokenizer:
    """Reads a tokenizer that ``Tokenizer.save`` wrote, of whichever kind.

    Args:
        path: the file, usually ``tokenizer.json`` beside the model.

    Raises:
        InputError: when the file is missing, cut off, or not a tokenizer of keras_llm.
    """
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"Cannot read the tokenizer {path} ({error.strerror}): name a saved one.") from error
    except ValueError as error:  # broken JSON, or bytes that are no UTF-8
        raise InputError(f"{path} is not a complete tokenizer file ({error}): save the tokenizer again.") from error
    kind = content.pop("kind", None) if isinstance(content, dict) else None
    if not isinstance(kind, str) or kind not in KINDS:
        known = " or ".join(KINDS)
        raise InputError(f"{path} is not a tokenizer of keras_llm: kind is {kind!r}, not {known}; name another file.")
    try:
        return KINDS[kind](**content)
    except (AttributeError, TypeError, ValueError) as error:
        raise InputError(f"{path} is a damaged {kind} tokenizer ({error}): save the tokenizer again.") from error


def _spaces_are_rare(texts: Sequence[str]) -> bool:
    sample = "".join(islice(texts, SAMPLE))
    return sum(map(str.isspace, sample)) * CHARACTERS_PER_SPACE < len(sample)
