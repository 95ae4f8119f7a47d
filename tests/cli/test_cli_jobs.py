"""Trainings as real processes: how they are ended, watched from another terminal, and kept apart."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from hotlap_process import Hotlap, end, wait_for
from tiny_model import write_model

from hotlap.cli import jobs
from hotlap.records.checkpoints import CheckpointStore
from hotlap.records.events import ProgressLog
from hotlap.records.folder import Folder

pytestmark = pytest.mark.usefixtures("coarse_figures")

# Tells when it is called, and drives so slowly that a signal meets it in the middle of an iteration.
SLOW = """
import pathlib, time
def reward_function(params):
    pathlib.Path(__file__).with_name("driving").touch()
    time.sleep(0.02)
    return 1.0
"""
ONE_EPISODE = {"num_episodes_between_training": 1}
ENDLESS = """
import pathlib
def reward_function(params):
    pathlib.Path(__file__).with_name("driving").touch()
    while True:
        try:
            while True:
                pass
        except:
            pass
"""


@pytest.fixture
def hotlap(tmp_path: Path) -> Hotlap:
    return Hotlap(tmp_path)


def model(hotlap: Hotlap, name: str = "model", **options) -> Path:
    """A model that trains until it is told to end."""
    options = {"training": {"max_iterations": 0}} | options
    return write_model(hotlap.folder / name, **options).path


def drives(folder: Path) -> None:
    """Wait until the reward function is called again."""
    (folder / "driving").unlink(missing_ok=True)
    wait_for((folder / "driving").exists, "the reward function")


def num_iterations(folder: Path) -> int:
    return len(ProgressLog(Folder(folder)).read())


def test_the_first_signal_lets_the_iteration_finish(hotlap):
    """The iteration in hand is recorded, nothing after it begins, and --resume goes on with the next."""
    folder = model(hotlap, reward=SLOW)
    before, output = stop_by_signal(hotlap, folder, signal.SIGINT)
    assert "Ending after this iteration." in output
    assert f"hotlap train {folder} --resume" in output
    (job,) = hotlap.jobs()
    assert (job.state, job.reason, job.iterations) == ("finished", "stopped", before + 1)
    hotlap.call("train", folder, "--resume", "--iterations", "1")
    assert [record.iteration for record in ProgressLog(Folder(folder)).read()] == list(range(before + 2))
    assert "has no log" in hotlap.call("logs", folder, code=2).stderr


def test_the_systems_signal_is_a_wish_too(hotlap):
    """A shutdown, a batch system or a container sends SIGTERM."""
    stop_by_signal(hotlap, model(hotlap, reward=SLOW), signal.SIGTERM)


def stop_by_signal(hotlap: Hotlap, folder: Path, number: int) -> tuple[int, str]:
    """Send a signal in the middle of an iteration; finished iterations before it, and the output."""
    with hotlap.fork("train", folder) as training:
        wait_for(lambda: num_iterations(folder), "an iteration")
        drives(folder)
        before = num_iterations(folder)
        training.send_signal(number)
        output = end(training)
    assert training.returncode == 0, output
    # A signal in an evaluation meets the iteration that is being finished, whose line is not written yet.
    assert num_iterations(folder) == before + 1
    assert CheckpointStore(Folder(folder)).load("last").state.iteration == before + 1
    return before, output


def test_the_second_signal_ends_at_once(hotlap):
    """The iteration in hand is lost, the checkpoints before it are not."""
    folder = model(hotlap, reward=SLOW)
    with hotlap.fork("train", folder) as training:
        wait_for(lambda: num_iterations(folder), "an iteration")
        drives(folder)
        training.send_signal(signal.SIGINT)
        wait_for(lambda: hotlap.jobs()[0].state == "stopping", "the first signal")
        before = num_iterations(folder)
        training.send_signal(signal.SIGINT)
        output = end(training)
    assert training.returncode == 130, output
    assert "Stopped at once." in output
    assert num_iterations(folder) == before
    assert hotlap.jobs()[0].reason == "interrupted"
    assert CheckpointStore(Folder(folder)).load("last").state.iteration >= before


def test_a_training_that_has_not_begun_is_ended_by_one_signal(hotlap):
    """There is no iteration to finish."""
    folder = model(hotlap)
    with hotlap.start("train", folder) as training:
        wait_for(lambda: [job for job in hotlap.jobs() if job.state == "starting"], "the job")
        training.send_signal(signal.SIGINT)
        output = end(training)
    assert training.returncode == 130, output
    assert num_iterations(folder) == 0


def test_a_background_job_is_listed_followed_and_stopped(hotlap):
    """The command returns when it trains; the rest works from any terminal, by number, name or folder."""
    hotlap.environment["DR_RUN_ID"] = "2"  # DeepRacer-for-Cloud numbers runs that go on side by side
    folder = model(hotlap, reward=SLOW, hyperparameters=ONE_EPISODE)
    (hotlap.folder / "random.py").write_text("raise ImportError('not the one you want')")
    started = hotlap.call("train", "model", "--detach", "--seed", "5")
    assert "Job 1 trains model in the background" in started.stderr
    (job,) = hotlap.jobs()
    assert (job.id, job.folder, job.state, job.name) == ("1", str(folder), "running", "deepracer-2")
    assert job.process is not None
    assert os.getsid(job.process.pid) != os.getsid(0)
    wait_for(lambda: num_iterations(folder), "an iteration")
    listed = hotlap.call("jobs").stdout
    assert re.search(r"1 +running .* [1-9]\d* +\d+% +\d+% +model \(deepracer-2\)", listed), listed
    with hotlap.start("logs", "1", "-f") as follower:
        stopped = hotlap.call("stop", "model")
        followed = end(follower)
    assert f"Job 1 has ended after {num_iterations(folder)} iterations." in stopped.stderr
    assert "ready after" in followed
    assert "Training ended: it was told to stop." in followed
    assert "\x1b" not in followed, "a log has lines, no bars"
    assert hotlap.call("logs", "deepracer-2").stdout.split() == followed.split()
    (row,) = json.loads(hotlap.call("jobs", "--json").stdout)["jobs"]
    assert (row["state"], row["reason"], row["iterations"]) == ("finished", "stopped", num_iterations(folder))
    assert Path(row["log"]).parent == folder / "logs"
    assert CheckpointStore(Folder(folder)).load("last").state.seed == 5
    assert "nothing to end" in hotlap.call("stop", "1").stderr


def test_a_job_outlives_its_terminal(hotlap):
    """Closing the terminal sends SIGHUP to what it runs; a background job is not among that."""
    folder = model(hotlap, reward=SLOW, hyperparameters=ONE_EPISODE)
    done = subprocess.run(
        [sys.executable, "-c", IN_A_TERMINAL], cwd=hotlap.folder, env=hotlap.environment, capture_output=True, text=True
    )
    assert done.stdout == f"signal {int(signal.SIGHUP)}\n", done.stderr
    before = num_iterations(folder)
    wait_for(lambda: num_iterations(folder) > before, "an iteration after the end of the terminal")
    hotlap.call("stop", "1")


# In a terminal of its own a shell starts the job and waits; closing the terminal ends the shell.
IN_A_TERMINAL = """
import os, pty, sys
pid, terminal = pty.fork()
if pid == 0:
    os.execvp("sh", ["sh", "-c", f"{sys.executable} -m hotlap.cli.main train model --detach; sleep 600"])
