"""``python -m chapters.ch07_finetuning`` does what ``keras-llm run ch08_generation`` does."""

import sys
from pathlib import Path

from keras_llm.cli import main

main(["run", Path(__file__).parent.name, *sys.argv[1:]])
