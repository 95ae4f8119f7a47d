"""From driven episodes to laps, by hand; and evaluations of a trained model from its folder to the video."""

from __future__ import annotations

import csv
import itertools
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny_model import ROUND_AND_ROUND, WANDERING, write_model

from hotlap.config.model_folder import ModelFolder
from hotlap.deepracer.statuses import STATUS_NAMES
from hotlap.errors import RecordError
from hotlap.evaluation.evaluator import Evaluator
from hotlap.evaluation.filming import film_trials, trials_to_film
from hotlap.evaluation.laps import laps_of
from hotlap.evaluation.replay import Replay, drive_of, trials_of
from hotlap.evaluation.statistics import LapResult
from hotlap.records.steps import Steps
from hotlap.rollouts.fleet import InProcessFleet
from hotlap.rollouts.plan import EpisodePlan
from hotlap.rollouts.worker import PlayedEpisode
from hotlap.sim.scene import RaceRules
from hotlap.sim.starts import Start
from hotlap.training.trainer import Trainer

RULES = RaceRules(number_of_resets=100, off_track_penalty=5.0, collision_penalty=3.0)


def episode(*parts: tuple[int, str, float]) -> PlayedEpisode:
    """An episode of parts (number of steps, status, progress at the end of the part)."""
    status = np.concatenate([np.full(num_steps, name) for num_steps, name, _ in parts])
    progress = np.concatenate([np.linspace(end, 0.5 * end, num_steps)[::-1] for num_steps, _, end in parts])
    codes = [STATUS_NAMES.index(name) for name in status]
    steps = Steps.of(step=np.arange(1, len(codes) + 1), status=codes, progress=progress)
    return PlayedEpisode(EpisodePlan(0, Start()), steps, np.zeros(len(codes)), experience=None)


def laps(*parts: tuple[int, str, float], rules: RaceRules = RULES) -> tuple[LapResult, ...]:
    return laps_of([episode(*parts)], rules).laps


def test_a_lap_without_a_mistake_is_clean():
    """Its time runs from the reset to the step that completes it: 150 steps are 10 s."""
    (lap,) = laps((1, "prepare", 0.5), (148, "in_progress", 99.0), (1, "lap_complete", 100.0))
    assert lap == LapResult(trial=1, time_ms=10_000, completion_percentage=100.0, status="lap_complete", clean=True)


def test_the_mistake_that_ends_an_attempt_is_counted_but_costs_nothing():
    """Nobody puts the car back any more."""
    (lap,) = laps((1, "prepare", 0.5), (29, "in_progress", 36.0), (1, "off_track", 37.5))
    assert (lap.status, lap.completion_percentage, lap.time_ms) == ("off_track", 37.5, round(31 / 15 * 1000))
    assert (lap.off_track_count, lap.reset_count, lap.penalty_s) == (1, 0, 0.0)
    assert not lap.clean
    assert not lap.complete


def test_forgiven_mistakes_cost_their_penalties_which_the_lap_time_contains():
    """Off track and reversed 5 s, crash 3 s, standing still nothing."""
    mistakes = [("off_track", 75), ("crashed", 45), ("reversed", 75), ("immobilized", 1)]
    parts = [(1, "prepare", 0.5)]
    for name, num_pauses in mistakes:
        parts += [(20, "in_progress", 40.0), (1, name, 41.0), (num_pauses, "pause", 41.0)]
    parts += [(20, "in_progress", 99.0), (1, "lap_complete", 100.0)]
    (lap,) = laps(*parts)
    assert (lap.off_track_count, lap.crash_count, lap.reversed_count, lap.immobilized_count) == (1, 1, 1, 1)
    assert (lap.reset_count, lap.penalty_s) == (4, 13.0)
    assert lap.time_ms == round((1 + 4 * 21 + 75 + 45 + 75 + 1 + 21) / 15 * 1000)
    assert lap.complete
    assert not lap.clean


