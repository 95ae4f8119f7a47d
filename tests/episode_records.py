"""What is recorded of an episode, made up."""

from __future__ import annotations

from hotlap.records.episode_log import EpisodeRecord, Phase


def episode_record(
    phase: Phase = "training",
    *,
    reward: float = 1.0,
    progress: float = 5.0,
    status: str = "crashed",
    start_s: float = 0.0,
    end_s: float = 1.0,
) -> EpisodeRecord:
    """An episode of the first iteration and worker."""
    return EpisodeRecord(
        iteration=0,
        phase=phase,
        episode=0,
        worker=0,
        track="ring",
        reverse=False,
        start=0.0,
        seed=1,
        steps=15,
        reward=reward,
        progress=progress,
        status=status,
        start_s=start_s,
        sim_s=end_s - start_s,
    )
