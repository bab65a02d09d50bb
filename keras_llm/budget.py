"""How much of a file can be fine-tuned on in so many minutes."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

# A token in training costs as much as so many that are only read, op by op. Measured with the catalog's encoder on two
# cores: in bfloat16 in clusters with AMX (1.6 to 2.0), in float32 in whole steps of XLA with AVX2 (4.8).
COST_OF_TRAINING = {"bfloat16": 2.0, "float32": 4.8}
PADDED = 1.15  # tokens of a batch for each real one, with a margin


@dataclass(frozen=True)
class Budget:
    """What a training is given.

    Attributes:
        epochs: passes over the texts.
        texts: training texts that are read.
        scored_length: most tokens of a text that is scored.
        minutes: what training and scoring will take, without compilation.
    """

    epochs: int
    texts: int
    scored_length: int
    minutes: float


def budget(
    minutes: float | None,
    seconds_of_a_token: float,
    lengths: Sequence[int],
    trained_length: int,
    scored_length: int,
    *,
    epochs: int,
    validation: int,
    test: int,
    at_least: int = 32,
    dtype: str = "float32",
) -> Budget:
    """Take what fits: first all epochs, then fewer, then one over a share of the texts.

    Texts are scored at ``scored_length`` if that leaves two thirds of the minutes for the training, otherwise at
    ``trained_length``, however long it takes: all of them count.

    Args:
        minutes: for training and scoring; None: as many as it takes.
        seconds_of_a_token: of a text that the model reads op by op, measured on this machine.
        lengths: tokens of each training text.
        trained_length, scored_length: most tokens of a text, in training and when it is scored at the end.
        epochs: at most.
        validation, test: texts that are scored after each epoch, and at the end. The validation part is trained on
            once, after the last epoch.
        at_least: training texts, even if there is no time for them.
        dtype: in which the products are computed.

    Example:
        >>> budget(10.0, 1e-4, [100] * 50_000, 100, 200, epochs=3, validation=0, test=1_000, dtype="bfloat16")
        Budget(epochs=1, texts=25586, scored_length=200, minutes=10.0)
    """
    token = PADDED * seconds_of_a_token / 60
    trained = np.minimum(lengths, trained_length).mean() * COST_OF_TRAINING[dtype]

    def training(epochs: int, texts: int) -> float:
        return token * (epochs * (texts * trained + validation * trained_length) + validation * trained)

    def scoring(length: int) -> float:
        return token * test * np.minimum(lengths, length).mean()

    texts = len(lengths)
    if minutes is not None:
        if scoring(scored_length) > minutes / 3:
            scored_length = trained_length
        left = minutes - scoring(scored_length)
        while epochs > 1 and training(epochs, texts) > left:
            epochs -= 1
        left = left / token - validation * trained  # tokens
        texts = min(texts, max(at_least, int((left / epochs - validation * trained_length) / trained)))
    return Budget(epochs, texts, scored_length, round(float(training(epochs, texts) + scoring(scored_length)), 1))
