"""keras_llm: how large language models are trained, as Keras models on real text.

Importing this package loads no TensorFlow; ``keras_llm.data``, ``.text``, ``.layers``, ``.models``, ``.training``,
``.evaluation`` and ``.plots`` are imported by name where they are used.
"""

__version__ = "0.1.0"
