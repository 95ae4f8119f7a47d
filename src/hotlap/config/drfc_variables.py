"""Every variable of DeepRacer-for-Cloud's environment files: what it may hold, and what becomes of it here.

Source: deepracer-for-cloud `defaults/template-*.env`, `docs/reference.md`, `scripts/*/prepare-config.py`,
`bin/activate.sh`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Literal

from hotlap.config.drfc_kinds import (
    FRACTION,
    HOST,
    KEY,
    METERS,
    MULTI_CONFIG,
    NAME,
    POSITIONS,
    RACE_TYPE,
    RESETS,
    SCRIPT_BOOLEAN,
    SECONDS,
    STREAM_PREFIX,
    TEXT,
    TRACK,
    Kind,
    boolean,
    choice,
    number,
    optional,
    whole,
)
from hotlap.config.env_file import Assignment, Environment
from hotlap.deepracer.track_objects import BOX_KINDS

Fate = Literal["works", "differs", "ignored"]


@dataclass(frozen=True)
class Variable:
    """A variable and its meaning."""

    name: str
    kind: Kind
    fate: Fate
    text: str
    """What it does here, how that differs from the original, or why it does nothing."""
    default: str | None = None
    """What the original's scripts take if it is not set."""
    setting: str | None = None
    """The key of job.toml that it sets, such as ``race.obstacles.number``."""
    fallback: str | None = None
    """Another variable, which counts if this one is not set."""
    per_worker: bool = False
    """Whether a worker-N.env can set it."""

    def assignment_in(self, environment: Environment) -> Assignment | None:
        """Where it is set, or else its fallback."""
        return environment.get(self.name) or (environment.get(self.fallback) if self.fallback else None)

    def text_in(self, environment: Environment) -> str | None:
        """What it is set to, by itself or its fallback; else its default."""
        assignment = self.assignment_in(environment)
        return self.default if assignment is None else assignment.value

    def value_in(self, environment: Environment) -> Any:
        """The same as a value; only for environments that were checked."""
        text = self.text_in(environment)
        return None if text is None else self.kind.parse(text)


def _sets(
    setting: str,
    name: str,
    kind: Kind,
    default: str | None,
    differs: str = "",
    *,
    text: str = "",
    fallback: str | None = None,
) -> Variable:
    """A variable that sets a key of job.toml."""
    return Variable(
        name,
        kind,
        "differs" if differs else "works",
        differs or text or f"sets {setting}",
        default,
        setting,
        fallback,
        per_worker=setting.startswith("race."),
    )


def _works(name: str, kind: Kind, default: str | None, text: str) -> Variable:
    return Variable(name, kind, "works", text, default)


def _differs(name: str, kind: Kind, default: str | None, text: str) -> Variable:
    return Variable(name, kind, "differs", text, default)


def _ignored(
    why: str, *names: str, kind: Kind = TEXT, default: str | None = None, per_worker: bool = False
) -> list[Variable]:
    return [Variable(name, kind, "ignored", why, default, per_worker=per_worker) for name in names]


_BOOLEAN = boolean()
_LOOKS = "looks and names of cars; they only go into the training parameters"
_STREAMS = "there are no video streams and windows"
_CONTAINERS = "hotlap needs no containers"
_BUCKET = "the bucket is a folder here, DIR/bucket; for a real one there is --output s3://bucket/prefix"
_STORAGE = f"{_BUCKET}, with AWS_REGION, AWS_PROFILE and AWS_ENDPOINT_URL"
_OPPONENT = "races against a second model are not available yet"
_ACTIVATION = "set by the original's activation script"
_OBSOLETE = "obsolete in the original too"

