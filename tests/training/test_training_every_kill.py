"""A training killed at every single file operation, and resumed: afterwards nothing tells that it was killed."""

from __future__ import annotations

import json
import random
import shutil
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from kill_server import KillServer, Moment, Outcome, files_of, made_equal, unfinished_in
from tiny_model import write_shortest_model

from hotlap.jobs.record import JobRecord

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs fork and /proc")

NUM_SAMPLES = 4
NUM_PAIRS = 20


@dataclass(frozen=True)
class Training:
    """A short training, undisturbed."""

    server: KillServer
    original: Path
    """The model as its user gave it."""
    watched: Path
    undisturbed: Outcome
    files: dict[str, bytes]

    @property
    def folder(self) -> Path:
        return self.watched / "model"

    def kill(self, *kills: tuple[int, Moment]) -> None:
        """Begin anew, and go on after each kill but the last."""
        made_equal(self.folder, self.original)
        shutil.rmtree(self.watched / "state", ignore_errors=True)
        for kill in kills:
            outcome = self.server.run("train", self.folder, "--resume", kill=kill)
            assert outcome.code in (-9, 0), outcome.output

    def differences(self, *kills: tuple[int, Moment]) -> list[str]:
        """What is wrong after a training was killed and resumed to its end."""
        self.kill(*kills)
        outcome = self.server.run("train", self.folder, "--resume")
        if outcome.code != 0:
            return [f"{kills}: exit code {outcome.code}: {outcome.output[-1000:]}"]
        files = lasting(self.folder)
        wrong = [name for name in files.keys() | self.files.keys() if files.get(name) != self.files.get(name)]
        for path in (self.watched / "state" / "jobs").glob("*.json"):
            JobRecord.from_json(path.read_bytes())
        return [f"{kills}: {each}" for each in (*sorted(wrong), *unfinished_in(self.watched))]


def lasting(folder: Path) -> dict[str, bytes]:
    """All files, but for the one that says which process trained last."""
    files = files_of(folder)
    json.loads(files.pop(".training.json"))
    return files


@pytest.fixture(scope="module")
def training(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Training]:
    """Three iterations of an episode each."""
    root = tmp_path_factory.mktemp("kills")
    model = write_shortest_model(root / "original", max_iterations=3)
    watched = root / "watched"
    (watched / "tmp").mkdir(parents=True)
    environment = {"HOTLAP_STATE": str(watched / "state"), "TMPDIR": str(watched / "tmp")}
    with KillServer(watched, environment) as server:
        outcome = server.run("train", made_equal(watched / "model", model.path))
        assert outcome.code == 0, outcome.output
        yield Training(server, model.path, watched, outcome, lasting(watched / "model"))


def test_an_undisturbed_training_leaves_the_same_again(training: Training):
    """Also when --resume finds nothing more to do, and nothing unfinished."""
    made_equal(training.folder, training.original)
    for words in ((), ("--resume",)):
        outcome = training.server.run("train", training.folder, *words)
        assert outcome.code == 0, outcome.output
        assert lasting(training.folder) == training.files
    assert unfinished_in(training.watched) == []


def test_some_kills_leave_no_trace(training: Training):
    """Moments spread over the training, and the one at which only the pointer to the last checkpoint is missing."""
    moments = training.undisturbed.moments
    pointers = [n for n, operation in enumerate(training.undisturbed.operations) if ".coach_checkpoint" in operation]
    chosen: list[tuple[int, Moment]] = [(pointers[-3], "before"), *moments[17 :: len(moments) // NUM_SAMPLES]]
    assert [wrong for kill in chosen for wrong in training.differences(kill)] == []


def test_what_was_begun_and_is_not_trained_again_is_dropped(training: Training):
    """Killed in its third iteration and resumed with two as the limit, a training is one of two iterations."""
    made_equal(training.folder, training.original)
    shorter = (training.folder / "job.toml").read_text().replace("max_iterations = 3", "max_iterations = 2")
    (training.folder / "job.toml").write_text(shorter)
    outcome = training.server.run("train", training.folder)
    assert outcome.code == 0, outcome.output
    expected = lasting(training.folder)
    traces = [n for n, operation in enumerate(training.undisturbed.operations) if "2-iteration.csv" in operation]
    training.kill((traces[-1] + 8, "before"))
    assert (training.folder / "training-simtrace" / "2-iteration.csv").exists()
    (training.folder / "job.toml").write_text(shorter)
    outcome = training.server.run("train", training.folder, "--resume")
    assert outcome.code == 0, outcome.output
    assert lasting(training.folder) == expected


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_no_kill_at_all_leaves_a_trace(training: Training):
    """At every operation, before and half-way; and some trainings are killed twice."""
    begin = time.monotonic()
    moments = training.undisturbed.moments
    wrong = [each for kill in moments for each in training.differences(kill)]
    chance = random.Random(8)
    pairs = [(chance.choice(moments), chance.choice(moments)) for _ in range(NUM_PAIRS)]
    wrong += [each for pair in pairs for each in training.differences(*pair)]
    print(
        f"{len(training.undisturbed.operations)} operations, {len(moments) + 2 * len(pairs)} kills, "
        f"{len(wrong)} differences, {time.monotonic() - begin:.0f} s"
    )
    assert wrong == []