def test_laps_of_a_continuous_race_are_cut_where_progress_is_100():
    """Their status in the trace is `in_progress`; each has its own time and its own mistakes."""
    found = laps(
        (1, "prepare", 0.5),
        (98, "in_progress", 99.0),
        (1, "in_progress", 100.0),
        (50, "in_progress", 60.0),
        (1, "off_track", 61.0),
        (75, "pause", 61.0),
        (24, "in_progress", 100.0),
        (89, "in_progress", 99.0),
        (1, "lap_complete", 100.0),
    )
    assert [lap.trial for lap in found] == [1, 2, 3]
    assert [lap.time_ms for lap in found] == [round(n / 15 * 1000) for n in (100, 150, 90)]
    assert [lap.clean for lap in found] == [True, False, True]
    assert [lap.penalty_s for lap in found] == [0.0, 5.0, 0.0]
    assert {lap.status for lap in found} == {"lap_complete"}


def test_an_unfinished_lap_of_a_continuous_race_is_a_lap_too():
    """It ended with a mistake too many, or with the time."""
    for status in ("off_track", "time_up"):
        first, second = laps((100, "in_progress", 100.0), (30, "in_progress", 20.0), (1, status, 21.0))
        assert first.clean
        assert (second.status, second.complete, second.completion_percentage) == (status, False, 21.0)
        assert second.reset_count == 0


def test_a_lap_completed_in_a_pause_ends_there():
    """The car was put back at the line; the next lap begins with the rest of the pause."""
    first, second = laps(
        (100, "in_progress", 99.8),
        (1, "off_track", 99.8),
        (1, "pause", 100.0),
        (74, "pause", 1.0),
        (100, "in_progress", 99.0),
        (1, "lap_complete", 100.0),
    )
    assert (first.complete, first.clean, first.off_track_count, first.penalty_s) == (True, False, 1, 5.0)
    assert (second.complete, second.clean) == (True, True)
    assert second.time_ms == round(175 / 15 * 1000)


def test_trials_count_through_all_episodes():
    """One report over many attempts."""
    report = laps_of([episode((10, "in_progress", 100.0)), episode((10, "off_track", 3.0))], RULES)
    assert [lap.trial for lap in report.laps] == [1, 2]
    assert report.completion_mean == pytest.approx(51.5)


def test_the_drive_of_an_episode_restarts_clock_and_number_at_each_lap():
    """What figures and videos show beside the car."""
    played = episode((4, "in_progress", 100.0), (2, "in_progress", 50.0), (1, "lap_complete", 100.0))
    steps = replace(played.steps, heading=np.arange(7.0), reward=np.arange(7.0))
    drive = drive_of(replace(played, steps=steps))
    assert np.asarray(drive.lap).tolist() == [1, 1, 1, 1, 2, 2, 2]
    np.testing.assert_allclose(drive.time * 15, [1, 2, 3, 4, 1, 2, 3])
    np.testing.assert_allclose(drive.yaw, np.deg2rad(np.arange(7)))
    assert drive.status == "lap_complete"
    assert np.asarray(drive.reward).tolist() == [0, 1, 3, 6, 4, 9, 15]


def test_trials_are_cut_at_laps_and_count_their_own_resets():
    """Numbers go on from the first; the mistake that ends the attempt puts nobody back; a car in a pause stands."""
    played = episode(
        (1, "prepare", 0.5),
        (2, "in_progress", 60.0),
        (1, "off_track", 61.0),
        (2, "pause", 61.0),
        (2, "in_progress", 100.0),
        (2, "in_progress", 20.0),
        (1, "crashed", 21.0),
    )
    first, second = trials_of(replace(played, steps=replace(played.steps, speed=np.ones(11))), 3, "ring")
    assert (len(first), first.lap, first.status, first.name) == (8, 3, "lap_complete", "ring")
    assert (len(second), second.lap, second.status) == (3, 4, "crashed")
    assert np.asarray(first.resets).tolist() == [0, 0, 0, 1, 1, 1, 1, 1]
    assert np.asarray(second.resets).tolist() == [0, 0, 0]
    assert first.speed.tolist() == [0, 1, 1, 1, 0, 0, 1, 1]
    np.testing.assert_allclose(second.time * 15, [1, 2, 3])


def test_which_trials_are_filmed():
    """All, so many, or the first clean one; without any the one that got farthest."""
    parts = [(10, "off_track", 30.0), (9, "off_track", 60.0), (8, "lap_complete", 100.0), (7, "lap_complete", 100.0)]
    report = laps_of([episode(part) for part in parts], RULES)
    assert list(trials_to_film(report, "all")) == [0, 1, 2, 3]
    assert list(trials_to_film(report, 2)) == [0, 1]
    assert list(trials_to_film(report, 9)) == [0, 1, 2, 3]
    assert list(trials_to_film(report, "first")) == [2]
    assert list(trials_to_film(laps_of([episode(part) for part in parts[:2]], RULES), "first")) == [1]


