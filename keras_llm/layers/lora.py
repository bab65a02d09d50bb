"""LoRA: fine-tune a large kernel by learning a small correction of it.

    x ──┬── W, frozen (D_in, D_out) ──────────────────┐
        │                                             + ── x (W + α/r · A B)
        └── A (D_in, r) ── B (r, D_out) ── · α/r ─────┘

With r far below D, A and B hold a hundredth of the numbers of W. B begins at zero, so that the model begins as it was;
at the end A B can be added to W, and what is left is an ordinary model.
"""

from collections.abc import Sequence

import keras


@keras.saving.register_keras_serializable(package="keras_llm")
class LoRA(keras.Model):
    """A model whose weights are frozen, with low-rank corrections of some kernels that are trained.

    It is compiled, trained and saved like the model inside; :meth:`merge` gives that one back.

    Args:
        model: any layer or model; this one freezes it.
        rank: r, of each correction.
        alpha: α; the correction is multiplied by α/r, so that another r wants no other learning rate.
        targets: parts of the paths of the kernels to correct; the paper's choice is queries and values.
        trained: parts of the paths of weights that are trained as they are, such as a new head.

    Call arguments:
        those of ``model``.

    Returns:
        What ``model`` returns.

    Raises:
        ValueError: when the rank is below 1, or no kernel's path contains a target.

    Example:
        >>> dense = keras.layers.Dense(3)
        >>> adapted = LoRA(dense, rank=2, targets=["kernel"])
        >>> x = np.ones((1, 4), "float32")
        >>> bool(np.all(adapted(x) == dense(x))), [tuple(v.shape) for v in adapted.trainable_variables]
        (True, [(4, 2), (2, 3)])

    Source: Hu et al. 2021 (LoRA), section 4.1.
    """

    def __init__(
        self,
        model: keras.layers.Layer,
        rank: int = 8,
        alpha: float = 16.0,
        targets: Sequence[str] = ("query_kernel", "value_kernel"),
        trained: Sequence[str] = ("head/",),
        **kwargs,
    ) -> None:
        # Without autocast: under mixed precision the sum is made in float32, and rounded once.
        super().__init__(autocast=False, **kwargs)
        if rank < 1:
            raise ValueError(f"rank={rank}: give 1 or more.")
        self.model, self.rank, self.alpha = model, rank, alpha
        self.targets, self.trained = list(targets), list(trained)

    def build(self, input_shape) -> None:
        if not self.model.built:
            self.model.build(input_shape)
        for weight in self.model.weights:
            weight.trainable = any(part in weight.path for part in self.trained)
        self.corrections = []  # (W, A, B)
        for kernel in self.model.weights:
            if len(kernel.shape) == 2 and any(target in kernel.path for target in self.targets):
                name, (fan_in, fan_out) = "_".join(kernel.path.split("/")[-3:]), kernel.shape
                a = self.add_weight(name=f"{name}_a", shape=(fan_in, self.rank), initializer="he_uniform")
                b = self.add_weight(name=f"{name}_b", shape=(self.rank, fan_out), initializer="zeros")
                self.corrections.append((kernel, a, b))
        if not self.corrections:
            raise ValueError(f"targets={self.targets}: no kernel of {self.model.name} has such a path.")

    def call(self, inputs, training: bool = False):
        corrected = [(kernel, kernel + self.correction(a, b)) for kernel, a, b in self.corrections]
        with keras.StatelessScope(state_mapping=corrected) as scope:
            outputs = self.model(inputs, training=training)
        for variable in self.states:  # the scope has kept back what dropout wrote: its next seed
            if (value := scope.get_current_value(variable)) is not None:
                variable.assign(value)
        return outputs

    @property
    def states(self) -> list[keras.Variable]:
        """What the model inside changes when it is called: the seeds of its dropout."""
        weights = {id(weight) for weight in self.model.weights}
        return [variable for variable in self.model.variables if id(variable) not in weights]

    def correction(self, a, b):
        """α/r · A B, ``(D_in, D_out)``."""
        return keras.ops.matmul(a, b) * (self.alpha / self.rank)

    def merge(self) -> keras.layers.Layer:
        """Add the corrections to the kernels: the model that comes back gives what this layer gave, at no cost.

        The corrections are zero afterwards, so that this layer goes on giving the same, too.
        """
        for kernel, a, b in self.corrections:
            kernel.assign(kernel + self.correction(a, b))
            b.assign(keras.ops.zeros_like(b))
        return self.model

    def get_config(self) -> dict:
        own = {"rank": self.rank, "alpha": self.alpha, "targets": self.targets, "trained": self.trained}
        return {**super().get_config(), "model": keras.saving.serialize_keras_object(self.model), **own}

    @classmethod
    def from_config(cls, config: dict) -> "LoRA":
        return cls(keras.saving.deserialize_keras_object(config.pop("model")), **config)
