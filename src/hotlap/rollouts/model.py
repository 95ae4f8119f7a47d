"""From a model folder to what a worker is built from: the race it drives, the network that drives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from torch import Tensor

from hotlap.config.hyperparameters import Hyperparameters
from hotlap.config.job import Job, Race
from hotlap.config.metadata import DiscreteActionSpace, ModelMetadata
from hotlap.config.model_folder import ModelFolder
from hotlap.deepracer.metadata_names import DENSE
from hotlap.deepracer.sensors import observation_shapes
from hotlap.deepracer.state_values import STATE, VISIBLE_STATE
from hotlap.deepracer.track_objects import BotCars, Obstacles
from hotlap.envs.race import RaceConfig
from hotlap.envs.race_tracks import tracks_of
from hotlap.errors import RecordError
from hotlap.records.checkpoints import Checkpoint
from hotlap.rewards.guard import LIMIT_S
from hotlap.rewards.loader import read_reward
from hotlap.rl.networks import ActorCritic, Critic, is_own
from hotlap.rl.policy import EpsilonGreedy
from hotlap.rl.precision import Precision
from hotlap.rl.specs import ActionSpec, ContinuousActions, DiscreteActions
from hotlap.rollouts.plan import StartRule
from hotlap.sensors.kinds import SensorKind, own_sensors
from hotlap.sim.scene import RaceRules
from hotlap.tracks.pool import TrackPool


@dataclass(frozen=True)
class RolloutSetup:
    """What plays the episodes of a job; plain data, so that it can be sent to another process or machine."""

    races: tuple[RaceConfig, ...]
    """One per worker of the job, or a single one that all share."""
    pools: tuple[TrackPool, ...]
    """The tracks of each race."""
    metadata: ModelMetadata
    network: str | None
    """As of `build_network`."""
    num_worlds: int
    """How many episodes of a race run side by side in a process."""
    critic: Critic = "camera"
    precision: Precision = "auto"
    exploration: EpsilonGreedy | None = None
    guide: Mapping[str, Tensor] | None = None
    """Weights of the network that drives the guided episodes: see `build_guide`."""
    reward_limit_s: float = LIMIT_S
    """Longest time that a call of a reward function may take [s]."""
    sensors: Mapping[str, SensorKind] = field(default_factory=own_sensors)
    """Sensors of somebody's own, which other processes do not know of."""


