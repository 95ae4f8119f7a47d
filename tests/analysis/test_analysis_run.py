"""Folders are read back as what happened in them, whoever wrote them and whatever is missing."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from log_folders import write_real_log
from synthetic_run import ring, write_run

from hotlap.analysis.read.driven_track import Candidates, driven_track
from hotlap.analysis.read.episodes import Episodes
from hotlap.analysis.read.phases import num_episodes
from hotlap.analysis.read.run_reader import read_run
from hotlap.errors import RecordError
from hotlap.records.folder import Folder
from hotlap.records.metrics import read_metrics
from hotlap.records.tallies import TALLIES, Tally, TallyLog
from hotlap.tracks.catalog import load_track
from hotlap.tracks.track import Track


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_run(tmp_path_factory.mktemp("run") / "mine", evaluations=("20260102030405", "20260102030400"))


@pytest.fixture(scope="module")
def small_folder(tmp_path_factory):
    """With files of the same kinds, but few and short ones."""
    path = tmp_path_factory.mktemp("run") / "small"
    return write_run(path, num_iterations=2, num_episodes=3, evaluations=("20260102030405", "20260102030400"))


def test_episodes_add_up_what_their_steps_hold(folder):
    steps = read_run(folder).steps
    episodes = Episodes.of(steps)
    for i in range(len(episodes)):
        mine = steps.where(steps.episode == i)
        assert episodes.num_steps[i] == len(mine)
        assert episodes.reward[i] == pytest.approx(mine.reward.sum())
        assert episodes.progress[i] == mine.progress[-1]
        assert episodes.status[i] == mine.status[-1]
        assert episodes.seconds[i] == pytest.approx(len(mine) / 15)
    np.testing.assert_array_equal(episodes.complete | episodes.failed, np.ones(len(episodes), dtype=bool))


def test_metrics_and_traces_say_what_the_progress_file_says(folder, tmp_path):
    """Records made from the original's files are those that the trainer wrote."""
    ours = read_run(folder)
    shutil.copytree(folder, tmp_path / "plain")
    (tmp_path / "plain" / "metrics" / "progress.jsonl").unlink()
    for remove in ((), ("metrics",)):
        for name in remove:
            shutil.rmtree(tmp_path / "plain" / name)
        plain = read_run(tmp_path / "plain")
        assert len(plain.iterations) == len(ours.iterations)
        for one, other in zip(plain.iterations, ours.iterations, strict=True):
            assert (one.iteration, one.total_episodes, one.total_steps) == (
                other.iteration,
                other.total_episodes,
                other.total_steps,
            )
            assert one.laps_completed == other.laps_completed
            assert one.reward_mean == pytest.approx(other.reward_mean, abs=0.51)  # the metrics round rewards
            assert one.completion_mean == pytest.approx(other.completion_mean, abs=1.0)  # and cut percents
            assert (one.lap_time_best_s or 0) == pytest.approx(other.lap_time_best_s or 0, abs=0.002)


def test_evaluations_within_the_training_are_read_from_the_metrics(folder, tmp_path):
    shutil.copytree(folder, tmp_path / "plain")
    (tmp_path / "plain" / "metrics" / "progress.jsonl").unlink()
    path = tmp_path / "plain" / "metrics" / "TrainingMetrics.json"
    data = json.loads(path.read_text())
    records = []
    for record in data["metrics"]:
        records.append(record)
        if record["trial"] == 8:  # the last of the iteration
            complete = record["episode"] > 24
            records += [
                record
                | {
                    "phase": "evaluation",
                    "completion_percentage": 100 if complete else 60,
                    "episode_status": "Lap complete" if complete else "Off track",
                    "elapsed_time_in_milliseconds": 9000,
                }
            ] * 5
    path.write_text(json.dumps({"metrics": records}))
    evaluations = [record.evaluation for record in read_run(tmp_path / "plain").iterations]
    assert [each.num_laps for each in evaluations if each] == [5] * 6
    assert [each.clean_rate for each in evaluations if each] == [0, 0, 0, 1, 1, 1]
    assert [each.lap_time_median_s for each in evaluations if each] == [None] * 3 + [9.0] * 3


def test_evaluations_are_read_by_time(folder):
    run = read_run(folder)
    assert [each.name for each in run.evaluations] == ["20260102030400", "20260102030405"]
    assert [each.episodes.complete.tolist() for each in run.evaluations] == [[True, False, True]] * 2


def test_workers_keep_their_steps_and_tracks(tmp_path):
    small, large = ring(2.0), ring(3.0)
    large = Track("large", large.center, large.inner, large.outer, closed=True)
    run = read_run(write_run(tmp_path / "two", num_workers=3, tracks=(small, large)))
    assert {worker: track and track.name for worker, track in run.tracks.items()} == {0: "ring", 1: "large", 2: "ring"}
    assert [section.title for section in run.sections()] == ["ring (workers 0, 2)", "large (worker 1)"]
    assert sum(len(section.steps) for section in run.sections()) == len(run.steps)
    assert [len(record.workers) for record in run.iterations] == [3] * 6


