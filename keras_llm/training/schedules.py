"""Learning rates that rise from nought and then fall: Keras's own decays, and a warm-up for those that have none."""

import keras
from keras import ops
from keras.optimizers.schedules import CosineDecay, LearningRateSchedule, PolynomialDecay


def warmup_cosine(peak: float, steps: int, warmup: int | float = 0, final: float = 0.0) -> LearningRateSchedule:
    """Rise in a line to ``peak``, then fall along half a cosine to ``final``.

    Args:
        peak: the highest learning rate.
        steps: updates of the whole training, the warm-up among them; after them the rate stays at ``final``.
        warmup: updates until the peak: a whole number, or a share of ``steps`` in [0, 1).
        final: the learning rate at the end.

    Returns:
        A schedule to give to any Keras optimizer as its ``learning_rate``.

    Raises:
        ValueError: when the warm-up leaves no step for the decay, or a rate is out of range.

    Example:
        >>> rates = warmup_cosine(1e-3, steps=1000, warmup=0.1, final=1e-4)
        >>> [round(float(rates(step)), 6) for step in (0, 50, 100, 1000)]
        [0.0, 0.0005, 0.001, 0.0001]

    Source: Loshchilov and Hutter 2017 (SGDR); with this warm-up as in Brown et al. 2020 (GPT-3), appendix B.
    """
    rise = _warmup_steps(peak, steps, warmup, final)
    if not rise:
        return CosineDecay(peak, steps, alpha=final / peak)
    # Keras counts the steps of the decay without those of the warm-up.
    return CosineDecay(0.0, steps - rise, alpha=final / peak, warmup_target=peak, warmup_steps=rise)


def warmup_linear(peak: float, steps: int, warmup: int | float = 0, final: float = 0.0) -> LearningRateSchedule:
    """Rise in a line to ``peak``, then fall in a line to ``final``; arguments as those of :func:`warmup_cosine`.

    Source: Devlin et al. 2019 (BERT), appendix A.2.
    """
    rise = _warmup_steps(peak, steps, warmup, final)
    decay = PolynomialDecay(peak, steps - rise, end_learning_rate=final)
    return Warmup(decay, rise) if rise else decay


@keras.saving.register_keras_serializable(package="keras_llm")
class Warmup(LearningRateSchedule):
    """A warm-up before any schedule: from nought in a line to where that schedule begins.

    Args:
        decay: the schedule after the warm-up; its own steps begin where the warm-up ends.
        warmup_steps: updates of the warm-up, at least 1.
    """

    def __init__(self, decay: LearningRateSchedule, warmup_steps: int) -> None:
        super().__init__()
        self.decay, self.warmup_steps = decay, warmup_steps

    def __call__(self, step):
        step = ops.cast(step, "float32")
        rise = self.decay(0) * (step / self.warmup_steps)
        return ops.where(step < self.warmup_steps, rise, self.decay(ops.maximum(step - self.warmup_steps, 0.0)))

    def get_config(self) -> dict:
        return {"decay": keras.saving.serialize_keras_object(self.decay), "warmup_steps": self.warmup_steps}

    @classmethod
    def from_config(cls, config: dict) -> "Warmup":
        return cls(keras.saving.deserialize_keras_object(config["decay"]), config["warmup_steps"])


def _warmup_steps(peak: float, steps: int, warmup: int | float, final: float) -> int:
    """The warm-up as a number of steps."""
    if not 0 <= final <= peak or peak <= 0:
        raise ValueError(f"peak={peak}, final={final}: the peak must be above 0 and the final rate between 0 and it.")
    rise = round(warmup * steps) if isinstance(warmup, float) else warmup
    if warmup < 0 or rise >= steps:
        raise ValueError(f"warmup={warmup}, steps={steps}: give fewer steps of warm-up than steps, or a share below 1.")
    return rise


def rate_of_step(optimizer: keras.optimizers.Optimizer, step: int) -> float:
    """The learning rate of an update; that of a schedule is computed, any other is taken to be what it is now."""
    optimizer = getattr(optimizer, "inner_optimizer", optimizer)  # of a LossScaleOptimizer
    rate = optimizer._learning_rate  # what the optimizer was given; its property gives the next update's number
    return float(rate(step) if isinstance(rate, LearningRateSchedule) else optimizer.learning_rate)
