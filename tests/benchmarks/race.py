"""The race: all variants of a workload, each in its own process, take turns; only one of them works at a time."""

import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from tests.benchmarks.workloads import WORKLOADS

PEERS = ("own", "keras", "torch", "jax")
ROOT = Path(__file__).parents[2]


@dataclass
class Row:
    """What was measured of one variant in one workload.

    Attributes:
        peer, variant, title: which one; ``title`` is what the table calls it.
        parameters: number of trainable parameters.
        warm_up: answers of the rounds that do not count; the first of them compiles.
        rounds: answers of the timed rounds: ``seconds``, ``loss``, ``memory_gb`` and, of some, ``parts``.
    """

    peer: str
    variant: str
    title: str
    parameters: int
    warm_up: list[dict] = field(default_factory=list)
    rounds: list[dict] = field(default_factory=list)

    @property
    def precision(self) -> str:
        return "bfloat16" if self.variant.endswith("bfloat16") else "float32"

    @property
    def seconds(self) -> list[float]:
        """Of the timed rounds."""
        return [answer["seconds"] for answer in self.rounds]

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)

    @property
    def loss(self) -> float:
        """Of the last timed round."""
        return self.rounds[-1]["loss"]

    @property
    def compile_seconds(self) -> float:
        """How much longer the first round took than the later ones."""
        return max(0.0, self.warm_up[0]["seconds"] - self.median)


class WorkerFailed(Exception):
    """A worker ended without an answer; the text is the last line that it printed."""


class Worker:
    """A process that answers in lines of JSON; see ``tests.benchmarks.worker``.

    Raises:
        WorkerFailed: by ``answer`` and ``ask``, when the process is gone.
    """

    def __init__(self, *arguments: str) -> None:
        self.folder = tempfile.TemporaryDirectory()
        # A cache of its own that is empty: with the one of the last run, torch.compile would have nothing to do.
        fresh = {"TORCHINDUCTOR_CACHE_DIR": self.folder.name, "TF_CPP_MIN_LOG_LEVEL": "3"}
        self.log = Path(self.folder.name, "log.txt")
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tests.benchmarks.worker", *arguments],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                cwd=ROOT,
                env={**os.environ, **fresh},
            )

    def answer(self) -> dict:
        line = self.process.stdout.readline()
        if not line:
            printed = self.log.read_text(errors="replace").split("\n")
            raise WorkerFailed(next((text for text in reversed(printed) if text.strip()), "no message"))
        return json.loads(line)

    def ask(self) -> dict:
        """One round."""
        try:
            self.process.stdin.write("round\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            pass  # the process is gone, which reading its answer tells, with the reason
        return self.answer()

    def stop(self) -> None:
        with self.process:  # closes its pipes, which ends it
            self.process.stdin.close()
            try:
                self.process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                self.process.kill()
        self.folder.cleanup()


def about(peer: str) -> dict:
    """What a peer offers: ``variants``, ``workloads``, ``peak``, or ``missing``, the module that is not installed."""
    worker = Worker(peer)
    try:
        return worker.answer()
    finally:
        worker.stop()


def entrants(workload: str, offers: dict[str, dict]) -> list[tuple[str, str, str]]:
    """Peer, variant and title of all that run in a workload; bfloat16 only where the workload has it."""
    return [
        (peer, variant, title)
        for peer, offer in offers.items()
        if workload in offer["workloads"]
        for variant, title in offer["variants"].items()
        if WORKLOADS[workload].low_precision or not variant.endswith("bfloat16")
    ]


def run(
    workload: str, offers: dict[str, dict], rounds: int, warm_up: int, say: Callable[[str], object]
) -> tuple[list[Row], dict[str, str]]:
    """Race all variants on one workload.

    Args:
        workload: key of ``WORKLOADS``.
        offers: peer to what ``about`` said.
        rounds: timed rounds of each.
        warm_up: rounds of each before them, at least one.
        say: told what goes on.

    Returns:
        The rows of those that got through, and title to reason of those that did not.

    Raises:
        ValueError: when two networks differ in the number of parameters, so that they are not the same network.
    """
    runners: list[tuple[Worker, Row]] = []
    failed: dict[str, str] = {}
    started: list[Worker] = []
    try:
        for peer, variant, title in entrants(workload, offers):
            say(f"{workload}: {title} compiles")
            worker = Worker(peer, variant, workload)
            started.append(worker)
            try:
                row = Row(peer, variant, title, worker.answer()["parameters"])
                row.warm_up += [worker.ask() for _ in range(warm_up)]
                runners.append((worker, row))
            except WorkerFailed as error:
                failed[title] = str(error)
        same_parameters(workload, [row for _, row in runners])
        for number in range(rounds):
            say(f"{workload}: round {number + 1} of {rounds}")
            for worker, row in runners:
                if row.title in failed:
                    continue
                try:
                    row.rounds.append(worker.ask())
                except WorkerFailed as error:
                    failed[row.title] = str(error)
    finally:
        for worker in started:
            worker.stop()
    return [row for _, row in runners if row.title not in failed], failed


def same_parameters(workload: str, rows: list[Row]) -> None:
    """Raises ValueError with all counts when they differ."""
    if len({row.parameters for row in rows}) > 1:
        counts = ", ".join(f"{row.title}: {row.parameters:,}" for row in rows)
        raise ValueError(f"Workload {workload}: the networks differ in their trainable parameters ({counts}).")


def ratios(slow: Row, fast: Row) -> list[float]:
    """How many times faster ``fast`` was, round by round, so that what disturbed one round counts once."""
    return [a / b for a, b in zip(slow.seconds, fast.seconds, strict=True)]


def ours(rows: list[Row]) -> Row | None:
    """The fastest variant of ours, None when none ran."""
    return fastest(rows, "own")


def fastest(rows: list[Row], *peers: str) -> Row | None:
    """The row with the smallest median among those of the peers."""
    return min((row for row in rows if row.peer in peers), key=lambda row: row.median, default=None)
