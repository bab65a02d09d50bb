"""Text one token after the other, from any model that gives logits and keeps a cache.

    ids = generate(model, source_ids, max_length=40, start_id=1, end_id=2, num_beams=4)

Nothing here knows a class of models: :class:`StepByStep` says what is asked of one.
"""

from keras_llm.generation.generate import generate
from keras_llm.generation.protocol import StepByStep
from keras_llm.generation.search import beam_search, greedy_search

__all__ = ["StepByStep", "beam_search", "generate", "greedy_search"]
