"""Text one token after the other, from any model that gives logits and keeps a cache.

    ids = generate(model, prompt_ids, max_length=40, sampling=Sampling(temperature=0.8, top_p=0.95))
    ids = generate(translator, source_ids, max_length=40, start_id=1, end_id=2, num_beams=4)

Nothing here knows a class of models: :class:`StepByStep` says what is asked of one.
"""

from keras_llm.generation.generate import generate, stream
from keras_llm.generation.protocol import StepByStep
from keras_llm.generation.sampling import GREEDY, Sampling
from keras_llm.generation.search import beam_search

__all__ = ["GREEDY", "Sampling", "StepByStep", "beam_search", "generate", "stream"]