text = b""
while b"hotlap stop 1" not in text:
    text += os.read(terminal, 1024)
os.close(terminal)
_, status = os.waitpid(pid, 0)
print("signal", os.WTERMSIG(status))
"""


def test_stop_now_ends_what_does_not_come_to_an_end(hotlap, monkeypatch):
    """A reward function that loops for ever, and even swallows the interrupt, is ended all the same."""
    folder = model(hotlap, reward=ENDLESS)
    monkeypatch.setattr(jobs, "PATIENCE_S", 0.1)
    with hotlap.fork("train", folder) as training:
        wait_for((folder / "driving").exists, "the reward function")  # it is called once
        with hotlap.start("stop", folder, "--now") as impatient:
            patient = hotlap.call("stop", folder)
            end(impatient)
        output = end(training)
    assert "hotlap stop 1 --now` ends it at once" in patient.stderr
    (job,) = hotlap.jobs()
    assert (job.state, job.reason) == ("finished", "interrupted")
    assert "Stopped by force" in output
    assert CheckpointStore(Folder(folder)).load("last").state.iteration == 0


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        ("job.toml", "[training]\nmax_minuts = 1\n", "Did you mean 'max_minutes'"),
        ("reward_function.py", "reward = 1\n", "defines no function"),
    ],
)
def test_a_background_job_that_cannot_begin_says_so_here(hotlap, file, text, message):
    """What is wrong with the user's files is told in the terminal that asked, as without --detach."""
    folder = model(hotlap)
    (folder / file).write_text(text)
    failed = hotlap.call("train", folder, "--detach", code=2)
    assert message in " ".join(failed.stderr.split())
    assert "Traceback" not in failed.stderr
    assert hotlap.jobs() == []


