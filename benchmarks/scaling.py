"""How fast fleets of up to 1,024 workers would train, and what holds them up: simulated from measured costs.

Writes the tables and the figure of docs/scaling.md. JSON keys: validation, scenarios, gpu_steps_per_s, most, machine.

Run: python benchmarks/scaling.py MEASURED [--gpu-steps-per-s 1e5] [--most 1024] [--figure PNG] [--page FILE] [--json]
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scaling_simulation import GBIT, Costs, grow, scenarios, validate

from hotlap.analysis.figures.style import (
    BAD,
    BEST,
    EVALUATION,
    GOOD,
    GRAY,
    INK,
    TRAINING,
    label_ends,
    new_figure,
    save_figure,
    tidy,
)
from hotlap.errors import ConfigError, HotlapError, RecordError

GPU_STEPS_PER_S = 100_000.0  # what a trainer on a large GPU is to learn from; no measurement
LINKS_GBIT = (1.0, 10.0, 25.0)
QUIET_SHARE = 0.95  # of a core that the worker in this process gets where nobody else wants it
SHOWN_SIZES = (1, 16, 128, 1024)
CURVES = {
    "processor, 10 Gbit/s": (INK, "-", "processor"),
    "GPU, 1 Gbit/s, frames as they are": (BAD, "--", "1 Gbit/s, raw"),
    "GPU, 1 Gbit/s": (BAD, "-", "1 Gbit/s"),
    "GPU, 10 Gbit/s, frames as they are": (EVALUATION, "--", "10 Gbit/s, raw"),
    "GPU, 10 Gbit/s": (EVALUATION, "-", "10 Gbit/s"),
    "GPU, 10 Gbit/s, lag of one": (GOOD, "-", "10 Gbit/s, lag"),
    "GPU, 10 Gbit/s, 20 episodes in all": (BEST, "-", "20 episodes in all"),
}
PARTS = ("GPU, 1 Gbit/s", "GPU, 10 Gbit/s")
PART_COLORS = {
    "playing": TRAINING,
    "stragglers": BEST,
    "weights": "#8a5cc4",
    "link": BAD,
    "Ray's object transfer": "#b58900",
    "event loop": INK,
    "update": EVALUATION,
    "saving": GOOD,
}
WAYS_OUT = {
    "stragglers": "more episodes per iteration; a lag of one",
    "weights": "a wider link; fewer nodes with more workers each",
    "link": "a wider link; compressed frames",
    "Ray's object transfer": "compressed frames; a trainer with faster cores",
    "event loop": "longer episodes, or fewer workers for each trainer",
    "update": "a faster trainer (GPU, shared encoder, fewer epochs); more workers do nothing",
    "saving": "more episodes per iteration; a faster disk",
}


def bench_scaling(
    measured: Path,
    *,
    gpu_steps_per_s: float = GPU_STEPS_PER_S,
    most: int = 1024,
    figure: Path | None = None,
    page: Path | None = None,
) -> dict[str, Any]:
    """Simulate fleets from what `hotlap bench fleet` measured, and write about it.

    Args:
        measured: File with the JSON of that.
        gpu_steps_per_s: What a trainer on a GPU learns from.
        most: Largest number of workers.
        figure: Where the picture goes (PNG).
        page: A Markdown file whose parts between ``<!-- begin NAME -->`` and ``<!-- end NAME -->`` are replaced by the
            tables of `tables`.

    Returns:
        JSON-ready: ``validation`` (see `validate`), ``scenarios`` (see `grow`), ``gpu_steps_per_s``, ``most`` and
        ``machine`` (where the costs were measured).

    Raises:
        ConfigError: If an argument is not possible or the file is not what is expected.
        RecordError: If something cannot be written.
    """
    if gpu_steps_per_s <= 0 or most < 2:
        raise ConfigError(
            f"--gpu-steps-per-s must be positive and --most at least 2, got {gpu_steps_per_s:g} and {most}."
        )
    try:
        found = json.loads(measured.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"{measured}: cannot be read ({error}). Expected what `hotlap bench fleet --json` prints."
        ) from None
    costs = Costs.read(found)
    result = {
        "validation": validate(found),
        "scenarios": [
            grow(each, found["episode_steps"], most, all_savings=each.name in PARTS)
            for each in scenarios(costs, gpu_steps_per_s)
        ],
        "gpu_steps_per_s": gpu_steps_per_s,
        "most": most,
        "machine": found["machine"],
    }
    if figure is not None:
        save_figure(scaling_figure(result), figure)
    if page is not None:
        write_page(page, tables(found, result))
    return result


def scaling_figure(result: Mapping[str, Any]) -> Figure:
    """Left, steps/s over workers in every scenario; right, what an iteration would gain if something cost nothing."""
    rows = {row["name"]: row for row in result["scenarios"]}
    figure = new_figure(
        15,
        5.4,
        "How far a fleet scales",
        f"Simulated from costs measured on {result['machine']['cpu']}: 20 episodes per worker and iteration, "
        f"16 workers on a node; a GPU is assumed to learn from {result['gpu_steps_per_s']:,.0f} steps/s.",
    )
    speeds, *parts = figure.subplots(1, 1 + len(PARTS), width_ratios=(1.25, *(1.0 for _ in PARTS)))
    _draw_speeds(speeds, rows, result["most"])
    for axes, name in zip(parts, PARTS, strict=True):
        _draw_savings(axes, rows[name], result["most"])
    return figure


def _draw_speeds(axes: Axes, rows: Mapping[str, Mapping[str, Any]], most: int) -> None:
    tidy(axes, "Steps per second, collected and learned from")
    one = rows["GPU, 10 Gbit/s"]["steps_per_s"]["1"]
    x = np.array([0.0, np.log2(most)])
    axes.plot(x, np.log10(one) + x * np.log10(2), color=TRAINING, linewidth=1.1, linestyle=":")
    labels = []
    for name, (color, style, text) in CURVES.items():
        sizes, values = _points(rows[name]["steps_per_s"])
        axes.plot(sizes, np.log10(values), color=color, linestyle=style, linewidth=2.0, solid_capstyle="round")
        labels.append((text, color, sizes[-1], float(np.log10(values[-1]))))
    axes.set_ylim(min(y for *_, y in labels) - 0.2, 5.4)
    axes.set_yticks(range(2, 6), labels=["100", "1,000", "10,000", "100,000"])
    _number_axis(axes, most)
    label_ends(axes, labels, gap=0.055)


def _draw_savings(axes: Axes, row: Mapping[str, Any], most: int) -> None:
    tidy(axes, f"{row['name']}: time saved if free")
    labels = []
    for part, color in PART_COLORS.items():
        sizes, shares = _points({n: shares[part] for n, shares in row["savings"].items()})
        axes.plot(sizes, 100 * shares, color=color, linewidth=2.0 if shares.max() > 0.05 else 1.0)
        if shares.max() > 0.05:
            labels.append((part, color, sizes[-1], 100 * float(shares[-1])))
    axes.set_ylim(-3, 83)
    axes.yaxis.set_major_formatter("{x:.0f} %")
    _number_axis(axes, most)
    label_ends(axes, labels, gap=0.05)


def _points(values: Mapping[str, float]) -> tuple[np.ndarray, np.ndarray]:
    return np.log2([int(n) for n in values]), np.array(list(values.values()))


def _number_axis(axes: Axes, most: int) -> None:
    ticks = range(0, most.bit_length(), 2)
    axes.set_xticks(list(ticks), labels=[f"{2**k:,}" for k in ticks])
    axes.set_xlabel("workers", color=GRAY, fontsize=9.5)


def tables(found: Mapping[str, Any], result: Mapping[str, Any]) -> dict[str, str]:
    """The parts of the page, as Markdown: measured, frames, links, validation, scaling."""
    return {
        "measured": _measured(found),
        "frames": _frames(found),
        "links": _links(found),
        "validation": _validation(result),
        "scaling": _scaling(result),
    }


def _measured(found: Mapping[str, Any]) -> str:
    machine, collection = found["machine"], found["collection"]
    rows = []
    for name, each in collection.items():
        who = "in the trainer's process" if name == "in_process" else f"{name} × Ray"
        speedup = f"{found['speedup'][name]:.2f}" if name in found["speedup"] else ""
        efficiency = f"{found['efficiency'][name]:.0%}" if name in found["efficiency"] else ""
        rows.append(
            (
                who,
                f"{each['steps_per_s']:,.0f}",
                f"{each['steps_per_s_median']:,.0f}",
                speedup,
                efficiency,
                f"{each['core_share']:.2f}",
                f"{each['cpu_us_per_step']:.0f}",
                f"{each['same_episodes']:.0%}",
            )
        )
    heads = (
        "workers",
        "steps/s, best",
        "median",
        "speedup",
        "efficiency",
        "cores per worker",
        "µs of a core per step",
        "same episodes",
    )
    steps = found["episode_steps"]
    mb_per_s, broadcast = found["transport_mb_per_s"], found["broadcast_ms"]
    between = mb_per_s["between_nodes"]
    near = ", ".join(f"{each['at_all_workers']:.0f} ms ({name})" for name, each in broadcast.items())
    idle = ", ".join(f"{share:.0%} ({name})" for name, share in found["idle_share"].items())
    costs = found["costs"]
    facts = (
        ("machine", f"{machine['cpu']}, {machine['cores']} cores, load {machine['load_average']}, {machine['date']}"),
        ("commit", f"`{machine['commit']}`"),
        (
            "episodes",
            f"{found['episodes']} for each worker, {found['worlds']} of them side by side, on {found['track']}, "
            f"{found['policy']}: {np.mean(steps):.0f} steps on average, {min(steps)} to {max(steps)}",
        ),
        ("episodes through shared memory", f"{mb_per_s['same_machine']:,.0f} MB/s"),
        (
            "episodes between two Ray nodes here",
            f"{between['raw']:,.0f} MB/s of frames as they are, {between['packed']:,.0f} MB/s of frames compressed",
        ),
        (
            "weights at all workers",
            f"{costs['weights_bytes'] / 1e6:.1f} MB: {near} by number of workers; "
            f"{found['broadcast_between_nodes_ms']:.0f} ms to another node",
        ),
        ("the trainer plays or waits", f"{idle} of its time, by number of workers, evaluations of 32 laps included"),
        ("the update learns from", f"{1e6 / costs['update_us_per_step']:,.0f} steps/s"),
        (
            "a control step of a worker, by number of cars",
            ", ".join(f"{us:,.0f} µs ({number:.0f})" for number, us in costs["step_us"]),
        ),
        (
            "the trainer's work for an episode",
            f"{costs['take_us']:,.0f} µs, and {costs['look_us_per_share']:.1f} µs per worker for a look at all",
        ),
        (
            "Ray's work for an object between nodes",
            f"{costs['object_us']:,.0f} µs + {costs['object_us_per_mb']:,.0f} µs per MB",
        ),
    )
    parts = [_table(heads, rows), _table(("", ""), facts)]
    if collection["in_process"]["core_share"] < QUIET_SHARE:
        parts.insert(0, "**Provisional:** other programs used the cores while this was measured.")
    return "\n\n".join(parts)


def _frames(found: Mapping[str, Any]) -> str:
    rows = [
        (
            way["codec"] + (", each frame less the one before" if way["delta"] else ""),
            f"{way['ratio']:.2f}",
            f"{way['encode_us']:.0f}",
            f"{way['decode_us']:.0f}",
        )
        for way in found["compression"]
    ]
    return _table(("way", "ratio", "encode [µs/frame]", "decode [µs/frame]"), rows)


def _links(found: Mapping[str, Any]) -> str:
    costs = Costs.read(found)
    one = next(each for name, each in found["collection"].items() if name.isdigit())
    packed_bytes = costs.episode_bytes(1, packed=True)
    rows = []
    for gbit in LINKS_GBIT:
        raw = gbit * GBIT / costs.step_bytes
        packed = min(gbit * GBIT / packed_bytes, 1e6 / costs.decode_us)
        rows.append(
            (
                f"{gbit:g} Gbit/s",
                f"{1e6 / raw:.1f}",
                f"{raw:,.0f}",
                f"{raw / one['steps_per_s']:.0f}",
                f"{1e6 / packed:.1f}",
                f"{packed:,.0f}",
                f"{packed / raw:.2f}",
            )
        )
    heads = (
        "link",
        "as they are [µs/frame]",
        "frames/s",
        "workers that fill it",
        "compressed [µs/frame]",
        "frames/s",
        "gain",
    )
    share = costs.encode_us / one["cpu_us_per_step"]
    return f"{_table(heads, rows)}\n\nCompressing takes {share:.0%} of a worker's time."


def _validation(result: Mapping[str, Any]) -> str:
    rows = [
        (
            name,
            f"{each['measured_s']:.2f} s",
            f"{each['measured_median_s']:.2f} s",
            f"{each['processor_s']:.2f} s",
            f"{each['simulated_s']:.2f} s",
            f"{each['error']:+.0%}",
        )
        for name, each in result["validation"].items()
    ]
    heads = ("workers", "measured, best", "median", "workers' processor time over cores", "simulated", "off by")
    return _table(heads, rows)


def _scaling(result: Mapping[str, Any]) -> str:
    sizes = [n for n in SHOWN_SIZES if n <= result["most"]]
    rows = []
    for each in result["scenarios"]:
        speeds = [f"{each['steps_per_s'][str(n)]:,.0f}" if str(n) in each["steps_per_s"] else "" for n in sizes]
        by = each["saturated_by"]
        full = (f"{each['enough']:,}", f"{by}, {each['saturated_share']:.0%}", WAYS_OUT[by]) if by else ("", "", "")
        rows.append((each["name"], *speeds, *full))
    heads = ("trainer and link", *(f"{n:,}" for n in sizes), "enough workers", "what saturates", "what helps")
    return _table(heads, rows)


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def write_page(path: Path, parts: Mapping[str, str]) -> None:
    """Replace the marked parts of a page.

    Raises:
        ConfigError: If the page lacks a mark.
        RecordError: If it cannot be read or written.
    """
    try:
        text = path.read_text(encoding="utf-8")
        for name, part in parts.items():
            begin, end = f"<!-- begin {name} -->", f"<!-- end {name} -->"
            pattern = re.compile(re.escape(begin) + r".*?" + re.escape(end), re.DOTALL)
            if not pattern.search(text):
                raise ConfigError(
                    f"{path}: the marks {begin!r} and {end!r} are missing; put them where the table goes."
                )
            text = pattern.sub(lambda _: f"{begin}\n{part}\n{end}", text)  # noqa: B023  (called at once)
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise RecordError(
            f"{path}: cannot be read or written ({error.strerror}). Give another file with --page."
        ) from None


def main() -> None:
    """Simulate, write, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("measured", type=Path, help="what `hotlap bench fleet --json` printed")
    parser.add_argument(
        "--gpu-steps-per-s", type=float, default=GPU_STEPS_PER_S, help="steps that a GPU is assumed to learn from"
    )
    parser.add_argument("--most", type=int, default=1024, help="largest number of workers")
    parser.add_argument("--figure", type=Path, metavar="PNG", help="picture to draw")
    parser.add_argument("--page", type=Path, metavar="FILE", help="Markdown page whose marked tables are renewed")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()
    try:
        found = bench_scaling(
            options.measured,
            gpu_steps_per_s=options.gpu_steps_per_s,
            most=options.most,
            figure=options.figure,
            page=options.page,
        )
    except HotlapError as error:
        sys.exit(str(error))
    if options.json:
        print(json.dumps(found, indent=2))
        return
    for each in found["scenarios"]:
        number, speed = list(each["steps_per_s"].items())[-1]
        held = f"; from {each['enough']} on held up by {each['saturated_by']}" if each["enough"] else ""
        print(f"{each['name']}: {speed:,.0f} steps/s with {number} workers{held}")


if __name__ == "__main__":
    main()
