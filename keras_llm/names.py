"""Names that a user types: the one that is meant, or the nearest one in the error."""

import difflib

from keras_llm.errors import InputError


def nearest(name: str, known, kind: str, where: str | None) -> str:
    """``name`` if it is known, or the only one that it begins (ch03 for ch03_lstm_classifier).

    Raises:
        InputError: naming the nearest known one.
    """
    if name in known:
        return name
    begins = [candidate for candidate in known if kind == "chapter" and candidate.startswith(name)] if name else []
    if len(begins) == 1:
        return begins[0]
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.4)
    hint = f"did you mean {close[0]!r}?" if close else f"there are: {', '.join(known)}."
    raise InputError(f"There is no {kind} {name!r}: {hint}" + (f" ('{where}' shows all.)" if where else ""))
