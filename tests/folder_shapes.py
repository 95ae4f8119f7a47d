"""Folders in every shape in which people keep a model: how each is written, whether it can be trained, what is said."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from drfc_folder import HYPERPARAMETERS, METADATA, RUN_ENV, SYSTEM_ENV, WORKER_ENV, changed
from tiny_model import CENTER_LINE

TRACK = "first_lap"  # comes with hotlap
RANGES = {"steering_angle": {"low": -30, "high": 30}, "speed": {"low": 1, "high": 2}}
CONTINUOUS = {"action_space": RANGES, "action_space_type": "continuous"}
SAC = CONTINUOUS | {"training_algorithm": "sac", "version": "4"}
SAC_HYPERPARAMETERS = {
    **{key: value for key, value in HYPERPARAMETERS.items() if key not in ("beta_entropy", "num_epochs")},
    "exploration_type": "additive_noise",
    "sac_alpha": 0.2,
}
LAUNCH = "DR_AWS_APP_REGION=$LAUNCH_REGION\nDR_UPLOAD_S3_BUCKET=$LAUNCH_BUCKET\nDR_LOCAL_S3_BUCKET=$LAUNCH_BUCKET\n"
HEAD = "DR_RUN_ID=0\nDR_WORLD_NAME=first_lap\nDR_RACE_TYPE=TIME_TRIAL\n"


def run_env(**changes: object) -> str:
    """The template's run.env on a track that is there."""
    return changed(RUN_ENV, {"DR_WORLD_NAME": TRACK} | changes)


def system_env(**changes: object) -> str:
    """The template's system.env."""
    return changed(SYSTEM_ENV, changes)


def metadata(**changes: Any) -> str:
    """The template's model_metadata.json with some fields changed, or left out by None."""
    return json.dumps({key: value for key, value in (METADATA | changes).items() if value is not None})


def hyperparameters(**changes: Any) -> str:
    """The template's hyperparameters.json with more."""
    return json.dumps(HYPERPARAMETERS | changes)


def three(place: str = "", **texts: str | bytes) -> dict[str, str | bytes]:
    """The three files of a model, below ``place``; ``reward``, ``metadata`` and ``hyperparameters`` are their texts."""
    return {
        f"{place}reward_function.py": texts.get("reward", CENTER_LINE),
        f"{place}model_metadata.json": texts.get("metadata", metadata()),
        f"{place}hyperparameters.json": texts.get("hyperparameters", hyperparameters()),
    }


def drfc(**texts: str | bytes) -> dict[str, str | bytes]:
    """The standard folder of DeepRacer-for-Cloud."""
    return {
        "system.env": texts.get("system", system_env()),
        "run.env": texts.get("run", run_env()),
        **three("custom_files/", **texts),
    }


def beside(**texts: str | bytes) -> dict[str, str | bytes]:
    """Everything side by side, without system.env."""
    return {"run.env": texts.get("run", run_env()), **three(**texts)}


def without(files: dict[str, str | bytes], *names: str) -> dict[str, str | bytes]:
    """Some files fewer."""
    return {name: text for name, text in files.items() if name not in names}


@dataclass(frozen=True)
class Shape:
    """A folder, and what the doctor says of it."""

    files: dict[str, str | bytes]
    ready: bool = True
    words: tuple[str, ...] = ()
    """In what to do, if it is not ready."""
    told: tuple[str, ...] = ()
    """In its warnings."""
    kind: str = "DeepRacer-for-Cloud"
    silent: bool = field(default=False)
    """Whether there is nothing to warn about."""


MODEL = "model folder"
NO_SYSTEM = "there is no system.env"