@pytest.mark.parametrize("turned", [False, True])
def test_the_driven_track_is_found_in_its_direction(folder, turned):
    steps = read_run(folder).steps
    track = driven_track(steps, Candidates(["first_lap"], folder))
    assert track is not None
    np.testing.assert_allclose(track.center, ring().center)
    if turned:
        found = driven_track(replace(steps, y=-steps.y), Candidates(folder=folder))
        assert found is not None
        assert found.name == "ring (reversed)"


def test_no_track_is_better_than_a_wrong_one(folder, tmp_path):
    """A ring of another place or length is not taken for the one driven on."""
    shutil.copytree(folder, tmp_path / "away")
    (tmp_path / "away" / "ring.npy").unlink()
    run = read_run(tmp_path / "away", tracks=["first_lap"])
    assert run.tracks == {0: None}
    assert any("--track" in note for note in run.notes)


@pytest.mark.data
def test_tracks_of_real_logs_are_recognized_by_their_route(reference_data, tmp_path):
    real = write_real_log(reference_data, tmp_path)
    run = read_run(real.folder, tracks=sorted((reference_data / "tracks").glob("*.npy")))
    assert run.tracks[0] is not None
    np.testing.assert_allclose(run.tracks[0].center, load_track(real.route).center)


@pytest.mark.data
def test_a_real_log_says_what_its_metrics_say(reference_data, tmp_path):
    real = write_real_log(reference_data, tmp_path)
    run = read_run(real.folder)
    records = read_metrics(Folder(real.folder), "metrics/TrainingMetrics.json")
    assert len(run.iterations) == 28  # of which the sample holds the traces of the first
    assert run.iterations[-1].total_episodes == sum(record["phase"] == "training" for record in records)
    for i in range(6):
        mine = run.episodes.iteration == i
        assert run.iterations[i].num_steps == run.episodes.num_steps[mine].sum()
        assert run.iterations[i].completion_mean == pytest.approx(run.episodes.progress[mine].mean(), abs=1.0)
        assert run.iterations[i].reward_mean == pytest.approx(run.episodes.reward[mine].mean(), abs=0.6)
    assert [len(each.episodes) for each in run.evaluations] == [3, 3, 3]


def test_folders_without_a_run_are_explained(tmp_path):
    with pytest.raises(RecordError, match="does not exist"):
        read_run(tmp_path / "absent")
    (tmp_path / "file").write_text("")
    with pytest.raises(RecordError, match="is a file"):
        read_run(tmp_path / "file")
    with pytest.raises(RecordError, match="nothing readable about a run"):
        read_run(tmp_path)
    for name in ("model_metadata.json", "reward_function.py"):
        (tmp_path / name).write_text("")
    with pytest.raises(RecordError, match="has not been trained yet"):
        read_run(tmp_path)


def test_all_laps_of_the_best_checkpoint_are_read(tmp_path):
    """Its newest tally; a file that is damaged becomes a note."""
    folder = write_run(tmp_path / "mine")
    best = next(record.checkpoint for record in read_run(folder).iterations if record.is_best)
    assert read_run(folder).tally is None
    log = TallyLog(Folder(folder), num_iterations=0)
    log.append([Tally(best, 1, num_laps=32, clean_laps=30), Tally("1_Step-9.ckpt", 1, num_laps=32)], 3)
    log.append([Tally(best, 2, num_laps=64, clean_laps=61)], 4)
    assert read_run(folder).tally == Tally(best, 2, num_laps=64, clean_laps=61)
    (folder / TALLIES).write_text("x\n" * 20_000)
    run = read_run(folder)
    assert run.tally is None
    assert any(TALLIES in note for note in run.notes)


DAMAGES = st.sampled_from(["truncate", "noise", "empty", "remove", "folder", "number"])


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_damaged_files_become_notes(small_folder, tmp_path_factory, data):
    """Whatever happens to some files, the rest is read; or nothing is left and an error says so."""
    damaged = tmp_path_factory.mktemp("damaged") / "run"
    shutil.copytree(small_folder, damaged)
    paths = sorted(path for path in damaged.rglob("*") if path.is_file())
    for path in data.draw(st.lists(st.sampled_from(paths), min_size=1, max_size=5, unique=True)):
        damage(path, data)
    try:
        run = read_run(damaged)
    except RecordError:
        return
    assert len(run.episodes) == num_episodes(run.steps)
    for record in run.iterations:
        assert record.num_steps >= 0
    shutil.rmtree(damaged)


def damage(path, data) -> None:
    kind, content = data.draw(DAMAGES), path.read_bytes()
    place = data.draw(st.integers(0, len(content)))
    if kind == "truncate":
        path.write_bytes(content[:place])
    elif kind == "noise":
        path.write_bytes(content[:place] + data.draw(st.binary(max_size=30)) + content[place + 3 :])
    elif kind == "number":
        digits = data.draw(st.sampled_from([b"1e308", b"-7", b"null", b'"x"', b"[]", b"9" * 400, b"NaN"]))
        path.write_bytes(content.replace(b"1", digits, 1))
    elif kind == "empty":
        path.write_bytes(b"")
    else:
        path.unlink()
        if kind == "folder":
            path.mkdir()
