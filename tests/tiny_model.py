"""Model folders that train in a second: a small round track on which one angle drives laps, and a small network."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from hotlap.config.job import Job
from hotlap.config.model_folder import ModelFolder
from hotlap.config.template import job_toml
from hotlap.tracks.route_file import write_route
from hotlap.tracks.track import Track

CENTER_LINE = """
def reward_function(params):
    return 1.0 - params["distance_from_center"] / params["track_width"]
"""

WANDERING = [{"steering_angle": angle, "speed": 2.5} for angle in (-30, 0, 30)]
SMALL_NETWORK = "small_network:Small"
ROUND_AND_ROUND = [{"steering_angle": angle, "speed": 1.2} for angle in (13.3, 13.7)]


def write_model(
    folder: Path,
    *,
    reward: str = CENTER_LINE,
    actions: Any = WANDERING,
    hyperparameters: dict[str, Any] | None = None,
    race: dict[str, Any] | None = None,
    training: dict[str, Any] | None = None,
    evaluation: dict[str, Any] | None = None,
    monitoring: dict[str, Any] | None = None,
    metadata: dict[str, Any] | None = None,
    built_in_network: bool = False,
    **stages: dict[str, Any],
) -> ModelFolder:
    """Write a model folder: three episodes in an iteration, two evaluation laps, three iterations, one thread.

    ``stages``: tables of job.toml for a training with a teacher. ``built_in_network``: learn with that of the metadata,
    which takes some seconds and 280 MB.
    """
    folder.mkdir(parents=True, exist_ok=True)
    angle = np.linspace(0, 2 * np.pi, 41)
    unit = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    track = folder / "ring.npy"
    if not track.exists():
        write_route(Track("ring", 1.3 * unit, 0.9 * unit, 1.7 * unit, closed=True), track)
    described = {
        "action_space": actions,
        "action_space_type": "discrete" if isinstance(actions, list) else "continuous",
        "sensor": ["FRONT_FACING_CAMERA"],
        "neural_network": "DEEP_CONVOLUTIONAL_NETWORK_SHALLOW",
        "training_algorithm": "clipped_ppo",
        "version": "5",
    } | (metadata or {})
    settings = {"num_episodes_between_training": 3, "num_epochs": 1, "batch_size": 32} | (hyperparameters or {})
    job = Job().updated(
        race={"track": str(track)} | (race or {}),
        training={"max_iterations": 3, "max_minutes": 0, "goal_clean_share": 0, "eval_laps": 2, "threads": 1}
        | ({} if built_in_network else {"network": SMALL_NETWORK})
        | (training or {}),
        evaluation=evaluation or {},
        monitoring=monitoring or {},
        **stages,
    )
    (folder / "reward_function.py").write_text(reward)
    (folder / "model_metadata.json").write_text(json.dumps(described))
    (folder / "hyperparameters.json").write_text(json.dumps(settings))
    (folder / "job.toml").write_text(job_toml(job))
    return ModelFolder(folder)


def write_shortest_model(folder: Path, *, actions: Any = WANDERING, **training: Any) -> ModelFolder:
    """An episode and an evaluation lap in an iteration, and no TensorBoard, whose files are named by the clock.

    For `kill_server`, which makes the built-in network small.
    """
    return write_model(
        folder,
        actions=actions,
        hyperparameters={"num_episodes_between_training": 1},
        training={"eval_laps": 1} | training,
        monitoring={"tensorboard": False},
        built_in_network=True,
    )
