"""What an unchanged folder of DeepRacer-for-Cloud means."""

from __future__ import annotations

import json
import re
import warnings
from pathlib import Path
from typing import Any

import pytest
from drfc_folder import HYPERPARAMETERS, RUN_ENV, SYSTEM_ENV, WORKER_ENV, write_drfc_folder, write_three_workers

from hotlap.config import ConfigWarning, Hyperparameters, Job
from hotlap.config.doubts import doubts
from hotlap.config.drfc import DrfcFolder
from hotlap.config.drfc_variables import DEAD, VARIABLES
from hotlap.errors import ConfigError

TEMPLATE_RACE = {
    "race_type": "time_trial",
    "track": "reinvent_base",
    "start": "round_robin",
    "start_position_offset": 0.0,
    "round_robin_advance_dist": 0.05,
    "reverse_dir": False,
    "alternate_driving_direction": False,
    "randomize_domain": False,
    "obstacles": {
        "number": 6,
        "min_distance": 2.0,
        "randomize": False,
        "kind": "box_obstacle",
        "bot_car": False,
        "positions": (),
    },
    "bots": {
        "number": 3,
        "min_distance": 2.0,
        "randomize": False,
        "speed": 0.2,
        "lane_change": False,
        "lower_lane_change_time": 3.0,
        "upper_lane_change_time": 5.0,
        "lane_change_distance": 1.0,
        "penalty": 5.0,
    },
}
TEMPLATE_TRAINING = {
    "max_minutes": 0.0,
    "max_iterations": 0,
    "goal_clean_share": 0.0,
    "best_model_metric": "progress",
    "clone_from": None,
    "clone_checkpoint": "last",
    "workers": 1,
}
TEMPLATE_EVALUATION = {
    "trials": 3,
    "continuous": True,
    "number_of_resets": 100,
    "off_track_penalty": 5.0,
    "collision_penalty": 5.0,
    "checkpoint": "last",
}
TEMPLATE = Job().updated(race=TEMPLATE_RACE, training=TEMPLATE_TRAINING, evaluation=TEMPLATE_EVALUATION)

NAMES = {
    "DR_WORLD_NAME": ["reinvent_base"],
    "DR_TELEGRAF_HOST": ["telegraf", "10.0.0.5", "::1", ""],
    "DR_CLOUD_WATCH_LOG_STREAM_PREFIX": ["", "team a/"],
}
"""Examples of what has no list of what is allowed; an empty text may be as if the variable were not set."""


def job_of(folder: Path, **changes: Any) -> Job:
    return DrfcFolder(write_drfc_folder(folder / "drfc", **changes)).job


