"""What is timed: six trainings from the documents and the field, the same for each peer.

A workload fixes the network, its sizes, the data, the optimizer and how many steps a timed round has. A peer (a module
``tests.benchmarks.peers_*``) builds it with its own library. All of a workload's networks have the same number of
parameters, which the table shows, and are fed the same arrays.
"""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Workload:
    """One training that the peers race on.

    Attributes:
        title: what the table calls it.
        batch: rows a step.
        length: tokens a row (of the source and of the target, for an encoder-decoder); 1 where a row is no text.
        steps: training steps in one timed round.
        vocabulary: size of the vocabulary (of each side).
        layers, heads, width, hidden: of the Transformer: blocks (a side), attention heads, model width, units of the
            feed-forward layer.
        dropout: rate after the embeddings and after each sub-layer; attention probabilities have none, so that every
            peer may use its fused attention.
        low_precision: whether bfloat16 variants race too.
    """

    title: str
    batch: int
    length: int
    steps: int
    vocabulary: int = 0
    layers: int = 0
    heads: int = 0
    width: int = 0
    hidden: int = 0
    dropout: float = 0.0
    low_precision: bool = False

    @property
    def tokens(self) -> int:
        """Tokens a step, padding included; of the target only, for an encoder-decoder."""
        return self.batch * self.length

    def epochs(self, rows: int) -> int:
        """Passes over the data in a round, when the data has ``rows`` rows."""
        return self.steps * self.batch // rows


WORKLOADS = {
    # D1, section 5: 2-10-1, ReLU and sigmoid, biases, binary cross-entropy, SGD 0.01; 100 epochs of three points.
    "perceptron": Workload("(a) perceptron 2-10-1, batch 1, 100 epochs of 3 points", 1, 1, 300),
    # D0, section 5: Embedding(10000, 256), LSTM(128) twice, Dense(1) with sigmoid; binary cross-entropy, Adam 0.001.
    "lstm": Workload("(b) LSTM of D0, batch 32, length 500", 32, 500, 4, vocabulary=10_000, width=256, hidden=128),
    # nanoGPT's laptop configuration: pre-norm, learned positions, exact GELU, head tied to the embedding, no biases
    # (LayerNorm has a scale only); mean cross-entropy of all positions; AdamW 1e-3 with betas 0.9 and 0.99, weight
    # decay 0.1 on matrices, gradients clipped to norm 1.
    "gpt_small": Workload(
        "(c) GPT 4 x 128, context 64, batch 12", 12, 64, 40, 65, layers=4, heads=4, width=128, hidden=512,
        low_precision=True,
    ),
    "gpt": Workload(
        "(d) GPT 6 x 384, context 256, batch 8", 8, 256, 3, 65, layers=6, heads=6, width=384, hidden=1536,
        low_precision=True,
    ),
    # BERT: post-norm, learned positions (512) and two segments, LayerNorm epsilon 1e-12, exact GELU, biases; pooler
    # (Dense with tanh on the first position), Dense(2); padded positions masked in attention; cross-entropy, AdamW
    # 1e-4 with weight decay 0.01 on matrices.
    "bert": Workload(
        "(e) BERT 6 x 384, fine-tuning, length 128, batch 32", 32, 128, 2, 30_522, layers=6, heads=12, width=384,
        hidden=1536, dropout=0.1, low_precision=True,
    ),
    # Transformer (Vaswani et al. 2017) with pre-norm and a last LayerNorm on each side: sinusoidal positions, token
    # embeddings of each side scaled by sqrt(width), ReLU, biases, a Dense head of its own; padding masked in
    # attention; cross-entropy with label smoothing 0.1, mean over real target tokens; Adam 1e-3 with beta_2 0.98.
    "translation": Workload(
        "(f) encoder-decoder 4+4 x 256, length 40, batch 64", 64, 40, 2, 8_000, layers=4, heads=8, width=256,
        hidden=1024, dropout=0.1, low_precision=True,
    ),
}  # fmt: skip


def batches(name: str, seed: int = 0) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """The data of one round: ``steps`` batches, in order, never shuffled.

    Returns:
        Inputs by name and labels; the rows are ``steps * batch`` (three for the perceptron, fed 100 times):

        - perceptron: ``x`` (3, 2) float32; labels (3,) of 0 and 1.
        - lstm: ``token_ids`` (rows, length) int32 from 1 up, no padding; labels (rows,) of 0 and 1.
        - gpt_small, gpt: ``token_ids`` (rows, length) int32; labels (rows, length) int32, the next tokens.
        - bert: ``token_ids``, ``segment_ids``, ``padding_mask`` (rows, length) int32, the mask 1 at real tokens;
          labels (rows,) of 0 and 1.
        - translation: ``source_ids``, ``target_ids`` (rows, length) int32, 0 is padding; labels (rows, length) int32,
          0 where the target is padding.
    """
    work, draw = WORKLOADS[name], np.random.default_rng(seed)
    rows, shape = work.steps * work.batch, (work.steps * work.batch, work.length)
    if name == "perceptron":
        return {"x": np.array([[0.1, 0.2], [0.3, 0.4], [0.5, 0.6]], "float32")}, np.array([0, 1, 0], "int32")
    if name == "lstm":
        ids = draw.integers(1, work.vocabulary, shape, dtype="int32")
        return {"token_ids": ids}, draw.integers(0, 2, rows, dtype="int32")
    if name in ("gpt_small", "gpt"):
        ids = draw.integers(0, work.vocabulary, (rows, work.length + 1), dtype="int32")
        return {"token_ids": ids[:, :-1].copy()}, ids[:, 1:].copy()

    def padded() -> np.ndarray:
        """Ids above 0, each row between half full and full."""
        real = np.arange(work.length) < draw.integers(work.length // 2, work.length + 1, (rows, 1))
        return np.where(real, draw.integers(1, work.vocabulary, shape, dtype="int32"), 0).astype("int32")

    if name == "bert":
        ids = padded()
        mask = (ids > 0).astype("int32")
        inputs = {"token_ids": ids, "segment_ids": np.zeros(shape, "int32"), "padding_mask": mask}
        return inputs, draw.integers(0, 2, rows, dtype="int32")
    target = padded()
    following = np.concatenate([target[:, 1:], np.zeros((rows, 1), "int32")], axis=1)
    return {"source_ids": padded(), "target_ids": target}, following


def operations(name: str) -> float:
    """Floating-point operations in the matrix products of one training step: forward once, backward twice.

    Two operations a multiply-add; attention counts whole score matrices, causal or not (Chowdhery et al. 2022, PaLM,
    appendix B). Looking up an embedding is no product.
    """
    work = WORKLOADS[name]
    if name == "perceptron":
        return 3 * 2 * (2 * 10 + 10)
    if name == "lstm":
        cells = 4 * work.hidden * (work.width + work.hidden) + 4 * work.hidden * 2 * work.hidden
        return 3 * 2 * (work.tokens * cells + work.batch * work.hidden)
    attention = 4 * work.width**2 + 2 * work.length * work.width  # projections, scores and their use, a token
    feed_forward = 2 * work.width * work.hidden
    if name == "translation":
        blocks = work.layers * (3 * attention + 2 * feed_forward)
        return 3 * 2 * work.tokens * (blocks + work.width * work.vocabulary)
    blocks = work.layers * (attention + feed_forward)
    if name == "bert":
        return 3 * 2 * (work.tokens * blocks + work.batch * (work.width**2 + 2 * work.width))
    return 3 * 2 * work.tokens * (blocks + work.width * work.vocabulary)
