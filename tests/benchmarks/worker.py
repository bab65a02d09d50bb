"""One variant of a peer in a process of its own. The race starts it: libraries in one process would share threads.

``python -m tests.benchmarks.worker PEER`` says what the peer offers, and ends. With ``VARIANT WORKLOAD`` after it, the
worker builds the network, then trains a round to get warm and a timed one for each line that it reads, and ends with
its input. Answers are lines of JSON.

A peer is a module ``tests.benchmarks.peers_PEER`` with

- ``VARIANTS``, key to title; a key that ends with ``bfloat16`` computes in bfloat16, any other in float32;
- ``prepare(workload, variant)``, which gives a function and the number of trainable parameters. The function trains one
  round and gives a dictionary: ``seconds`` of its steps, ``loss``, the mean of the last pass over the data, and where
  it is known ``parts``, what the seconds went into;
- where not all workloads are there, ``ONLY``, those that are;
- where it can tell, ``peak(dtype)``, operations a second of a large matrix product.
"""

import importlib
import json
import os
import sys

from keras_llm import machine
from tests.benchmarks.workloads import WORKLOADS


def main(peer: str, variant: str = "", workload: str = "") -> None:
    # The answers get the standard output for themselves; what libraries print goes where the errors go.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)

    def answer(**values) -> None:
        print(json.dumps(values), file=answers, flush=True)

    try:
        module = importlib.import_module(f"tests.benchmarks.peers_{peer}")
    except ModuleNotFoundError as error:
        return answer(missing=error.name)
    if not workload:
        peak = {dtype: module.peak(dtype) for dtype in ("float32", "bfloat16")} if hasattr(module, "peak") else {}
        return answer(variants=module.VARIANTS, workloads=list(getattr(module, "ONLY", WORKLOADS)), peak=peak)
    run, parameters = module.prepare(workload, variant)
    answer(parameters=parameters)
    # Reading blocks without work, so that a waiting worker takes nothing from the one whose turn it is.
    for number, _ in enumerate(sys.stdin):
        if number:  # the first round of all is there to compile
            run()  # meanwhile the others have had the processor's caches: measured, up to a third of a step's time
        answer(**run(), memory_gb=machine.peak_memory_gb())


if __name__ == "__main__":
    main(*sys.argv[1:])
