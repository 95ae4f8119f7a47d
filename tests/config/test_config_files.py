"""What good files mean: defaults, conversions, and the rules of the original."""

from __future__ import annotations

import json
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

from hotlap.config import (
    BotCars,
    ConfigWarning,
    ContinuousActionSpace,
    DiscreteActionSpace,
    Evaluation,
    Hyperparameters,
    Job,
    ModelFolder,
    ModelMetadata,
    Obstacles,
    Race,
    Training,
)
from hotlap.config.doubts import without_use
from hotlap.config.hyperparameters import _FORMER, _WITHOUT_A_NAME, BOOKKEEPING, STARTER
from hotlap.deepracer.sensors import CAMERAS, LIDARS

ACTIONS = [{"steering_angle": 30, "speed": 0.5, "index": 7}, {"steering_angle": -12.5, "speed": "1.5"}]


def metadata(**fields: object) -> ModelMetadata:
    return ModelMetadata.from_dict({"action_space": ACTIONS, **fields})


def test_version_defaults_by_the_presence_of_sensor():
    assert metadata().version == 1.0
    assert metadata(sensor=["STEREO_CAMERAS"]).version == 2.0
    assert metadata(sensor=["STEREO_CAMERAS"], version="4").version == 4.0
    assert metadata(sensor=["STEREO_CAMERAS"], version=5).version == 5.0


def test_version_one_sees_with_the_old_camera_whatever_it_lists():
    assert metadata().sensors == ("observation",)
    assert metadata(version=1, sensor=["STEREO_CAMERAS", "LIDAR"]).sensors == ("observation",)


@pytest.mark.parametrize("camera", CAMERAS)
@pytest.mark.parametrize("lidar", [None, *LIDARS])
def test_one_camera_and_at_most_one_lidar_in_the_order_of_the_file(camera, lidar):
    sensors = [lidar, camera] if lidar else [camera]
    read = metadata(sensor=sensors)
    assert read.sensors == tuple(sensors)
    assert read.camera == camera


def test_everything_else_has_a_default_and_unknown_fields_are_ignored():
    read = metadata(preprocess_type="GREY_SCALE", regional_parameters=[0, 0, 0, 0])
    assert read.algorithm == "clipped_ppo"
    assert read.network == "DEEP_CONVOLUTIONAL_NETWORK_SHALLOW"
    assert read.lidar_config.model_dump() == {"num_sectors": 8, "num_values_per_sector": 8, "clipping_dist": 2.0}


def test_actions_keep_their_order_and_their_exact_numbers():
    space = metadata().action_space
    assert isinstance(space, DiscreteActionSpace)
    assert [(action.steering_angle, action.speed) for action in space.actions] == [(30.0, 0.5), (-12.5, 1.5)]


def test_choices_are_trimmed_and_of_any_case():
    ranges = {"steering_angle": {"low": -20, "high": 25}, "speed": {"low": 0.5, "high": 3}}
    read = metadata(action_space=ranges, action_space_type=" Continuous ", training_algorithm="SAC")
    assert read.algorithm == "sac"
    assert isinstance(read.action_space, ContinuousActionSpace)
    assert (read.action_space.steering_angle.low, read.action_space.speed.high) == (-20.0, 3.0)


@pytest.mark.parametrize(
    ("action", "executed"),
    [((45, 1), "30 degrees"), ((-45, 1), "-30 degrees"), ((0, 8), "4 m/s"), ((0, 0.01), "0.1 m/s")],
)
def test_what_the_car_cannot_do_is_warned_about(action, executed):
    with pytest.warns(ConfigWarning, match=f"executed as {executed}"):
        metadata(action_space=[{"steering_angle": action[0], "speed": action[1]}])


def test_byte_order_mark_is_no_part_of_the_file(tmp_path: Path):
    path = tmp_path / "model_metadata.json"
    path.write_bytes(b"\xef\xbb\xbf" + json.dumps({"action_space": ACTIONS}).encode())
    assert ModelMetadata.load(path).version == 1.0


def test_a_repeated_json_key_counts_the_last_time(tmp_path: Path):
    path = tmp_path / "hyperparameters.json"
    path.write_text('{"lr": 0.1, "lr": 0.2}')
    with pytest.warns(ConfigWarning, match="'lr' stands there more than once"):
        assert Hyperparameters.load(path).lr == 0.2


