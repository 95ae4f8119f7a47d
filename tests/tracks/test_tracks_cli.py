"""``hotlap tracks`` from the outside."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from hotlap.cli.tracks import app
from hotlap.errors import TrackError
from hotlap.tracks import list_tracks, load_track, random_track


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOTLAP_TRACKS", str(tmp_path / "own"))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "own"


def run(*arguments: str) -> str:
    """Standard output of a command that must succeed."""
    result = CliRunner().invoke(app, list(arguments), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_list_names_every_track_and_its_figures() -> None:
    text = run("list")
    listed = {row["name"]: row for row in json.loads(run("list", "--json"))["tracks"]}
    assert set(listed) == {entry.name for entry in list_tracks()}
    assert all(name in text for name in listed)
    assert listed["grand_tour"]["length_m"] == load_track("grand_tour").length
    assert [name for name, row in listed.items() if row["default"]] == ["first_lap"]
    assert listed["river_run"]["direction"] == "open"


def test_a_damaged_file_of_the_users_does_not_hide_the_others(own_folder: Path) -> None:
    own_folder.mkdir()
    (own_folder / "damaged.npy").write_text("not numpy")
    listed = {row["name"]: row for row in json.loads(run("list", "--json"))["tracks"]}
    assert "not a NumPy array file" in listed["damaged"]["error"]
    assert "error" not in listed["first_lap"]
    assert "unusable" in run("list")


def test_show_draws_and_reports(tmp_path: Path) -> None:
    shown = json.loads(run("show", "bow_tie", "--direction", "cw", "--out", "tie.png", "--json"))
    assert (tmp_path / "tie.png").read_bytes()[:4] == b"\x89PNG"
    assert shown["direction"] == "cw"
    assert shown["picture"] == "tie.png"
    assert json.loads(run("show", "bow_tie", "--out", str(tmp_path), "--json"))["picture"] == str(
        tmp_path / "bow_tie.png"
    )
    assert json.loads(run("show", "bow_tie", "--out", "drawn", "--json"))["picture"] == "drawn.png"
    assert {path.name for path in tmp_path.iterdir()} == {"tie.png", "bow_tie.png", "drawn.png"}


def test_show_without_a_place_writes_nothing(tmp_path: Path) -> None:
    """It prints the figures and a sketch that fits into a terminal."""
    text = run("show", "copper_oval")
    assert "17.34 m" in text
    drawn = [line for line in text.splitlines() if any("\u2801" <= letter <= "\u28ff" for letter in line)]
    assert 10 < len(drawn) <= 24
    assert max(map(len, drawn)) <= 72
    assert not list(tmp_path.iterdir())


def test_list_tells_what_could_be_brought() -> None:
    assert "hotlap tracks get NAME" in run("list")
    assert "A to Z Speedway" in run("list", "--all")
    originals = json.loads(run("list", "--all", "--json"))["original_routes"]
    assert {"name": "reinvent_base", "console_name": "re:Invent 2018", "length_m": 17.709, "here": False} in originals


def test_new_track_is_the_generators_and_can_be_named_and_added(tmp_path: Path, own_folder: Path) -> None:
    """Into the user's folder by default, to a file with --out; that file can then be added by another name."""
    made = json.loads(run("new", "--seed", "3", "--length", "25", "--width", "0.9", "--name", "garden", "--json"))
    assert made["file"] == str(own_folder / "garden.npy")
    np.testing.assert_array_equal(load_track("garden").center, random_track(3, length=25.0, width=0.9).center)
    run("new", "--seed", "4", "--out", "four.npy")
    added = json.loads(run("add", "four.npy", "--name", "fourth", "--json"))
    assert added["name"] == "fourth"
    np.testing.assert_array_equal(load_track("fourth").center, random_track(4).center)


def test_nothing_is_overwritten_without_force() -> None:
    run("new", "--name", "mine")
    with pytest.raises(TrackError, match="exists already"):
        run("new", "--seed", "1", "--name", "mine")
    run("new", "--seed", "1", "--name", "mine", "--force")
    np.testing.assert_array_equal(load_track("mine").center, random_track(1).center)


def test_ends_of_a_loop_are_joined_on_request() -> None:
    np.save("gap.npy", load_track("first_lap").to_rows()[:-5])
    assert json.loads(run("add", "gap.npy", "--name", "open_one", "--json"))["direction"] == "open"
    assert json.loads(run("add", "gap.npy", "--close", "--json"))["direction"] == "ccw"
    assert load_track("gap", require_closed=True).closed
