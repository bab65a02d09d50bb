"""The workloads in PyTorch: eager and compiled, in float32 and with bfloat16 autocast.

B = batch, T = length, S = length of the source, W = width, H = heads, K = width of one head.
"""

import math
import os
import time
from collections.abc import Callable, Iterable

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tests.benchmarks import workloads
from tests.benchmarks.workloads import WORKLOADS, Workload

torch.set_num_threads(os.cpu_count() or 1)
VARIANTS = {
    "eager": "PyTorch",
    "compile": "PyTorch, torch.compile",
    "eager_bfloat16": "PyTorch, bfloat16",
    "compile_bfloat16": "PyTorch, torch.compile, bfloat16",
}


class Attention(nn.Module):
    """Multi-head attention; one product makes queries, keys and values (keys and values, when over a memory)."""

    def __init__(self, width: int, heads: int, bias: bool, cross: bool = False) -> None:
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(width, width, bias) if cross else None
        self.project = nn.Linear(width, 2 * width if cross else 3 * width, bias)
        self.output = nn.Linear(width, width, bias)

    def forward(self, x: Tensor, memory: Tensor | None = None, mask: Tensor | None = None, causal=False) -> Tensor:
        if self.query is None:
            projected = self.project(x).split(x.shape[-1], dim=-1)
        else:
            projected = (self.query(x), *self.project(memory).split(x.shape[-1], dim=-1))
        q, k, v = (part.unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in projected)  # (B, H, T or S, K)
        attended = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, is_causal=causal)  # (B, H, T, K)
        return self.output(attended.transpose(1, 2).flatten(2))  # (B, T, W)


class Block(nn.Module):
    """Self-attention, attention over a memory when ``cross``, feed-forward: each with LayerNorm, dropout, residual."""

    def __init__(
        self, work: Workload, bias=True, post_norm=False, causal=False, cross=False, activation=F.gelu, epsilon=1e-5
    ) -> None:
        super().__init__()
        self.post_norm, self.causal, self.activation = post_norm, causal, activation
        self.attention = Attention(work.width, work.heads, bias)
        self.cross = Attention(work.width, work.heads, bias, cross=True) if cross else None
        self.up = nn.Linear(work.width, work.hidden, bias)
        self.down = nn.Linear(work.hidden, work.width, bias)
        self.norms = nn.ModuleList(nn.LayerNorm(work.width, epsilon, bias=bias) for _ in range(3 if cross else 2))
        self.drop = nn.Dropout(work.dropout)

    def forward(self, x: Tensor, mask=None, memory=None, memory_mask=None) -> Tensor:
        x = self.residual(x, self.norms[0], lambda y: self.attention(y, mask=mask, causal=self.causal))
        if self.cross is not None:
            x = self.residual(x, self.norms[1], lambda y: self.cross(y, memory, memory_mask))
        return self.residual(x, self.norms[-1], lambda y: self.down(self.activation(self.up(y))))

    def residual(self, x: Tensor, norm: nn.Module, sublayer: Callable[[Tensor], Tensor]) -> Tensor:
        if self.post_norm:
            return norm(x + self.drop(sublayer(x)))
        return x + self.drop(sublayer(norm(x)))


class GPT(nn.Module):
    """nanoGPT's network; gives the loss, as all the networks here do, so that compiling it takes the loss along."""

    def __init__(self, work: Workload) -> None:
        super().__init__()
        self.tokens = nn.Embedding(work.vocabulary, work.width)
        self.positions = nn.Parameter(torch.randn(work.length, work.width) * 0.02)
        self.blocks = nn.ModuleList(Block(work, bias=False, causal=True) for _ in range(work.layers))
        self.norm = nn.LayerNorm(work.width, bias=False)

    def forward(self, token_ids: Tensor, labels: Tensor) -> Tensor:
        x = self.tokens(token_ids) + self.positions  # (B, T, W)
        for block in self.blocks:
            x = block(x)
        logits = F.linear(self.norm(x), self.tokens.weight)  # (B, T, V): the head is the embedding
        return F.cross_entropy(logits.flatten(0, 1), labels.flatten())


