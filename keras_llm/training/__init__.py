"""THE loop: training, scoring and predicting in XLA programs that hold several steps each."""

from keras_llm.training.checkpoints import EpochCheckpoint
from keras_llm.training.distributed import multi_worker_strategy
from keras_llm.training.loop import evaluate, fit, predict

__all__ = ["EpochCheckpoint", "evaluate", "fit", "multi_worker_strategy", "predict"]
