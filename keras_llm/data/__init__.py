"""Where text comes from: package archives, named datasets, your own files, splits, batches. Loads no TensorFlow."""

from keras_llm.data.batches import batches, length_for, pad_sequences_to
from keras_llm.data.cache import cache_folder, fetch, fetch_file, is_cached
from keras_llm.data.catalog import available
from keras_llm.data.datasets import ClassificationData, Part, describe, load
from keras_llm.data.files import detect_language, from_files
from keras_llm.data.glove import load_glove

__all__ = [
    "ClassificationData",
    "Part",
    "available",
    "batches",
    "cache_folder",
    "describe",
    "detect_language",
    "fetch",
    "fetch_file",
    "from_files",
    "is_cached",
    "length_for",
    "load",
    "load_glove",
    "pad_sequences_to",
]