@pytest.fixture
def silent():
    """A warning is a failure."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


@pytest.mark.usefixtures("silent")
def test_the_template_files_mean_the_original_job(tmp_path: Path):
    """Nothing stops it but the limit of hyperparameters.json; evaluations have at least our number of laps."""
    read = DrfcFolder(write_drfc_folder(tmp_path))
    assert read.job == TEMPLATE
    assert read.evaluation_job == TEMPLATE
    assert read.model.path == tmp_path / "bucket" / "rl-deepracer-sagemaker"
    assert read.model.job == read.job
    assert read.model.hyperparameters == Hyperparameters.from_dict(HYPERPARAMETERS)
    assert read.model.metadata.version == 5.0
    assert read.model.reward_file == tmp_path / "custom_files" / "reward_function.py"
    assert (read.film, read.run_id) == (False, "0")


@pytest.mark.usefixtures("silent")
def test_the_template_files_with_three_workers_mean_three_races(tmp_path: Path):
    read = DrfcFolder(write_three_workers(tmp_path))
    tables = ({}, {"track": "reInvent2019_track"}, {"track": "Bowtie_track"})
    assert read.job == Job(workers=tables, **TEMPLATE.updated(training={"workers": 3}).model_dump(exclude={"workers"}))
    assert read.job.num_workers == 3
    assert [race.track for race in read.job.races] == ["reinvent_base", "reInvent2019_track", "Bowtie_track"]
    assert read.evaluation_job == TEMPLATE


def test_every_variable_of_the_templates_is_in_the_table():
    """Also those that are commented out."""
    found = re.findall(r"(?m)^(?:# ?)?(DR_\w+)=(.*)$", SYSTEM_ENV + RUN_ENV + WORKER_ENV)
    assert len(set(found)) == 99
    for name, text in found:
        assert name in VARIABLES
        if "$" not in text:
            VARIABLES[name].kind.parse(text)
    for variable in VARIABLES.values():
        if variable.default is not None:
            variable.kind.parse(variable.default)


@pytest.mark.parametrize("variable", [each for each in VARIABLES.values() if each.setting], ids=lambda each: each.name)
def test_what_a_variable_may_hold_its_setting_may_hold(variable):
    """Numbers at the ends of their range, every word of a list."""
    allowed = variable.kind.allowed
    if ends := re.search(r"from (\S+) to (\S+)", allowed):
        texts = list(ends.groups())
    elif least := re.search(r"(at least|above) (\d+)", allowed):
        texts = ["1e-3" if least[1] == "above" else least[2], "1000"]
    elif variable.kind is VARIABLES["DR_OA_OBJECT_POSITIONS"].kind:
        texts = ["", "0,-1;1,1;0.5,0"]
    else:
        texts = NAMES.get(variable.name) or allowed.split(", ")
    *sections, key = variable.setting.split(".")
    for text in texts:
        value = variable.kind.parse(text)
        tables = {key: value}
        for section in reversed(sections):
            tables = {section: tables}
        if key == "lower_lane_change_time":
            tables["race"]["bots"]["upper_lane_change_time"] = value
        if key == "upper_lane_change_time":
            tables["race"]["bots"]["lower_lane_change_time"] = 0.0
        found: Any = Job().updated(**tables)
        for part in variable.setting.split("."):
            found = getattr(found, part)
        assert found == (tuple(map(tuple, value)) if isinstance(value, list) else value)


def test_without_variables_the_defaults_of_the_original_scripts_apply(tmp_path: Path):
    """They are not all those of the template."""
    write_drfc_folder(tmp_path)
    (tmp_path / "system.env").write_text("")
    (tmp_path / "run.env").write_text("DR_LOCAL_S3_MODEL_PREFIX=model\n")
    job = DrfcFolder(tmp_path).job
    assert (job.race.track, job.race.start, job.race.round_robin_advance_dist) == ("LGSWide", "round_robin", 0.05)
    assert (job.race.obstacles.number, job.race.obstacles.randomize) == (6, True)
    assert (job.race.bots.number, job.race.bots.penalty) == (0, 2.0)
    assert (job.evaluation.trials, job.evaluation.number_of_resets, job.evaluation.checkpoint) == (5, 0, "last")
    assert (job.training.best_model_metric, job.training.max_minutes) == ("progress", 0.0)


@pytest.mark.usefixtures("silent")
def test_without_system_env_its_defaults_apply(tmp_path: Path):
    """Which whoever asks is told, and nobody else."""
    assert DrfcFolder(write_drfc_folder(tmp_path)).remarks == []
    (tmp_path / "system.env").unlink()
    read = DrfcFolder(tmp_path)
    assert read.job == TEMPLATE
    (told,) = read.remarks
    assert "there is no system.env" in told


CHANGES = [
    ("DR_WORLD_NAME", "jyllandsringen_open_ccw", "race.track", "jyllandsringen_open_ccw"),
    ("DR_RACE_TYPE", "OBJECT_AVOIDANCE", "race.race_type", "object_avoidance"),
    ("DR_RACE_TYPE", "HEAD_TO_BOT", "race.race_type", "head_to_bot"),
    ("DR_ENABLE_DOMAIN_RANDOMIZATION", "TRUE", "race.randomize_domain", True),
    ("DR_ENABLE_DOMAIN_RANDOMIZATION", "yes", "race.randomize_domain", True),
    ("DR_TRAIN_CHANGE_START_POSITION", "false", "race.start", "fixed"),
    ("DR_TRAIN_REVERSE_DIRECTION", "True", "race.reverse_dir", True),
    ("DR_TRAIN_ALTERNATE_DRIVING_DIRECTION", "True", "race.alternate_driving_direction", True),
    ("DR_TRAIN_START_POSITION_OFFSET", "0.25", "race.start_position_offset", 0.25),
    ("DR_TRAIN_ROUND_ROBIN_ADVANCE_DIST", "1", "race.round_robin_advance_dist", 1.0),
    ("DR_OA_OBJECT_POSITIONS", '"0.23,-1;0.46,1"', "race.obstacles.positions", ((0.23, -1.0), (0.46, 1.0))),
    ("DR_OA_OBJECT_POSITIONS", "0.5,-1", "race.obstacles.positions", ((0.5, -1.0),)),
    ("DR_OA_OBSTACLE_TYPE", "amazon_box_obstacle", "race.obstacles.kind", "amazon_box_obstacle"),
    ("DR_OA_IS_OBSTACLE_BOT_CAR", "True", "race.obstacles.bot_car", True),
    ("DR_H2B_IS_LANE_CHANGE", "True", "race.bots.lane_change", True),
    ("DR_H2B_BOT_CAR_SPEED", ".4", "race.bots.speed", 0.4),
    ("DR_TRAIN_MAX_STEPS_PER_ITERATION", "5000", "training.step_cap", 5000),
    ("DR_TRAIN_MAX_STEPS_PER_ITERATION", "", "training.step_cap", 0),
    ("DR_TRAIN_BEST_MODEL_METRIC", "laptime", "training.best_model_metric", "laptime"),
    ("DR_TRAIN_MIN_EVAL_TRIALS", "5", "training.eval_laps", 32),
    ("DR_TRAIN_MIN_EVAL_TRIALS", "50", "training.eval_laps", 50),
    ("DR_EVAL_IS_CONTINUOUS", "False", "evaluation.continuous", False),
    ("DR_EVAL_MAX_RESETS", "0", "evaluation.number_of_resets", 0),
    ("DR_EVAL_COLLISION_PENALTY", "1.5", "evaluation.collision_penalty", 1.5),
    ("DR_COLLISION_PENALTY", "0.5", "evaluation.collision_penalty", 0.5),
    ("DR_EVAL_CHECKPOINT", "best", "evaluation.checkpoint", "best"),
]


@pytest.mark.parametrize(("variable", "text", "setting", "value"), CHANGES)
def test_a_variable_changes_its_setting_and_no_other(tmp_path: Path, variable, text, setting, value):
    section, *path, key = setting.split(".")
    expected: dict[str, Any] = {key: value}
    for part in reversed(path):
        expected = {part: expected}
    assert job_of(tmp_path, run={variable: text}) == TEMPLATE.updated(**{section: expected})


def test_the_old_names_count_where_the_new_ones_are_not_set(tmp_path: Path):
    write_drfc_folder(tmp_path)
    old = "DR_CHANGE_START_POSITION=False\nDR_ALTERNATE_DRIVING_DIRECTION=True\n"
    with (tmp_path / "run.env").open("a") as file:
        file.write(old)
    assert DrfcFolder(tmp_path).job == TEMPLATE
    (tmp_path / "run.env").write_text(old)
    race = DrfcFolder(tmp_path).job.race
    assert (race.start, race.alternate_driving_direction) == ("fixed", True)


def test_evaluations_have_a_direction_of_their_own(tmp_path: Path):
    read = DrfcFolder(write_drfc_folder(tmp_path, run={"DR_EVAL_REVERSE_DIRECTION": True}))
    assert read.job == TEMPLATE
    assert read.evaluation_job == TEMPLATE.updated(race={"reverse_dir": True})
    again = DrfcFolder(write_drfc_folder(tmp_path / "again", run={"DR_TRAIN_REVERSE_DIRECTION": True}))
    assert again.evaluation_job == TEMPLATE


@pytest.mark.parametrize(("text", "film"), [("True", True), ("yes", True), ("T", True), ("no", False), ("0", False)])
def test_films_are_made_by_the_rule_of_the_scripts(tmp_path: Path, text, film):
    assert DrfcFolder(write_drfc_folder(tmp_path, run={"DR_EVAL_SAVE_MP4": text})).film == film


@pytest.mark.parametrize(
    ("text", "clones"), [("True", True), ("1", True), ("yes", True), ("False", False), ("n", False)]
)
def test_a_pretrained_model_is_cloned_from_the_bucket(tmp_path: Path, text, clones):
    run = {"DR_LOCAL_S3_PRETRAINED": text, "DR_LOCAL_S3_PRETRAINED_CHECKPOINT": "best"}
    training = job_of(tmp_path, run=run).training
    assert training.clone_from == (str(tmp_path / "drfc/bucket/rl-sagemaker-pretrained") if clones else None)
    assert training.clone_checkpoint == "best"


def test_the_bucket_and_the_prefix_are_folders(tmp_path: Path):
    run = {"DR_LOCAL_S3_MODEL_PREFIX": "team/model-$DR_RUN_ID", "DR_RUN_ID": 7}
    read = DrfcFolder(write_drfc_folder(tmp_path, system={"DR_LOCAL_S3_BUCKET": "cars"}, run=run))
    assert read.model.path == tmp_path / "cars/team/model-7"


def test_custom_files_lie_behind_their_prefix_or_in_the_bucket(tmp_path: Path):
    run = {"DR_LOCAL_S3_CUSTOM_FILES_PREFIX": "mine", "DR_LOCAL_S3_HYPERPARAMETERS_KEY": "shared/h.json"}
    write_drfc_folder(tmp_path, run=run)
    (tmp_path / "bucket" / "shared").mkdir(parents=True)
    (tmp_path / "bucket/shared/h.json").write_text(json.dumps({"lr": 0.1}))
    (tmp_path / "bucket" / "mine").mkdir()
    (tmp_path / "custom_files/model_metadata.json").rename(tmp_path / "bucket/mine/model_metadata.json")
    model = DrfcFolder(tmp_path).model
    assert model.reward_file == tmp_path / "custom_files/reward_function.py"
    assert model.metadata_file == tmp_path / "bucket/mine/model_metadata.json"
    assert model.hyperparameters.lr == 0.1


@pytest.mark.usefixtures("silent")
def test_custom_files_are_found_where_the_advice_puts_them(tmp_path: Path):
    """Also if a key names another place, which the original's upload would not fill."""
    write_drfc_folder(tmp_path, run={"DR_LOCAL_S3_REWARD_KEY": "mine/fast.py"})
    with pytest.raises(ConfigError, match=r"Put fast\.py into .*custom_files, or beside run\.env"):
        assert DrfcFolder(tmp_path).model
    (tmp_path / "custom_files/reward_function.py").rename(tmp_path / "custom_files/fast.py")
    assert DrfcFolder(tmp_path).model.reward_file == tmp_path / "custom_files/fast.py"


