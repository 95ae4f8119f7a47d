"""The parameters of trainings and evaluations are those that the original's launchers write."""

from __future__ import annotations

from pathlib import Path

import pytest
from drfc_folder import write_drfc_folder, write_three_workers

from hotlap.config.drfc import DrfcFolder
from hotlap.config.drfc_yaml import yaml_text

TIME_TRIAL = """\
---
'ALTERNATE_DRIVING_DIRECTION': 'False'
'AWS_REGION': 'us-east-1'
'BEST_MODEL_METRIC': 'progress'
'BODY_SHELL_TYPE': 'deepracer'
'CAMERA_MAIN_ENABLE': 'True'
'CAMERA_SUB_ENABLE': 'False'
'CAR_COLOR': 'Red'
'CAR_NAME': 'FastCar'
'CHANGE_START_POSITION': 'True'
'DISPLAY_NAME': 'FastCar'
'ENABLE_DOMAIN_RANDOMIZATION': 'False'
'ENABLE_EXTRA_KVS_OVERLAY': 'False'
'JOB_TYPE': 'TRAINING'
'KINESIS_VIDEO_STREAM_NAME': ''
'METRICS_S3_BUCKET': 'bucket'
'METRICS_S3_OBJECT_KEY': 'rl-deepracer-sagemaker/metrics/TrainingMetrics.json'
'MIN_EVAL_TRIALS': '5'
'MODEL_METADATA_FILE_S3_KEY': 'custom_files/model_metadata.json'
'NUM_WORKERS': '1'
'RACER_NAME': 'FastCar'
'RACE_TYPE': 'TIME_TRIAL'
'REVERSE_DIR': 'False'
'REWARD_FILE_S3_KEY': 'custom_files/reward_function.py'
'ROBOMAKER_SIMULATION_JOB_ACCOUNT_ID': 'Dummy'
'ROUND_ROBIN_ADVANCE_DIST': '0.05'
'SAGEMAKER_SHARED_S3_BUCKET': 'bucket'
'SAGEMAKER_SHARED_S3_PREFIX': 'rl-deepracer-sagemaker'
'SIMTRACE_S3_BUCKET': 'bucket'
'SIMTRACE_S3_PREFIX': 'rl-deepracer-sagemaker'
'START_POSITION_OFFSET': '0.0'
'TRAINING_JOB_ARN': 'arn:Dummy'
'WORLD_NAME': 'reinvent_base'
"""
EVALUATION = """\
---
'AWS_REGION': 'us-east-1'
'BODY_SHELL_TYPE':
- 'deepracer'
'CAMERA_MAIN_ENABLE': 'True'
'CAMERA_SUB_ENABLE': 'False'
'CAR_COLOR':
- 'Red'
'COLLISION_PENALTY': '5.0'
'DISPLAY_NAME':
- 'FastCar'
'ENABLE_DOMAIN_RANDOMIZATION': 'False'
'ENABLE_EXTRA_KVS_OVERLAY': 'False'
'EVAL_CHECKPOINT': 'last'
'IS_CONTINUOUS': 'True'
'JOB_TYPE': 'EVALUATION'
'KINESIS_VIDEO_STREAM_NAME': ''
'METRICS_S3_BUCKET':
- 'bucket'
'METRICS_S3_OBJECT_KEY':
- 'rl-deepracer-sagemaker/metrics/evaluation/evaluation-20260102030405.json'
'MODEL_S3_BUCKET':
- 'bucket'
'MODEL_S3_PREFIX':
- 'rl-deepracer-sagemaker'
'MP4_S3_BUCKET': []
'MP4_S3_OBJECT_PREFIX': []
'NUMBER_OF_RESETS': '100'
'NUMBER_OF_TRIALS': '3'
'OFF_TRACK_PENALTY': '5.0'
'RACER_NAME':
- 'FastCar'
'RACE_TYPE': 'TIME_TRIAL'
'RESET_BEHIND_DIST': '1.0'
'REVERSE_DIR': 'False'
'ROBOMAKER_SIMULATION_JOB_ACCOUNT_ID': 'Dummy'
'SIMTRACE_S3_BUCKET':
- 'bucket'
'SIMTRACE_S3_PREFIX':
- 'rl-deepracer-sagemaker/evaluation-20260102030405'
'WORLD_NAME': 'reinvent_base'
"""
POSITIONS = """\
'OBJECT_POSITIONS':
- '0.23,-1'
- '0.46,1'
'OBSTACLE_TYPE': 'box_obstacle'
"""


def files(folder: Path) -> dict[str, str]:
    return {name: content.decode() for name, content in DrfcFolder(folder).launch_files().items()}


def lines(text: str) -> set[str]:
    return set(text.splitlines())


def test_one_file_for_all_workers_and_a_copy_of_the_reward_function(tmp_path: Path):
    found = files(write_drfc_folder(tmp_path))
    assert list(found) == ["training_params.yaml", "reward_function.py"]
    assert found["training_params.yaml"] == TIME_TRIAL
    assert found["reward_function.py"] == (tmp_path / "custom_files/reward_function.py").read_text()


