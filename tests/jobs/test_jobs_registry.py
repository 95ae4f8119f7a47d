"""The list of jobs tells the truth: about processes that ended without a word, and next to damaged files."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest
from typer.testing import CliRunner

from hotlap.cli.main import app
from hotlap.errors import ConfigError, RecordError
from hotlap.jobs.overview import find_job
from hotlap.jobs.record import ClusterJob, JobRecord, ProcessId
from hotlap.jobs.registry import KEPT, JobRegistry, Progress, progress_of
from hotlap.jobs.running import JOB_VARIABLE, RunningJob, running_job
from hotlap.records.address import S3Prefix
from hotlap.records.checkpoints import CheckpointName, CheckpointStore, IndexEntry
from hotlap.records.events import PROGRESS, EvaluationSummary, IterationRecord, ProgressLog
from hotlap.records.folder import Folder
from hotlap.records.layout import INDEX
from hotlap.records.mirrored import TRAINING, mirrored, put_away
from hotlap.records.s3_settings import S3Settings
from hotlap.records.tallies import TALLIES, Tally, TallyLog
from hotlap.user_folders import state_folder


@pytest.fixture
def registry(tmp_path: Path) -> JobRegistry:
    return JobRegistry(tmp_path / "jobs")


def test_a_record_comes_back_as_it_went():
    """Also what a newer version adds does no harm."""
    job = JobRecord(
        id="3", folder="/m", process=ProcessId.own(), cluster=ClusterJob("http://h:1", "ray_1", "/out"), error="ä"
    )
    assert JobRecord.from_json(job.to_json()) == job
    assert JobRecord.from_json(job.to_json().replace(b'"id"', b'"newer": 1, "id"')) == job


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"1", b"{}", b'{"id": "1", "folder": "/m", "state": "odd"}'])
def test_what_is_no_record_is_refused(data):
    with pytest.raises(ValueError, match=r".+"):
        JobRecord.from_json(data)


def test_torn_files_hide_only_themselves(registry, tmp_path):
    """Numbers go on after them."""
    first = registry.add(tmp_path)
    (registry.folder / "2.json").write_bytes(first.to_json()[:40])
    (registry.folder / "3.json").touch()
    assert registry.add(tmp_path).id == "4"
    assert [job.id for job in registry.jobs()] == ["1", "4"]
    with pytest.raises(ConfigError, match="there is no job '2'"):
        registry.get("2")


def test_jobs_that_begin_at_once_get_different_numbers(registry, tmp_path):
    with ThreadPoolExecutor(8) as threads:
        numbers = list(threads.map(lambda _: registry.add(tmp_path).id, range(16)))
    assert sorted(map(int, numbers)) == list(range(1, 17))


def test_a_process_is_known_by_its_number_and_its_start():
    """The number alone is used again."""
    own = ProcessId.own()
    assert own.alive()
    assert not replace(own, start=own.start - 60).alive()
    assert replace(own, start=0.0, host="elsewhere").alive(), "of another machine nothing can be told"
    with subprocess.Popen([sys.executable, "-c", ""]) as child:
        zombie = ProcessId(child.pid, own.start, socket.gethostname())
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        assert psutil.pid_exists(child.pid)
        assert not replace(zombie, start=psutil.Process(child.pid).create_time()).alive()
    assert not zombie.alive()


def test_a_job_without_its_process_is_lost(registry, tmp_path):
    """Whatever it last said; what has ended stays as it was."""
    gone = replace(ProcessId.own(), start=1.0)
    registry.add(tmp_path, process=gone, state="running")
    registry.add(tmp_path, process=gone, state="finished")
    registry.add(tmp_path, state="running")
    assert [job.state for job in registry.jobs()] == ["lost", "finished", "running"]


def test_the_latest_ended_jobs_are_remembered(registry, tmp_path):
    """And every live one."""
    alive = registry.add(tmp_path).id
    for _ in range(KEPT + 5):
        registry.ask_to_stop(registry.add(tmp_path, state="finished").id, 1)
    kept = [int(job.id) for job in registry.jobs()]
    assert kept == [int(alive), *range(KEPT + 6 - KEPT + 1, KEPT + 7)]
    assert len(list(registry.folder.iterdir())) == 1 + 2 * KEPT


def test_a_job_is_found_as_users_name_it(registry, tmp_path, monkeypatch):
    """By number, name, folder or output; a live one before a newer one that has ended."""
    (tmp_path / "a").mkdir()
    place = ClusterJob("http://h:1", "ray_1", str(tmp_path / "out"))
    live = registry.add(tmp_path / "a", name="deepracer-0")
    ended = registry.add(tmp_path / "a", state="failed")
    far = registry.add(tmp_path / "b", process=None, cluster=place, state="finished")
    monkeypatch.chdir(tmp_path)
    for target in ("1", "deepracer-0", "a", "./a/", str(tmp_path / "a")):
        assert find_job(registry, target).id == live.id
    assert find_job(registry, "2").id == ended.id
    assert find_job(registry, "out").id == far.id
    with pytest.raises(ConfigError, match="there is no job 'c'"):
        find_job(registry, "c")


def test_wishes_to_stop_only_grow(registry, tmp_path):
    number = registry.add(tmp_path).id
    levels = [registry.stop_level(number)]
    for level in (1, 2, 1):
        registry.ask_to_stop(number, level)
        levels.append(registry.stop_level(number))
    assert levels == [0, 1, 2, 2]


def test_a_second_training_of_a_folder_is_refused(registry, tmp_path):
    """While the first runs on this machine; a job elsewhere is the folder's lock's concern."""
    here = registry.add(tmp_path)
    registry.add(tmp_path / "other")
    with pytest.raises(
        RecordError, match=rf"by job {here.id} \(process {os.getpid()}\) since 20.*hotlap stop {here.id}"
    ):
        registry.refuse_second(tmp_path)
    registry.update(here.id, state="finished")
    registry.add(tmp_path, process=replace(ProcessId.own(), host="elsewhere"))
    registry.refuse_second(tmp_path)


def test_a_job_records_its_own_end(tmp_path, monkeypatch):
    """However it ends, and also if somebody tidied the list meanwhile."""
    monkeypatch.setenv("HOTLAP_STATE", str(tmp_path / "state"))
    registry = JobRegistry()
    with running_job(tmp_path) as job:
        job.began()
        assert registry.get(job.id).state == "running"
        job.finished("goal")
    with pytest.raises(ZeroDivisionError), running_job(tmp_path):
        _ = 1 / 0
    with pytest.raises(KeyboardInterrupt), running_job(tmp_path):
        raise KeyboardInterrupt
    assert [(job.state, job.reason, job.error) for job in registry.jobs()] == [
        ("finished", "goal", None),
        ("failed", None, "division by zero"),
        ("finished", "interrupted", None),
    ]
    with running_job(tmp_path) as job:
        (state_folder() / "jobs" / f"{job.id}.json").unlink()
        job.finished("goal")


def test_a_background_job_takes_the_record_that_was_made_for_it(tmp_path, monkeypatch):
    """And its own children do not."""
    monkeypatch.setenv("HOTLAP_STATE", str(tmp_path / "state"))
    starter = replace(ProcessId.own(), start=1.0)
    given = JobRegistry().add(tmp_path, log="/log", process=starter)
    monkeypatch.setenv(JOB_VARIABLE, given.id)
    with running_job(tmp_path) as job:
        record = JobRegistry().get(given.id)
        assert (job.id, record.log, record.process) == (given.id, "/log", ProcessId.own())
        assert JOB_VARIABLE not in os.environ


def test_a_list_that_cannot_be_written_is_told(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(RecordError, match="HOTLAP_STATE"):
        JobRegistry(tmp_path / "file" / "jobs").add(tmp_path)


def test_the_state_lies_where_the_platform_wants_it(monkeypatch):
    """Or where the user wants it."""
    monkeypatch.delenv("HOTLAP_STATE")
    monkeypatch.setenv("XDG_STATE_HOME", "/xdg")
    monkeypatch.setenv("LOCALAPPDATA", "/windows")
    for platform, folder in (("linux", "/xdg/hotlap"), ("win32", "/windows/hotlap")):
        monkeypatch.setattr("sys.platform", platform)
        assert state_folder().as_posix() == folder
    monkeypatch.setattr("sys.platform", "darwin")
    assert state_folder().as_posix().endswith("Library/Application Support/hotlap")
    monkeypatch.setenv("HOTLAP_STATE", "/mine")
    assert state_folder() == Path("/mine")


def test_the_best_checkpoint_is_told_while_it_trains_and_after(registry, tmp_path, monkeypatch):
    """The last one that became the best, not the last one; of an ended job as it was at its end."""
    monkeypatch.setenv("HOTLAP_STATE", str(tmp_path / "state"))
    folder = tmp_path / "model"
    assert progress_of(folder) == Progress()
    progress = ProgressLog(Folder(folder))
    for iteration, (clean_rate, is_best) in enumerate([(0.25, True), (0.75, True), (0.5, False)]):
        progress.append(iteration_record(iteration, clean_rate, is_best))
    best = Progress(3, 0.5, "2_Step-20.ckpt", 0.75, 12.0)
    assert progress_of(folder) == best
    with running_job(folder) as job:
        for state, say in (("starting", lambda: None), ("running", job.began)):
            say()
            row, screen = listed()
            assert (row["state"], row["iterations"], row["best_clean_rate"]) == (state, None, None), "it made none yet"
        progress.append(iteration_record(3, 0.5, False))
        row, screen = listed()
        assert (row["state"], row["best_clean_rate"], row["best_lap_time_s"]) == ("running", 0.75, 12.0)
        assert "75% 12.0 s" in screen
        job.finished("goal")
    progress.append(iteration_record(4, 1.0, True))
    row, screen = listed()
    assert (row["state"], row["best_checkpoint"], row["best_clean_rate"]) == ("finished", "2_Step-20.ckpt", 0.75)
    assert "75% 12.0 s" in screen
    assert "goal reached" in screen


def test_a_killed_job_keeps_what_it_came_to(registry, tmp_path):
    """From when it is first seen to be gone; a later job in the folder changes nothing of that."""
    gone = replace(ProcessId.own(), start=1.0)
    progress = ProgressLog(Folder(tmp_path))
    killed = registry.add(tmp_path, state="running")
    progress.append(iteration_record(0, 0.0, True))
    registry.update(killed.id, process=gone)
    assert registry.get(killed.id).clean_rate == 0.0
    progress.append(iteration_record(1, 1.0, True))
    assert (registry.get(killed.id).iterations, registry.get(killed.id).clean_rate) == (1, 0.0)
    # Not seen before the next one began: it is looked at then.
    unseen = registry.add(tmp_path / "b", state="running")
    later = ProgressLog(Folder(tmp_path / "b"))
    later.append(iteration_record(0, 0.0, True))
    registry.update(unseen.id, process=gone)
    registry.add(tmp_path / "b", state="running")
    later.append(iteration_record(1, 1.0, True))
    assert (registry.get(unseen.id).iterations, registry.get(unseen.id).clean_rate) == (1, 0.0)
    # Not even then, since its process lived: nobody knows what is whose.
    shared, _ = (registry.add(tmp_path / "b", state="running") for _ in range(2))
    registry.update(shared.id, process=gone)
    assert registry.get(shared.id).iterations is None
    # One that only resumed and was killed before its first iteration.
    resumed = registry.add(tmp_path, process=gone, state="running", iterations_before=2)
    assert registry.get(resumed.id).iterations is None


def test_what_looked_lost_and_lives_has_the_last_word(registry, tmp_path):
    """A clock that was set right may make a process look like another one for a moment."""
    job = registry.add(tmp_path, process=replace(ProcessId.own(), start=1.0), state="running")
    assert registry.get(job.id).state == "lost"
    registry.update(job.id, state="finished", reason="goal")
    assert registry.get(job.id).state == "finished"


def test_a_refusal_is_no_job(tmp_path, monkeypatch):
    """Before it began; afterwards an error is an end like others."""
    monkeypatch.setenv("HOTLAP_STATE", str(tmp_path / "state"))
    with pytest.raises(RecordError), running_job(tmp_path):
        raise RecordError("already holds a trained model")
    assert JobRegistry().jobs() == []
    with pytest.raises(RecordError), running_job(tmp_path) as begun:
        fail_after(begun)
    assert [job.state for job in JobRegistry().jobs()] == ["failed"]


def fail_after(job: RunningJob) -> None:
    job.began()
    raise RecordError("the disk is full")


def test_the_list_says_why_a_job_ended(tmp_path, monkeypatch):
    """In a few words, of an error where it was."""
    monkeypatch.setenv("HOTLAP_STATE", str(tmp_path / "state"))
    gone = replace(ProcessId.own(), start=1.0)
    for details, words in (
        ({"state": "finished", "reason": "goal"}, "goal reached"),
        ({"state": "finished", "reason": "minutes"}, "time up"),
        ({"state": "finished", "reason": "stopped"}, "stopped; --resume goes on"),
        ({"state": "failed", "error": "/my home/x/reward_function.py, line 3, episode 2: KeyError: 'a'"}, "reward_f"),
        ({"state": "failed", "error": "the cluster at http://h:1 does not answer " * 5}, "the cluster at http://h:1"),
        ({"state": "running", "process": gone}, "killed, or the memory was full; --resume goes on"),
    ):
        job = JobRegistry().add(tmp_path, **details)
        _, screen = listed(job.id)
        assert words in screen
        assert "my home" not in screen


def test_logs_are_those_of_the_newest_job_that_has_some(registry, tmp_path):
    """A job in the foreground writes to its terminal."""
    logged = [registry.add(tmp_path, state="finished", log=f"/{number}.log") for number in range(2)]
    registry.add(tmp_path, state="finished")
    assert find_job(registry, str(tmp_path), with_log=True).id == logged[-1].id
    assert find_job(registry, "3", with_log=True).id == "3"


@pytest.mark.parametrize("place", ["folder", "bucket"])
def test_the_best_is_the_one_that_the_index_names(place, tmp_path, monkeypatch):
    """The run-off at the end of a training may choose an earlier one; its laps are those of all evaluations."""
    monkeypatch.setenv("HOTLAP_STATE", str(tmp_path / "state"))
    store = Folder(tmp_path / "model")
    progress = ProgressLog(store)
    for iteration, (clean_rate, is_best) in enumerate([(0.25, True), (0.75, True), (0.5, False)]):
        progress.append(iteration_record(iteration, clean_rate, is_best))
    first, last = CheckpointName(1, 10), CheckpointName(3, 30)
    CheckpointStore(store).write_index(best=IndexEntry(first, 90.0, 1.0), last=IndexEntry(last, 80.0, 2.0))
    TallyLog(store).append([Tally(str(first), num_laps=40, clean_laps=38)], 2)
    where: str | Path = tmp_path / "model"
    if place == "bucket":
        where = "s3://races/model"
        settings = S3Settings(endpoint=None, region="us-east-1", source="nowhere", provider=None)
        home, _ = mirrored(S3Prefix.parse(where), settings)
        for key in (PROGRESS, TALLIES, INDEX, "model/1_Step-10.safetensors"):
            Folder(home / TRAINING).put(key, store.get(key) if store.exists(key) else b"")
        assert progress_of(where) == Progress(3, 0.5, str(first), 0.95, 11.0)
        put_away(home)  # uploaded whole
        assert not list(home.rglob("*.safetensors"))
    assert progress_of(where) == Progress(3, 0.5, str(first), 0.95, 11.0)


def listed(number: str = "1") -> tuple[dict[str, Any], str]:
    """A job as `hotlap jobs` shows it, as JSON and to people."""
    runner = CliRunner()
    (row,) = (row for row in json.loads(runner.invoke(app, ["jobs", "--json"]).stdout)["jobs"] if row["id"] == number)
    lines = runner.invoke(app, ["jobs"], env={"COLUMNS": "300"}).stdout.splitlines()
    return row, next(line for line in lines if line.startswith(f"  {number} ") or line.startswith(f"{number} "))


def iteration_record(iteration: int, clean_rate: float, is_best: bool) -> IterationRecord:
    return IterationRecord(
        iteration=iteration,
        checkpoint=f"{iteration + 1}_Step-{10 * (iteration + 1)}.ckpt",
        total_episodes=1,
        total_steps=10,
        elapsed_s=1.0,
        num_episodes=1,
        num_steps=10,
        reward_mean=1.0,
        completion_mean=50.0,
        laps_completed=0,
        evaluation=EvaluationSummary(
            num_laps=4, completion_mean=80.0, clean_rate=clean_rate, reward_mean=1.0, lap_time_median_s=11.0 + iteration
        ),
        is_best=is_best,
    )
