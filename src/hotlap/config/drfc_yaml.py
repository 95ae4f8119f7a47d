"""The parameters that DeepRacer-for-Cloud's launchers write beside a model, for consoles that import it."""

from __future__ import annotations

from collections.abc import Mapping

from hotlap.config.drfc_environment import Environments
from hotlap.config.drfc_variables import VARIABLES
from hotlap.config.env_file import Environment

Parameters = dict[str, str | list[str]]

# Key of the YAML: variable. A variable that has neither a value nor a default leaves its key out.
_OF_A_WORKER = {
    "WORLD_NAME": "DR_WORLD_NAME",
    "RACE_TYPE": "DR_RACE_TYPE",
    "CAR_COLOR": "DR_CAR_COLOR",
    "BODY_SHELL_TYPE": "DR_CAR_BODY_SHELL_TYPE",
    "ALTERNATE_DRIVING_DIRECTION": "DR_TRAIN_ALTERNATE_DRIVING_DIRECTION",
    "CHANGE_START_POSITION": "DR_TRAIN_CHANGE_START_POSITION",
    "ROUND_ROBIN_ADVANCE_DIST": "DR_TRAIN_ROUND_ROBIN_ADVANCE_DIST",
    "ENABLE_DOMAIN_RANDOMIZATION": "DR_ENABLE_DOMAIN_RANDOMIZATION",
    "START_POSITION_OFFSET": "DR_TRAIN_START_POSITION_OFFSET",
    "REVERSE_DIR": "DR_TRAIN_REVERSE_DIRECTION",
    "CAMERA_MAIN_ENABLE": "DR_CAMERA_MAIN_ENABLE",
    "CAMERA_SUB_ENABLE": "DR_CAMERA_SUB_ENABLE",
    "ENABLE_EXTRA_KVS_OVERLAY": "DR_ENABLE_EXTRA_KVS_OVERLAY",
}
_OF_A_RACE = {
    "OBJECT_AVOIDANCE": {
        "NUMBER_OF_OBSTACLES": "DR_OA_NUMBER_OF_OBSTACLES",
        "MIN_DISTANCE_BETWEEN_OBSTACLES": "DR_OA_MIN_DISTANCE_BETWEEN_OBSTACLES",
        "RANDOMIZE_OBSTACLE_LOCATIONS": "DR_OA_RANDOMIZE_OBSTACLE_LOCATIONS",
        "IS_OBSTACLE_BOT_CAR": "DR_OA_IS_OBSTACLE_BOT_CAR",
        "OBSTACLE_TYPE": "DR_OA_OBSTACLE_TYPE",
        "OBJECT_POSITIONS": "DR_OA_OBJECT_POSITIONS",
    },
    "HEAD_TO_BOT": {
        "IS_LANE_CHANGE": "DR_H2B_IS_LANE_CHANGE",
        "LOWER_LANE_CHANGE_TIME": "DR_H2B_LOWER_LANE_CHANGE_TIME",
        "UPPER_LANE_CHANGE_TIME": "DR_H2B_UPPER_LANE_CHANGE_TIME",
        "LANE_CHANGE_DISTANCE": "DR_H2B_LANE_CHANGE_DISTANCE",
        "NUMBER_OF_BOT_CARS": "DR_H2B_NUMBER_OF_BOT_CARS",
        "MIN_DISTANCE_BETWEEN_BOT_CARS": "DR_H2B_MIN_DISTANCE_BETWEEN_BOT_CARS",
        "RANDOMIZE_BOT_CAR_LOCATIONS": "DR_H2B_RANDOMIZE_BOT_CAR_LOCATIONS",
        "BOT_CAR_SPEED": "DR_H2B_BOT_CAR_SPEED",
        "PENALTY_SECONDS": "DR_H2B_BOT_CAR_PENALTY",
    },
}
_STAYS = {"OBSTACLE_TYPE", "PENALTY_SECONDS"}  # in the file of a later worker whose race has no use for it
_OF_ALL = {
    "AWS_REGION": "DR_AWS_APP_REGION",
    "KINESIS_VIDEO_STREAM_NAME": "DR_KINESIS_STREAM_NAME",
    "METRICS_S3_BUCKET": "DR_LOCAL_S3_BUCKET",
    "MODEL_METADATA_FILE_S3_KEY": "DR_LOCAL_S3_MODEL_METADATA_KEY",
    "REWARD_FILE_S3_KEY": "DR_LOCAL_S3_REWARD_KEY",
    "NUM_WORKERS": "DR_WORKERS",
    "SAGEMAKER_SHARED_S3_BUCKET": "DR_LOCAL_S3_BUCKET",
    "SAGEMAKER_SHARED_S3_PREFIX": "DR_LOCAL_S3_MODEL_PREFIX",
    "SIMTRACE_S3_BUCKET": "DR_LOCAL_S3_BUCKET",
    "SIMTRACE_S3_PREFIX": "DR_LOCAL_S3_MODEL_PREFIX",
    "CAR_NAME": "DR_CAR_NAME",
    "DISPLAY_NAME": "DR_DISPLAY_NAME",
    "RACER_NAME": "DR_RACER_NAME",
    "MIN_EVAL_TRIALS": "DR_TRAIN_MIN_EVAL_TRIALS",
    "BEST_MODEL_METRIC": "DR_TRAIN_BEST_MODEL_METRIC",
}
_FIXED = {
    "JOB_TYPE": "TRAINING",
    "ROBOMAKER_SIMULATION_JOB_ACCOUNT_ID": "Dummy",
    "TRAINING_JOB_ARN": "arn:Dummy",
}


