"""``python -m chapters.ch05_transformer`` does what ``keras-llm run ch05_transformer`` does."""

import sys
from pathlib import Path

from keras_llm.cli import main

main(["run", Path(__file__).parent.name, *sys.argv[1:]])
