"""Names, the user's folder, and directions."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hotlap.errors import TrackError
from hotlap.tracks import DEFAULT_TRACK, add_track, list_tracks, load_track, random_track, write_route
from hotlap.tracks.catalog import TRACK_THEMES, user_folder
from hotlap.tracks.themes import THEMES


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOTLAP_TRACKS", str(tmp_path / "own"))
    return tmp_path / "own"


def test_added_tracks_are_named_like_built_in_ones(tmp_path: Path, own_folder: Path) -> None:
    """A file is found by its path, then, once added, by its name, and is listed as the user's."""
    source = tmp_path / "backyard.npy"
    write_route(random_track(1), source)
    assert load_track(str(source)).name == "backyard"
    add_track(source)
    assert (own_folder / "backyard.npy").is_file()
    np.testing.assert_array_equal(load_track("backyard").center, load_track(source).center)
    assert [entry.name for entry in list_tracks() if not entry.built_in] == ["backyard"]
    add_track(source, "garage")
    assert load_track("garage").name == "garage"


def test_added_tracks_are_not_overwritten_by_accident(tmp_path: Path) -> None:
    source = tmp_path / "a.npy"
    write_route(random_track(1), source)
    add_track(source)
    add_track(source)  # the same file again is fine
    write_route(random_track(2), source)
    with pytest.raises(TrackError, match=r"'a' is already at .*--force"):
        add_track(source)
    add_track(source, overwrite=True)
    np.testing.assert_array_equal(load_track("a").center, load_track(source).center)


def test_broken_files_are_not_added(tmp_path: Path, own_folder: Path) -> None:
    source = tmp_path / "broken.npy"
    np.save(source, np.full((20, 6), np.nan))
    with pytest.raises(TrackError, match="row 0, center line x is nan"):
        add_track(source)
    assert not own_folder.exists()


@pytest.mark.parametrize("name", ["../escape", "a/b", "", "x.npy", "-rf", "a" * 65, "schöne Strecke"])
def test_names_that_are_no_file_names_are_refused(name: str, tmp_path: Path) -> None:
    source = tmp_path / "fine.npy"
    write_route(random_track(1), source)
    if name == "":
        assert add_track(source, name).name == "fine"  # no name is the file's name
        return
    with pytest.raises(TrackError, match="cannot name a track"):
        add_track(source, name)


def test_own_track_hides_the_built_in_namesake(tmp_path: Path) -> None:
    write_route(random_track(5), tmp_path / "bow_tie.npy")
    add_track(tmp_path / "bow_tie.npy")
    np.testing.assert_array_equal(load_track("bow_tie").center, random_track(5).center)
    assert [entry.built_in for entry in list_tracks() if entry.name == "bow_tie"] == [False]


def test_unknown_name_lists_the_known_and_the_nearest() -> None:
    with pytest.raises(TrackError, match=r"no track named 'bowtoe'\. Did you mean 'bow_tie'.*\?.*first_lap"):
        load_track("bowtoe")
    with pytest.raises(TrackError, match="Known are"):
        load_track("first_lap_up")


def test_directions() -> None:
    """cw and ccw hold whatever the file's own direction; a suffix does the same; open tracks have neither."""
    for name in (DEFAULT_TRACK, "paperclip"):
        assert not load_track(name, direction="cw").ccw
        assert load_track(name, direction="ccw").ccw
        assert load_track(name, direction="reversed").ccw is not load_track(name).ccw
        assert not load_track(f"{name}_cw").ccw
        assert load_track(f"{name}_ccw").ccw
        assert load_track(f"{name}_cw").name == f"{name}_cw"
    with pytest.raises(TrackError, match="'river_run' is open and runs neither"):
        load_track("river_run", direction="cw")
    with pytest.raises(TrackError, match="direction is 'left', expected one of as_is"):
        load_track(DEFAULT_TRACK, direction="left")  # type: ignore[arg-type]


def test_a_file_named_with_the_suffix_wins(tmp_path: Path) -> None:
    """``x_cw`` is the file of that name if there is one, whichever way it runs."""
    track = random_track(2)
    track = track if track.ccw else track.reversed()
    write_route(track, tmp_path / "loop_cw.npy")
    add_track(tmp_path / "loop_cw.npy")
    assert load_track("loop_cw").ccw


def test_themes_exist_and_follow_the_track_whatever_its_direction() -> None:
    assert set(TRACK_THEMES.values()) <= set(THEMES)
    assert load_track("harvest_moon_cw").theme == load_track("harvest_moon").theme == TRACK_THEMES["harvest_moon"]


def test_user_folder_is_the_platforms_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HOTLAP_TRACKS")
    monkeypatch.setenv("XDG_DATA_HOME", "/data-home")
    monkeypatch.setenv("LOCALAPPDATA", "/app-data")
    for platform, folder in (("linux", "/data-home"), ("win32", "/app-data"), ("darwin", "Application Support")):
        monkeypatch.setattr("sys.platform", platform)
        assert folder in user_folder().as_posix()
        assert user_folder().as_posix().endswith("hotlap/tracks")
