"""Where text comes from: package archives, named datasets, your own files, splits, batches. Loads no TensorFlow."""

from keras_llm.data.batches import batches, length_for, pad_sequences_to, wasted
from keras_llm.data.buckets import bucket_batches
from keras_llm.data.cache import cache_folder, fetch, fetch_file, is_cached
from keras_llm.data.catalog import available
from keras_llm.data.corpus import CorpusData, CorpusPart
from keras_llm.data.datasets import ClassificationData, Part, describe, load
from keras_llm.data.dialogues import DialogueData
from keras_llm.data.files import detect_language, from_files
from keras_llm.data.glove import load_glove
from keras_llm.data.masking import hide_tokens
from keras_llm.data.packing import Packed, attention_mask, next_tokens, pack
from keras_llm.data.pairs import PairPart, TranslationData
from keras_llm.data.paraphrases import PhrasePairs, load_paraphrases
from keras_llm.data.shard_writer import write_shards
from keras_llm.data.shards import Shards, open_shards
from keras_llm.data.windows import random_windows, windows

__all__ = [
    "ClassificationData",
    "CorpusData",
    "CorpusPart",
    "DialogueData",
    "Packed",
    "PairPart",
    "Part",
    "PhrasePairs",
    "Shards",
    "TranslationData",
    "attention_mask",
    "available",
    "batches",
    "bucket_batches",
    "cache_folder",
    "describe",
    "detect_language",
    "fetch",
    "fetch_file",
    "from_files",
    "hide_tokens",
    "is_cached",
    "length_for",
    "load",
    "load_glove",
    "load_paraphrases",
    "next_tokens",
    "open_shards",
    "pack",
    "pad_sequences_to",
    "random_windows",
    "wasted",
    "windows",
    "write_shards",
]
