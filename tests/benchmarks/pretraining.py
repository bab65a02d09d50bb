"""Train a GPT of characters on a text, with nanoGPT's laptop settings or for ten minutes, and PyTorch beside it.

examples:
  python -m tests.benchmarks.pretraining tinyshakespeare.txt                      three seeds, both libraries in turn
  python -m tests.benchmarks.pretraining tinyshakespeare.txt --settings ten_minutes --peers keras_llm
  python -m tests.benchmarks.pretraining tinyshakespeare.txt --seeds 0 --steps 100     a look

The first 90% of the text are for training, the rest for validation, as nanoGPT splits it. Its README promises a loss of
1.88 for the laptop settings, which it estimates on 20 random batches; here the whole validation part is scored, in rows
that do not overlap, eight times in each training. PyTorch comes with the extra:
pip install -c constraints.txt -e ".[bench]". The machine should do nothing else meanwhile.
"""

import argparse
import dataclasses
import json
import math
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np

from keras_llm import data, text
from tests.benchmarks.workloads import WORKLOADS

LLAMA = {"positions": "rotary", "norm": "rms", "activation": "swiglu", "use_bias": False}
REPORTS = 8  # of the validation loss


@dataclasses.dataclass(frozen=True)
class Settings:
    """Sizes of a training, with nanoGPT's AdamW at 1e-3, or Muon at 8e-3."""

    layers: int = 4
    heads: int = 4
    width: int = 128
    context: int = 64
    batch: int = 12
    steps: int = 2_000
    dropout: float = 0.0
    muon: bool = False
    options: dict = dataclasses.field(default_factory=lambda: {"use_bias": False})


SETTINGS = {
    "laptop": Settings(),
    "laptop_muon": Settings(muon=True, options=LLAMA),
    "ten_minutes": Settings(4, 4, 192, 128, 32, 1_200, muon=True, options=LLAMA),
}


@dataclasses.dataclass(frozen=True)
class Text:
    """Ids of the two parts and the size of the vocabulary."""

    train: np.ndarray
    validation: np.ndarray
    vocabulary_size: int

    @classmethod
    def read(cls, path: Path) -> "Text":
        whole = path.read_text(encoding="utf-8")
        cut = int(len(whole) * 0.9)
        tokenizer = text.CharacterTokenizer.train([whole], 10_000)
        train, validation = (np.array(tokenizer.encode(part), "int32") for part in (whole[:cut], whole[cut:]))
        return cls(train, validation, tokenizer.vocabulary_size)


def train_own(settings: Settings, corpus: Text, seed: int) -> tuple[float, float]:
    """The best validation loss, and seconds, compiling and scoring included."""
    import keras

    from keras_llm.models import GPT
    from keras_llm.training import SparseCrossentropy, fit, warmup_cosine

    keras.utils.set_random_seed(seed)
    sizes = (corpus.vocabulary_size, settings.context, settings.width, settings.heads, settings.layers)
    model = GPT(*sizes, dropout=settings.dropout, **settings.options)
    if settings.muon:
        rates = warmup_cosine(8e-3, settings.steps, 0.05, 1.6e-4)
        optimizer = keras.optimizers.Muon(rates, adam_beta_2=0.98, weight_decay=0.1, global_clipnorm=1.0)
    else:
        rates = warmup_cosine(1e-3, settings.steps, 0.05, 1e-4)
        optimizer = keras.optimizers.AdamW(rates, weight_decay=0.1, beta_2=0.99, epsilon=1e-8, global_clipnorm=1.0)
        optimizer.exclude_from_weight_decay(var_names=["gamma", "beta", "bias"])
    model.compile(optimizer, SparseCrossentropy())
    start = time.perf_counter()
    steps = settings.steps // REPORTS
    rows = data.random_windows(corpus.train, settings.context, batch_size=settings.batch, steps=steps, seed=seed)
    held_out = data.windows(corpus.validation, settings.context)
    history = fit(model, rows, held_out, epochs=REPORTS, batch_size=64, verbose=2)
    return min(history.history["val_loss"]), time.perf_counter() - start


