"""The parameters that DeepRacer-for-Cloud's launchers write beside a model, for consoles that import it."""

from __future__ import annotations

from collections.abc import Mapping

from hotlap.config.drfc_environment import Environments
from hotlap.config.drfc_variables import VARIABLES
from hotlap.config.env_file import Environment

Parameters = dict[str, str | list[str]]

# Parts of the parameters, as the table of variables calls them: training, worker (what may differ between workers),
# evaluation, car (lists, one entry per car), and those of the races that have keys of their own:
_RACES = ("OBJECT_AVOIDANCE", "HEAD_TO_BOT")
_STAYS = {"OBSTACLE_TYPE", "PENALTY_SECONDS"}  # in the file of a later worker whose race has no use for it
_FIXED = {
    "JOB_TYPE": "TRAINING",
    "ROBOMAKER_SIMULATION_JOB_ACCOUNT_ID": "Dummy",
    "TRAINING_JOB_ARN": "arn:Dummy",
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
    parameters: Parameters = {**_FIXED, "METRICS_S3_OBJECT_KEY": metrics, **_texts(run, "training"), **_race(run)}
    if not environments.workers:
        return {name: yaml_text(parameters)}
    base = name.split(".")[0]
    files = {f"{base}_1.yaml": yaml_text(parameters)}
    parameters["MULTI_CONFIG"] = "True"
    for number, environment in enumerate(environments.workers[1:], start=2):
        for variable in VARIABLES.values():
            for part, key in variable.parameters:
                if part in _RACES and key not in _STAYS:
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
    car: Parameters = {key: [str(text)] for key, text in _texts(run, "car").items()}
    bucket = car["MODEL_S3_BUCKET"]
    parameters: Parameters = {
        "JOB_TYPE": "EVALUATION",
        "ROBOMAKER_SIMULATION_JOB_ACCOUNT_ID": _FIXED["ROBOMAKER_SIMULATION_JOB_ACCOUNT_ID"],
        **race,
        **_texts(run, "evaluation"),
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
    parameters = _texts(environment, "worker")
    parameters |= _texts(environment, str(parameters["RACE_TYPE"]))
    positions = parameters.pop("OBJECT_POSITIONS", "")
    if positions:
        places = str(positions).replace('"', "").split(";")
        parameters |= {"OBJECT_POSITIONS": places, "NUMBER_OF_OBSTACLES": str(len(places))}
    return parameters


def _texts(environment: Environment, part: str) -> Parameters:
    """The keys of a part. A variable that has neither a value nor a default leaves its keys out."""
    texts = {
        key: variable.text_in(environment)
        for variable in VARIABLES.values()
        for where, key in variable.parameters
        if where == part
    }
    return {key: text for key, text in texts.items() if text is not None}


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
