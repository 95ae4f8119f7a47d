"""Trainings with a teacher: three in a row, the same bytes again, killed in each, and never worse than the student."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import numpy as np
import pytest
from hotlap_process import Hotlap, wait_for
from tiny_model import ROUND_AND_ROUND, write_model
from trained_folder import curve, weights
from watched_reward import WATCHED

from hotlap.config.model_folder import ModelFolder
from hotlap.errors import ConfigError, RecordError, RewardError
from hotlap.records.checkpoints import CheckpointStore
from hotlap.records.folder import Folder
from hotlap.records.tallies import TallyLog
from hotlap.training import course as course_module
from hotlap.training import stages, trainer
from hotlap.training.course import Course
from hotlap.training.driven import driven_key, read_driven
from hotlap.training.listener import Silence

pytestmark = pytest.mark.usefixtures("short_run_offs")

PLACES = ("teacher", "student", ".")


def course_model(folder: Path, reward: str = WATCHED, **options) -> ModelFolder:
    return write_model(
        folder,
        reward=reward,
        training={"method": "teacher", "max_minutes": 60} | options.pop("training", {}),
        teacher={"iterations": 3, "episodes": 4},
        student={"iterations": 3, "episodes": 3, "samples": 128, "memory": 60} | options.pop("student", {}),
        polish={"iterations": 2},
        **options,
    )


class Notes(Silence):
    """Notes how often the reward function had been called when the collections of each training began."""

    def __init__(self, folder: Path) -> None:
        self.calls = folder / "calls"
        self.collections: dict[str, list[int]] = {}

    def on_begin(self, name: str, max_s: float, max_iterations: int) -> None:
        self.name = name
        self.collections[name] = []

    def on_stage(self, stage: str, total: int | None) -> None:
        if stage == "collect":
            self.collections[self.name].append(self.calls.stat().st_size if self.calls.exists() else 0)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Notes]:
    """A course that nothing disturbed."""
    model = course_model(tmp_path_factory.mktemp("finished"))
    notes = Notes(model.path)
    result = Course(model, listener=notes).run()
    assert (result.reason, result.iterations) == ("max_iterations", 2)
    assert {name: each.iterations for name, each in result.earlier.items()} == {"teacher": 3, "student": 3}
    assert list(notes.collections) == ["teacher", "student", "polish"]
    return model.path, notes


def test_each_training_is_recorded_in_a_folder_of_its_own(finished: tuple[Path, Notes]):
    folder, _ = finished
    assert [len(curve(folder / place)) for place in PLACES] == [3, 3, 2]
    teacher, student = (ModelFolder(folder / name, needs_reward=False).metadata for name in ("teacher", "student"))
    model = ModelFolder(folder).metadata
    assert (teacher.sensors, teacher.network) == (("VISIBLE_STATE",), "DENSE_NETWORK")
    assert student == model
    assert teacher.action_space == model.action_space
    assert curve(folder / "teacher")[0].losses.keys() > {"policy_loss", "entropy"}
    assert curve(folder / "student")[0].losses.keys() == {"imitation_loss", "agreement", "entropy"}


def test_the_model_begins_with_the_student_and_first_learns_the_value_alone(finished: tuple[Path, Notes]):
    """So the student is among the checkpoints that the best is chosen from."""
    folder, _ = finished
    student = CheckpointStore(folder / "student").load("best").weights
    checkpoints = CheckpointStore(folder)
    names = checkpoints.list()
    before, first, second = (checkpoints.load(name).weights for name in names)
    policy = [name for name in student if name.startswith("policy.")]
    for name in policy:
        np.testing.assert_array_equal(before[name], student[name])
        np.testing.assert_array_equal(first[name], student[name])
    assert any((second[name] != student[name]).any() for name in policy)
    assert any((first[name] != before[name]).any() for name in first if name.startswith("value."))


def test_a_teacher_leaves_traces_of_some_episodes_and_metrics_of_all(finished: tuple[Path, Notes], tmp_path: Path):
    folder, _ = finished
    metrics = json.loads((folder / "teacher/metrics/TrainingMetrics.json").read_text())["metrics"]
    assert sum(each["phase"] == "training" for each in metrics) == 12


@pytest.mark.parametrize("place", PLACES)
def test_a_killed_course_goes_on_as_if_nothing_had_happened(finished: tuple[Path, Notes], tmp_path: Path, place: str):
    """kill -9 in the second iteration of each training: the same bytes."""
    undisturbed, notes = finished
    model = course_model(tmp_path / "model")
    begin = notes.collections["polish" if place == "." else place][1]
    (model.path / "hang").write_text(str(begin + 5))
    with Hotlap(tmp_path).fork("train", model.path) as process:
        wait_for((model.path / "hanging").exists, "the call at which it hangs")
        process.send_signal(signal.SIGKILL)
    (model.path / "hang").unlink()
    assert len(curve(model.path / place)) == 1
    Course(ModelFolder(model.path), resume=True).run()
    for each in PLACES:
        assert curve(model.path / each) == curve(undisturbed / each)
        assert weights(model.path / each) == weights(undisturbed / each)


def test_what_was_driven_can_be_driven_again(finished: tuple[Path, Notes], tmp_path: Path):
    folder, _ = finished
    plans = read_driven(Folder(folder / "student"), 1)
    assert [plan.number for plan in plans] == [3, 4, 5]
    store = Folder(tmp_path)
    whole = (folder / "student" / driven_key(1)).read_bytes()
    for damaged in (b"", b"PK", whole[: len(whole) // 2]):
        store.put(driven_key(1), damaged)
        with pytest.raises(RecordError, match="is damaged"):
            read_driven(store, 1)
    with pytest.raises(RecordError):
        read_driven(store, 2)


def test_a_trained_model_is_not_trained_over(finished: tuple[Path, Notes]):
    folder, _ = finished
    with pytest.raises(RecordError, match=r"already holds a trained model.*--resume.*--wipe"):
        Course(ModelFolder(folder)).run()


@pytest.mark.parametrize(
    ("deed", "said"),
    [("params['nothing']", "KeyError"), ("while True:\n            pass", "has not returned after 1 s")],
    ids=["raises", "loops"],
)
def test_a_broken_reward_function_is_named_in_the_teachers_training(tmp_path: Path, deed: str, said: str):
    reward = f"def reward_function(params):\n    if params['steps'] > 4:\n        {deed}\n    return 1.0\n"
    model = course_model(tmp_path / "model", reward=reward, training={"worker_timeout_s": 1})
    with pytest.raises(RewardError, match=rf"reward_function\.py, line [34], episode \d+, step 5: .*{said}"):
        Course(model).run()


def test_what_does_not_go_with_a_teacher_is_refused(tmp_path: Path):
    with pytest.raises(ConfigError, match="begins with fresh weights"):
        course_model(tmp_path / "model", training={"clone_from": "models/earlier"})
    model = course_model(tmp_path / "model")
    refused = Hotlap(tmp_path).call("train", model.path, "--iterations", "3", code=2)
    assert "there are three" in " ".join(refused.stderr.split())


def test_a_course_that_is_stopped_goes_on_where_it_was(finished: tuple[Path, Notes], tmp_path: Path):
    """Also where only the first command line named the seed: stages that have not begun take that of the first."""
    undisturbed, _ = finished
    model = course_model(tmp_path / "model")

    class Stops(Notes):
        def on_iteration(self, record) -> None:
            course.stop()

    course = Course(model, listener=Stops(model.path))
    result = course.run()
    assert (result.reason, result.iterations) == ("stopped", 1)
    Course(model, job=model.job.updated(training={"seed": 9}), resume=True).run()
    assert [weights(model.path / each) for each in PLACES] == [weights(undisturbed / each) for each in PLACES]


class Clock(Silence):
    """Goes on only by what stages are said to take: half a minute for the student to learn, 5 s for each other one."""

    def __init__(self, patches: pytest.MonkeyPatch) -> None:
        self.now = self.coming = 0.0  # [s]
        for module in (course_module, trainer, stages):
            patches.setattr(module, "time", self)

    def perf_counter(self) -> float:
        now = self.now
        self.now, self.coming = now + self.coming, 0.0
        return now

    def on_begin(self, name: str, max_s: float, max_iterations: int) -> None:
        self.name = name

    def on_stage(self, stage: str, total: int | None) -> None:
        slow = stage == "update" and self.name == "student"
        self.coming = 30.0 if slow else 5.0 if stage in ("collect", "update", "evaluate") else 0.0


def test_a_course_ends_when_its_time_is_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Not an iteration later, though checkpoints that are equally good drive against one another at the end."""
    model = course_model(tmp_path / "model", actions=ROUND_AND_ROUND)
    job = model.job.updated(teacher={"iterations": 100, "episodes": 2}, student={"iterations": 100, "episodes": 2})
    clock = Clock(monkeypatch)
    result = Course(model, job=job.updated(polish={"iterations": 100}), listener=clock, minutes=4).run()
    assert result.reason == "minutes"
    assert {name: each.reason for name, each in result.earlier.items()} == {"teacher": "minutes", "student": "minutes"}
    assert 200 < clock.now <= 240 + 3 * 5  # its last checkpoint may have to drive against the best one
    assert max(tally.num_sets for tally in TallyLog(Folder(model.path / "student")).read().values()) > 1


