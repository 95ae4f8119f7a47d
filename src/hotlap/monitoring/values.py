"""Names and values of what is measured, the same in every sink; docs/monitoring.md says what each means."""

from __future__ import annotations

import math

from hotlap.records.episode_log import EpisodeRecord
from hotlap.records.events import IterationRecord


def outcome_values(record: IterationRecord) -> dict[str, float]:
    """How well an iteration drove, by name: few numbers, for those who pay for each."""
    values = {
        "training/reward": record.reward_mean,
        "training/completion": record.completion_mean,
        "training/laps": record.laps_completed,
        "training/lap_time_best": record.lap_time_best_s,
    }
    if record.evaluation is not None:
        evaluation = record.evaluation
        values |= {
            "evaluation/reward": evaluation.reward_mean,
            "evaluation/completion": evaluation.completion_mean,
            "evaluation/clean_rate": evaluation.clean_rate,
            "evaluation/lap_time_median": evaluation.lap_time_median_s,
            "evaluation/lap_time_best": evaluation.lap_time_best_s,
        }
    return _known(values)


def iteration_values(record: IterationRecord) -> dict[str, float]:
    """All that is known of an iteration, by name."""
    values: dict[str, float | None] = {
        "progress/iterations": record.iteration + 1,
        "progress/steps": record.total_steps,
        "progress/episodes": record.total_episodes,
        "progress/elapsed": record.elapsed_s,
        "training/episodes": record.num_episodes,
        "training/steps": record.num_steps,
        **outcome_values(record),
        "evaluation/is_best": None if record.evaluation is None else float(record.is_best),
    }
    values |= {f"update/{name}": value for name, value in record.losses.items()}
    values |= {f"seconds/{stage}": seconds for stage, seconds in record.stages_s.items()}
    for worker in record.workers:
        values[f"worker_{worker.worker}/reward"] = worker.reward_mean
        values[f"worker_{worker.worker}/completion"] = worker.completion_mean
    return _known(values)


def episode_values(record: EpisodeRecord) -> dict[str, float]:
    """What is measured of an episode, by name."""
    return _known(
        {
            "episode/reward": record.reward,
            "episode/completion": record.progress,
            "episode/steps": record.steps,
            "episode/lap_time": record.lap_time_s,
        }
    )


def _known(values: dict[str, float | None] | dict[str, float]) -> dict[str, float]:
    """Without what is missing or not finite, which no server takes."""
    return {name: float(value) for name, value in values.items() if value is not None and math.isfinite(value)}
