"""THE loop: training, scoring and predicting in XLA programs that hold several steps each."""

from keras_llm.training.checkpoints import Checkpoint
from keras_llm.training.loop import evaluate, fit, predict

__all__ = ["Checkpoint", "evaluate", "fit", "predict"]
