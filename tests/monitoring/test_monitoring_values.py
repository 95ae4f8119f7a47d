"""The names of figures."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from news import episode, iteration

from hotlap.monitoring.values import episode_values, iteration_values, outcome_values
from hotlap.records.events import WorkerSummary
from hotlap.rl.ppo import METRICS

PAGE = Path(__file__).parents[2] / "docs" / "monitoring.md"


def test_every_figure_is_explained():
    """And no other; those that cost are marked."""
    worker = WorkerSummary(0, "ring", 2, 100, reward_mean=1.0, completion_mean=2.0, laps_completed=0)
    record = iteration(0)
    assert record.evaluation is not None
    record = replace(
        record,
        lap_time_best_s=8.0,
        evaluation=replace(record.evaluation, lap_time_best_s=8.0),
        losses=dict.fromkeys([metric.name for metric in METRICS], 0.5),
        stages_s=dict.fromkeys(("collect", "update", "checkpoint", "evaluate", "record"), 1.0),
        workers=[worker],
    )
    names = {name.replace("worker_0", "worker_K") for name in iteration_values(record)}
    names |= set(episode_values(episode(0, status="lap_complete")))
    explained = re.findall(r"`([a-zK_]+/[a-z_]+)`( \*)?", PAGE.read_text().partition("## The figures")[2])
    assert {name for name, _ in explained} - {"metrics/episodes"} == names
    assert {name for name, star in explained if star} == set(outcome_values(record))
