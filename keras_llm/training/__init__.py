"""THE loop: training, scoring and predicting in XLA programs that hold several steps each."""

from keras_llm.training.checkpoints import Checkpoint
from keras_llm.training.distributed import multi_worker_strategy
from keras_llm.training.logs import TrainingLog
from keras_llm.training.loop import evaluate, fit, predict
from keras_llm.training.losses import SparseCrossentropy
from keras_llm.training.schedules import Warmup, warmup_cosine, warmup_linear

__all__ = [
    "Checkpoint",
    "SparseCrossentropy",
    "TrainingLog",
    "Warmup",
    "evaluate",
    "fit",
    "multi_worker_strategy",
    "predict",
    "warmup_cosine",
    "warmup_linear",
]