def train_torch(settings: Settings, corpus: Text, seed: int) -> tuple[float, float]:
    """The same in PyTorch, compiled; only for nanoGPT's network and optimizer."""
    import torch

    from tests.benchmarks import peers_torch

    torch.manual_seed(seed)
    sizes = {"batch": settings.batch, "length": settings.context, "vocabulary": corpus.vocabulary_size}
    sizes |= {"layers": settings.layers, "heads": settings.heads, "width": settings.width}
    work = dataclasses.replace(WORKLOADS["gpt_small"], **sizes, hidden=4 * settings.width)
    model = peers_torch.GPT(work)
    for name, parameter in model.named_parameters():
        if parameter.ndim > 1:
            last = name.endswith(("output.weight", "down.weight"))
            torch.nn.init.normal_(parameter, std=0.02 / math.sqrt(2 * settings.layers) if last else 0.02)
    optimizer, network = peers_torch.optimizer_of("gpt_small", model.parameters()), torch.compile(model)
    warmup = settings.steps // 20
    draw, width = np.random.default_rng(seed), np.arange(settings.context + 1)
    held_out = [torch.from_numpy(part).long() for part in data.windows(corpus.validation, settings.context)]
    start, best = time.perf_counter(), math.inf
    for step in range(settings.steps):
        begins = draw.integers(len(corpus.train) - settings.context, size=(settings.batch, 1))
        rows = torch.from_numpy(corpus.train[begins + width]).long()
        done = (step - warmup) / (settings.steps - warmup)
        rate = 1e-3 * step / warmup if step < warmup else 1e-4 + 9e-4 * (1 + math.cos(math.pi * done)) / 2
        for group in optimizer.param_groups:
            group["lr"] = rate
        loss = network(rows[:, :-1], rows[:, 1:])
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        if (step + 1) % (settings.steps // REPORTS) == 0:
            with torch.no_grad():
                parts = [
                    (model(*each).item(), len(each[0])) for each in zip(*(p.split(64) for p in held_out), strict=True)
                ]
            losses, counts = zip(*parts, strict=True)
            best = min(best, float(np.average(losses, weights=counts)))
            print(f"PyTorch, step {step + 1}: {best:.4f}", flush=True)
    return best, time.perf_counter() - start


PEERS = {"keras_llm": train_own, "torch": train_torch}


def elsewhere(path: Path, settings: str, steps: int, peer: str, seed: int) -> tuple[float, float]:
    """A training in a process of its own: PyTorch and TensorFlow do not live in one."""
    command = [sys.executable, "-m", "tests.benchmarks.pretraining", str(path), "--here", "--settings", settings]
    command += ["--steps", str(steps), "--peers", peer, "--seeds", str(seed)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        last = ""
        for line in process.stdout:
            last = line
            if not line.startswith("["):
                print(line, end="", flush=True)
    if process.returncode:
        raise SystemExit(f"{peer}, seed {seed}: the training failed with exit code {process.returncode}.")
    return tuple(json.loads(last))


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks.pretraining",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("text", type=Path, help="a UTF-8 text, for instance tinyshakespeare.txt")
    parser.add_argument("--settings", choices=SETTINGS, default="laptop", help="default %(default)s")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2], help="default 0 1 2")
    parser.add_argument("--peers", choices=PEERS, nargs="+", help="default: both where PyTorch has the same")
    parser.add_argument("--steps", type=int, help="updates, at least 20; default: those of the settings")
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)  # one training, in this process
    chosen = parser.parse_args()
    if not chosen.text.is_file():
        parser.error(f"{chosen.text}: there is no such file")
    settings = SETTINGS[chosen.settings]
    if chosen.steps is not None:
        if chosen.steps < 20:
            parser.error(f"--steps {chosen.steps}: give 20 or more")
        settings = dataclasses.replace(settings, steps=chosen.steps)
    peers = chosen.peers or (["keras_llm"] if settings.muon else list(PEERS))
    if settings.muon and "torch" in peers:
        parser.error(f"--settings {chosen.settings}: PyTorch's peer has nanoGPT's network and optimizer only")
    if chosen.here:
        print(json.dumps(PEERS[peers[0]](settings, Text.read(chosen.text), chosen.seeds[0])))
        return
    print(f"{chosen.text.name}; {settings}")
    found: dict[str, list[tuple[float, float]]] = {peer: [] for peer in peers}
    for seed in chosen.seeds:
        for peer in peers:
            loss, seconds = elsewhere(chosen.text, chosen.settings, settings.steps, peer, seed)
            found[peer].append((loss, seconds))
            print(f"{peer}, seed {seed}: validation loss {loss:.4f}, {seconds / 60:.1f} minutes", flush=True)
    for peer, results in found.items():
        losses, seconds = zip(*results, strict=True)
        spread = f" ± {statistics.stdev(losses):.4f}" if len(losses) > 1 else ""
        print(f"{peer}: {statistics.mean(losses):.4f}{spread}, median {statistics.median(seconds) / 60:.1f} minutes")


if __name__ == "__main__":
    main()
