"""``python -m chapters.ch02_text_to_tensors`` does what ``keras-llm run ch02_text_to_tensors`` does."""

import sys
from pathlib import Path

from keras_llm.cli import main

main(["run", Path(__file__).parent.name, *sys.argv[1:]])