_OF_AN_EVALUATION = {
    "AWS_REGION": "DR_AWS_APP_REGION",
    "KINESIS_VIDEO_STREAM_NAME": "DR_KINESIS_STREAM_NAME",
    "EVAL_CHECKPOINT": "DR_EVAL_CHECKPOINT",
    "NUMBER_OF_TRIALS": "DR_EVAL_NUMBER_OF_TRIALS",
    "IS_CONTINUOUS": "DR_EVAL_IS_CONTINUOUS",
    "NUMBER_OF_RESETS": "DR_EVAL_MAX_RESETS",
    "OFF_TRACK_PENALTY": "DR_EVAL_OFF_TRACK_PENALTY",
    "COLLISION_PENALTY": "DR_COLLISION_PENALTY",
    "RESET_BEHIND_DIST": "DR_EVAL_RESET_BEHIND_DIST",
    "REVERSE_DIR": "DR_EVAL_REVERSE_DIRECTION",
}
_OF_THE_CAR = {  # lists, one entry per car
    "CAR_COLOR": "DR_CAR_COLOR",
    "BODY_SHELL_TYPE": "DR_CAR_BODY_SHELL_TYPE",
    "RACER_NAME": "DR_RACER_NAME",
    "DISPLAY_NAME": "DR_DISPLAY_NAME",
    "MODEL_S3_PREFIX": "DR_LOCAL_S3_MODEL_PREFIX",
    "MODEL_S3_BUCKET": "DR_LOCAL_S3_BUCKET",
    "SIMTRACE_S3_BUCKET": "DR_LOCAL_S3_BUCKET",
    "METRICS_S3_BUCKET": "DR_LOCAL_S3_BUCKET",
}
_ONLY_IN_TRAINING = (
    "ALTERNATE_DRIVING_DIRECTION",
    "CHANGE_START_POSITION",
    "ROUND_ROBIN_ADVANCE_DIST",
    "START_POSITION_OFFSET",
)


def training_parameters(environments: Environments) -> dict[str, str]:
    """File names and texts: one file for all workers, or with multi-config a numbered one for each."""
    run = environments.run
    name = VARIABLES["DR_LOCAL_S3_TRAINING_PARAMS_FILE"].text_in(run) or ""
    metrics = f"{VARIABLES['DR_LOCAL_S3_MODEL_PREFIX'].text_in(run)}/metrics/TrainingMetrics.json"
    parameters: Parameters = {**_FIXED, "METRICS_S3_OBJECT_KEY": metrics, **_texts(run, _OF_ALL), **_race(run)}
    if not environments.workers:
        return {name: yaml_text(parameters)}
    base = name.split(".")[0]
    files = {f"{base}_1.yaml": yaml_text(parameters)}
    parameters["MULTI_CONFIG"] = "True"
    for number, environment in enumerate(environments.workers[1:], start=2):
        for keys in _OF_A_RACE.values():
            for key in keys.keys() - _STAYS:
                parameters.pop(key, None)
        parameters |= _race(environment)
        files[f"{base}_{number}.yaml"] = yaml_text(parameters)
    return files


def evaluation_parameters(environments: Environments, stamp: str) -> dict[str, str]:
    """File name and text for the evaluation that is called ``stamp``, YYYYMMDDhhmmss."""
    run = environments.run
    prefix = VARIABLES["DR_LOCAL_S3_MODEL_PREFIX"].text_in(run)
    films = VARIABLES["DR_EVAL_SAVE_MP4"].value_in(run)
    race = _race(run)
    for key in _ONLY_IN_TRAINING:
        race.pop(key, None)
    car: Parameters = {key: [str(text)] for key, text in _texts(run, _OF_THE_CAR).items()}
    bucket = car["MODEL_S3_BUCKET"]
    parameters: Parameters = {
        "JOB_TYPE": "EVALUATION",
        "ROBOMAKER_SIMULATION_JOB_ACCOUNT_ID": _FIXED["ROBOMAKER_SIMULATION_JOB_ACCOUNT_ID"],
        **race,
        **_texts(run, _OF_AN_EVALUATION),
        **car,
        "SIMTRACE_S3_PREFIX": [f"{prefix}/evaluation-{stamp}"],
        "METRICS_S3_OBJECT_KEY": [f"{prefix}/metrics/evaluation/evaluation-{stamp}.json"],
        "MP4_S3_BUCKET": bucket if films else [],
        "MP4_S3_OBJECT_PREFIX": [f"{prefix}/mp4"] if films else [],
    }
    return {VARIABLES["DR_LOCAL_S3_EVAL_PARAMS_FILE"].text_in(run) or "": yaml_text(parameters)}


def yaml_text(parameters: Mapping[str, str | list[str]]) -> str:
    """A YAML document in which every key and text stands in single quotes, in the order of the keys."""
    lines = ["---"]
    for key, value in sorted(parameters.items()):
        if isinstance(value, str):
            lines.append(f"{_quoted(key)}: {_quoted(value)}")
        elif value:
            lines += [f"{_quoted(key)}:", *(f"- {_quoted(each)}" for each in value)]
        else:
            lines.append(f"{_quoted(key)}: []")
    return "\n".join(lines) + "\n"


def _race(environment: Environment) -> Parameters:
    """What may differ between workers."""
    parameters = _texts(environment, _OF_A_WORKER)
    parameters |= _texts(environment, _OF_A_RACE.get(str(parameters["RACE_TYPE"]), {}))
    positions = parameters.pop("OBJECT_POSITIONS", "")
    if positions:
        places = str(positions).replace('"', "").split(";")
        parameters |= {"OBJECT_POSITIONS": places, "NUMBER_OF_OBSTACLES": str(len(places))}
    return parameters


def _texts(environment: Environment, keys: Mapping[str, str]) -> Parameters:
    texts = {key: VARIABLES[name].text_in(environment) for key, name in keys.items()}
    return {key: text for key, text in texts.items() if text is not None}


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