@pytest.mark.usefixtures("silent")
def test_an_experiment_has_its_own_files_and_shares_the_bucket(tmp_path: Path):
    system = {"DR_EXPERIMENT_NAME": "fast", "DR_WORKERS": 2}
    run = {"DR_TRAIN_MULTI_CONFIG": True, "DR_LOCAL_S3_MODEL_PREFIX": "fast"}
    write_drfc_folder(tmp_path, system=system, run=run, workers=({},), root="experiments/fast")
    (tmp_path / "run.env").write_text("DR_WORLD_NAME=elsewhere\n")
    read = DrfcFolder(tmp_path)
    assert [race.track for race in read.job.races] == ["reinvent_base", "reInvent2019_track"]
    assert read.model.path == tmp_path / "bucket" / "fast"
    assert read.model.reward_file == tmp_path / "experiments/fast/custom_files/reward_function.py"


def test_an_experiment_is_chosen_in_system_env_only(tmp_path: Path):
    with pytest.warns(ConfigWarning, match=r"run\.env, line \d+: DR_EXPERIMENT_NAME has no effect here"):
        assert job_of(tmp_path, run={"DR_EXPERIMENT_NAME": "fast"}) == TEMPLATE


def test_values_of_workers_accumulate(tmp_path: Path):
    """What worker 2 sets stays for worker 3; what run.env sets stays for both."""
    write_drfc_folder(
        tmp_path, system={"DR_WORKERS": 4}, run={"DR_TRAIN_MULTI_CONFIG": True, "DR_OA_NUMBER_OF_OBSTACLES": 4}
    )
    (tmp_path / "worker-2.env").write_text("DR_WORLD_NAME=oval\nDR_RACE_TYPE=OBJECT_AVOIDANCE\n")
    (tmp_path / "worker-3.env").write_text('DR_OA_OBJECT_POSITIONS="0.5,1;0.75,-1"\nDR_TRAIN_REVERSE_DIRECTION=True\n')
    (tmp_path / "worker-4.env").write_text("DR_WORLD_NAME=reinvent_base\nDR_TRAIN_CHANGE_START_POSITION=False\n")
    one, two, three, four = DrfcFolder(tmp_path).job.races
    assert [each.track for each in (one, two, three, four)] == ["reinvent_base", "oval", "oval", "reinvent_base"]
    assert [each.race_type for each in (one, two, three)] == ["time_trial", "object_avoidance", "object_avoidance"]
    assert [each.obstacles.number for each in (one, two, three)] == [4, 4, 4]
    assert (two.obstacles.positions, three.obstacles.positions) == ((), ((0.5, 1.0), (0.75, -1.0)))
    assert [each.reverse_dir for each in (one, two, three, four)] == [False, False, True, True]
    assert [each.start for each in (three, four)] == ["round_robin", "fixed"]