def test_real_files_load(reference_data: Path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for path in (reference_data / "formats").glob("model_metadata*.json"):
            assert ModelMetadata.load(path).sensors == ("FRONT_FACING_CAMERA",)


def test_the_effective_set_is_what_the_original_writes(reference_data: Path):
    path = reference_data / "formats" / "hyperparameters.json"
    read = Hyperparameters.load(path)
    assert json.dumps(read.effective("clipped_ppo"), indent=2) == path.read_text().strip()


def test_the_effective_set_has_thirteen_keys_for_ppo_and_twelve_for_sac():
    ppo, sac = Hyperparameters().effective("clipped_ppo"), Hyperparameters().effective("sac")
    assert (len(ppo), len(sac)) == (13, 12)
    assert "sac_alpha" not in ppo
    assert not {"beta_entropy", "num_epochs"} & sac.keys()


def test_code_defaults_and_the_starter_file_differ_as_documented():
    code = Hyperparameters.from_dict({})
    assert (code.num_epochs, code.discount_factor, code.loss_type) == (10, 0.999, "mean squared error")
    assert (code.term_cond_max_episodes, code.term_cond_avg_score) == (100000, 100000.0)
    assert (STARTER.num_epochs, STARTER.discount_factor, STARTER.loss_type) == (5, 0.99, "huber")
    assert (STARTER.term_cond_max_episodes, STARTER.term_cond_avg_score) == (1000, 350.0)


def test_values_may_be_text_as_launchers_pass_them():
    numbers = STARTER.effective("clipped_ppo")
    texts = {key: str(value) for key, value in numbers.items()}
    assert Hyperparameters.from_dict(texts) == Hyperparameters.from_dict(numbers) == STARTER


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        ("HUBER", "huber"),
        (" huber ", "huber"),
        ("mean_squared_error", "mean squared error"),
        ("Mean Squared Error",) * 2,
    ],
)
def test_loss_names(text, meaning):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert Hyperparameters.from_dict({"loss_type": text}).loss_type == meaning.lower()


def test_any_other_loss_is_the_mean_square_and_warned_about():
    with pytest.warns(ConfigWarning, match="'hubert' counts as 'mean squared error'"):
        assert Hyperparameters.from_dict({"loss_type": "hubert"}).loss_type == "mean squared error"


def test_a_name_without_effect_is_warned_about_and_bookkeeping_is_not():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Hyperparameters.from_dict({"s3_bucket": "bucket", "pretrained_checkpoint": "best", "max_sample_count": "0"})
    with pytest.warns(ConfigWarning, match="'learning_rate' is not a hyperparameter"):
        Hyperparameters.from_dict({"learning_rate": 0.1})
    with pytest.warns(ConfigWarning, match="Did you mean 'batch_size'"):
        Hyperparameters.from_dict({"batchsize": 32})
    with pytest.warns(ConfigWarning, match="stack_size = 4 has no effect"):
        Hyperparameters.from_dict({"stack_size": 4})


@pytest.mark.parametrize(
    ("key", "told"),
    [
        ("beta", "Today's name is 'beta_entropy'."),
        ("entropy_coefficient", "Today's name is 'beta_entropy'."),
        ("Learning_Rate", "Today's name is 'lr'."),
        ("kl_divergence_constraint", "Nothing limits the KL divergence"),
        ("pretrained", "hotlap train --clone FROM"),
        ("gae_lambda", "It is always 0.95."),
    ],
)
def test_leftovers_of_exports_are_told_with_what_stands_for_them(key, told):
    with pytest.warns(ConfigWarning, match="is not a hyperparameter and has no effect") as caught:
        assert Hyperparameters.from_dict({key: 1}) == Hyperparameters()
    (message,) = (str(each.message) for each in caught)
    assert told in message


def test_every_former_name_leads_to_a_hyperparameter():
    """And no name of today counts as a former one."""
    assert set(_FORMER.values()) <= set(Hyperparameters.model_fields)
    assert not {*_FORMER, *_WITHOUT_A_NAME} & {*Hyperparameters.model_fields, *BOOKKEEPING}


RANGES = {"steering_angle": {"low": -30, "high": 30}, "speed": {"low": 1, "high": 2}}


@pytest.mark.parametrize(
    ("fields", "values", "told"),
    [
        ({}, {}, None),
        ({}, {"e_greedy_value": 0.05, "epsilon_steps": 10000, "exploration_type": "categorical"}, None),
        ({}, {"exploration_type": "e-greedy"}, None),
        ({}, {"sac_alpha": 0.2}, "Not used by clipped_ppo: sac_alpha."),
        ({}, {"exploration_type": "Additive_Noise"}, "exploration_type 'additive_noise'"),
        ({"continuous": True}, {"exploration_type": "e-greedy"}, "exploration_type 'e-greedy'"),
        ({"algorithm": "sac"}, {"num_epochs": 3, "lr": 0.1, "sac_alpha": 0.1}, "Not used by sac: num_epochs."),
        ({"algorithm": "sac"}, {"exploration_type": "additive_noise"}, "Not used by sac: exploration_type."),
    ],
)
def test_what_the_algorithm_does_not_use_is_listed_once(fields, values, told):
    continuous = {"action_space": RANGES, "action_space_type": "continuous"} if fields else {}
    model = metadata(**continuous, training_algorithm=fields.get("algorithm", "clipped_ppo"))
    found = without_use(Hyperparameters.from_dict(values), model)
    assert len(found) == (told is not None)
    assert told is None or told in found[0]