def test_a_training_that_had_ended_is_not_gone_on_with_when_there_is_more_time(tmp_path: Path):
    model = course_model(tmp_path / "model")

    class Stops(Notes):
        def on_iteration(self, record) -> None:
            if self.name == "student":
                course.stop()

    course = Course(model, listener=Stops(model.path))
    course.run()
    before = (model.path / "teacher/job.toml").read_bytes()
    more = model.job.updated(teacher={"iterations": 5})
    result = Course(model, job=more, resume=True, minutes=5).run()
    assert {name: each.iterations for name, each in result.earlier.items()} == {"teacher": 3, "student": 3}
    assert (model.path / "teacher/job.toml").read_bytes() == before


@pytest.mark.parametrize(
    ("actions", "metadata"),
    [
        ({"steering_angle": {"low": -30, "high": 30}, "speed": {"low": 0.5, "high": 3}}, {}),
        ([{"steering_angle": 0, "speed": 1}], {"version": "3", "neural_network": "DEEP_CONVOLUTIONAL_NETWORK"}),
    ],
    ids=["continuous", "one action"],
)
def test_any_action_space_and_network_learns(tmp_path: Path, actions, metadata):
    model = course_model(tmp_path / "model", actions=actions, metadata=metadata)
    assert Course(model).run().iterations == 2


