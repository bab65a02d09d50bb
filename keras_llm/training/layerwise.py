"""AdamW with a learning rate for each layer: what lies near the input was learned well, and should change least."""

from collections.abc import Mapping

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="keras_llm")
class LayerwiseAdamW(keras.optimizers.AdamW):
    """``keras.optimizers.AdamW``, whose rate is multiplied by a factor that depends on the path of a weight.

    Args:
        learning_rate: a number or a schedule; the rate where no factor is given.
        factors: part of a path → factor, for instance ``{"block_1/": 0.5}``; the first part that fits counts. See
            :func:`layerwise_decay`.
        options: of ``keras.optimizers.AdamW``.

    Source: Howard and Ruder 2018 (ULMFiT), section 3.2, "discriminative fine-tuning".
    """

    def __init__(self, learning_rate=1e-3, factors: Mapping[str, float] | None = None, **options) -> None:
        super().__init__(learning_rate, **options)
        self.factors = dict(factors or {})

    def factor(self, path: str) -> float:
        """By what the rate of a weight is multiplied, told by its path."""
        return next((factor for part, factor in self.factors.items() if part in path), 1.0)

    def update_step(self, gradient, variable, learning_rate) -> None:
        path = self._trainable_variables[self._get_variable_index(variable)].path  # here it is TensorFlow's variable
        rate = ops.cast(learning_rate * self.factor(path), variable.dtype)
        if self.weight_decay and self._use_weight_decay(variable):
            self.assign_sub(variable, variable * (self.weight_decay * rate))
        super().update_step(gradient, variable, rate)

    def _apply_weight_decay(self, variables) -> None:
        """Done in the step, where the rate of each weight is known; Keras would take one rate for all."""

    def get_config(self) -> dict:
        return {**super().get_config(), "factors": self.factors}


def layerwise_decay(num_layers: int, decay: float) -> dict[str, float]:
    """Factors for :class:`LayerwiseAdamW`: 1 for the head, ``decay`` times less for each block below it.

    Args:
        num_layers: blocks of the encoder, whose names are ``block_1`` (next to the embedding) and so on.
        decay: in (0, 1]; 1 is one rate for all.

    Example:
        >>> layerwise_decay(2, 0.5)
        {'block_2/': 0.5, 'block_1/': 0.25, 'embedding': 0.125, 'positions/': 0.125, 'segments/': 0.125}
    """
    factors = {f"block_{layer}/": decay ** (num_layers + 1 - layer) for layer in range(num_layers, 0, -1)}
    return factors | dict.fromkeys(("embedding", "positions/", "segments/"), decay ** (num_layers + 1))