def rollout_setup(
    folder: ModelFolder, job: Job, *, guide: Mapping[str, Tensor] | None = None, seed: int | None = None
) -> RolloutSetup:
    """What the training of a model plays its episodes with; each process plays its part side by side.

    Args:
        folder: The model.
        job: Its settings.
        guide: Weights of the network that drives guided episodes, if there are any.
        seed: Of the training, from which tracks are made up; default: that of the job.

    Raises:
        TrackError: If a track cannot be loaded.
    """
    num_workers = job.num_workers
    pools = tuple(tracks_of(race, seed=job.training.seed if seed is None else seed) for race in job.races)
    num_episodes = folder.hyperparameters.num_episodes_between_training
    critic_is_told = (STATE,) if job.training.critic_kind == "state" else ()
    told = (*critic_is_told, VISIBLE_STATE) if guide is not None else critic_is_told
    return RolloutSetup(
        races=tuple(
            replace(race_config(folder, race, pool), told=told) for race, pool in zip(job.races, pools, strict=True)
        ),
        pools=pools,
        metadata=folder.metadata,
        network=job.training.network,
        num_worlds=-(-max(num_episodes, job.training.eval_laps) // num_workers),
        critic=job.training.critic_kind,
        guide=guide,
        precision=job.training.precision,
        exploration=exploration(folder.hyperparameters, folder.metadata),
        reward_limit_s=min(LIMIT_S, job.training.worker_timeout_s),
    )


def race_config(
    folder: ModelFolder, race: Race, pool: TrackPool, *, rules: RaceRules | None = None, reward: bool = True
) -> RaceConfig:
    """A race that a model drives on the tracks of ``pool``; with ``reward`` its reward function as it is now."""
    return RaceConfig(
        metadata=folder.metadata,
        reward=read_reward(folder.reward_file) if reward else None,
        tracks=pool.tracks,
        theme=race.theme,
        rules=rules or RaceRules(),
        variation=race.randomize_vehicle,
        randomize_domain=race.randomize_domain,
        obstacles=Obstacles(**dict(race.obstacles)) if race.race_type == "object_avoidance" else None,
        bots=BotCars(**dict(race.bots)) if race.race_type == "head_to_bot" else None,
    )


def start_rule(race: Race, pool: TrackPool) -> StartRule:
    """Where the training episodes of a race start."""
    return StartRule(
        evenly=race.start == "spread",
        change_start_position=race.start == "round_robin",
        offset=race.start_position_offset,
        advance=race.round_robin_advance_dist,
        reverse=race.reverse_dir,
        alternate_direction=race.alternate_driving_direction,
        closed=tuple(track.closed for track in pool.tracks[: pool.num_trained]),
    )


def exploration(hyperparameters: Hyperparameters, metadata: ModelMetadata) -> EpsilonGreedy | None:
    """How training explores; None: by sampling from the network's distribution."""
    discrete = isinstance(metadata.action_space, DiscreteActionSpace)
    if hyperparameters.exploration_type != "e-greedy" or not discrete:
        return None
    return EpsilonGreedy(final=hyperparameters.e_greedy_value, num_steps=hyperparameters.epsilon_steps)


def action_spec(metadata: ModelMetadata) -> ActionSpec:
    """The learner's view of an action space."""
    space = metadata.action_space
    if isinstance(space, DiscreteActionSpace):
        return DiscreteActions(space.num_actions)
    return ContinuousActions(
        low=(space.steering_angle.low, space.speed.low), high=(space.steering_angle.high, space.speed.high)
    )


def build_network(
    metadata: ModelMetadata, network: str | None = None, *, critic: Critic = "camera", seed: int = 0
) -> ActorCritic:
    """Freshly initialized networks of a model.

    Args:
        metadata: Of the model.
        network: Its name, or ``module:factory``; None: that of the metadata.
        critic: Who estimates the value.
        seed: Of the weights.

    Raises:
        ConfigError: If a network of the user's own cannot be built.
    """
    return ActorCritic(
        network or metadata.network,
        observation_shapes(metadata.sensors),
        action_spec(metadata),
        critic=critic,
        seed=seed,
    )


def critic_of(checkpoint: Checkpoint) -> Critic:
    """Who estimates the value in a checkpoint."""
    if checkpoint.metadata.get("shared_encoder", False):
        return "shared"
    return "state" if checkpoint.metadata.get("critic") == "state" else "camera"


def build_guide(metadata: ModelMetadata, weights: Mapping[str, Tensor] | None = None) -> ActorCritic:
    """A teacher of a model, which drives guided episodes: it has its actions, and sees what its pictures may show.

    Raises:
        RuntimeError: If the weights are those of another network.
    """
    network = ActorCritic(DENSE, observation_shapes([VISIBLE_STATE]), action_spec(metadata), critic="state")
    if weights is not None:
        network.load_state_dict(weights)
    return network


def saved_network(metadata: ModelMetadata, checkpoint: Checkpoint, place: object) -> ActorCritic:
    """The networks of a checkpoint, of the model with this ``metadata`` at ``place``.

    Raises:
        ConfigError: If a network of the user's own cannot be built.
        RecordError: If the weights are those of another network than the metadata describes.
    """
    name = checkpoint.metadata.get("network", "")
    network = build_network(metadata, name if is_own(name) else None, critic=critic_of(checkpoint))
    try:
        network.load_state_dict(checkpoint.weights)
    except RuntimeError as error:
        raise RecordError(
            f"checkpoint {checkpoint.name} in {place} was made for another network than model_metadata.json describes. "
            "Put back the file that the model was trained with."
        ) from error
    return network
