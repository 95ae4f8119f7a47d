"""Every bad file gets a one-paragraph error that names the file, what is wrong, and what is allowed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hotlap.config import Hyperparameters, Job, ModelFolder, ModelMetadata
from hotlap.errors import ConfigError

FORWARD = [{"steering_angle": 0, "speed": 1}]
RANGES = {"steering_angle": {"low": -30, "high": 30}, "speed": {"low": 1, "high": 2}}


def metadata(**changes: object) -> str:
    """The text of a good model_metadata.json with some fields changed, or left out by None."""
    fields = {"action_space": FORWARD, "sensor": ["FRONT_FACING_CAMERA"], "version": "5", **changes}
    return json.dumps({key: value for key, value in fields.items() if value is not None})


BAD_METADATA = {
    "empty file": ("", "empty"),
    "not JSON": ("{'action_space': []}", "line 1, column 2"),
    "trailing comma": ('{\n"version": "5",\n}', "line 3"),
    "a list": ("[]", "expected"),
    "not a number": ('{"action_space": [{"steering_angle": NaN, "speed": 1}]}', "NaN"),
    "no action space": (metadata(action_space=None), "'action_space' is missing"),
    "action space of text": (metadata(action_space="left"), "must be a list"),
    "no actions": (metadata(action_space=[]), "an empty list"),
    "action without speed": (metadata(action_space=[{"steering_angle": 3}]), "action_space[0] lacks 'speed'"),
    "action of text": (metadata(action_space=[*FORWARD, "left"]), "action_space[1]"),
    "steering in words": (metadata(action_space=[{"steering_angle": "left", "speed": 1}]), "got 'left'"),
    "speed is a bool": (metadata(action_space=[{"steering_angle": 0, "speed": True}]), "got True"),
    "ranges but discrete": (metadata(action_space=RANGES), '"action_space_type": "continuous"'),
    "list but continuous": (metadata(action_space_type="continuous"), "each with low and high"),
    "range without high": (
        metadata(action_space={**RANGES, "speed": {"low": 1}}, action_space_type="continuous"),
        "action_space.speed must be",
    ),
    "low above high": (
        metadata(action_space={**RANGES, "speed": {"low": 2, "high": 1}}, action_space_type="continuous"),
        "got 2 and 1",
    ),
    "unknown space type": (metadata(action_space_type="both"), "'discrete' or 'continuous', got 'both'"),
    "space type of number": (metadata(action_space_type=1), "got 1"),
    "unknown algorithm": (metadata(training_algorithm="dqn"), "training_algorithm must be 'clipped_ppo', got 'dqn'"),
    "unknown network": (
        metadata(neural_network="DEEP_CONVOLUTIONAL_NETWORK_SHALOW"),
        "Did you mean 'DEEP_CONVOLUTIONAL_NETWORK_SHALLOW'?",
    ),
    "version without sensor": (metadata(sensor=None, version=3), "version 3 needs 'sensor'"),
    "version between cars": (metadata(version=4.5), "version must be one of 1, 2, 3, 4, 5, 6, got 4.5"),
    "version in words": (metadata(version="new"), "version must be a finite number"),
    "version of the future": (metadata(version=7), "one of 1, 2, 3, 4, 5, 6"),
    "version null": ('{"action_space": [{"steering_angle": 0, "speed": 1}], "version": null}', "got None"),
    "sensor is text": (metadata(sensor="FRONT_FACING_CAMERA"), "must be a list"),
    "no sensors": (metadata(sensor=[]), "exactly one camera"),
    "two cameras": (metadata(sensor=["FRONT_FACING_CAMERA", "STEREO_CAMERAS"]), "exactly one camera"),
    "only a LiDAR": (metadata(sensor=["LIDAR"]), "got 0"),
    "two LiDARs": (metadata(sensor=["FRONT_FACING_CAMERA", "LIDAR", "SECTOR_LIDAR"]), "at most one LiDAR"),
    "unknown sensor": (metadata(sensor=["FRONT_FACING_CAM"]), "Did you mean 'FRONT_FACING_CAMERA'?"),
    "sectors that do not divide 64": (metadata(lidar_config={"num_sectors": 7}), "must divide 64, got 7"),
    "no sectors": (metadata(lidar_config={"num_sectors": 0}), "must divide 64, got 0"),
    "no values per sector": (metadata(lidar_config={"num_values_per_sector": 0}), "at least 1, got 0"),
    "lidar_config is a list": (metadata(lidar_config=[8]), "must be an object"),
}

BAD_HYPERPARAMETERS = {
    "empty file": ("", "empty"),
    "text for a number": ('{"batch_size": "many"}', "batch_size must be a whole number, got 'many'"),
    "half a batch": ('{"batch_size": 64.5}', "whole number, got 64.5"),
    "null": ('{"lr": null}', "lr must be a number, got None"),
    "bool for a number": ('{"num_epochs": true}', "got True"),
    "infinite learning rate": ('{"lr": "inf"}', "lr should be a finite number"),
    "no learning rate": ('{"lr": 0}', "lr should be greater than 0, got 0.0"),
    "discount above one": ('{"discount_factor": 1.5}', "discount_factor should be less than or equal to 1"),
    "no episodes": ('{"num_episodes_between_training": "0"}', "greater than or equal to 1, got 0"),
    "unknown exploration": ('{"exploration_type": "curious"}', "'categorical' or 'e-greedy', got 'curious'"),
    "loss is a number": ('{"loss_type": 1}', "loss_type must be text"),
}

BAD_JOBS = {
    "syntax": ("[race]\ntrack = oval\n", "line 2"),
    "unclosed section": ("[race\n", "line 1"),
    "unknown section": ("[rase]\n", "Did you mean 'race'?"),
    "unknown key": ('[race]\ntrak = "x"\n', "Did you mean 'track'?"),
    "key in the wrong section": ("[race]\nmax_minutes = 3\n", "belongs into the section [training]"),
    "key before any section": ("seed = 3\n", "belongs into the section [training]"),
    "section is a value": ("race = 3\n", "race must be a section"),
    "unknown direction": ('[race]\ndirection = "up"\n', "race.direction should be 'as_is', 'cw', 'ccw' or 'reversed'"),
    "number as text": ('[training]\nseed = "3"\n', "training.seed should be a valid integer, got '3'"),
    "bool as number": ("[race]\nreverse_dir = 1\n", "race.reverse_dir should be a valid boolean"),
    "negative time": ("[training]\nmax_minutes = -1\n", "training.max_minutes should be greater than or equal to 0"),
    "not a number": ("[training]\nmax_minutes = nan\n", "finite"),
    "goal above all laps": ("[training]\ngoal_clean_share = 60\n", "less than or equal to 1, got 60"),
    "goal below one lap": ("[training]\ngoal_clean_share = 0.1\neval_laps = 2\n", "less than one lap"),
    "one reset": ("[evaluation]\nnumber_of_resets = 1\n", "0 or at least 2"),
    "no trials": ("[evaluation]\ntrials = 0\n", "evaluation.trials"),
    "unknown race": ('[race]\nrace_type = "drag"\n', "race.race_type should be 'time_trial', 'object_avoidance'"),
    "section in the wrong place": ("[obstacles]\nnumber = 3\n", "obstacles belongs into the section [race]"),
    "unknown obstacle key": ("[race.obstacles]\nnumbers = 3\n", "race.obstacles.numbers'. Did you mean 'number'?"),
    "obstacle before the lap": ("[race.obstacles]\npositions = [[-0.5, 1]]\n", "[-0.5, 1] lies at -0.5 of the lap"),
    "obstacle without lane": ("[race.obstacles]\npositions = [[0.5]]\n", "race.obstacles.positions.0.1"),
    "obstacle in words": ('[race.obstacles]\npositions = "everywhere"\n', "race.obstacles.positions should be"),
    "longest before shortest": (
        "[race.bots]\nlower_lane_change_time = 6\n",
        "6 is longer than upper_lane_change_time = 5",
    ),
    "workers are a number": ("workers = 3\n", "workers should be a valid tuple, got 3"),
    "one table for all workers": ('[workers]\ntrack = "oval"\n', "One [[workers]] table per rollout worker"),
    "unknown worker key": (
        '[[workers]]\n[[workers]]\ntrak = "x"\n',
        "[[workers]] table 2: Unknown key 'trak'. Did you",
    ),
    "bad worker value": ("[[workers]]\nobstacles = 3\n", "[[workers]] table 1: obstacles must be a section"),
    "bad worker together with race": (
        "[race.bots]\nlower_lane_change_time = 4\n[[workers]]\nbots = {upper_lane_change_time = 3}\n",
        "[[workers]] table 1: bots = ",
    ),
    "as many workers as tables": ("[training]\nworkers = 3\n[[workers]]\n[[workers]]\n", "there are 2 [[workers]]"),
    "no workers": ("[training]\nworkers = 0\n", "training.workers should be greater than or equal to 1"),
    "empty track": ('[race]\ntrack = ""\n', "race.track"),
}

CASES = [
    pytest.param(reader, name, text, fragment, id=f"{name}: {case}")
    for reader, name, table in (
        (ModelMetadata.load, "model_metadata.json", BAD_METADATA),
        (Hyperparameters.load, "hyperparameters.json", BAD_HYPERPARAMETERS),
        (Job.load, "job.toml", BAD_JOBS),
    )
    for case, (text, fragment) in table.items()
]


@pytest.mark.parametrize(("reader", "name", "text", "fragment"), CASES)
def test_a_bad_file_is_refused_with_one_paragraph(tmp_path: Path, reader, name, text, fragment):
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        reader(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert fragment in message
    assert "\n" not in message


@pytest.mark.parametrize("reader", [ModelMetadata.load, Hyperparameters.load, Job.load])
def test_what_is_no_text_file_is_refused(tmp_path: Path, reader):
    binary = tmp_path / "binary"
    binary.write_bytes(b"\xff\xfe{\x00}\x00")
    for path, fragment in ((binary, "not UTF-8"), (tmp_path, "this is a folder"), (tmp_path / "none", "no such file")):
        with pytest.raises(ConfigError, match=fragment):
            reader(path)


def test_a_model_folder_names_all_that_it_lacks_and_the_way_out(tmp_path: Path):
    (tmp_path / "hyperparameters.json").write_text("{}")
    with pytest.raises(ConfigError, match=r"lacks reward_function.py and model_metadata.json\. `hotlap new "):
        ModelFolder(tmp_path)
    with pytest.raises(ConfigError, match="does not exist"):
        ModelFolder(tmp_path / "none")
    with pytest.raises(ConfigError, match="is a file"):
        ModelFolder(tmp_path / "hyperparameters.json")
    (tmp_path / "my model.tar.gz").touch()
    with pytest.raises(ConfigError, match=r"this is an archive.*`hotlap import '.*my model\.tar\.gz' DIR`"):
        ModelFolder(tmp_path / "my model.tar.gz")


@pytest.mark.parametrize(
    ("reader", "text", "fragments"),
    [
        (
            ModelMetadata.load,
            metadata(version="9", training_algorithm="dqn", neural_network="DEEP", sensor=["LIDAR"]),
            (
                "version must be one of 1, 2, 3, 4, 5, 6",
                "got 'dqn'",
                "neural_network is 'DEEP'",
                "sensor must name exactly one camera",
            ),
        ),
        (
            ModelMetadata.load,
            metadata(neural_network="DENSE_NETWORK"),
            ("DENSE_NETWORK has no layers for pictures", '"sensor": ["STATE"]', "DEEP_CONVOLUTIONAL_NETWORK_SHALLOW"),
        ),
        (
            ModelMetadata.load,
            metadata(action_space=[{"speed": 1}, *FORWARD, {"steering_angle": "left", "speed": "fast"}]),
            ("action_space[0] lacks 'steering_angle'", "[2].steering_angle must be", "[2].speed must be"),
        ),
        (
            ModelMetadata.load,
            metadata(action_space_type="continuous", action_space={"speed": {"low": 2, "high": 1}}),
            ("action_space.steering_angle must be", "action_space.speed.low must be below high"),
        ),
        (
            Hyperparameters.load,
            '{"batch_size": 64.5, "lr": 0, "loss_type": 3}',
            ("batch_size must be a whole number", "loss_type must be text", "lr should be greater than 0"),
        ),
    ],
)
def test_all_mistakes_of_a_file_of_the_original_are_told_at_once(tmp_path: Path, reader, text: str, fragments):
    file = tmp_path / "file.json"
    file.write_text(text)
    with pytest.raises(ConfigError) as caught:
        reader(file)
    message = str(caught.value)
    assert message.count(str(file)) == 1
    for fragment in fragments:
        assert fragment in message


def test_several_mistakes_are_told_in_a_line_each_in_the_order_of_the_file(tmp_path: Path):
    path = tmp_path / "job.toml"
    path.write_text(
        '[race]\ntrak = "x"\nstart = "anywhere"\n\n[race.obstacles]\npositions = [[0.5]]\n\n'
        "[training]\nseed = -1\n[evaluation]\ntrials = 0\n"
    )
    with pytest.raises(ConfigError) as caught:
        Job.load(path)
    first, *lines = str(caught.value).splitlines()
    assert first == f"{path}:"
    keys = ("race.trak", "race.start", "race.obstacles.positions", "training.seed", "evaluation.trials")
    for line, number, key in zip(lines, (2, 3, 6, 9, 11), keys, strict=True):
        assert line.startswith(f"  line {number}: ")
        assert key in line


def test_what_is_beyond_five_mistakes_is_counted(tmp_path: Path):
    path = tmp_path / "job.toml"
    path.write_text("[training]\n" + "".join(f"no_such_key_{number} = 1\n" for number in range(7)))
    with pytest.raises(ConfigError, match=r"no_such_key_4.*\n  \(2 more after these\.\)$"):
        Job.load(path)


def test_the_line_is_unknown_where_lines_do_not_show_it(tmp_path: Path):
    """In tables of arrays; the key is told all the same."""
    path = tmp_path / "job.toml"
    path.write_text('[race]\ntrack = "first_lap"\n[[workers]]\ntrack = 3\n')
    with pytest.raises(ConfigError, match=r"job\.toml: \[\[workers\]\] table 1: track "):
        Job.load(path)


@pytest.mark.parametrize(
    ("given", "meant"), [("clockwise", "cw"), ("Counter-Clockwise", "ccw"), ("reverse", "reversed"), ("as is", "as_is")]
)
def test_a_word_that_is_not_allowed_is_told_with_the_one_that_is_meant(tmp_path: Path, given: str, meant: str):
    path = tmp_path / "job.toml"
    path.write_text(f'[race]\ndirection = "{given}"\n')
    with pytest.raises(ConfigError, match=f"got '{given}'. Did you mean '{meant}'\\?"):
        Job.load(path)