# From a trained model's folder


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> ModelFolder:
    """A model that drives clean laps, whatever its network says."""
    model = write_model(
        tmp_path_factory.mktemp("good"), actions=ROUND_AND_ROUND, training={"max_iterations": 1, "eval_laps": 1}
    )
    Trainer(model).run()
    return model


@pytest.fixture(scope="module")
def bad(tmp_path_factory: pytest.TempPathFactory) -> ModelFolder:
    """A model that knows nothing."""
    model = write_model(tmp_path_factory.mktemp("bad"), training={"max_iterations": 1, "eval_laps": 1})
    Trainer(model).run()
    return model


def metrics_of(files: dict[str, Path]) -> list[dict[str, Any]]:
    return json.loads(files["metrics"].read_text())["metrics"]


def rows_of(files: dict[str, Path]) -> list[dict[str, str]]:
    with open(files["trace"]) as file:
        return list(csv.DictReader(file))


def test_trials_each_start_anew(good: ModelFolder):
    """Two attempts from the start line, side by side; metrics and trace agree; films show every step."""
    evaluator = Evaluator(good, job=good.job.updated(evaluation={"continuous": False, "trials": 2}))
    report = evaluator.run()
    assert [lap.clean for lap in report.laps] == [True, True]
    files = evaluator.record("20250102030405")
    metrics = metrics_of(files)
    assert [each["trial"] for each in metrics] == [1, 2]
    assert [each["episode_status"] for each in metrics] == ["Lap complete"] * 2
    assert [each["elapsed_time_in_milliseconds"] for each in metrics] == [lap.time_ms for lap in report.laps]
    rows = rows_of(files)
    assert [row["episode_status"] for row in rows].count("prepare") == 2
    num_steps = [sum(row["episode"] == str(number) for row in rows) for number in range(2)]
    assert [round(steps / 15 * 1000) for steps in num_steps] == [lap.time_ms for lap in report.laps]
    assert files["figure"].stat().st_size > 10_000

    evaluator.episodes = [beginning(played, 20) for played in evaluator.episodes]
    shown: list[tuple[int, int]] = []
    films = evaluator.film(1, on_frame=lambda done, total: shown.append((done, total)))
    assert shown == [(done, 20) for done in range(1, 21)]
    assert list(films) == [0]
    for trial, of_trial in films.items():
        assert {name: str(path.relative_to(good.path)) for name, path in of_trial.items()} == {
            "pip": f"mp4/camera-pip/{trial}-video.mp4",
            "chase": f"mp4/camera-45degree/{trial}-video.mp4",
            "top": f"mp4/camera-topview/{trial}-video.mp4",
            "car": f"evaluation-20250102030405/{trial}-video.mp4",
        }
        assert count_frames(of_trial["pip"]) == 20 + 15  # the last picture stays for a second


def beginning(played: PlayedEpisode, num_steps: int) -> PlayedEpisode:
    """The first steps of an episode: filming takes its time."""
    return replace(played, steps=played.steps.where(np.arange(num_steps)), actions=played.actions[:num_steps])


def count_frames(path: Path) -> int:
    import av

    with av.open(str(path)) as container:
        return sum(1 for _ in container.decode(video=0))


def test_the_film_of_an_episode_follows_the_same_path(good: ModelFolder):
    """Same seed, same actions: the poses filmed are those driven, and the pictures move."""
    evaluator = Evaluator(good, laps=1)
    evaluator.run()
    assert isinstance(evaluator.fleet, InProcessFleet)
    race = evaluator.fleet.host.worker(0).race
    (played,) = evaluator.episodes
    shots = [
        (shot.camera.copy(), shot.chase.copy())
        for shot in Replay(evaluator.config, scale=1).shots(played, range(10, played.num_steps))
    ]
    assert len(shots) == played.num_steps - 10
    assert shots[0][0].shape == (120, 160, 3)
    assert shots[0][1].shape == (480, 640, 3)
    # What the worker's car saw last in gray is what the film shows in color.
    last = shots[-1][0].astype(float) @ [0.299, 0.587, 0.114]
    assert np.abs(last - race.observe(np.array([0]))["FRONT_FACING_CAMERA"][0, 0, 0]).max() < 2.5
    for one, other in itertools.pairwise(shots[:-1]):
        assert np.any(one[0] != other[0])
        assert np.any(one[1] != other[1])


