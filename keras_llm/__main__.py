"""``python -m keras_llm`` is ``keras-llm``."""

from keras_llm.cli import main

main()
