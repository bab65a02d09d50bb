"""The adapter: a few new weights behind a sub-layer of a model that stays as it is."""

import keras
from keras import layers


@keras.saving.register_keras_serializable(package="keras_llm")
class Adapter(layers.Layer):
    """A small bottleneck behind a sub-layer: y + gelu(y W_down + b) W_up + b, which begins as y itself.

    The rest of a pretrained model stays as it is, and only the adapters are trained.

    Args:
        width: numbers in the bottleneck, far below D.

    Call arguments:
        y: float tensor ``(B, T, D)``.

    Returns:
        ``(B, T, D)``.

    Source: Houlsby et al. 2019, section 2.1.
    """

    def __init__(self, width: int, **kwargs) -> None:
        super().__init__(**kwargs)
        self.width, self.supports_masking = width, True

    def build(self, y_shape: tuple) -> None:
        self.down = layers.Dense(self.width, "gelu", name="down", dtype=self.dtype_policy)
        self.up = layers.Dense(y_shape[-1], kernel_initializer="zeros", name="up", dtype=self.dtype_policy)
        self.down.build(y_shape)
        self.up.build((*y_shape[:-1], self.width))

    def call(self, y):
        return y + self.up(self.down(y))

    def get_config(self) -> dict:
        return {**super().get_config(), "width": self.width}
