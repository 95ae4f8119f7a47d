"""Commands that make something, killed at every file operation: given again, they make what they would have made."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from kill_server import KillServer, Moment, files_of, made_equal, unfinished_in
from tiny_model import write_shortest_model

from hotlap.tracks.catalog import BUILT_IN_FOLDER

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs fork and /proc")

NUM_SAMPLES = 3

# By name: the words of the command, where MADE is what it makes, TRAINED a trained model, ARCHIVE its export.
COMMANDS = {
    "new": ("new", "MADE", "--speed", "1.5"),
    "import": ("import", "ARCHIVE", "MADE"),
    "export": ("export", "TRAINED", "--output", "MADE/model.tar.gz"),
    "tracks add": ("tracks", "add", "ROUTE", "--name", "added"),
    "train --output": ("train", "TRAINED", "--output", "MADE", "--resume"),
    "train --clone": ("train", "MODEL", "--output", "MADE", "--clone", "ARCHIVE", "--resume"),
}
FIRST_OF_PROCESS = (".training.json",)


class Place:
    """A folder in which commands are killed."""

    def __init__(self, root: Path, server: KillServer) -> None:
        self.root = root
        self.server = server
        self.made = root / "watched" / "made"
        self.places = {
            "MADE": self.made,
            "MODEL": root / "model",
            "TRAINED": root / "trained",
            "ARCHIVE": root / "archive" / "model.tar.gz",
            "ROUTE": BUILT_IN_FOLDER / "first_lap.npy",
        }

    def words(self, command: str) -> list[str]:
        words = list(COMMANDS[command])
        for name, path in self.places.items():
            words = [word.replace(name, str(path)) for word in words]
        return words

    def clear(self) -> None:
        """As before the command."""
        for folder in (self.root / "watched").iterdir():
            shutil.rmtree(folder)
        (self.root / "watched" / "tmp").mkdir()

    def files(self) -> dict[str, bytes]:
        """All that lies in the watched folder, but for the list of jobs, and the process that trained last."""
        found = files_of(self.root / "watched")
        return {
            name: data
            for name, data in found.items()
            if not name.startswith("state/jobs") and not name.endswith(FIRST_OF_PROCESS)
        }

    def undisturbed(self, command: str) -> tuple[list[tuple[int, Moment]], dict[str, bytes]]:
        """The moments of a command, and what it makes."""
        self.clear()
        outcome = self.server.run(*self.words(command))
        assert outcome.code == 0, outcome.output
        assert outcome.moments
        return outcome.moments, self.files()

    def differences(self, command: str, kill: tuple[int, Moment], expected: dict[str, bytes]) -> list[str]:
        """What is wrong after the command was killed and given again."""
        self.clear()
        killed = self.server.run(*self.words(command), kill=kill)
        assert killed.code == -9, killed.output
        whole = self.files() == expected
        again = self.server.run(*self.words(command))
        # What was complete when its maker was killed is there already, as any other complete thing.
        if again.code != 0 and not (whole and "already" in again.output):
            return [f"{kill} {killed.operations[-1]}: exit code {again.code}: {again.output[-1000:]}"]
        files = self.files()
        wrong = [name for name in files.keys() | expected.keys() if files.get(name) != expected.get(name)]
        return [f"{kill}: {each}" for each in (*wrong, *unfinished_in(self.root / "watched"))]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    root = tmp_path_factory.mktemp("commands")
    model = write_shortest_model(root / "model", max_iterations=1)
    watched = root / "watched"
    watched.mkdir()
    environment = {
        "HOTLAP_STATE": str(watched / "state"),
        "HOTLAP_TRACKS": str(watched / "tracks"),
        "TMPDIR": str(watched / "tmp"),
    }
    (watched / "tmp").mkdir()
    archive = root / "archive" / "model.tar.gz"
    trained = made_equal(root / "trained", model.path)
    with KillServer(watched, environment) as server:
        for words in (("train", trained), ("export", trained, "--output", archive)):
            outcome = server.run(*words)
            assert outcome.code == 0, outcome.output
        yield Place(root, server)


@pytest.mark.parametrize("command", ["new", "import", "tracks add"])
def test_some_killed_commands_can_be_given_again(place: Place, command: str):
    """Moments spread over the command."""
    moments, expected = place.undisturbed(command)
    chosen = moments[:: -(-len(moments) // NUM_SAMPLES)]
    assert [wrong for kill in chosen for wrong in place.differences(command, kill, expected)] == []


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("command", COMMANDS)
def test_all_killed_commands_can_be_given_again(place: Place, command: str):
    """At every operation, before and half-way."""
    moments, expected = place.undisturbed(command)
    wrong = [each for kill in moments for each in place.differences(command, kill, expected)]
    print(f"{command}: {len(moments)} kills, {len(wrong)} differences")
    assert wrong == []