class BERT(nn.Module):
    """BERT with its pooler and a head of two classes."""

    def __init__(self, work: Workload) -> None:
        super().__init__()
        self.tokens = nn.Embedding(work.vocabulary, work.width)
        self.positions = nn.Parameter(torch.randn(512, work.width) * 0.02)
        self.segments = nn.Embedding(2, work.width)
        self.norm = nn.LayerNorm(work.width, 1e-12)
        self.drop = nn.Dropout(work.dropout)
        self.blocks = nn.ModuleList(Block(work, post_norm=True, epsilon=1e-12) for _ in range(work.layers))
        self.pooler = nn.Linear(work.width, work.width)
        self.head = nn.Linear(work.width, 2)

    def forward(self, token_ids: Tensor, segment_ids: Tensor, padding_mask: Tensor, labels: Tensor) -> Tensor:
        x = self.tokens(token_ids) + self.segments(segment_ids) + self.positions[: token_ids.shape[1]]
        x = self.drop(self.norm(x))  # (B, T, W)
        mask = padding_mask.bool()[:, None, None, :]  # (B, 1, 1, T)
        for block in self.blocks:
            x = block(x, mask)
        return F.cross_entropy(self.head(torch.tanh(self.pooler(x[:, 0]))), labels)


class Translator(nn.Module):
    """The encoder-decoder, its LayerNorms before the sub-layers and one more at the end of each side."""

    def __init__(self, work: Workload) -> None:
        super().__init__()
        self.sides = nn.ModuleList(nn.Embedding(work.vocabulary, work.width) for _ in range(2))
        self.register_buffer("positions", sinusoids(work.length, work.width))
        self.encoder = nn.ModuleList(Block(work, activation=F.relu) for _ in range(work.layers))
        self.decoder = nn.ModuleList(
            Block(work, activation=F.relu, causal=True, cross=True) for _ in range(work.layers)
        )
        self.norms = nn.ModuleList(nn.LayerNorm(work.width) for _ in range(2))
        self.drop = nn.Dropout(work.dropout)
        self.head = nn.Linear(work.width, work.vocabulary)

    def forward(self, source_ids: Tensor, target_ids: Tensor, labels: Tensor) -> Tensor:
        source, x = (self.embed(ids, side) for ids, side in zip((source_ids, target_ids), self.sides, strict=True))
        mask = (source_ids > 0)[:, None, None, :]  # (B, 1, 1, S)
        for block in self.encoder:
            source = block(source, mask)
        source = self.norms[0](source)  # (B, S, W)
        for block in self.decoder:
            # Padding ends a target, so what is real never looks at it: causal is mask enough.
            x = block(x, memory=source, memory_mask=mask)
        logits = self.head(self.norms[1](x))  # (B, T, V)
        return F.cross_entropy(logits.flatten(0, 1), labels.flatten(), ignore_index=0, label_smoothing=0.1)

    def embed(self, ids: Tensor, side: nn.Embedding) -> Tensor:
        return self.drop(side(ids) * math.sqrt(side.embedding_dim) + self.positions)  # (B, T, W)


def sinusoids(length: int, width: int) -> Tensor:
    """Vaswani et al. 2017, section 3.5, sines at even places, cosines at odd ones: ``(length, width)``."""
    angles = torch.arange(length)[:, None] * 10_000 ** (-torch.arange(0, width, 2) / width)
    return torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(1)


class LSTMClassifier(nn.Module):
    """Embedding, two LSTM layers, one unit on the last state."""

    def __init__(self, work: Workload) -> None:
        super().__init__()
        self.embedding = nn.Embedding(work.vocabulary, work.width)
        self.lstm = nn.LSTM(work.width, work.hidden, num_layers=2, batch_first=True)
        # A cell needs one bias; PyTorch adds two, so the second stays zero.
        for name, parameter in self.lstm.named_parameters():
            if name.startswith("bias_hh"):
                nn.init.zeros_(parameter).requires_grad_(False)
        self.head = nn.Linear(work.hidden, 1)

    def forward(self, token_ids: Tensor, labels: Tensor) -> Tensor:
        states, _ = self.lstm(self.embedding(token_ids))  # (B, T, units)
        return F.binary_cross_entropy_with_logits(self.head(states[:, -1])[:, 0], labels)