def test_a_student_for_real_cars_learns_in_other_light(tmp_path: Path):
    """Randomized and mirrored; it is resumed to the same bytes. Neither teacher nor polish know of it."""
    models = [
        course_model(tmp_path / name, student={"iterations": 2, "randomize": True, "mirror": True})
        for name in ("whole", "stopped")
    ]

    class Stops(Notes):
        def on_iteration(self, record) -> None:
            if self.name == "student":
                course.stop()

    course = Course(models[1], listener=Stops(models[1].path))
    assert course.run().reason == "stopped"
    assert len(curve(models[1].path / "student")) == 1
    for model, resume in zip(models, (False, True), strict=True):
        assert Course(model, resume=resume).run().iterations == 2
    assert weights(models[0].path) == weights(models[1].path)
    races = [ModelFolder(models[0].path / place, needs_reward=False).job.race for place in PLACES]
    assert [race.randomize_domain for race in races] == [False, True, False]


def test_a_student_without_a_mirror_is_refused_before_its_teacher_learns(tmp_path: Path):
    actions = [{"steering_angle": angle, "speed": 1} for angle in (-30, 0, 20)]
    model = course_model(tmp_path / "model", actions=actions, student={"mirror": True})
    with pytest.raises(ConfigError, match=r"metadata\.json: student\.mirror = true .* -30 degrees at 1 m/s has none"):
        Course(model).run()
    assert not (model.path / "teacher").exists()


def test_the_command_shows_each_training_and_ends_with_the_model(tmp_path: Path):
    model = course_model(tmp_path / "model", training={"method": "ppo"})
    hotlap = Hotlap(tmp_path)
    shown = hotlap.call("train", model.path, "--teacher", "--json")
    printed = json.loads(shown.stdout)
    assert printed["iterations"] == 2
    assert printed["earlier"].keys() == {"teacher", "student"}
    told = " ".join(shown.stderr.split())
    assert "The teacher is done: " in told
    assert "The student is done: " in told
    again = " ".join(hotlap.call("train", model.path, "--teacher", "--resume").stderr.split())
    assert "Training ended: its iterations are done" in again
    assert "Hardly any lap was clean" in again
    assert "again, which the student remembers" not in again
    hotlap.call("evaluate", model.path / "teacher", "--laps", "1", "--no-video")
