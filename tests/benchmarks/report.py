"""What a run of the benchmarks leaves: ``benchmark.json`` with each time, ``benchmark.md`` and ``benchmark.png``."""

import dataclasses
import json
import statistics
from dataclasses import dataclass, field
from pathlib import Path

from keras_llm.plots import style
from tests.benchmarks.goals import GOALS, Verdict, judge, share_of_peak
from tests.benchmarks.race import PEERS, Row, ours, ratios
from tests.benchmarks.workloads import WORKLOADS

RECORDED = Path(__file__).parent / "recorded"
BEGIN, END = "<!-- python -m tests.benchmarks --record -->", "<!-- end -->"
COLOURS = dict(zip(PEERS, style.COLOURS, strict=False))


@dataclass
class Result:
    """One run.

    Attributes:
        machine: processor, cores, memory, system.
        versions: package to version.
        warm_up: rounds that do not count.
        peak: library to precision to operations a second; ``own`` is TensorFlow's, against which shares are given.
        missing: peer to the module that is not installed.
        rows: workload to measurements.
        failed: workload to title to the last line of a worker that did not get through.
    """

    machine: dict
    versions: dict[str, str]
    warm_up: int
    peak: dict[str, dict[str, float]]
    missing: dict[str, str] = field(default_factory=dict)
    rows: dict[str, list[Row]] = field(default_factory=dict)
    failed: dict[str, dict[str, str]] = field(default_factory=dict)


def write(result: Result, folder: Path) -> None:
    """Write the three files into ``folder``, over older ones."""
    folder.mkdir(parents=True, exist_ok=True)
    raw = json.dumps(dataclasses.asdict(result), indent=1)
    (folder / "benchmark.json").write_text(raw + "\n", encoding="utf-8")
    (folder / "benchmark.md").write_text(markdown(result), encoding="utf-8")
    if any(ours(rows) for rows in result.rows.values()):
        picture(result, folder / "benchmark.png")


def record(result: Result, readme: Path) -> None:
    """Keep a run beside this file, and put its goals into the README between the two marks."""
    write(result, RECORDED)
    before, begin, rest = readme.read_text(encoding="utf-8").partition(BEGIN)
    _, end, after = rest.partition(END)
    table = "\n".join(goals(result)[2:])
    readme.write_text(f"{before}{begin}\n\n{table}\n{end}{after}", encoding="utf-8")


def read(file: Path) -> Result:
    """A result from its JSON file."""
    values = json.loads(file.read_text(encoding="utf-8"))
    rows = {name: [Row(**row) for row in rows] for name, rows in values.pop("rows").items()}
    return Result(rows=rows, **values)


def markdown(result: Result) -> str:
    """The whole report: the machine, a table a workload, where our loop's time goes, the goals."""
    about = result.machine
    versions = ", ".join(f"{name} {version}" for name, version in result.versions.items())
    lines = [
        f"{about['processor']}, {about['cores']} cores, {about['memory_gb']} GB, {about['system']}; {versions}.",
        "",
        "Each row ran in a process of its own, in turns with the others; each turn begins with a round that is not "
        f"timed, and {result.warm_up} turns before the first do not count. Medians, smallest to largest in brackets. "
        "*Ours is faster by*: the median of the ratios round by round, to our fastest row (1.00). *Share of peak*: "
        "operations in matrix products, over the peak of the row's precision. *First call*: how much longer the first "
        "round took than the later ones, so compiling. *Loss*: mean of the last pass over the data in the last round; "
        "*beside ours*: its difference from that of our fastest row. "
        "Each library draws its own initial weights and dropout.",
        "",
        *peaks(result),
        "",
    ]
    for peer, module in result.missing.items():
        lines += [f"Peer {peer} did not run: {module} is not installed.", ""]
    for name, rows in result.rows.items():
        lines += [*table(name, rows, result.peak["own"]), ""]
        lines += [line for title, why in result.failed.get(name, {}).items() for line in (f"{title} failed: {why}", "")]
    return "\n".join([*lines, *time_table(result.rows), *goals(result)])


def peaks(result: Result) -> list[str]:
    lines = ["| product of 2048 x 2048, GFLOP/s | float32 | bfloat16 |", "|---|---:|---:|"]
    names = {"own": "TensorFlow, the better of oneDNN and XLA: the peak", "torch": "PyTorch"}
    for peer, name in names.items():
        if measured := result.peak.get(peer):
            lines.append(f"| {name} | {measured['float32'] / 1e9:.0f} | {measured['bfloat16'] / 1e9:.0f} |")
    return lines