@pytest.mark.parametrize("text", ["False", "false", "no", "0"])
def test_without_multi_config_all_workers_drive_the_same(tmp_path: Path, text):
    """The files of workers are not even read."""
    write_drfc_folder(tmp_path, system={"DR_WORKERS": 3}, run={"DR_TRAIN_MULTI_CONFIG": text}, workers=({"DR_X": "="},))
    job = DrfcFolder(tmp_path).job
    assert (job.num_workers, job.workers) == (3, ())


def test_multi_config_with_one_worker_has_no_effect(tmp_path: Path):
    with pytest.warns(ConfigWarning, match="DR_TRAIN_MULTI_CONFIG has no effect with DR_WORKERS = 1"):
        assert job_of(tmp_path, run={"DR_TRAIN_MULTI_CONFIG": True}) == TEMPLATE


def test_what_a_worker_cannot_set_is_told(tmp_path: Path):
    write_three_workers(tmp_path)
    with (tmp_path / "worker-3.env").open("a") as file:
        file.write("DR_TRAIN_MIN_EVAL_TRIALS=50\nDR_CAR_BODY_SHELL_TYPE=f1\n")
    with pytest.warns(ConfigWarning, match=r"worker-3\.env, line 23: DR_TRAIN_MIN_EVAL_TRIALS has no effect in the"):
        assert DrfcFolder(tmp_path).job.training.eval_laps == 32


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("DR_WORLD_NAM", "Did you mean DR_WORLD_NAME?"),
        ("DR_TRAIN_STARTPOSITION_OFFSET", "Did you mean DR_TRAIN_START_POSITION_OFFSET?"),
        ("dr_workers", "Did you mean DR_WORKERS?"),
        ("D_WORLD_NAME", "Did you mean DR_WORLD_NAME?"),
        ("DR_QQQQQ", "is not a variable of DeepRacer-for-Cloud and has no effect."),
        *((name, f"The variable that works is {right}.") for name, right in DEAD.items()),
    ],
)
def test_a_name_without_effect_is_told_with_the_right_one(tmp_path: Path, name, told):
    with pytest.warns(ConfigWarning) as caught:
        assert job_of(tmp_path, run={name: "0.1"}) == TEMPLATE
    number = len((tmp_path / "drfc/run.env").read_text().splitlines())
    (message,) = (str(each.message) for each in caught)
    assert message.startswith(f"{tmp_path / 'drfc/run.env'}, line {number}: {name} ")
    assert told in message


