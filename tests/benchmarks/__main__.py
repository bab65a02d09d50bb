"""Run one comparison and print its tables: ``python -m tests.benchmarks {lstm,loop} [--rounds N]``."""

import argparse
import importlib
import os

from keras_llm import machine

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
parser.add_argument("which", choices=["lstm", "loop"])
parser.add_argument("--rounds", type=int, default=5, help="timed calls of each candidate (default 5)")
options = parser.parse_args()

about = machine.description()
print(f"{about['processor']}, {about['cores']} cores, {about['system']}; {machine.versions()}\n")
comparison = importlib.import_module(f"tests.benchmarks.{options.which}")
comparison.main(options.rounds)
