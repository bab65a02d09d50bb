"""How many minutes a run will take on this machine, before it starts: those of a recorded run, at this machine's speed.

A run's operations are the same everywhere; the operations a second are not. Their share of a machine's peak differs
too much between networks (an LSTM's small products, a Transformer's large ones) to divide by the peak alone. So the
rate that the recorded run reached is taken, times how much faster this machine does the same two measurements.

Source: document D0, appendix on training time, mended; chapter 1, section 12.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Estimate:
    """What a run will take here.

    Attributes:
        minutes: of the whole run.
        times_as_fast: this machine, held against the recording one.
        record: the recorded run (``expected.json``).
    """

    minutes: float
    times_as_fast: float
    record: Mapping[str, Any]

    @classmethod
    def of(cls, record: Mapping[str, Any], speed: Mapping[str, float]) -> "Estimate":
        """From a recorded run and :func:`keras_llm.training.yardstick.machine_speed` of this machine."""
        from keras_llm.training.yardstick import times_as_fast

        factor = times_as_fast(speed, record["speed"])
        return cls(record["minutes"] / factor, factor, record)

    def seconds_of(self, stage: str) -> float | None:
        """Seconds of one of the run's trainings; None for a new or a short one."""
        recorded = self.record["stages"].get(stage, 0.0)
        return recorded / self.times_as_fast if recorded >= 10 else None

    def __str__(self) -> str:
        machine = self.record["machine"]
        return (
            f"About {self.minutes:.1f} minutes and {self.record['peak_memory_gb']:.1f} GB of memory: a recorded run "
            f"took {self.record['minutes']:.1f} minutes on {machine['processor']}, {machine['cores']} cores, and this "
            f"machine is {self.times_as_fast:.2f} times as fast now."
        )

    def against(self, minutes: float) -> str:
        """How good the estimate was."""
        return f"Estimated were {self.minutes:.1f} minutes: it took {minutes / self.minutes:.2f} times as long."