_ALL: list[Variable] = [
    # Where the car drives and how episodes start.
    _sets("race.track", "DR_WORLD_NAME", TRACK, "LGSWide"),
    _sets("race.race_type", "DR_RACE_TYPE", RACE_TYPE, "TIME_TRIAL"),
    _sets("race.randomize_domain", "DR_ENABLE_DOMAIN_RANDOMIZATION", _BOOLEAN, "false"),
    _sets(
        "race.start",
        "DR_TRAIN_CHANGE_START_POSITION",
        boolean(true="round_robin", false="fixed"),
        "true",
        text='sets race.start to "round_robin" or "fixed"',
        fallback="DR_CHANGE_START_POSITION",
    ),
    _sets("race.reverse_dir", "DR_TRAIN_REVERSE_DIRECTION", _BOOLEAN, "False"),
    _sets(
        "race.alternate_driving_direction",
        "DR_TRAIN_ALTERNATE_DRIVING_DIRECTION",
        _BOOLEAN,
        "false",
        fallback="DR_ALTERNATE_DRIVING_DIRECTION",
    ),
    _sets("race.start_position_offset", "DR_TRAIN_START_POSITION_OFFSET", FRACTION, "0.00"),
    _sets("race.round_robin_advance_dist", "DR_TRAIN_ROUND_ROBIN_ADVANCE_DIST", FRACTION, "0.05"),
    *(
        Variable(legacy, _BOOLEAN, "works", f"counts if {name} is not set", per_worker=True)
        for legacy, name in (
            ("DR_CHANGE_START_POSITION", "DR_TRAIN_CHANGE_START_POSITION"),
            ("DR_ALTERNATE_DRIVING_DIRECTION", "DR_TRAIN_ALTERNATE_DRIVING_DIRECTION"),
        )
    ),
    # Obstacles and bot cars.
    _sets("race.obstacles.number", "DR_OA_NUMBER_OF_OBSTACLES", whole(0, 50), "6"),
    _sets(
        "race.obstacles.min_distance",
        "DR_OA_MIN_DISTANCE_BETWEEN_OBSTACLES",
        METERS,
        "2.0",
        "meters, as documented; the original's simulator takes percent of the lap since its version 5.3.3",
    ),
    _sets("race.obstacles.randomize", "DR_OA_RANDOMIZE_OBSTACLE_LOCATIONS", _BOOLEAN, "True"),
    _sets("race.obstacles.bot_car", "DR_OA_IS_OBSTACLE_BOT_CAR", _BOOLEAN, "false"),
    _sets(
        "race.obstacles.kind",
        "DR_OA_OBSTACLE_TYPE",
        choice(*BOX_KINDS),
        BOX_KINDS[0],
    ),
    _sets("race.obstacles.positions", "DR_OA_OBJECT_POSITIONS", POSITIONS, ""),
    _sets("race.bots.lane_change", "DR_H2B_IS_LANE_CHANGE", _BOOLEAN, "False"),
    _sets("race.bots.lower_lane_change_time", "DR_H2B_LOWER_LANE_CHANGE_TIME", SECONDS, "3.0"),
    _sets("race.bots.upper_lane_change_time", "DR_H2B_UPPER_LANE_CHANGE_TIME", SECONDS, "5.0"),
    _sets("race.bots.lane_change_distance", "DR_H2B_LANE_CHANGE_DISTANCE", METERS, "1.0"),
    _sets("race.bots.number", "DR_H2B_NUMBER_OF_BOT_CARS", whole(0, 20), "0"),
    _sets("race.bots.min_distance", "DR_H2B_MIN_DISTANCE_BETWEEN_BOT_CARS", METERS, "2.0"),
    _sets("race.bots.randomize", "DR_H2B_RANDOMIZE_BOT_CAR_LOCATIONS", _BOOLEAN, "False"),
    _sets("race.bots.speed", "DR_H2B_BOT_CAR_SPEED", number(0, 4, unit="m/s"), "0.2"),
    _sets("race.bots.penalty", "DR_H2B_BOT_CAR_PENALTY", SECONDS, "2.0"),
    # Training.
    _sets("training.workers", "DR_WORKERS", whole(1, 10_000), "1"),
    _works("DR_TRAIN_MULTI_CONFIG", MULTI_CONFIG, "False", "with True, worker N drives what worker-N.env says"),
    _sets("training.step_cap", "DR_TRAIN_MAX_STEPS_PER_ITERATION", optional(whole(1)), None),
    _differs(
        "DR_TRAIN_MIN_EVAL_TRIALS",
        whole(1),
        "5",
        "an evaluation drives at least so many laps, all at once and from the start line: training.eval_laps (32 "
        "unless job.toml says otherwise) if that is more",
    ),
    _sets(
        "training.best_model_metric",
        "DR_TRAIN_BEST_MODEL_METRIC",
        choice("progress", "reward", "laptime"),
        "progress",
        "sets training.best_model_metric; of equally good checkpoints the one with more clean laps, then faster ones, "
        "is the best, not the newest",
    ),
    _sets(
        "training.log_steps",
        "DR_ROBOMAKER_MOUNT_LOGS",
        _BOOLEAN,
        "False",
        text="sets training.log_steps: a line for each step in logs/training/",
    ),
    # Who else is told.
    _sets(
        "monitoring.cloudwatch_log_group",
        "DR_CLOUD_WATCH_ENABLE",
        boolean(true="/deepracer-for-cloud", false=None),
        "False",
        "sends the log lines of the trainer and of the first worker to one stream of the group /deepracer-for-cloud, "
        "not each container's output; needs hotlap[cloudwatch]",
    ),
    _sets(
        "monitoring.cloudwatch_log_stream_prefix",
        "DR_CLOUD_WATCH_LOG_STREAM_PREFIX",
        STREAM_PREFIX,
        "",
    ),
    _sets("monitoring.telegraf_host", "DR_TELEGRAF_HOST", optional(HOST), None),
    _sets("monitoring.telegraf_port", "DR_TELEGRAF_PORT", whole(1, 65535), "8092"),
    # Evaluation.
    _sets("evaluation.trials", "DR_EVAL_NUMBER_OF_TRIALS", whole(1), "5"),
    _sets("evaluation.continuous", "DR_EVAL_IS_CONTINUOUS", _BOOLEAN, "True"),
    _sets("evaluation.number_of_resets", "DR_EVAL_MAX_RESETS", RESETS, "0"),
    _sets("evaluation.off_track_penalty", "DR_EVAL_OFF_TRACK_PENALTY", SECONDS, "5.0"),
    _sets(
        "evaluation.collision_penalty",
        "DR_COLLISION_PENALTY",
        SECONDS,
        "5.0",
        fallback="DR_EVAL_COLLISION_PENALTY",
    ),
    _differs(
        "DR_EVAL_COLLISION_PENALTY",
        SECONDS,
        None,
        "sets evaluation.collision_penalty unless DR_COLLISION_PENALTY is set; the original reads only the latter",
    ),
    _sets(
        "evaluation.checkpoint",
        "DR_EVAL_CHECKPOINT",
        choice("last", "best"),
        "last",
        text="sets evaluation.checkpoint; --checkpoint counts more, and hotlap export takes the best",
    ),
    _works("DR_EVAL_REVERSE_DIRECTION", _BOOLEAN, "False", "sets race.reverse_dir in evaluations"),
    _differs(
        "DR_EVAL_SAVE_MP4",
        SCRIPT_BOOLEAN,
        "False",
        "films of every trial in the original's three views, mp4/…/0-video.mp4 and so on, instead of one of the "
        "whole evaluation; what the car sees is in a fourth, in the evaluation's folder",
    ),
    # Where files lie.
    _works(
        "DR_EXPERIMENT_NAME", optional(KEY), None, "run.env, worker-N.env and custom_files/ lie in experiments/NAME"
    ),
    _differs("DR_LOCAL_S3_BUCKET", NAME, "bucket", "the folder of this name beside system.env stands for the bucket"),
    _works("DR_LOCAL_S3_MODEL_PREFIX", KEY, "rl-deepracer-sagemaker", "the model's folder inside the bucket's"),
    _works(
        "DR_LOCAL_S3_PRETRAINED",
        SCRIPT_BOOLEAN,
        "False",
        "with True, training begins with the weights of another model",
    ),
    _works(
        "DR_LOCAL_S3_PRETRAINED_PREFIX", KEY, "rl-sagemaker-pretrained", "the other model's folder inside the bucket's"
    ),
    _sets(
        "training.clone_checkpoint",
        "DR_LOCAL_S3_PRETRAINED_CHECKPOINT",
        choice("best", "last"),
        "last",
        text="sets training.clone_checkpoint; --clone-checkpoint counts more, and --clone FROM takes the best",
    ),
    _works("DR_LOCAL_S3_CUSTOM_FILES_PREFIX", KEY, "custom_files", "the prefix that stands for custom_files/"),
    _works("DR_LOCAL_S3_MODEL_METADATA_KEY", KEY, "custom_files/model_metadata.json", "where model_metadata.json lies"),
    _works(
        "DR_LOCAL_S3_HYPERPARAMETERS_KEY", KEY, "custom_files/hyperparameters.json", "where hyperparameters.json lies"
    ),
    _works("DR_LOCAL_S3_REWARD_KEY", KEY, "custom_files/reward_function.py", "where reward_function.py lies"),
    _works("DR_LOCAL_S3_TRAINING_PARAMS_FILE", NAME, "training_params.yaml", "name of the training parameters' file"),
    _works("DR_LOCAL_S3_EVAL_PARAMS_FILE", NAME, "evaluation_params.yaml", "name of the evaluation parameters' file"),
    _differs("DR_LOCAL_S3_METRICS_PREFIX", KEY, None, "metrics always lie in metrics/ of the model's folder"),
    _differs("DR_CLOUD", choice("aws", "azure", "local", "remote"), None, _BUCKET),
    _works("DR_RUN_ID", whole(0), "0", "names the job deepracer-NUMBER; jobs on one machine never disturb each other"),
    # Without effect.
    *_ignored(_LOOKS, "DR_CAR_NAME", "DR_DISPLAY_NAME", "DR_RACER_NAME"),
    *_ignored(_LOOKS, "DR_CAR_BODY_SHELL_TYPE", per_worker=True),
    *_ignored(
        _LOOKS,
        "DR_CAR_COLOR",
        kind=choice("Black", "Grey", "Blue", "Red", "Orange", "White", "Purple"),
        per_worker=True,
    ),
    *_ignored(
        _STREAMS, "DR_CAMERA_MAIN_ENABLE", "DR_CAMERA_SUB_ENABLE", kind=_BOOLEAN, default="True", per_worker=True
    ),
    *_ignored(_STREAMS, "DR_ENABLE_EXTRA_KVS_OVERLAY", kind=_BOOLEAN, default="False", per_worker=True),
    *_ignored(_STREAMS, "DR_KINESIS_STREAM_NAME", default=""),
    *_ignored(
        _STREAMS,
        "DR_GUI_ENABLE",
        "DR_CAMERA_KVS_ENABLE",
        "DR_HOST_X",
        "DR_DISPLAY",
        "DR_WEBVIEWER_PORT",
        "DR_GAZEBO_ARGS",
        "DR_GAZEBO_RENDER_ENGINE",
        "DR_USE_GUI",
    ),
    *_ignored("the simulation never waits for the clock", "DR_TRAIN_RTF", "DR_EVAL_RTF"),
    *_ignored("would print the simulator's speed; evaluations end with the seconds they took", "DR_EVAL_DEBUG_REWARD"),
    *_ignored("a car that hit something is always put back 1 m before it", "DR_EVAL_RESET_BEHIND_DIST"),
    *_ignored(
        _OPPONENT,
        "DR_EVAL_OPP_S3_MODEL_PREFIX",
        "DR_EVAL_OPP_CAR_BODY_SHELL_TYPE",
        "DR_EVAL_OPP_CAR_NAME",
        "DR_EVAL_OPP_DISPLAY_NAME",
        "DR_EVAL_OPP_RACER_NAME",
        "DR_EVAL_OPP_S3_METRICS_PREFIX",
        "DR_EVAL_OPP_MODEL_PREFIX",
    ),
    *_ignored(_STORAGE, "DR_AWS_APP_REGION", default="us-east-1"),
    *_ignored(
        _STORAGE,
        "DR_UPLOAD_S3_PROFILE",
        "DR_UPLOAD_S3_BUCKET",
        "DR_UPLOAD_S3_PREFIX",
        "DR_LOCAL_S3_PROFILE",
        "DR_REMOTE_MINIO_URL",
    ),
    *_ignored(
        _CONTAINERS,
        "DR_SIMAPP_SOURCE",
        "DR_SIMAPP_VERSION",
        "DR_ANALYSIS_IMAGE",
        "DR_MINIO_IMAGE",
        "DR_DOCKER_STYLE",
        "DR_ROBOMAKER_MOUNT_SIMAPP_DIR",
        "DR_ROBOMAKER_CUDA_DEVICES",
        "DR_SAGEMAKER_CUDA_DEVICES",
    ),
    *_ignored("scripts are never run", "DR_ROBOMAKER_MOUNT_SCRIPTS_DIR"),
    *_ignored("there is no such service", "DR_DROA_URL", "DR_DROA_USERNAME", "DR_DROA_DEBUG"),
    *_ignored("nothing is activated here", "DR_QUIET_ACTIVATE"),
    *_ignored(
        _ACTIVATION,
        "DR_DIR",
        "DR_CONFIG",
        "DR_LOCAL_S3_ENDPOINT_URL",
        "DR_MINIO_URL",
        "DR_LOCAL_S3_AUTH_MODE",
        "DR_LOCAL_ACCESS_KEY_ID",
        "DR_LOCAL_SECRET_ACCESS_KEY",
        "DR_LOCAL_PROFILE_ENDPOINT_URL",
        "DR_UPLOAD_PROFILE",
        "DR_TRAIN_COMPOSE_FILE",
        "DR_EVAL_COMPOSE_FILE",
        "DR_MINIO_COMPOSE_FILE",
        "DR_DOCKER_FILE_SEP",
        "DR_DOCKER_MAJOR_VERSION",
        "DR_CURRENT_PARAMS_FILE",
        "DR_MOUNT_DIR",
        "DR_NGINX_CONF",
        "DR_VIEWER_HTML",
        "DR_ROBOMAKER_TRAIN_PORT",
        "DR_ROBOMAKER_EVAL_PORT",
        "DR_ROBOMAKER_GUI_PORT",
    ),
    *_ignored(
        _OBSOLETE,
        "DR_KINESIS_STREAM_ENABLE",
        "DR_SAGEMAKER_IMAGE",
        "DR_ROBOMAKER_IMAGE",
        "DR_COACH_IMAGE",
        "CUDA_VISIBLE_DEVICES",
    ),
]

VARIABLES: Final = {variable.name: variable for variable in _ALL}

DEAD: Final = {
    "DR_TRAIN_ROUND_ROBIN_ADVANCE_DISTANCE": "DR_TRAIN_ROUND_ROBIN_ADVANCE_DIST",
}
"""Names that the original's documentation gives to variables which its scripts call otherwise: they do nothing."""