def test_a_folder_is_trained_once_at_a_time_and_free_after_a_kill(hotlap):
    """A second training is refused before it writes anything, other folders are not; kill -9 leaves nothing locked."""
    folder = model(hotlap, reward=SLOW, hyperparameters=ONE_EPISODE)
    other = model(hotlap, "other", training={"max_iterations": 1})
    hotlap.call("train", folder, "--detach")
    for option in ("--wipe", "--detach"):
        refused = hotlap.call("train", folder, option, code=2)
        assert "is being trained already, by job 1" in " ".join(refused.stderr.split())
        assert "hotlap stop 1" in refused.stderr
    # Whoever keeps another list of jobs, such as a user of another machine, meets the lock of the folder itself.
    elsewhere = Hotlap(hotlap.folder)
    elsewhere.environment["HOTLAP_STATE"] = str(hotlap.folder / "another state")
    refused = elsewhere.call("train", folder, "--wipe", code=2)
    assert "is being trained already, by process" in " ".join(refused.stderr.split())
    hotlap.call("train", other)
    finished = wait_for(lambda: num_iterations(folder), "an iteration")
    os.kill(hotlap.jobs()[0].process.pid, signal.SIGKILL)
    wait_for(lambda: hotlap.jobs()[0].state == "lost", "the end of the process")
    stopped = hotlap.call("stop", "1").stderr
    assert "is lost" in stopped
    assert "perhaps because the memory was full" in stopped
    assert "perhaps because the memory was full" in hotlap.call("logs", folder).stderr
    assert num_iterations(folder) >= finished
    hotlap.call("train", folder, "--resume", "--iterations", "1")
    assert [job.state for job in hotlap.jobs()] == ["lost", "finished", "finished"]


def test_a_copy_is_trained_in_another_folder(hotlap):
    """--output leaves the model folder as it was; the copy has all that it takes to go on there."""
    folder = model(hotlap, training={"max_iterations": 1})
    before = sorted(path.name for path in folder.iterdir())
    hotlap.call("train", "model", "--output", "elsewhere/copy", "--seed", "3")
    assert sorted(path.name for path in folder.iterdir()) == before
    copy = hotlap.folder / "elsewhere" / "copy"
    (folder / "ring.npy").unlink()
    hotlap.call("train", copy, "--resume", "--iterations", "1")
    state = CheckpointStore(Folder(copy)).load("last").state
    assert (state.iteration, state.seed) == (2, 3)


def test_unknown_jobs_are_told(hotlap):
    """Whatever does not name a job is an error with the way out."""
    assert "No jobs." in hotlap.call("jobs").stdout
    for command in ("stop", "logs"):
        assert "there is no job '7'" in hotlap.call(command, "7", code=2).stderr
