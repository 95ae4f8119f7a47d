"""From a model folder to what a worker is built from: the race it drives, the network that drives."""

from __future__ import annotations

from hotlap.config.job import Job
from hotlap.config.metadata import DiscreteActionSpace, ModelMetadata
from hotlap.config.model_folder import ModelFolder
from hotlap.envs.race import RaceConfig
from hotlap.errors import ConfigError
from hotlap.rl.networks import ActorCritic
from hotlap.rl.specs import ActionSpec, ContinuousActions, DiscreteActions, observation_shapes
from hotlap.sim.scene import RaceRules


def race_config(folder: ModelFolder, job: Job, *, rules: RaceRules | None = None) -> RaceConfig:
    """The race that a model trains on."""
    race = job.race
    return RaceConfig(
        metadata=folder.metadata,
        reward=str(folder.reward_file),
        tracks=(race.track,),
        direction=race.direction,
        theme=race.theme,
        rules=rules or RaceRules(),
        spread=race.randomize_vehicle,
    )


def action_spec(metadata: ModelMetadata) -> ActionSpec:
    """The learner's view of an action space."""
    space = metadata.action_space
    if isinstance(space, DiscreteActionSpace):
        return DiscreteActions(space.num_actions)
    return ContinuousActions(
        low=(space.steering_angle.low, space.speed.low), high=(space.steering_angle.high, space.speed.high)
    )


def build_network(metadata: ModelMetadata, *, shared_encoder: bool = False, seed: int = 0) -> ActorCritic:
    """Freshly initialized networks of a model.

    Raises:
        ConfigError: For an algorithm that cannot be trained yet.
    """
    if metadata.algorithm != "clipped_ppo":
        raise ConfigError(
            f"training_algorithm {metadata.algorithm!r} is not available yet. "
            'Use "clipped_ppo" in model_metadata.json; it takes discrete and continuous action spaces.'
        )
    return ActorCritic(
        metadata.network,
        observation_shapes(metadata.sensors),
        action_spec(metadata),
        shared_encoder=shared_encoder,
        seed=seed,
    )