class Perceptron(nn.Module):
    """2-10-1 with ReLU."""

    def __init__(self) -> None:
        super().__init__()
        self.hidden, self.output = nn.Linear(2, 10), nn.Linear(10, 1)

    def forward(self, x: Tensor, labels: Tensor) -> Tensor:
        return F.binary_cross_entropy_with_logits(self.output(F.relu(self.hidden(x)))[:, 0], labels)


def build(name: str) -> nn.Module:
    """The network of a workload, Transformers with BERT's initial weights."""
    work = WORKLOADS[name]
    if name == "perceptron":
        return Perceptron()
    if name == "lstm":
        return LSTMClassifier(work)
    model = {"bert": BERT, "translation": Translator}.get(name, GPT)(work)
    for module in model.modules():
        if isinstance(module, nn.Linear | nn.Embedding):
            nn.init.normal_(module.weight, std=0.02)
        if isinstance(module, nn.Linear) and module.bias is not None:
            nn.init.zeros_(module.bias)
    return model


def optimizer_of(name: str, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
    """The workload's optimizer; ``fused`` updates all parameters in one call, which is the fastest on a CPU too."""
    parameters = list(parameters)
    if name == "perceptron":
        return torch.optim.SGD(parameters, 0.01, fused=True)
    if name == "lstm":
        return torch.optim.Adam(parameters, 1e-3, fused=True)
    if name == "translation":
        return torch.optim.Adam(parameters, 1e-3, betas=(0.9, 0.98), fused=True)
    rate, betas, decay = (1e-4, (0.9, 0.999), 0.01) if name == "bert" else (1e-3, (0.9, 0.99), 0.1)
    matrices = {"params": [p for p in parameters if p.ndim >= 2], "weight_decay": decay}
    vectors = {"params": [p for p in parameters if p.ndim < 2], "weight_decay": 0.0}
    return torch.optim.AdamW([matrices, vectors], rate, betas, fused=True)


def rounds_data(name: str) -> list[dict[str, Tensor]]:
    """One dictionary of tensors a step, the labels among them, in the order of a round."""
    work, (inputs, labels) = WORKLOADS[name], workloads.batches(name)
    labels = labels.astype("float32" if name in ("perceptron", "lstm") else "int64")
    arrays = {key: torch.from_numpy(array) for key, array in {**inputs, "labels": labels}.items()}
    rows = [np.arange(i * work.batch, (i + 1) * work.batch) % len(labels) for i in range(work.steps)]
    return [{key: array[row] for key, array in arrays.items()} for row in rows]


def prepare(name: str, variant: str) -> tuple[Callable[[], dict], int]:
    """Build a workload's network from seed 0; see ``tests.benchmarks.worker``.

    Args:
        name: key of ``WORKLOADS``.
        variant: key of ``VARIANTS``.
    """
    torch.manual_seed(0)
    model, low_precision = build(name), variant.endswith("bfloat16")
    parameters = [p for p in model.parameters() if p.requires_grad]
    optimizer, steps = optimizer_of(name, parameters), rounds_data(name)
    network = torch.compile(model) if variant.startswith("compile") else model
    last_pass = len(steps) // WORKLOADS[name].epochs(len(workloads.batches(name)[1]))

    def run() -> dict:
        losses, start = [], time.perf_counter()
        for batch in steps:
            with torch.autocast("cpu", torch.bfloat16, enabled=low_precision):
                loss = network(**batch)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            if name.startswith("gpt"):
                nn.utils.clip_grad_norm_(parameters, 1.0)
            optimizer.step()
            losses.append(loss.detach())
        seconds = time.perf_counter() - start
        return {"seconds": seconds, "loss": torch.stack(losses[-last_pass:]).mean().item()}

    return run, sum(p.numel() for p in parameters)


def peak(dtype: str) -> float:
    """Operations a second of PyTorch's own matrix product, as ``keras_llm.training.peak`` measures TensorFlow's."""
    factor, times = torch.randn(2048, 2048).to(getattr(torch, dtype)), []
    factor @ factor
    while len(times) < 2 or sum(times) < 0.4:
        start = time.perf_counter()
        factor @ factor
        times.append(time.perf_counter() - start)
    return 2 * 2048**3 / min(times)