def test_evaluations_have_parameters_of_their_own(tmp_path: Path):
    """With lists of one car; MP4 keys have a value if films are wanted."""
    found = DrfcFolder(write_drfc_folder(tmp_path / "one")).evaluation_files("20260102030405")
    assert {name: content.decode() for name, content in found.items()} == {"evaluation_params.yaml": EVALUATION}
    run = {
        "DR_EVAL_SAVE_MP4": True,
        "DR_EVAL_REVERSE_DIRECTION": True,
        "DR_TRAIN_REVERSE_DIRECTION": False,
        "DR_COLLISION_PENALTY": 7,
        "DR_LOCAL_S3_EVAL_PARAMS_FILE": "mine.yaml",
    }
    changes = {
        "'MP4_S3_BUCKET': []": "'MP4_S3_BUCKET':\n- 'bucket'",
        "'MP4_S3_OBJECT_PREFIX': []": "'MP4_S3_OBJECT_PREFIX':\n- 'rl-deepracer-sagemaker/mp4'",
        "'REVERSE_DIR': 'False'": "'REVERSE_DIR': 'True'",
        "'COLLISION_PENALTY': '5.0'": "'COLLISION_PENALTY': '7'",
    }
    expected = EVALUATION
    for before, after in changes.items():
        expected = expected.replace(before, after)
    found = DrfcFolder(write_drfc_folder(tmp_path / "two", run=run)).evaluation_files("20260102030405")
    assert found["mine.yaml"].decode() == expected


def test_a_name_of_its_own(tmp_path: Path):
    """The numbers of several stand before .yaml, whatever followed the first dot."""
    name = {"DR_LOCAL_S3_TRAINING_PARAMS_FILE": "my.params.yml"}
    assert "my.params.yml" in files(write_drfc_folder(tmp_path / "one", run=name))
    found = files(write_three_workers(tmp_path / "three", run=name))
    assert list(found)[:3] == ["my_1.yaml", "my_2.yaml", "my_3.yaml"]


def test_a_numbered_file_for_each_worker(tmp_path: Path):
    """The first is worker 1's; the others differ from it in what worker files set, and say that there are several."""
    found = files(write_three_workers(tmp_path))
    assert list(found) == [
        "training_params_1.yaml",
        "training_params_2.yaml",
        "training_params_3.yaml",
        "reward_function.py",
    ]
    first = TIME_TRIAL.replace("'NUM_WORKERS': '1'", "'NUM_WORKERS': '3'")
    assert found["training_params_1.yaml"] == first
    for number, track in ((2, "reInvent2019_track"), (3, "Bowtie_track")):
        expected = first.replace("'Red'", "'Blue'").replace("'reinvent_base'", f"'{track}'")
        expected = expected.replace("'NUM_WORKERS'", "'MULTI_CONFIG': 'True'\n'NUM_WORKERS'")
        assert found[f"training_params_{number}.yaml"] == expected


def test_a_race_type_brings_its_keys_and_they_go_with_it_but_two(tmp_path: Path):
    run = {
        "DR_RACE_TYPE": "OBJECT_AVOIDANCE",
        "DR_OA_OBJECT_POSITIONS": '"0.23,-1;0.46,1"',
        "DR_TRAIN_MULTI_CONFIG": True,
    }
    folder = write_drfc_folder(tmp_path, system={"DR_WORKERS": 3}, run=run)
    (tmp_path / "worker-2.env").write_text("DR_RACE_TYPE=HEAD_TO_BOT\n")
    (tmp_path / "worker-3.env").write_text("DR_RACE_TYPE=TIME_TRIAL\n")
    one, two, three, _ = (lines(text) for text in files(folder).values())
    assert POSITIONS in files(folder)["training_params_1.yaml"]
    assert {"'NUMBER_OF_OBSTACLES': '2'", "'IS_OBSTACLE_BOT_CAR': 'False'"} <= one
    assert {"'NUMBER_OF_BOT_CARS': '3'", "'PENALTY_SECONDS': '5.0'", "'BOT_CAR_SPEED': '0.2'"} <= two
    keys = [{line.split(":")[0].strip("'") for line in each if ":" in line} for each in (one, two, three)]
    assert len(keys[0] - keys[1]) == 5
    assert len(keys[1] - keys[0]) == 10
    assert keys[2] - {"MULTI_CONFIG", "OBSTACLE_TYPE", "PENALTY_SECONDS"} == keys[0] & keys[1] - {"OBSTACLE_TYPE"}


def test_a_variable_without_value_and_default_leaves_its_key_out(tmp_path: Path):
    write_drfc_folder(tmp_path)
    (tmp_path / "run.env").write_text("")
    text = files(tmp_path)["training_params.yaml"]
    assert "CAR_NAME" not in text
    assert "'WORLD_NAME': 'LGSWide'" in text


def test_the_text_is_that_of_the_usual_writer():
    """Quotes are doubled, keys sorted, lists not indented."""
    yaml = pytest.importorskip("yaml")
    values = {"B": "it's", "A": "", "D": ["0.5,-1", "#"], "C": "- x: y", "É": "é", "F": []}
    text = yaml_text(values)
    assert yaml.safe_load(text) == values
    options = {"default_flow_style": False, "default_style": "'", "explicit_start": True, "allow_unicode": True}
    assert text == yaml.dump(values, **options)
