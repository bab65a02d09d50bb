"""Measure the training loop beside its peers.

examples:
  python -m tests.benchmarks                                   everything: most of an hour on two cores
  python -m tests.benchmarks --quick                           the two smallest workloads, few rounds: a look
  python -m tests.benchmarks --workloads gpt,bert --rounds 9
  python -m tests.benchmarks --peers own,keras                 without PyTorch and JAX
  python -m tests.benchmarks --from runs/benchmark             tables and picture again, from benchmark.json
  python -m tests.benchmarks --from runs/benchmark --record    the same, kept in the repository and in its README

PyTorch and JAX come with the extra: pip install -c constraints.txt -e ".[bench]". A peer that is not installed is left
out, and the table says so. The machine should do nothing else meanwhile.
"""

import argparse
import importlib.metadata
import sys
from pathlib import Path

from keras_llm import machine
from tests.benchmarks import race, report
from tests.benchmarks.workloads import WORKLOADS


def names_of(known) -> object:
    """The type of an option that takes names with commas between them."""

    def parse(text: str) -> list[str]:
        names = [name.strip() for name in text.split(",") if name.strip()]
        if not names or (unknown := set(names) - set(known)):
            wrong = f"unknown: {', '.join(sorted(unknown))}; " if names else ""
            raise argparse.ArgumentTypeError(f"{wrong}choose from {', '.join(known)}")
        return names

    return parse


def at_least_one(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r}: give a whole number from 1 up")
    return int(text)


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    known, peers = ",".join(WORKLOADS), ",".join(race.PEERS)
    parser.add_argument("--workloads", type=names_of(WORKLOADS), help=f"which ones (default {known})")
    parser.add_argument("--peers", type=names_of(race.PEERS), default=list(race.PEERS), help=f"default {peers}")
    parser.add_argument("--rounds", type=at_least_one, help="timed rounds of each variant (default 5)")
    parser.add_argument("--output", type=Path, default=Path("runs/benchmark"), help="folder (default %(default)s)")
    parser.add_argument("--quick", action="store_true", help="perceptron and gpt_small, one warm-up and two rounds")
    parser.add_argument(
        "--from", dest="source", type=Path, metavar="DIR", help="measure nothing, write DIR's files again"
    )
    parser.add_argument(
        "--record", action="store_true", help="keep the run in tests/benchmarks/recorded, its goals in README.md"
    )
    chosen = parser.parse_args()
    chosen.workloads = chosen.workloads or (["perceptron", "gpt_small"] if chosen.quick else list(WORKLOADS))
    chosen.rounds = chosen.rounds or (2 if chosen.quick else 5)
    if chosen.source and not (chosen.source / "benchmark.json").is_file():
        parser.error(f"--from {chosen.source}: there is no benchmark.json in that folder")
    return chosen


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def versions() -> dict[str, str]:
    found = {name: version for name, version in machine.versions().items() if name in ("python", "tensorflow", "keras")}
    for name in ("torch", "jax"):
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def measure(chosen: argparse.Namespace) -> report.Result:
    """Run the workloads one after the other; the files are written after each, so that a stop loses one."""
    say("what the peers offer, and the machine's peak")
    offers = {peer: race.about(peer) for peer in dict.fromkeys(["own", *chosen.peers])}
    missing = {peer: offer["missing"] for peer, offer in offers.items() if "missing" in offer}
    peak = {peer: offer["peak"] for peer, offer in offers.items() if offer.get("peak")}
    offers = {peer: offers[peer] for peer in chosen.peers if peer not in missing}
    result = report.Result(machine.description(), versions(), 1 if chosen.quick else 2, peak, missing)
    for workload in chosen.workloads:
        rows, failed = race.run(workload, offers, chosen.rounds, result.warm_up, say)
        result.rows[workload], result.failed[workload] = rows, failed
        report.write(result, chosen.output)
    say("the machine's peak once more")
    for peer, before in result.peak.items():
        after = race.about(peer)["peak"]  # the better of the two, should something have disturbed the first
        result.peak[peer] = {dtype: max(before[dtype], after[dtype]) for dtype in before}
    report.write(result, chosen.output)
    return result


def main() -> int:
    chosen = options()
    if chosen.source:
        result = report.read(chosen.source / "benchmark.json")
        report.write(result, chosen.source)
        if chosen.record:
            report.record(result, race.ROOT / "README.md")
        return 0
    try:
        result = measure(chosen)
    except (ValueError, race.WorkerFailed) as error:
        say(str(error))
        return 1
    if chosen.record:
        report.record(result, race.ROOT / "README.md")
    print(report.markdown(result))
    say(f"written: {chosen.output}/benchmark.md, .json and .png")
    return 1 if any(result.failed.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
