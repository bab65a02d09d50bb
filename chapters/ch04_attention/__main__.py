"""``python -m chapters.ch04_attention`` does what ``keras-llm run ch04_attention`` does."""

import sys
from pathlib import Path

from keras_llm.cli import main

main(["run", Path(__file__).parent.name, *sys.argv[1:]])