SHAPES: dict[str, Shape] = {
    # Folders of DeepRacer-for-Cloud.
    "standard": Shape(drfc(), silent=True),
    "experiment": Shape(
        {
            "system.env": system_env(DR_EXPERIMENT_NAME="fast"),
            "experiments/fast/run.env": run_env(),
            **three("experiments/fast/custom_files/"),
        },
        silent=True,
    ),
    "experiment-side-by-side": Shape(
        {
            "system.env": system_env(DR_EXPERIMENT_NAME="fast"),
            "experiments/fast/run.env": run_env(),
            **three("experiments/fast/"),
        },
        silent=True,
    ),
    "experiment-that-is-gone": Shape(
        {"system.env": system_env(DR_EXPERIMENT_NAME="gone"), "experiments/fast/run.env": run_env()},
        False,
        ("DR_EXPERIMENT_NAME = 'gone'", "there is no experiments/gone/run.env"),
    ),
    "side-by-side": Shape(beside(), told=(NO_SYSTEM,)),
    "side-by-side-with-system": Shape(beside() | {"system.env": system_env()}, silent=True),
    "side-by-side-prefixes": Shape(
        beside(run=run_env(DR_LOCAL_S3_CUSTOM_FILES_PREFIX="custom_files/summer/4", DR_LOCAL_S3_MODEL_PREFIX="a/b")),
        told=(NO_SYSTEM,),
    ),
    "side-by-side-names-of-keys": Shape(
        without(beside(run=run_env(DR_LOCAL_S3_REWARD_KEY="custom_files/reward.py")), "reward_function.py")
        | {"reward.py": CENTER_LINE},
    ),
    "side-by-side-standard-names": Shape(
        beside(run=run_env(DR_LOCAL_S3_REWARD_KEY="custom_files/reward_v7.py")),
        told=("DR_LOCAL_S3_REWARD_KEY = 'custom_files/reward_v7.py', and there is no such file",),
    ),
    "bucket-beside": Shape({"run.env": run_env(), **three("bucket/custom_files/")}),
    "keys-as-in-the-bucket": Shape(
        {"run.env": HEAD, **three("custom_files/")},
        told=(NO_SYSTEM,),
    ),
    "on-the-spot": Shape(
        {"system.env": LAUNCH + "DR_WORKERS=1\n", "run.env": HEAD, **three()},
        told=(
            "system.env, line 1: $LAUNCH_REGION is not set anywhere, so DR_AWS_APP_REGION is ''.",
            "system.env, line 2: $LAUNCH_BUCKET is not set anywhere, so DR_UPLOAD_S3_BUCKET is '', "
            "DR_LOCAL_S3_BUCKET has its default, 'bucket'.",
        ),
    ),
    "on-the-spot-empty-bucket": Shape(
        {"system.env": "DR_LOCAL_S3_BUCKET=\nDR_WORKERS=1\n", "run.env": HEAD, **three()},
        told=("line 1: DR_LOCAL_S3_BUCKET has its default, 'bucket', since its value is empty.",),
    ),
    "on-the-spot-without-files": Shape(
        {"system.env": LAUNCH, "run.env": HEAD},
        False,
        ("no bucket/custom_files/reward_function.py", "and hyperparameters.json into custom_files, or beside run.env."),
    ),
    "prefix-left-open": Shape(
        beside(run=HEAD + "DR_LOCAL_S3_MODEL_PREFIX=training/$LAUNCH_NAME/first\n"),
        told=("line 4: $LAUNCH_NAME is not set anywhere, so DR_LOCAL_S3_MODEL_PREFIX has its default",),
    ),
    "set-too-late": Shape(
        {"system.env": "DR_LOCAL_S3_BUCKET=$DR_MINE\n", "run.env": HEAD + "DR_MINE=b\n", **three()},
        told=("$DR_MINE has no value yet (",),
    ),
    "workers": Shape(
        drfc(system=system_env(DR_WORKERS=2), run=run_env(DR_TRAIN_MULTI_CONFIG=True))
        | {"worker-2.env": changed(WORKER_ENV, {"DR_WORLD_NAME": "paperclip"})},
        told=("(20 episodes / 2 workers)",),
    ),
    "workers-without-file": Shape(
        drfc(system=system_env(DR_WORKERS=2), run=run_env(DR_TRAIN_MULTI_CONFIG=True)),
        False,
        ("worker-2.env: there is no such file",),
    ),
    "workers-unused-file": Shape(drfc() | {"worker-2.env": "\n\n=\n"}, silent=True),
    "obstacles": Shape(drfc(run=run_env(DR_RACE_TYPE="OBJECT_AVOIDANCE")), silent=True),
    "bot-cars": Shape(drfc(run=run_env(DR_RACE_TYPE="HEAD_TO_BOT")), silent=True),
    "head-to-model": Shape(
        drfc(run=run_env(DR_RACE_TYPE="HEAD_TO_MODEL")), False, ("a race against a second model is not available yet",)
    ),
    "continuous": Shape(drfc(metadata=metadata(**CONTINUOUS)), silent=True),
    "sac": Shape(
        beside(metadata=metadata(**SAC), hyperparameters=json.dumps(SAC_HYPERPARAMETERS)),
        False,
        ("training_algorithm 'sac' is not available yet. Use \"clipped_ppo\"",),
        ("Not used by sac: e_greedy_value, epsilon_steps, exploration_type.",),
    ),
    "sac-stereo": Shape(
        beside(metadata=metadata(**SAC, sensor=["STEREO_CAMERAS"]), hyperparameters=json.dumps(SAC_HYPERPARAMETERS)),
        False,
        ("'sac' is not available yet", "the sensors STEREO_CAMERAS are not simulated yet"),
    ),
    "sac-discrete": Shape(beside(metadata=metadata(training_algorithm="sac")), False, ("'sac' is not available yet",)),
    "noise-of-sac-with-ppo": Shape(
        beside(hyperparameters=hyperparameters(exploration_type="additive_noise", sac_alpha=0.2)),
        told=("Not used by clipped_ppo: sac_alpha, exploration_type 'additive_noise'",),
    ),
    "lidar": Shape(
        beside(metadata=metadata(sensor=["FRONT_FACING_CAMERA", "SECTOR_LIDAR"])), False, ("SECTOR_LIDAR", "simulated")
    ),
    "unknown-track": Shape(drfc(run=run_env(DR_WORLD_NAME="nowhere_open")), False, ("nowhere_open", "hotlap tracks")),
    "pretrained-that-is-gone": Shape(
        drfc(run=run_env(DR_LOCAL_S3_PRETRAINED=True)), False, ("there is no such model", "DR_LOCAL_S3_PRETRAINED")
    ),
    "comments-and-quotes": Shape(
        beside(run=f"# mine\nDR_WORLD_NAME=\"{TRACK}\"\nDR_CAR_NAME=Fast # the car\n\nDR_RACE_TYPE='TIME_TRIAL'\n"),
        told=("'# the car' has no effect",),
    ),
    "windows": Shape(
        {
            name: b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode()
            for name, text in beside().items()
            if isinstance(text, str)
        },
        told=(NO_SYSTEM,),
    ),
    "utf-16": Shape(
        beside(metadata=metadata().encode("utf-16")), False, ("not UTF-8", "Save the file with the encoding UTF-8")
    ),
    "command-in-run-env": Shape(beside(run="DR_WORLD_NAME=$(cat track)\n"), False, ("nothing is executed here",)),
    "track-by-its-name-in-the-console": Shape(
        beside(run=run_env(DR_WORLD_NAME="A to Z Speedway")), False, ("write DR_WORLD_NAME=reInvent2019_wide.",)
    ),
    "misspelt-variable": Shape(beside(run=run_env() + "DR_WORLD_NAM=oval\n"), told=("Did you mean DR_WORLD_NAME?",)),
    "wrong-value": Shape(
        beside(run=run_env(DR_TRAIN_MIN_EVAL_TRIALS="many")), False, ("DR_TRAIN_MIN_EVAL_TRIALS = 'many' is not",)
    ),
    "no-reward": Shape(
        without(beside(), "reward_function.py"),
        False,
        ("Put reward_function.py into custom_files, or beside run.env.",),
    ),
    "no-run-env": Shape(
        {"system.env": system_env(), "experiments/a/notes.txt": "", **three("custom_files/")},
        False,
        ("there is no run.env",),
    ),
    "trained-by-hotlap": Shape(
        beside() | {"job.toml": "", "model/3_Step-90.safetensors": b""}, kind=MODEL, silent=True
    ),
    "job-file-beside": Shape(beside() | {"job.toml": "[training]\nmax_minutes = 5\n"}, told=(NO_SYSTEM,)),
    "job-file-wrong": Shape(beside() | {"job.toml": "[training]\nmax_minute = 5\n"}, False, ("Did you mean",)),
    # JSON that is none.
    "json-comma": Shape(
        beside(metadata='{"version": "5",\n "sensor": ["FRONT_FACING_CAMERA",]}'),
        False,
        ("model_metadata.json: line 2", "Delete the comma after the last entry."),
    ),
    "json-comment": Shape(
        beside(hyperparameters='{\n  "lr": 0.001, // faster\n  "num_epochs": 3\n}'),
        False,
        ("hyperparameters.json: line 2", "JSON has no comments: delete this one."),
    ),
    "json-quotes": Shape(beside(hyperparameters="{'lr': 0.001}"), False, ("straight double quotes",)),
    "json-python": Shape(beside(hyperparameters='{"lr": None}'), False, ("JSON writes null, not None.",)),
    "json-cut": Shape(beside(metadata=metadata()[:40]), False, ("model_metadata.json: line 1", "is not JSON")),
    "json-empty": Shape(beside(hyperparameters=""), False, ("the file is empty",)),
    "json-two-versions": Shape(beside(metadata="<<<<<<< HEAD\n{}\n"), False, ("two versions that git could not join",)),
    # Forms of the two files.
    "text-for-numbers": Shape(
        beside(
            hyperparameters=json.dumps({key: str(value) for key, value in HYPERPARAMETERS.items()}),
            metadata=metadata(
                action_space=[
                    {"index": "1", "steering_angle": "-30.0", "speed": "1"},
                    {"index": 0.0, "steering_angle": "30", "speed": "0.80"},
                ],
                version=5,
            ),
        ),
        told=(NO_SYSTEM,),
    ),
    "console-of-2019": Shape(
        beside(metadata=json.dumps({"action_space": METADATA["action_space"], "model_type": "x", "index": None})),
        told=(NO_SYSTEM,),
    ),
    "leftovers": Shape(
        beside(
            hyperparameters=hyperparameters(
                kl_divergence_constraint=0.1, pretrained="True", beta=0.02, entropy_coefficient=0.01
            )
        ),
        told=(
            "'kl_divergence_constraint' is not a hyperparameter and has no effect. Nothing limits the KL divergence",
            "'pretrained' is not a hyperparameter and has no effect. What a training begins with says `hotlap train",
            "'beta' is not a hyperparameter and has no effect. Today's name is 'beta_entropy'.",
            "'entropy_coefficient' is not a hyperparameter and has no effect. Today's name is 'beta_entropy'.",
        ),
    ),
    "null": Shape(beside(hyperparameters='{"lr": null}'), False, ("lr must be a number, got None",)),
    "sensor-as-text": Shape(beside(metadata=metadata(sensor="FRONT_FACING_CAMERA")), False, ("sensor must be a list",)),
    # Reward functions, of which nothing is executed.
    "reward-syntax": Shape(beside(reward="def reward_function(params)\n    return 1\n"), False, ("not valid Python",)),
    "reward-of-another-name": Shape(beside(reward="def reward(params):\n    return 1\n"), False, ("must define",)),
    # Model folders, and what is none.
    "model-folder": Shape(three(), kind=MODEL, silent=True),
    "model-folder-without-hyperparameters": Shape(
        without(three(), "hyperparameters.json"),
        False,
        ("it lacks hyperparameters.json", "hotlap new"),
        kind=MODEL,
    ),
    "only-a-reward-function": Shape(
        {"reward_function.py": CENTER_LINE}, False, ("only a reward function; `hotlap new",), kind=MODEL
    ),
    "reward-function-with-two-endings": Shape(
        without(three(), "reward_function.py") | {"reward_function.py.txt": CENTER_LINE},
        False,
        ("Rename reward_function.py.txt to reward_function.py.",),
        kind=MODEL,
    ),
    "only-a-misnamed-reward-function": Shape(
        {"Reward_Function (1).py": CENTER_LINE},
        False,
        ("Rename Reward_Function (1).py to reward_function.py. Then `hotlap new",),
        kind=MODEL,
    ),
    "reward-with-a-package-that-is-not-there": Shape(
        three(reward=f"import math\nimport no_such_package.deep, helper\n{CENTER_LINE}") | {"helper.py": ""},
        False,
        ("reward_function.py, line 2: the package no_such_package is not installed.",),
        kind=MODEL,
    ),
    "reward-that-can-do-without-a-package": Shape(
        three(reward=f"try:\n    import no_such_package\nexcept ImportError:\n    pass\n{CENTER_LINE}"), kind=MODEL
    ),
    "empty": Shape({}, False, ("it is empty",), kind="no model folder"),
    "something-else": Shape({"notes.txt": "", "pictures/1/car.txt": ""}, False, ("none of",), kind="no model folder"),
    "console-archive-unpacked": Shape(
        {"agent/model.pb": b"", "model_metadata.json": metadata()},
        False,
        ("DeepRacer trained this", "hotlap import"),
        kind="DeepRacer model",
    ),
    "prefix-of-a-bucket": Shape(
        {
            "model/.coach_checkpoint": "3_Step-90.ckpt",
            "model/3_Step-90.ckpt.index": b"",
            "model/model_metadata.json": metadata(),
            "ip/hyperparameters.json": hyperparameters(),
            "reward_function.py": CENTER_LINE,
        },
        False,
        ("hotlap import",),
        kind="DeepRacer model",
    ),
}


def write_shape(shape: Shape, folder: Path) -> None:
    """Write its files, byte for byte."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in shape.files.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(text.encode() if isinstance(text, str) else text)