def table(name: str, rows: list[Row], peak: dict[str, float]) -> list[str]:
    """The rows of one workload, the fastest first."""
    work, mine = WORKLOADS[name], ours(rows)
    unit = "tokens/s" if work.vocabulary else "rows/s"
    counts = (
        f"{rows[0].parameters:,} parameters; {len(rows[0].rounds)} rounds of {work.steps} steps" if rows else "no rows"
    )
    lines = [
        f"### {work.title}",
        "",
        f"{counts}.",
        "",
        f"| | step, ms | {unit} | ours is faster by | share of peak | first call, s | memory, GB | loss | "
        "beside ours |",
        "|---|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for row in sorted(rows, key=lambda row: row.median):
        cells = [
            row.title,
            spread([1000 * seconds / work.steps for seconds in row.seconds]),
            f"{work.tokens * work.steps / row.median:,.0f}",
            spread(ratios(row, mine)) if mine else "–",
            f"{share_of_peak(name, row, peak):.1%}",
            f"{row.compile_seconds:.1f}",
            f"{row.rounds[-1]['memory_gb'] or 0:.1f}",
            f"{row.loss:.4f}",
            f"{row.loss / mine.loss - 1:+.1%}" if mine else "–",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def spread(values: list[float]) -> str:
    """Median, smallest and largest, with three digits that count."""
    return f"{short(statistics.median(values))} ({short(min(values))}–{short(max(values))})"


def short(value: float) -> str:
    digits = 0 if value >= 100 else 1 if value >= 10 else 2 if value >= 0.1 else 4
    return f"{value:.{digits}f}"


def time_table(results: dict[str, list[Row]]) -> list[str]:
    """Where the seconds of our loop went, of the rows that know; nothing when none does."""
    known = {(name, row.title): row for name, rows in results.items() for row in rows if row.rounds[-1].get("parts")}
    if not known:
        return []
    parts = list(dict.fromkeys(part for row in known.values() for part in row.rounds[-1]["parts"]))
    lines = [
        "### Where the time of our loop goes",
        "",
        f"Seconds of one round, median. | {' | '.join(parts)} | whole call |",
        "|---|" + "---:|" * (len(parts) + 1),
    ]
    lines[2] = "| " + lines[2]
    for (name, title), row in known.items():
        medians = [statistics.median(answer["parts"].get(part, 0.0) for answer in row.rounds) for part in parts]
        lines.append(f"| {name}, {title} | " + " | ".join(f"{value:.4f}" for value in [*medians, row.median]) + " |")
    return [*lines, ""]


def goals(result: Result) -> list[str]:
    """Each goal with what was measured; goals of workloads that did not run are left out."""
    lines = [
        "### Goals",
        "",
        "| workload | goal | the peer to beat | ours is faster by | share of peak | met |",
        "|---|---|---|---:|---:|---|",
    ]
    for goal in GOALS:
        if goal.workload in result.rows:
            verdict = judge(goal, result.rows[goal.workload], result.peak["own"])
            lines.append(f"| {' | '.join(goal_cells(verdict))} |")
    return [*lines, ""]


def goal_cells(verdict: Verdict) -> list[str]:
    goal = verdict.goal
    asked = f"{goal.ratio:g} × {' or '.join(goal.peers)}" + (f", or {goal.share:.0%} of the peak" if goal.share else "")
    cells = [WORKLOADS[goal.workload].title, asked]
    if verdict.met is None:
        return [*cells, "–", "–", "–", "not measured"]
    return [*cells, verdict.rival, short(verdict.ratio), f"{verdict.share:.1%}", "yes" if verdict.met else "**no**"]


@style.figure_style()
def picture(result: Result, file: Path) -> None:
    """Bars of the speed relative to our fastest row, a panel a workload, as a PNG."""
    from matplotlib.figure import Figure

    panels = {name: rows for name, rows in result.rows.items() if ours(rows)}
    heights = [len(rows) + 1.5 for rows in panels.values()]
    figure = Figure(figsize=(9, 0.28 * sum(heights) + 1))
    axes = figure.subplots(len(panels), 1, squeeze=False, gridspec_kw={"height_ratios": heights})[:, 0]
    for axis, (name, rows) in zip(axes, panels.items(), strict=True):
        mine, rows = ours(rows), sorted(rows, key=lambda row: row.median)
        speeds = [1 / statistics.median(ratios(row, mine)) for row in rows]
        bars = axis.barh([row.title for row in rows], speeds, color=[COLOURS[row.peer] for row in rows], height=0.7)
        axis.bar_label(bars, [short(speed) for speed in speeds], padding=4, fontsize=9)
        axis.axvline(1, color=style.GREY, linewidth=1, linestyle="--")
        axis.invert_yaxis()
        axis.grid(axis="y", visible=False)
        axis.tick_params(axis="y", length=0, labelsize=9)
        axis.set_xlim(0, 1.12 * max(speeds))
        axis.set_title(WORKLOADS[name].title, loc="left")
        for label, row in zip(axis.get_yticklabels(), rows, strict=True):
            label.set_fontweight("bold" if row is mine else "normal")
    axes[-1].set_xlabel("speed beside our fastest row (higher is better)")
    style.save(style.finish(figure, "Training speed, side by side in one run"), file)
