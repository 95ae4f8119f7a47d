"""What the first lines of a log say about the runs of a model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from hotlap.config.job import Job
from hotlap.config.metadata import DiscreteActionSpace
from hotlap.config.model_folder import ModelFolder
from hotlap.config.race_settings import Race
from hotlap.records.log_lines import RunDescription
from hotlap.tracks.pool import TrackPool


def describe(
    model: ModelFolder,
    race: Race,
    pool: TrackPool,
    *,
    job_type: Literal["TRAINING", "EVALUATION"],
    num_workers: int = 1,
) -> RunDescription:
    """Describe a training or an evaluation of ``model`` by a worker that drives ``race`` on the tracks of ``pool``."""
    metadata = model.metadata
    space = metadata.action_space
    actions: Any = space.model_dump(mode="json", exclude={"type"})
    return RunDescription(
        job_type=job_type,
        world=str(pool),
        race_type=race.race_type.upper(),
        num_workers=num_workers,
        sensors=metadata.sensors,
        network=metadata.network,
        version=metadata.version,
        algorithm=metadata.algorithm,
        action_space_type=space.type,
        action_space=actions["actions"] if isinstance(space, DiscreteActionSpace) else actions,
        lidar_config=metadata.lidar_config.model_dump(),
        hyperparameters=model.hyperparameters.effective(metadata.algorithm),
    )


def describe_workers(
    model: ModelFolder, job: Job, pools: Sequence[TrackPool], num_workers: int
) -> list[RunDescription]:
    """Describe the training of ``model`` as each of its workers sees it; they take turns on races and tracks."""
    races = job.races
    return [
        describe(
            model,
            races[worker % len(races)],
            pools[worker % len(pools)],
            job_type="TRAINING",
            num_workers=num_workers,
        )
        for worker in range(num_workers)
    ]