def test_a_continuous_evaluation_is_one_episode_of_many_laps(good: ModelFolder):
    """Only the first lap starts from rest; the metrics of laps before the last say `In progress`."""
    evaluator = Evaluator(good, job=good.job.updated(evaluation={"continuous": True, "trials": 3}))
    report = evaluator.run()
    assert len(evaluator.episodes) == 1
    assert [lap.complete for lap in report.laps] == [True, True, True]
    assert report.laps[0].time_ms > report.laps[1].time_ms
    files = evaluator.record("20250102030406")
    metrics = metrics_of(files)
    assert [each["episode_status"] for each in metrics] == ["In progress", "In progress", "Lap complete"]
    assert [each["start_time"] for each in metrics][1:] == pytest.approx(
        np.cumsum([lap.time_ms for lap in report.laps])[:-1], abs=1
    )
    rows = rows_of(files)
    assert [row["episode_status"] for row in rows].count("lap_complete") == 1
    assert [float(row["progress"]) for row in rows].count(100.0) == 3


def test_a_later_trial_of_a_continuous_evaluation_is_filmed_alone(good: ModelFolder):
    """The steps before it are driven, not drawn; trials are counted over all episodes."""
    evaluator = Evaluator(good, laps=1)
    evaluator.run()
    played = beginning(evaluator.episodes[0], 12)
    played.steps.progress[4] = 100.0
    seen: list[tuple[int, int]] = []
    films = film_trials(evaluator.config, [played, played], range(1, 3), on_frame=lambda *count: seen.append(count))
    assert [(number, count_frames(files["top"]) - 15) for number, files in films] == [(1, 7), (2, 5)]
    assert seen == [(done, 12) for done in range(1, 13)]


def test_laps_for_statistics_end_with_the_first_mistake(bad: ModelFolder):
    """Whatever resets the job allows; laps differ by their cars, and the same seed gives the same laps."""
    first = Evaluator(bad, laps=4).run()
    assert first.num_laps == 4
    assert [lap.status for lap in first.laps] == ["off_track"] * 4
    assert {lap.reset_count for lap in first.laps} == {0}
    assert len({lap.completion_percentage for lap in first.laps}) > 1
    assert Evaluator(bad, laps=4).run() == first
    assert Evaluator(bad, job=bad.job.updated(evaluation={"seed": 1}), laps=4).run() != first


def test_penalties_and_resets_are_those_of_the_job(bad: ModelFolder):
    """Two resets of 1 s: 15 steps of pause each, contained in the time; the third mistake ends the trial."""
    settings = {"continuous": False, "trials": 1, "number_of_resets": 2, "off_track_penalty": 1.0}
    evaluator = Evaluator(bad, job=bad.job.updated(evaluation=settings))
    (lap,) = evaluator.run().laps
    assert (lap.off_track_count, lap.reset_count, lap.penalty_s, lap.clean) == (3, 2, 2.0, False)
    rows = rows_of(evaluator.record("20250102030407"))
    statuses = [row["episode_status"] for row in rows]
    assert statuses.count("pause") == 30
    assert statuses[-1] == "off_track"
    assert lap.time_ms == round(len(rows) / 15 * 1000)
    begin = statuses.index("off_track")
    assert [float(row["pause_duration"]) for row in rows[begin : begin + 16]] == pytest.approx(
        [1 - k / 15 for k in range(16)], abs=0.01
    )


def test_a_checkpoint_of_another_network_is_refused(bad: ModelFolder, tmp_path: Path):
    """The metadata file is another one than the model was trained with."""
    changed = write_model(tmp_path, actions=WANDERING[:2])
    (tmp_path / "model").symlink_to(bad.path / "model")
    with pytest.raises(RecordError, match=r"made for another network than model_metadata\.json"):
        Evaluator(changed, checkpoint="last")


def test_a_folder_without_a_trained_model_says_so(tmp_path: Path):
    """Train first."""
    with pytest.raises(RecordError, match="Train the model first"):
        Evaluator(write_model(tmp_path))
