"""What generation asks of a model."""

from typing import Any, Protocol


class StepByStep(Protocol):
    """A model that writes one token after the other and keeps what it has computed for the earlier ones.

    N = inputs, B = rows, N times the number of beams, V = vocabulary.
    """

    def start(self, inputs: Any, longest: int) -> tuple[Any, Any, int]:
        """Read the inputs.

        Args:
            inputs: whatever the model reads, N rows, in one static shape.
            longest: tokens that will be written at most.

        Returns:
            ``(memory, cache, position)``: what stays the same from step to step, N rows; what grows, a nest of tensors
            with N rows as first axis and room for ``longest`` tokens more; and where the first step's token stands.
        """

    def step(self, token_ids: Any, position: Any, memory: Any, cache: Any) -> tuple[Any, Any]:
        """Write one token.

        Args:
            token_ids: int32 ``(B,)``, the token at ``position`` of each row.
            position: int32 ``()``.
            memory: of :meth:`start`, N rows; rows of one input stand together.
            cache: B rows.

        Returns:
            The logits of the next token ``(B, V)``, and the cache with this position in it.
        """

    def steps(self, token_ids: Any, position: Any, memory: Any, cache: Any) -> tuple[Any, Any]:
        """Several tokens at once, which only speculative decoding asks for.

        Args:
            token_ids: int32 ``(B, T)``, the tokens from ``position`` on.
            position, memory, cache: of :meth:`step`.

        Returns:
            The logits behind each of them ``(B, T, V)``, and the cache with all of them in it. What stands there for
            later positions does not count: they may be written again.
        """
