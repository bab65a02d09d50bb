"""Who may look at whom: True where a query may see a key, as everywhere in Keras."""

from keras import ops


def causal_mask(length: int):
    """No position sees a later one: bool ``(length, length)``, True on and below the diagonal.

    Args:
        length: number of positions.

    Returns:
        Row = query, column = key.

    Example:
        >>> causal_mask(3).numpy().astype(int).tolist()
        [[1, 0, 0], [1, 1, 0], [1, 1, 1]]

    Source: Vaswani et al. 2017, section 3.2.3.
    """
    positions = ops.arange(length)
    return positions[:, None] >= positions[None, :]


def padding_mask(token_ids, padding_id: int = 0):
    """Which places hold a token: bool ``(B, T)`` of token ids ``(B, T)``."""
    return ops.not_equal(token_ids, padding_id)


def padding_mask_of(x):
    """The mask ``(B, T)`` that Keras has hung on a tensor, from ``Embedding(mask_zero=True)`` for instance, or None."""
    return getattr(x, "_keras_mask", None)


def allowed(length: int, keys=None, pairs=None, causal: bool = False):
    """All that forbids looking, in one mask.

    Args:
        length: S, the number of keys; with ``causal`` that of queries too.
        keys: bool ``(B, S)``, False at padding.
        pairs: bool, broadcastable to ``(B, T, S)``.
        causal: no query sees a later key.

    Returns:
        bool ``(B or 1, 1, T or 1, S)``, for scores ``(B, H, T, S)``; None when all is allowed.
    """
    masks = []
    if keys is not None:
        masks.append(ops.cast(keys, "bool")[:, None, None, :])  # (B, 1, 1, S)
    if pairs is not None:
        pairs = ops.cast(pairs, "bool")
        masks.append(pairs[:, None] if len(pairs.shape) == 3 else pairs)  # (B, 1, T, S) or (T, S)
    if causal:
        masks.append(causal_mask(length)[None, None])  # (1, 1, T, S)
    if not masks:
        return None
    whole = masks[0]
    for mask in masks[1:]:
        whole = ops.logical_and(whole, mask)
    return whole
