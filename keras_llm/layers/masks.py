"""Who may look at whom: True where a query may see a key, as everywhere in Keras."""

import functools

from keras import ops


def causal_mask(length: int, keys: int | None = None):
    """No position sees a later one: True on and below the diagonal.

    Args:
        length: number of queries, T.
        keys: number of keys, S, counted from the same first position; as many as queries when not given.

    Returns:
        bool ``(T, S)``; row = query, column = key.

    Example:
        >>> causal_mask(3).numpy().astype(int).tolist()
        [[1, 0, 0], [1, 1, 0], [1, 1, 1]]

    Source: Vaswani et al. 2017, section 3.2.3.
    """
    return ops.arange(length)[:, None] >= ops.arange(length if keys is None else keys)[None, :]


def padding_mask(token_ids, padding_id: int = 0):
    """Which places hold a token.

    Args:
        token_ids: int tensor ``(B, T)``.
        padding_id: what stands where no token does.

    Returns:
        bool ``(B, T)``, False at padding.

    Example:
        >>> padding_mask(np.array([[7, 3, 0]])).numpy().tolist()
        [[True, True, False]]
    """
    return ops.not_equal(token_ids, padding_id)


def padding_mask_of(x):
    """The mask ``(B, T)`` that Keras has hung on a tensor, from ``Embedding(mask_zero=True)`` for instance, or None."""
    return getattr(x, "_keras_mask", None)


def allowed(keys=None, *pairs):
    """All that forbids looking, in one mask.

    Args:
        keys: bool ``(B, S)``, False at padding.
        pairs: bools ``(T, S)``, ``(B, T, S)`` or ``(B, H, T, S)``, such as :func:`causal_mask`; None forbids nothing.

    Returns:
        bool, broadcastable to scores ``(B, H, T, S)``; None when all is allowed.
    """
    masks = []
    if keys is not None:
        masks.append(ops.cast(keys, "bool")[:, None, None, :])  # (B, 1, 1, S)
    for pair in pairs:
        if pair is not None:
            pair = ops.cast(pair, "bool")
            masks.append(pair[:, None] if len(pair.shape) == 3 else pair)  # a head's axis
    return functools.reduce(ops.logical_and, masks) if masks else None