def test_step_cap_depends_on_the_network_unless_it_is_set():
    training = Job().training
    assert training.step_cap_for("DEEP_CONVOLUTIONAL_NETWORK_SHALLOW") == 10000
    assert training.step_cap_for("DEEP_CONVOLUTIONAL_NETWORK") == 3000
    assert training.step_cap_for("DEEP_CONVOLUTIONAL_NETWORK_DEEP") == 3000
    own = Job().updated(training={"step_cap": 500}).training
    assert own.step_cap_for("DEEP_CONVOLUTIONAL_NETWORK_DEEP") == 500


def test_a_whole_number_is_a_number():
    assert Job().updated(training={"max_minutes": 10}).training.max_minutes == 10.0


def test_updates_leave_the_rest_and_none_updates_nothing():
    job = Job().updated(race={"track": "oval"}, training={"seed": 4})
    again = job.updated(race={"track": None, "reverse_dir": True}, training={})
    assert (again.race.track, again.race.reverse_dir, again.training.seed) == ("oval", True, 4)
    assert job.race.reverse_dir is False


def test_updates_reach_into_tables_and_leave_their_other_keys():
    job = Job().updated(race={"obstacles": {"number": 2}}).updated(race={"obstacles": {"kind": "amazon_box_obstacle"}})
    assert (job.race.obstacles.number, job.race.obstacles.kind) == (2, "amazon_box_obstacle")


def test_without_tables_all_workers_drive_the_same_race():
    job = Job().updated(training={"workers": 4})
    assert (job.num_workers, job.races) == (4, (job.race,))


def test_each_worker_table_lies_over_the_race(tmp_path: Path):
    path = tmp_path / "job.toml"
    path.write_text(
        """
[race]
track = "oval"
start = "fixed"
[race.obstacles]
number = 4
positions = [[0.25, -1], [0.5, 1]]
[[workers]]
[[workers]]
track = "paperclip"
race_type = "object_avoidance"
[workers.obstacles]
number = 2
"""
    )
    job = Job.load(path)
    one, two = job.races
    assert (job.num_workers, one) == (2, job.race)
    assert (two.track, two.start, two.race_type) == ("paperclip", "fixed", "object_avoidance")
    assert (two.obstacles.number, two.obstacles.positions) == (2, ((0.25, -1.0), (0.5, 1.0)))
    assert [race.track for race in job.updated(race={"track": "bow_tie"}).races] == ["bow_tie", "paperclip"]
    copied = job.model_copy(update={"race": job.race.model_copy(update={"track": "bow_tie"})})
    assert [race.track for race in copied.races] == ["bow_tie", "paperclip"]


def test_a_model_folder_without_job_has_its_defaults(tmp_path: Path):
    (tmp_path / "reward_function.py").write_text("")
    (tmp_path / "model_metadata.json").write_text(json.dumps({"action_space": ACTIONS}))
    (tmp_path / "hyperparameters.json").write_text("{}")
    folder = ModelFolder(tmp_path)
    assert folder.job == Job()
    assert folder.metadata.version == 1.0
    assert folder.hyperparameters == Hyperparameters()


def test_a_job_survives_json():
    job = Job(workers=({"track": "oval"}, {"obstacles": {"positions": [[0.5, -1]]}}))
    job = job.updated(race={"theme": "night", "obstacles": {"positions": [[0.5, 1.0]]}}, evaluation={"trials": 5})
    assert Job.model_validate_json(job.model_dump_json()) == job


def test_every_setting_is_documented():
    for section in (Job, Training, Evaluation, Race, Obstacles, BotCars, Hyperparameters):
        for key, field in section.model_fields.items():
            assert field.description, f"{section.__name__}.{key} has no text under it"


def test_the_default_track_is_that_of_the_tracks():
    from hotlap.tracks import DEFAULT_TRACK

    assert Job().race.track == DEFAULT_TRACK


def test_reading_settings_loads_neither_torch_nor_warp():
    """In a command of ours; elsewhere the package makes its environments known to Gymnasium, which loads NumPy."""
    program = (
        "import sys; sys.argv[0] = 'hotlap'; import hotlap.config; "
        "sys.exit(bool({'torch', 'warp', 'numpy', 'gymnasium'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
