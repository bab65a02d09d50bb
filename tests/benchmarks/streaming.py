"""Train from TFRecord shards and from memory: the speed, and how much memory each process took.

examples:
  python -m tests.benchmarks.streaming                    4 GB of shards: some minutes on two cores
  python -m tests.benchmarks.streaming --gigabytes 0.2    a look

The shards hold rows of random token ids; the array in memory has a tenth of a million of them, since more would not
change its speed. Each way trains the same GPT for the same number of steps in a process of its own, in turn.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np

CONTEXT, BATCH, VOCABULARY = 256, 16, 8_000
STEPS = 60  # of a timed round
IN_MEMORY = 100_000  # rows
A_ROW = 2 * (CONTEXT + 1)  # bytes of uint16; as shards they take about as many again


def rows(count: int) -> Iterator[np.ndarray]:
    draw = np.random.default_rng(0)
    for first in range(0, count, 10_000):
        yield from draw.integers(1, VOCABULARY, (min(10_000, count - first), CONTEXT + 1)).astype("uint16")


def train(kind: str, folder: Path, count: int, rounds: int) -> None:
    """In a process of its own: prints tokens a second of each round, and gigabytes at the most."""
    import tensorflow as tf

    from keras_llm import data, machine
    from keras_llm.models import GPT
    from keras_llm.training import SparseCrossentropy, fit

    if kind == "memory":
        whole = np.stack(list(rows(min(count, IN_MEMORY))))
        feed = data.batches(whole[:, :-1], whole[:, 1:], batch_size=BATCH, shuffle_seed=0)
        feed = feed.map(lambda x, y: (tf.cast(x, "int32"), tf.cast(y, "int32")))
    else:
        feed = data.batches(data.open_shards(folder), batch_size=BATCH, shuffle_seed=0)
        feed = feed.map(lambda x: (tf.cast(x[:, :-1], "int32"), tf.cast(x[:, 1:], "int32")))
    model = GPT(VOCABULARY, CONTEXT, 128, 4, 2)
    model.compile("adam", SparseCrossentropy())
    fit(model, feed.take(8), verbose=0)
    speeds = []
    for _ in range(rounds):
        start = time.perf_counter()
        fit(model, feed.take(STEPS), verbose=0)
        speeds.append(STEPS * BATCH * CONTEXT / (time.perf_counter() - start))
    print(json.dumps({"speeds": speeds, "gigabytes": machine.peak_memory_gb()}))


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks.streaming",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--gigabytes", type=float, default=4.0, help="of shards, default %(default)s")
    parser.add_argument("--rounds", type=int, default=5, help="default %(default)s")
    parser.add_argument("--train", nargs=3, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.train:
        kind, folder, count = chosen.train
        return train(kind, Path(folder), int(count), chosen.rounds)

    from keras_llm import data

    count = int(chosen.gigabytes * 1e9 / A_ROW)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "shards"
        start = time.perf_counter()
        shards = data.write_shards(({"ids": row} for row in rows(count)), folder)
        seconds = time.perf_counter() - start
        print(f"{len(shards):,} rows, {shards.num_bytes / 1e9:.2f} GB in {len(shards.files)} shards, {seconds:.0f} s")
        for kind in ("shards", "memory"):
            command = [sys.executable, "-m", "tests.benchmarks.streaming", "--rounds", str(chosen.rounds)]
            command += ["--train", kind, str(folder), str(count)]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            found = json.loads(done.stdout.splitlines()[-1])
            speeds = found["speeds"]
            print(
                f"from {kind}: median {statistics.median(speeds):,.0f} tokens a second "
                f"({min(speeds):,.0f} to {max(speeds):,.0f}), at most {found['gigabytes']} GB of memory"
            )


if __name__ == "__main__":
    main()
