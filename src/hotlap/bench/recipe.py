"""The stock recipe of DeepRacer-for-Cloud, as a model folder to measure with."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from hotlap.config.hyperparameters import Hyperparameters
from hotlap.config.job import Job
from hotlap.config.metadata import ModelMetadata
from hotlap.config.model_folder import ModelFolder
from hotlap.config.template import hyperparameters_json, job_toml, metadata_json
from hotlap.rewards.loader import example_file

STOCK_REWARD = "follow_center_line"
STOCK_SPEED = 0.6  # [m/s]
NEVER = 10**9

# Spelled out: what a new model folder starts with may change, what is measured may not.
STOCK = Hyperparameters(
    batch_size=64,
    num_epochs=5,
    lr=3e-4,
    beta_entropy=0.01,
    discount_factor=0.99,
    loss_type="huber",
    num_episodes_between_training=20,
    term_cond_max_episodes=NEVER,
    term_cond_avg_score=1e9,
)
"""The default file of DeepRacer-for-Cloud, without its stop rules."""


def stock_metadata_json() -> str:
    """Five actions from -30 to 30 degrees at 0.6 m/s, the front camera, the shallow network, clipped PPO."""
    return metadata_json(STOCK_SPEED)


def stock_metadata() -> ModelMetadata:
    """`stock_metadata_json`, read."""
    return ModelMetadata.from_dict(json.loads(stock_metadata_json()), source="stock model_metadata.json")


def stock_model(folder: Path, *, track: str, training: dict[str, Any]) -> ModelFolder:
    """Write a model of the stock recipe: batch 64, 5 epochs, 20 episodes, lr 3e-4, gamma 0.99, Huber.

    It follows the center line, is not evaluated between iterations, and no score stops it.

    Args:
        folder: Where to; it must exist.
        track: Name or route file.
        training: Keys of job.toml's training section that differ.
    """
    unevaluated = {"goal_clean_share": 0.0, "eval_laps": 1, "eval_every": NEVER, "max_minutes": 0.0}
    job = Job().updated("benchmark", race={"track": track}, training=unevaluated | training)
    (folder / "reward_function.py").write_bytes(example_file(STOCK_REWARD).read_bytes())
    (folder / "model_metadata.json").write_text(stock_metadata_json(), encoding="utf-8")
    (folder / "hyperparameters.json").write_text(hyperparameters_json(STOCK), encoding="utf-8")
    (folder / "job.toml").write_text(job_toml(job), encoding="utf-8")
    return ModelFolder(folder)
