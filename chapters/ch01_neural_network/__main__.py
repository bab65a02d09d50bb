"""``python -m chapters.ch01_neural_network`` does what ``keras-llm run ch01_neural_network`` does."""

import sys
from pathlib import Path

from keras_llm.cli import main

main(["run", Path(__file__).parent.name, *sys.argv[1:]])