@pytest.mark.usefixtures("silent")
def test_other_variables_serve_as_parts_of_values(tmp_path: Path):
    """Names that are like none of ours are the user's own business."""
    write_drfc_folder(tmp_path)
    text = (tmp_path / "run.env").read_text()
    (tmp_path / "run.env").write_text("TEAM=red\n" + text.replace("=rl-deepracer-sagemaker", "=${TEAM}-model", 1))
    assert RUN_ENV.index("DR_EVAL_OPP_S3_MODEL_PREFIX") < RUN_ENV.index("DR_LOCAL_S3_MODEL_PREFIX")
    rows = {row.variable: row.assignments[0].value for row in DrfcFolder(tmp_path).rows("ignored")}
    assert rows["DR_EVAL_OPP_S3_MODEL_PREFIX"] == "red-model"


def test_a_job_file_adds_what_no_variable_can_say(tmp_path: Path):
    write_drfc_folder(tmp_path)
    (tmp_path / "job.toml").write_text(
        '[race]\ntheme = "night"\n[training]\nmax_minutes = 5\nthreads = 2\neval_laps = 8\n[evaluation]\nseed = 9\n'
    )
    assert DrfcFolder(tmp_path).job == TEMPLATE.updated(
        race={"theme": "night"},
        training={"max_minutes": 5, "threads": 2, "eval_laps": 8},
        evaluation={"seed": 9},
    )


