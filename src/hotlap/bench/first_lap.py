"""How soon a car of the stock recipe learns to complete a lap, over several seeds.

Seeds are trained one after the other, each in a folder that is deleted afterwards. Evaluation is switched off: its laps
are driven without exploring, cost time and teach nothing, so neither its laps nor its seconds are in the figures. The
clock starts when training starts and includes collecting, updating, checkpoints and records; steps and seconds are
those at the end of the iteration with the lap.
"""

from __future__ import annotations

import csv
import json
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any, Literal

import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from hotlap.analysis.figures.style import BEST, EVALUATION, GRAY, TRAINING, new_figure, save_figure, tidy
from hotlap.bench.machine import provenance
from hotlap.bench.recipe import stock_model
from hotlap.bench.results_folder import results_folder
from hotlap.deepracer.driving import DEFAULT_TRACK
from hotlap.errors import ConfigError
from hotlap.records.events import IterationRecord
from hotlap.training.listener import Silence
from hotlap.training.trainer import Trainer
from hotlap.unfinished import scratch_folder
from hotlap.wording import counted

COLUMNS = ("iteration", "steps", "seconds", "completion_mean", "laps", "episodes", "reward_mean")


@dataclass(frozen=True)
class SeedResult:
    """How one training went."""

    seed: int
    records: list[IterationRecord]
    setup_s: float
    """From nothing to the start of training: network, track, compiled or cached kernels [s]."""

    @property
    def first_lap(self) -> IterationRecord | None:
        """The iteration with the first complete training lap; None if there was none."""
        return next((record for record in self.records if record.laps_completed), None)

    def rows(self) -> list[dict[str, Any]]:
        """The curve: one row per iteration, by `COLUMNS`; totals at its end, seconds since training started."""
        return [
            {
                "iteration": record.iteration,
                "steps": record.total_steps,
                "seconds": round(record.elapsed_s, 3),
                "completion_mean": round(record.completion_mean, 3),
                "laps": record.laps_completed,
                "episodes": record.num_episodes,
                "reward_mean": round(record.reward_mean, 4),
            }
            for record in self.records
        ]

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready; ``steps`` and ``seconds`` are those at the first complete lap, None without one."""
        lap, last = self.first_lap, self.records[-1]
        return {
            "seed": self.seed,
            "steps": lap.total_steps if lap else None,
            "seconds": round(lap.elapsed_s, 3) if lap else None,
            "setup_s": round(self.setup_s, 3),
            "iterations": len(self.records),
            "total_steps": last.total_steps,
            "total_seconds": round(last.elapsed_s, 3),
            "laps": sum(record.laps_completed for record in self.records),
            "completion_mean": round(last.completion_mean, 3),
        }


def bench_learn(
    *,
    track: str = DEFAULT_TRACK,
    seeds: int = 5,
    max_steps: int = 20_000,
    until: Literal["lap", "steps"] = "lap",
    threads: int = 0,
    workers: int = 1,
    max_policy_lag: int = 0,
    out: Path | None = None,
    on_iteration: Callable[[int, IterationRecord], None] | None = None,
) -> dict[str, Any]:
    """Train the stock recipe with seeds 0, 1, … and note when each car first completes a lap.

    Args:
        track: Name or route file.
        seeds: How many.
        max_steps: Where a training ends at the latest.
        until: ``lap`` ends it at its first complete lap, ``steps`` only there.
        threads: Processor threads of the trainer; 0: all.
        workers: Rollout workers.
        max_policy_lag: 1: collect the next iteration while the network learns from this one.
        out: Folder for the curve of each seed (``learn_TRACK_seedN.csv``), all of them as a picture
            (``learn_TRACK.png``) and this result (``learn_TRACK.json``); after TRACK stands ``_workersN`` if there are
            several, and ``_lag1`` with a policy lag. None writes nothing.
        on_iteration: Called with the seed and the record of each iteration.

    Returns:
        JSON-ready: ``median_steps`` and ``median_seconds`` at the first lap (None unless more than half of the seeds
        got there), ``reached``, ``seeds`` (one object each), ``track``, ``max_steps``, ``until``, ``threads``,
        ``workers``, ``max_policy_lag``, ``files`` and ``machine``.

    Raises:
        ConfigError: If an argument is not possible.
        RecordError: If ``out`` cannot be written.
    """
    if seeds < 1 or max_steps < 1:
        raise ConfigError(f"--seeds and --max-steps must be at least 1, got {seeds} and {max_steps}.")
    if until not in ("lap", "steps"):
        raise ConfigError(f"--until must be lap or steps, got {until!r}.")
    results = []
    name = ""
    for seed in range(seeds):
        training = {"seed": seed, "threads": threads, "workers": workers, "max_policy_lag": max_policy_lag}
        result, name = _train(track, training, _StopRule(seed, max_steps, until, on_iteration))
        results.append(result)
    laps = [result.first_lap for result in results]
    summary: dict[str, Any] = {
        "median_steps": _median([lap.total_steps if lap else None for lap in laps]),
        "median_seconds": _median([round(lap.elapsed_s, 3) if lap else None for lap in laps]),
        "reached": sum(lap is not None for lap in laps),
        "seeds": [result.to_dict() for result in results],
        "track": name,
        "max_steps": max_steps,
        "until": until,
        "threads": torch.get_num_threads(),
        "workers": workers,
        "max_policy_lag": max_policy_lag,
        "files": [],
        "machine": provenance(),
    }
    if out is not None:
        several = f"_workers{workers}" if workers > 1 else ""
        _write(out, f"{name}{several}" + ("_lag1" if max_policy_lag else ""), results, summary)
    return summary


class _Enough(Exception):
    """Ends a training from its listener; everything is recorded by then."""


class _StopRule(Silence):
    def __init__(
        self, seed: int, max_steps: int, until: str, on_iteration: Callable[[int, IterationRecord], None] | None
    ) -> None:
        self.seed, self.max_steps, self.until, self.report = seed, max_steps, until, on_iteration

    def on_iteration(self, record: IterationRecord) -> None:
        if self.report is not None:
            self.report(self.seed, record)
        if record.total_steps >= self.max_steps or (self.until == "lap" and record.laps_completed):
            raise _Enough


def _train(track: str, training: dict[str, Any], stop_rule: _StopRule) -> tuple[SeedResult, str]:
    """One training, and the name of its track."""
    with scratch_folder() as folder:
        begin = time.perf_counter()
        trainer = Trainer(stock_model(folder, track=track, training=training), listener=stop_rule)
        setup_s = time.perf_counter() - begin
        with suppress(_Enough):
            trainer.run()
        return SeedResult(stop_rule.seed, trainer.progress.read(), setup_s), str(trainer.pools[0])


def _median(values: Sequence[float | None]) -> float | None:
    """The median, with None as larger than all; None if it is itself None."""
    middle = median([float("inf") if value is None else value for value in values])
    return None if middle == float("inf") else middle


def _write(out: Path, name: str, results: Sequence[SeedResult], summary: dict[str, Any]) -> None:
    with results_folder(out):
        for result in results:
            path = out / f"learn_{name}_seed{result.seed}.csv"
            with path.open("w", newline="", encoding="utf-8") as file:
                writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
                writer.writeheader()
                writer.writerows(result.rows())
            summary["files"].append(path.name)
        summary["files"] += [f"learn_{name}.png", f"learn_{name}.json"]
        (out / f"learn_{name}.json").write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")
    save_figure(learning_figure(results, summary), out / f"learn_{name}.png")


def learning_figure(results: Sequence[SeedResult], summary: dict[str, Any]) -> Figure:
    """Mean completion of the training episodes over steps and over seconds, one curve per seed."""
    machine = summary["machine"]
    figure = new_figure(
        12,
        4.8,
        f"First lap on {summary['track']}",
        f"{summary['reached']} of {len(results)} seeds completed a lap; median {_words(summary)}. "
        f"Stock recipe, {_means(summary)} of {machine['cpu']}.",
    )
    over_steps, over_seconds = figure.subplots(1, 2, sharey=True)
    _draw(over_steps, results, lambda record: record.total_steps, summary["median_steps"])
    _draw(over_seconds, results, lambda record: record.elapsed_s, summary["median_seconds"])
    tidy(over_steps, "Part of the lap driven in training")
    tidy(over_seconds, "The same over time")
    over_steps.set_xlabel("environment steps", color=GRAY, fontsize=9.5)
    over_seconds.set_xlabel("seconds since training started", color=GRAY, fontsize=9.5)
    over_steps.set_ylim(-3, 103)
    over_steps.yaxis.set_major_formatter("{x:.0f} %")
    return figure


def _draw(
    axes: Axes, results: Sequence[SeedResult], x: Callable[[IterationRecord], float], middle: float | None
) -> None:
    labeled = False
    for result in results:
        axes.plot(
            [x(record) for record in result.records],
            [record.completion_mean for record in result.records],
            color=EVALUATION,
            linewidth=1.6,
            alpha=0.65,
        )
        lap = result.first_lap
        if lap is not None:
            axes.plot(
                [x(lap)],
                [lap.completion_mean],
                linestyle="none",
                marker="o",
                markersize=6,
                color=BEST,
                markeredgecolor="white",
                zorder=3,
                label=None if labeled else "iteration with the first complete lap",
            )
            labeled = True
    axes.set_xlim(left=0)
    if middle is not None:
        axes.axvline(middle, color=TRAINING, linewidth=1.1, linestyle=(0, (4, 3)), zorder=1, label="median")
    if axes.get_legend_handles_labels()[0]:
        axes.legend(frameon=False, fontsize=9, labelcolor=GRAY, loc="upper left")


def _means(summary: dict[str, Any]) -> str:
    """What a training had, in words."""
    workers = f", {summary['workers']} workers" if summary["workers"] > 1 else ""
    lag = ", policy lag 1" if summary["max_policy_lag"] else ""
    return f"{counted(summary['threads'], 'thread')}{workers}{lag}"


def _words(summary: dict[str, Any]) -> str:
    if summary["median_steps"] is None:
        return f"more than {summary['max_steps']:,} steps"
    return f"{summary['median_steps']:,.0f} steps, {summary['median_seconds']:.0f} s"
