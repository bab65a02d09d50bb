"""THE loop: training, scoring and predicting in XLA programs that hold several steps each."""

from keras_llm.training.beginning import Beginning
from keras_llm.training.checkpoints import Checkpoint
from keras_llm.training.distributed import multi_worker_strategy
from keras_llm.training.layerwise import LayerwiseAdamW, layerwise_decay
from keras_llm.training.logs import TrainingLog
from keras_llm.training.loop import evaluate, fit, predict
from keras_llm.training.losses import SparseCrossentropy
from keras_llm.training.partial import load_trainable, save_trainable, train_only, trainable_count
from keras_llm.training.schedules import Warmup, warmup_cosine, warmup_linear

__all__ = [
    "Beginning",
    "Checkpoint",
    "LayerwiseAdamW",
    "SparseCrossentropy",
    "TrainingLog",
    "Warmup",
    "evaluate",
    "fit",
    "layerwise_decay",
    "load_trainable",
    "multi_worker_strategy",
    "predict",
    "save_trainable",
    "train_only",
    "trainable_count",
    "warmup_cosine",
    "warmup_linear",
]
