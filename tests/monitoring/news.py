"""News of a small training that never was, and somewhere to note what a user is told."""

from __future__ import annotations

import time
from pathlib import Path

from hotlap.monitoring.sink import Beginning, News
from hotlap.records.episode_log import EpisodeRecord
from hotlap.records.events import EvaluationSummary, IterationRecord
from hotlap.records.folder import Folder

NOON = float(int(time.time()) // 60 * 60 - 3600)  # Unix time [s] of the first news; servers take nothing old


def beginning(folder: Path, *, num_iterations: int = 0, run: str = "0123456789abcdef") -> Beginning:
    """A training in ``folder``, perhaps resumed."""
    return Beginning(
        "my model",
        Folder(folder),
        run=run,
        num_iterations=num_iterations,
        num_steps=100 * num_iterations,
        num_episodes=2 * num_iterations,
        measures={"policy_loss": "Surrogate [nat]"},
    )


def iteration(number: int, *, reward: float = 1.5) -> IterationRecord:
    """An iteration of two episodes and 100 steps."""
    return IterationRecord(
        iteration=number,
        checkpoint=f"{number + 1}_Step-{100 * (number + 1)}.ckpt",
        total_episodes=2 * (number + 1),
        total_steps=100 * (number + 1),
        elapsed_s=10.0 * (number + 1),
        num_episodes=2,
        num_steps=100,
        reward_mean=reward + number,
        completion_mean=30.0,
        laps_completed=0,
        losses={"policy_loss": 0.25, "entropy": float("nan")},
        stages_s={"collect": 2.0, "update": 8.0},
        evaluation=EvaluationSummary(
            num_laps=2, completion_mean=50.0, clean_rate=0.5, reward_mean=9.0, lap_time_median_s=8.5
        ),
    )


def episode(number: int, *, phase: str = "training", status: str = "off_track", worker: int = 0) -> EpisodeRecord:
    """An episode of 34 steps."""
    assert phase in ("training", "evaluation")
    return EpisodeRecord(
        iteration=number // 2,
        phase=phase,  # type: ignore[arg-type]
        episode=number,
        worker=worker,
        track="ring",
        reverse=False,
        start=0.25,
        seed=5,
        steps=34,
        reward=27.5 + number,
        progress=31.7,
        status=status,
        start_s=1.0,
        sim_s=34 / 15,
        lap_time_s=34 / 15 if status == "lap_complete" else None,
    )


def news_of(number: int) -> list[News]:
    """What is told of an iteration, in order; 100 s later than what is told of the one before."""
    at = NOON + 100 * number
    return [
        News(at, f"Training> iteration {number}"),
        News(at + 1, episode(2 * number)),
        News(at + 1, episode(2 * number + 1)),
        News(at + 2, episode(number, phase="evaluation", status="lap_complete")),
        News(at + 3, iteration(number)),
    ]
