"""Tokens hidden from a model that has to guess them."""

import math
import random
from collections.abc import Sequence

import numpy as np


def hide_tokens(
    token_ids: np.ndarray,
    *,
    vocabulary_size: int,
    mask_id: int,
    share: float = 0.15,
    never: Sequence[int] = (),
    seed: int = 0,
) -> tuple[dict[str, np.ndarray], np.ndarray, np.ndarray]:
    """Rows with a share of their tokens chosen to be guessed, as BERT was pretrained.

    Of the chosen tokens 80% are replaced by the mask token, 10% by a random one, and 10% stay, so that the model cannot
    trust what it sees. ``keras_hub.layers.MaskedLMMaskGenerator`` chooses.

    Args:
        token_ids: int array ``(N, T)``.
        vocabulary_size: V; the random tokens are below it.
        mask_id: the mask token, at most V.
        share: with which each token is chosen, in (0, 1).
        never: ids that are not chosen, such as padding.
        seed: of the choice; it becomes the seed of Python's ``random``, which the generator asks.

    Returns:
        The rows as they are shown, ``token_ids`` ``(N, T)``, and the places to be guessed, ``mask_positions``
        ``(N, M)``; what stood there, int32 ``(N, M)``; and weights, float32 ``(N, M)``: 1, or 0 where a row has fewer
        than M chosen tokens. M is two standard deviations above what is to be expected; in the few rows with more,
        those beyond it are not chosen.

    Raises:
        ValueError: the share is out of range.

    Example:
        >>> inputs, labels, weights = hide_tokens(np.arange(1, 101)[None], vocabulary_size=101, mask_id=101)
        >>> inputs["mask_positions"].shape, np.array_equal(np.flatnonzero(weights[0]), np.arange(weights.sum()))
        ((1, 23), True)

    Source: Devlin et al. 2019 (BERT), section 3.1.
    """
    import keras_hub

    if not 0 < share < 1:
        raise ValueError(f"share={share} must lie in (0, 1).")
    length = token_ids.shape[1]
    generator = keras_hub.layers.MaskedLMMaskGenerator(
        vocabulary_size=max(vocabulary_size, mask_id + 1),
        mask_selection_rate=share,
        mask_selection_length=math.ceil(length * share + 2 * math.sqrt(length * share * (1 - share))),
        mask_token_id=mask_id,
        unselectable_token_ids=list(never),
    )
    random.seed(seed)
    found = generator(token_ids)
    inputs = {name: np.array(found[name], "int32") for name in ("token_ids", "mask_positions")}
    return inputs, np.array(found["mask_ids"], "int32"), np.array(found["mask_weights"], "float32")
