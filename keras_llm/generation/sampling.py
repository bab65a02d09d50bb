"""Which token comes next: the most probable one, or one drawn by lot among those that the settings leave.

N = rows, V = vocabulary.
"""

from dataclasses import dataclass
from typing import Any

import tensorflow as tf

NEVER = -1e9  # the score of what must not be chosen; finite, so that sums of it stay numbers


@dataclass(frozen=True)
class Sampling:
    """How a token is chosen. Each setting acts on what those before it have left, in the order below.

    Args:
        repetition_penalty: above 1, tokens that stand in the prompt or were written become less probable: their
            positive logits are divided by it, negative ones multiplied. 1 changes nothing.
        temperature: logits are divided by it: below 1 the probable becomes more probable, above 1 all become alike. 0
            takes the most probable token, whatever the settings below say.
        top_k: only the k most probable tokens stay; None leaves all.
        top_p: only the most probable tokens stay that together have this probability, in (0, 1]; 1 leaves all.
        min_p: only tokens stay that are at least so many times as probable as the most probable one, in [0, 1).

    Raises:
        ValueError: when a number is out of range.

    Example:
        >>> keep_top_p(tf.math.log([[0.5, 0.3, 0.2]]), 0.7).numpy().round(2).tolist()
        [[-0.69, -1.2, -1000000000.0]]

    Source: Keskar et al. 2019 (repetition penalty); Fan et al. 2018 (top-k); Holtzman et al. 2020 (top-p); Nguyen et
    al. 2024 (min-p). Document D3, section 6.3, and D2, which speak of generation and say nothing of the choice.
    """

    repetition_penalty: float = 1.0
    temperature: float = 0.0
    top_k: int | None = None
    top_p: float = 1.0
    min_p: float = 0.0

    def __post_init__(self) -> None:
        ranges = {
            "repetition_penalty": (self.repetition_penalty > 0, "above 0"),
            "temperature": (self.temperature >= 0, "0 or more"),
            "top_k": (self.top_k is None or self.top_k >= 1, "1 or more"),
            "top_p": (0 < self.top_p <= 1, "above 0 and at most 1"),
            "min_p": (0 <= self.min_p < 1, "at least 0 and below 1"),
        }
        for name, (fine, words) in ranges.items():
            if not fine:
                raise ValueError(f"{name}={getattr(self, name)} must be {words}.")

    @property
    def is_greedy(self) -> bool:
        return self.temperature == 0

    @property
    def kind(self) -> tuple:
        """What decides the compiled program; other numbers of the same kind are only inputs to it."""
        if self.is_greedy:
            return (True, self.repetition_penalty != 1)
        return (False, self.repetition_penalty != 1, self.top_k, self.top_p < 1, self.min_p > 0)

    @property
    def numbers(self) -> tuple[float, float, float, float]:
        """The inputs: temperature, repetition penalty, top-p and min-p."""
        return (self.temperature, self.repetition_penalty, self.top_p, self.min_p)


GREEDY = Sampling()


def choose(logits: tf.Tensor, sampling: Sampling, numbers: Any, seen: tf.Tensor | None, seed: tf.Tensor) -> tf.Tensor:
    """The next token of each row.

    Args:
        logits: ``(N, V)``.
        sampling: which of the settings are in use.
        numbers: float32 ``(4,)``, their values, see :attr:`Sampling.numbers`.
        seen: bool ``(N, V)``, tokens that count as repeated; only with a repetition penalty.
        seed: int32 ``(2,)``, another one at each step.

    Returns:
        int32 ``(N,)``.
    """
    logits = settled(logits, sampling, numbers, seen)
    return tf.argmax(logits, axis=-1, output_type="int32") if sampling.is_greedy else draw(logits, seed)


def settled(logits: tf.Tensor, sampling: Sampling, numbers: Any, seen: tf.Tensor | None) -> tf.Tensor:
    """Logits ``(N, V)`` as the settings leave them; arguments as in :func:`choose`."""
    temperature, penalty, top_p, min_p = tf.unstack(numbers)
    if sampling.repetition_penalty != 1:
        logits = tf.where(seen, tf.where(logits > 0, logits / penalty, logits * penalty), logits)
    if sampling.is_greedy:
        return logits
    logits = logits / temperature
    if sampling.top_k is not None:
        logits = keep_top_k(logits, sampling.top_k)
    if sampling.top_p < 1:
        logits = keep_top_p(logits, top_p)
    if sampling.min_p > 0:
        logits = keep_min_p(logits, min_p)
    return logits


def odds(logits: tf.Tensor, sampling: Sampling, numbers: Any, seen: tf.Tensor | None) -> tf.Tensor:
    """How probable each token is to :func:`choose`: ``(N, V)``; greedily 1 for the best and 0 for the others."""
    logits = settled(logits, sampling, numbers, seen)
    if sampling.is_greedy:
        return tf.one_hot(tf.argmax(logits, axis=-1), logits.shape[-1])
    return tf.nn.softmax(logits)


def draw(logits: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Token i of each row of logits ``(N, V)`` with probability softmax(logits)_i: int32 ``(N,)``."""
    # The largest of logit + Gumbel noise has that probability (Gumbel 1954).
    uniform = tf.random.stateless_uniform(tf.shape(logits), seed, minval=1e-20, alg="philox")
    return tf.argmax(logits - tf.math.log(-tf.math.log(uniform)), axis=-1, output_type="int32")


def keep_top_k(logits: tf.Tensor, k: int) -> tf.Tensor:
    """Logits ``(N, V)`` with all but the k largest at ``NEVER``; those that equal the k-th stay too."""
    largest, _ = tf.math.top_k(logits, min(k, logits.shape[-1]))  # (N, k), falling
    return tf.where(logits >= largest[:, -1:], logits, NEVER)


def keep_top_p(logits: tf.Tensor, p: Any) -> tf.Tensor:
    """Logits ``(N, V)`` with only the fewest tokens that together have probability p; the others at ``NEVER``."""
    falling = tf.sort(logits, direction="DESCENDING")  # (N, V)
    probabilities = tf.nn.softmax(falling)
    before = tf.cumsum(probabilities, axis=-1, exclusive=True)  # what the more probable ones have together
    count = tf.maximum(tf.reduce_sum(tf.cast(before < p, "int32"), axis=-1), 1)  # (N,)
    last = tf.gather(falling, count - 1, batch_dims=1)
    return tf.where(logits >= last[:, None], logits, NEVER)


def keep_min_p(logits: tf.Tensor, p: Any) -> tf.Tensor:
    """Logits ``(N, V)`` with the tokens less than p times as probable as the best at ``NEVER``."""
    least = tf.reduce_max(logits, axis=-1, keepdims=True) + tf.math.log(tf.cast(p, logits.dtype))
    return tf.where(logits >= least, logits, NEVER)
