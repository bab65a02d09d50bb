"""Measure how fast a GPT writes, beside no cache, keras-hub's generate and a PyTorch loop with a cache.

examples:
  python -m tests.benchmarks.writing                      6 layers, 384 wide, 256 tokens: some minutes on two cores
  python -m tests.benchmarks.writing --layers 4 --width 128 --rows 8

All have the same sizes (GPT-2's network) and take the most probable token. Each is called once to compile; then they
take turns, and the table shows the median, the least and the most tokens a second. PyTorch comes with the extra:
pip install -c constraints.txt -e ".[bench]". The machine should do nothing else meanwhile.
"""

import argparse
import multiprocessing
import os
import statistics
import sys
import time
from collections.abc import Callable
from multiprocessing.connection import Connection

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np

PROMPT = 16  # tokens


def own(sizes: argparse.Namespace, prompt: np.ndarray) -> dict[str, Callable[[], object]]:
    import tensorflow as tf

    from keras_llm.generation import generate, stream
    from keras_llm.models import GPT

    model = GPT(sizes.vocabulary, PROMPT + sizes.tokens, sizes.width, sizes.heads, sizes.layers)
    model.build((None, PROMPT))
    longest = PROMPT + sizes.tokens

    @tf.function(jit_compile=True)
    def next_of(ids: tf.Tensor, length: tf.Tensor) -> tf.Tensor:
        return tf.argmax(tf.gather(model(ids), length - 1, axis=1), axis=-1, output_type="int32")

    def without_cache() -> None:
        """The whole row through the model for each token: one shape, one program."""
        ids = np.pad(prompt, ((0, 0), (0, sizes.tokens)))
        for length in range(PROMPT, longest):
            ids[:, length] = next_of(ids, tf.constant(length)).numpy()

    return {
        "keras_llm": lambda: generate(model, prompt, max_length=sizes.tokens),
        "keras_llm, streamed": lambda: list(stream(model, prompt, max_length=sizes.tokens)),
        "the same without a cache": without_cache,
    }


def hub(sizes: argparse.Namespace, prompt: np.ndarray) -> dict[str, Callable[[], object]]:
    import keras_hub

    longest = PROMPT + sizes.tokens
    backbone = keras_hub.models.GPT2Backbone(
        vocabulary_size=sizes.vocabulary,
        num_layers=sizes.layers,
        num_heads=sizes.heads,
        hidden_dim=sizes.width,
        intermediate_dim=4 * sizes.width,
        dropout=0.0,
        max_sequence_length=longest,
    )
    found = {}
    for name, jit_compile in (("keras-hub generate", True), ("keras-hub generate, op by op", False)):
        model = keras_hub.models.GPT2CausalLM(backbone=backbone, preprocessor=None)
        model.compile(sampler="greedy", jit_compile=jit_compile)
        inputs = {
            "token_ids": np.pad(prompt, ((0, 0), (0, sizes.tokens))),
            "padding_mask": np.arange(longest)[None].repeat(len(prompt), 0) < PROMPT,
        }
        found[name] = lambda model=model, inputs=inputs: model.generate(inputs, stop_token_ids=None)
    return found