def test_variables_count_more_than_a_job_file_which_is_told(tmp_path: Path):
    write_three_workers(tmp_path)
    (tmp_path / "job.toml").write_text(
        '[race]\ntrack = "oval"\nstart = "round_robin"\n[race.obstacles]\nnumber = 1\n[training]\neval_laps = 2\n'
        "[[workers]]\n[[workers]]\n"
    )
    with pytest.warns(ConfigWarning) as caught:
        job = DrfcFolder(tmp_path).job
    assert [race.track for race in job.races] == ["reinvent_base", "reInvent2019_track", "Bowtie_track"]
    assert job.race.obstacles.number == 6
    assert job.training.eval_laps == 5
    told = [str(each.message) for each in caught]
    assert [text.split(": ")[1].split(" = ")[0] for text in told[:2]] == ["race.track", "race.obstacles.number"]
    assert "its [[workers]] tables have no effect" in told[2]
    assert len(told) == 3


def test_a_job_file_counts_more_than_defaults_for_every_worker(tmp_path: Path):
    """Where no file sets the variable, neither for worker 1 nor for the others."""
    write_drfc_folder(tmp_path, system={"DR_WORKERS": 2})
    (tmp_path / "run.env").write_text("DR_TRAIN_MULTI_CONFIG=True\n")
    (tmp_path / "worker-2.env").write_text("DR_RACE_TYPE=OBJECT_AVOIDANCE\n")
    (tmp_path / "job.toml").write_text('[race]\ntrack = "oval"\n[race.obstacles]\nnumber = 1\n')
    one, two = DrfcFolder(tmp_path).job.races
    assert (one.track, two.track) == ("oval", "oval")
    assert (one.obstacles.number, two.obstacles.number) == (1, 1)
    assert (one.race_type, two.race_type) == ("time_trial", "object_avoidance")


def test_every_set_variable_works_differs_or_is_ignored(tmp_path: Path):
    read = DrfcFolder(write_three_workers(tmp_path))
    rows = {fate: {row.variable: row for row in read.rows(fate)} for fate in ("works", "differs", "ignored")}
    names = re.findall(r"(?m)^(DR_\w+)=", (SYSTEM_ENV + RUN_ENV))
    assert sorted(name for group in rows.values() for name in group) == sorted(names)
    tracks = rows["works"]["DR_WORLD_NAME"].assignments
    assert [(each.file.name, each.value) for each in tracks] == [
        ("run.env", "reinvent_base"),
        ("worker-2.env", "reInvent2019_track"),
        ("worker-3.env", "Bowtie_track"),
    ]
    assert "DR_TRAIN_BEST_MODEL_METRIC" in rows["differs"]
    assert {"DR_DOCKER_STYLE", "DR_HOST_X", "DR_SIMAPP_VERSION", "DR_CAR_NAME"} <= set(read.ignored)


def test_starts_that_do_not_go_round_once_are_doubted():
    """The template suits one worker with 20 episodes, and no other number of them."""
    settings = Hyperparameters.from_dict(HYPERPARAMETERS)
    assert doubts(TEMPLATE, settings) == []
    (found,) = doubts(TEMPLATE.updated(training={"workers": 3}), settings)
    assert "(20 episodes / 3 workers) × 0.05 of the lap from start to start is 0.333, not 1" in found
    assert "race.round_robin_advance_dist (DR_TRAIN_ROUND_ROBIN_ADVANCE_DIST) = 0.15 they do" in found
    assert doubts(TEMPLATE.updated(race={"round_robin_advance_dist": 0.15}, training={"workers": 3}), settings) == []
    assert doubts(TEMPLATE.updated(race={"start": "fixed"}, training={"workers": 3}), settings) == []
    assert doubts(Job().updated(training={"workers": 3}), settings) == []


def test_more_workers_than_episodes_are_doubted():
    (found,) = doubts(Job().updated(training={"workers": 6}), Hyperparameters(num_episodes_between_training=4))
    assert found.startswith("6 workers are too many for 4 episodes in an iteration")
    assert "4 will work" in found
