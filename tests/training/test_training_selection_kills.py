"""Trainings killed while checkpoints drive against each other: resumed, they choose the same best."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import pytest
from kill_server import KillServer, Moment, Outcome, files_of, made_equal
from tiny_model import ROUND_AND_ROUND, write_shortest_model

from hotlap.records.checkpoints import CheckpointStore
from hotlap.records.folder import Folder
from hotlap.records.layout import INDEX
from hotlap.records.tallies import TALLIES, TallyLog
from hotlap.training.ranking import MAX_SETS

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs fork and /proc")

NUM_ITERATIONS = 3


class Training:
    """A short training of a car that drives clean laps, undisturbed. Of the newest checkpoints one is kept."""

    def __init__(self, root: Path, server: KillServer, original: Path) -> None:
        self.root, self.server, self.original = root, server, original
        self.folder = root / "model"
        self.undisturbed = self.train()
        self.files = self.lasting()
        self._finished = Path(shutil.copytree(root, root.with_name("finished")))

    def train(self, *words: str, kill: tuple[int, Moment] | None = None) -> Outcome:
        """From the beginning, unless ``--resume`` is among the words."""
        if "--resume" not in words:
            made_equal(self.folder, self.original)
            shutil.rmtree(self.root / "state", ignore_errors=True)
        outcome = self.server.run("train", self.folder, *words, kill=kill)
        assert outcome.code == (-9 if kill else 0), outcome.output
        return outcome

    def finish(self) -> None:
        """As after the undisturbed training."""
        made_equal(self.root, self._finished)

    def lasting(self) -> dict[str, bytes]:
        """All files, but for the one that says which process trained last."""
        return {name: data for name, data in files_of(self.folder).items() if name != ".training.json"}


@pytest.fixture(scope="module")
def training(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Training]:
    root = tmp_path_factory.mktemp("duels")
    model = write_shortest_model(
        root / "original", actions=ROUND_AND_ROUND, max_iterations=NUM_ITERATIONS, keep_checkpoints=1
    )
    watched = root / "watched"
    watched.mkdir()
    environment = {"HOTLAP_STATE": str(watched / "state"), "TMPDIR": str(root)}
    with KillServer(watched, environment) as server:
        yield Training(watched, server, model.path)


def test_checkpoints_drive_against_each_other_and_once_more_at_the_end(training: Training):
    """So that the kills below meet duels and a run-off; all who take part in it are still there."""
    sets = [tally.num_sets for tally in TallyLog(Folder(training.folder)).read().values()]
    assert len(sets) == NUM_ITERATIONS
    assert max(sets) > MAX_SETS
    assert len(CheckpointStore(training.folder).list()) == NUM_ITERATIONS


def test_killed_in_a_duel_or_in_the_run_off_the_same_is_chosen(training: Training):
    """Nothing is written while they drive: a kill then is one before their laps are. Half-way in writing, too."""
    operations = training.undisturbed.operations
    driven = [n for n, each in enumerate(operations) if each.startswith("write ") and TALLIES in each]
    assert len(driven) == NUM_ITERATIONS + 1  # of the last iteration, then of the run-off
    index = max(
        n for n, each in enumerate(operations) if each.startswith("replace ") and PurePosixPath(INDEX).name in each
    )
    kills: list[tuple[int, Moment]] = [(driven[-2], "before"), (driven[-1], "before"), (driven[-1], "half")]
    kills.append((index, "before"))
    for kill in kills:
        training.train(kill=kill)
        training.train("--resume")
        assert training.lasting() == training.files, kill


def test_a_finished_training_that_resumes_chooses_the_same(training: Training):
    """The run-off is no part of the saved state: it is driven again."""
    training.finish()
    training.train("--resume")
    assert training.lasting() == training.files


def test_more_iterations_after_a_run_off_are_those_of_a_longer_training(training: Training):
    """A training that ended, and goes on, is one that never stopped in between."""
    training.train("--iterations", str(NUM_ITERATIONS + 3))
    expected = training.lasting()
    training.finish()
    training.train("--resume", "--iterations", "3")
    assert training.lasting() == expected