def pytorch(sizes: argparse.Namespace, prompt: np.ndarray) -> dict[str, Callable[[], object]]:
    try:
        import torch
        import torch.nn.functional as F
        from torch import Tensor, nn
    except ModuleNotFoundError:
        return {}
    torch.set_num_threads(os.cpu_count() or 1)
    longest = PROMPT + sizes.tokens

    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.norms = nn.ModuleList(nn.LayerNorm(sizes.width) for _ in range(2))
            self.qkv, self.out = nn.Linear(sizes.width, 3 * sizes.width), nn.Linear(sizes.width, sizes.width)
            self.up, self.down = nn.Linear(sizes.width, 4 * sizes.width), nn.Linear(4 * sizes.width, sizes.width)

        def forward(self, x: Tensor, cache: Tensor, begin: int) -> Tensor:
            end = begin + x.shape[1]
            parts = self.qkv(self.norms[0](x)).chunk(3, dim=-1)
            q, k, v = (part.unflatten(-1, (sizes.heads, -1)).transpose(1, 2) for part in parts)
            cache[0, :, :, begin:end], cache[1, :, :, begin:end] = k, v
            attended = F.scaled_dot_product_attention(
                q, cache[0, :, :, :end], cache[1, :, :, :end], is_causal=begin == 0
            )
            x = x + self.out(attended.transpose(1, 2).flatten(2))
            return x + self.down(F.gelu(self.up(self.norms[1](x))))

    tokens, places = nn.Embedding(sizes.vocabulary, sizes.width), nn.Embedding(longest, sizes.width)
    blocks, norm = nn.ModuleList(Block() for _ in range(sizes.layers)), nn.LayerNorm(sizes.width)

    @torch.inference_mode()
    def write() -> list[Tensor]:
        shape = (sizes.layers, 2, len(prompt), sizes.heads, longest, sizes.width // sizes.heads)
        cache, ids, written, begin = torch.zeros(shape), torch.from_numpy(prompt).long(), [], 0
        for _ in range(sizes.tokens):
            x = tokens(ids) + places(torch.arange(begin, begin + ids.shape[1]))
            for block, kept in zip(blocks, cache, strict=True):
                x = block(x, kept, begin)
            begin += ids.shape[1]
            ids = F.linear(norm(x[:, -1:]), tokens.weight).argmax(-1)
            written.append(ids)
        return written

    return {"PyTorch, loop with a cache": write}


PEERS = {"keras_llm": own, "keras-hub": hub, "PyTorch": pytorch}


def serve(peer: str, sizes: argparse.Namespace, pipe: Connection) -> None:
    """In a process of its own, because TensorFlow and PyTorch do not live in one: call what the pipe names."""
    prompt = np.random.default_rng(0).integers(1, sizes.vocabulary, (sizes.rows, PROMPT)).astype("int32")
    calls = PEERS[peer](sizes, prompt)
    for call in calls.values():
        call()
    pipe.send(list(calls))
    for name in iter(pipe.recv, None):
        start = time.perf_counter()
        calls[name]()
        pipe.send(time.perf_counter() - start)


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks.writing",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    sizes = {"layers": 6, "width": 384, "heads": 6, "vocabulary": 8_000, "tokens": 256, "rows": 1, "rounds": 5}
    for name, value in sizes.items():
        parser.add_argument(f"--{name}", type=int, default=value, help="default %(default)s")
    chosen = parser.parse_args()
    spawn = multiprocessing.get_context("spawn")
    pipes: dict[str, Connection] = {}
    for peer in PEERS:
        print(f"{peer} compiles", file=sys.stderr, flush=True)
        here, there = spawn.Pipe()
        spawn.Process(target=serve, args=(peer, chosen, there), daemon=True).start()
        there.close()  # so that a process that fails ends the reading
        pipes |= dict.fromkeys(here.recv(), here)
    speeds: dict[str, list[float]] = {name: [] for name in pipes}
    for number in range(chosen.rounds):
        print(f"round {number + 1} of {chosen.rounds}", file=sys.stderr, flush=True)
        for name, pipe in pipes.items():
            pipe.send(name)
            speeds[name].append(chosen.rows * chosen.tokens / pipe.recv())
    for pipe in set(pipes.values()):
        pipe.send(None)
    print(f"{chosen.layers} x {chosen.width}, {chosen.rows} row(s), {chosen.tokens} tokens; tokens a second")
    print(f"{'':<32}{'median':>9}{'least':>9}{'most':>9}{'keras_llm is':>16}")
    first = statistics.median(speeds["keras_llm"])
    for name, found in speeds.items():
        median = statistics.median(found)
        print(f"{name:<32}{median:>9.0f}{min(found):>9.0f}{max(found):>9.0f}{first / median:>10.2f} times")


if __name__ == "__main__":
    main()
