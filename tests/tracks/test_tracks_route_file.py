"""Route files: every real one loads, every broken one is refused with its reason and place."""

from __future__ import annotations

import csv
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from hotlap.errors import TrackError
from hotlap.tracks import load_track, read_route, write_route

Rows = np.ndarray


def rows_of_first_lap() -> Rows:
    return load_track("first_lap").to_rows()


def changed(change: Callable[[Rows], Rows | None]) -> Rows:
    rows = rows_of_first_lap()
    result = change(rows)
    return rows if result is None else result


def with_value(row: int, column: int | slice, value: float) -> Rows:
    rows = rows_of_first_lap()
    rows[row, column] = value
    return rows


def crossing_borders() -> Rows:
    rows = rows_of_first_lap()
    rows[40:44, 2:4], rows[40:44, 4:6] = rows[40:44, 4:6].copy(), rows[40:44, 2:4].copy()
    return rows


def figure_of_eight() -> Rows:
    t = np.linspace(0, 2 * np.pi, 200)
    center = np.stack([4 * np.sin(t), 2 * np.sin(2 * t)], axis=1)
    center[-1] = center[0]
    along = np.gradient(center, axis=0)
    along[0] = along[-1] = center[1] - center[-2]
    left = np.stack([-along[:, 1], along[:, 0]], axis=1) / np.hypot(*along.T)[:, None] * 0.4
    return np.hstack([center, center + left, center - left])


def center_beside_the_road() -> Rows:
    rows = rows_of_first_lap()
    borders = rows[:, 2:6]
    middle = borders.reshape(-1, 2).mean(axis=0)
    return np.hstack([middle + 1.6 * (rows[:, :2] - middle), borders])


BROKEN = {
    "two columns": (rows_of_first_lap()[:, :2], r"shape \(126, 2\), expected \(N, 6\).*lack both borders"),
    "transposed": (rows_of_first_lap().T, r"shape \(6, 126\).*save rows\.T"),
    "one dimension": (np.arange(6.0), r"shape \(6,\), expected \(N, 6\)"),
    "text": (rows_of_first_lap().astype(str), r"holds <U32, not numbers"),
    "complex": (rows_of_first_lap().astype(complex), r"holds complex128, not numbers"),
    "nan": (with_value(17, 3, np.nan), r"row 17, inner border y is nan"),
    "several inf": (with_value(5, slice(4, 6), np.inf), r"row 5, outer border x is inf, and so are 1 more"),
    "no rows": (np.zeros((0, 6)), r"0 rows are too few"),
    "one row": (np.zeros((1, 6)), r"1 rows are too few"),
    "one point many times": (np.tile(rows_of_first_lap()[:1], (9, 1)), r"only 0 of its 9 rows move"),
    "too many rows": (np.tile(rows_of_first_lap(), (40, 1)), r"5040 rows are more than the 5000"),
    "centimeters": (100 * rows_of_first_lap(), r"extends over 7\d\d x 5\d\d m.*divide centimeters by 100"),
    "zero width": (
        changed(lambda rows: rows.__setitem__((30, slice(2, 6)), np.tile(rows[30, :2], 2))),
        r"row 30 at \(.*\) is 0\.000 m wide",
    ),
    "crossing borders": (crossing_borders(), r"inner border crosses the outer border at \(.*\), between rows (39|43)"),
    "figure of eight": (figure_of_eight(), r"crosses itself at \(.*\), between rows \d+"),
    "swapped borders": (rows_of_first_lap()[:, [0, 1, 4, 5, 2, 3]], r"inner border .* encloses the outer"),
    "center outside": (center_beside_the_road(), r"center line (crosses the|is not between)"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_broken_routes_are_refused_with_reason_and_place(case: str, tmp_path: Path) -> None:
    """One paragraph that names the file, what is wrong, and where."""
    rows, message = BROKEN[case]
    path = tmp_path / "broken.npy"
    np.save(path, rows)
    with pytest.raises(TrackError, match=message) as caught:
        read_route(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_pickles_are_never_loaded(tmp_path: Path) -> None:
    """Neither a bare pickle nor an array of objects runs its code."""
    trace = tmp_path / "ran"

    class Bomb:
        def __reduce__(self) -> tuple[object, tuple[object, ...]]:
            return Path.touch, (trace,)

    bare, array = tmp_path / "bare.npy", tmp_path / "array.npy"
    bare.write_bytes(pickle.dumps(Bomb()))
    np.save(array, np.array([Bomb()], dtype=object), allow_pickle=True)
    for path in (bare, array):
        with pytest.raises(TrackError, match="never load"):
            read_route(path)
    assert not trace.exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "it is empty"),
        (b"x,y\n1,2\n", "begins with b'x,y"),
        (b"PK\x03\x04rest", "zip archive"),
        (b"\x93NUMPY\x01\x00\xff", "damaged or cut short"),
    ],
)
def test_other_files_are_refused(content: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / "other.npy"
    path.write_bytes(content)
    with pytest.raises(TrackError, match=message):
        read_route(path)


def test_cut_and_missing_files_are_refused(tmp_path: Path) -> None:
    """A file that ends early, one that is not there, and a folder."""
    whole, cut = tmp_path / "whole.npy", tmp_path / "cut.npy"
    np.save(whole, rows_of_first_lap())
    cut.write_bytes(whole.read_bytes()[:2000])
    for path, message in ((cut, "cut short"), (tmp_path / "none.npy", "no such file"), (tmp_path, "cannot be read")):
        with pytest.raises(TrackError, match=message):
            read_route(path)


def test_open_route_where_a_loop_is_needed(tmp_path: Path) -> None:
    """Half a lap is an open track; it is refused where a loop is required, with the gap."""
    path = tmp_path / "half.npy"
    np.save(path, rows_of_first_lap()[:60])
    assert not load_track(path).closed
    with pytest.raises(TrackError, match=r"'half' is open: its ends are \d\.\d\d m apart.*--close"):
        load_track(path, require_closed=True)


def test_missing_closing_row_is_added_unless_forbidden(tmp_path: Path) -> None:
    """A loop that lacks only its closing row is one; ends farther apart are joined only when asked."""
    rows = rows_of_first_lap()
    path = tmp_path / "unclosed.npy"
    np.save(path, rows[:-1])
    np.testing.assert_array_equal(read_route(path).to_rows(), rows)
    assert not read_route(path, closed=False).closed
    np.save(path, rows[:-4])
    assert not read_route(path).closed
    joined = read_route(path, closed=True)
    assert joined.closed
    assert len(joined.center) == len(rows) - 3


def test_written_routes_read_back_the_same(tmp_path: Path) -> None:
    """Bit for bit, as plain float64, and no half-written file is left beside it."""
    track = load_track("river_run")
    write_route(track, tmp_path / "deep" / "copy.npy")
    again = read_route(tmp_path / "deep" / "copy.npy")
    np.testing.assert_array_equal(again.to_rows(), track.to_rows())
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["copy.npy"]
    assert np.load(tmp_path / "deep" / "copy.npy").dtype == np.float64


def test_integer_and_single_precision_routes_are_read(tmp_path: Path) -> None:
    path = tmp_path / "single.npy"
    np.save(path, rows_of_first_lap().astype(np.float32))
    assert read_route(path).length == pytest.approx(load_track("first_lap").length, rel=1e-5)


@pytest.mark.data
def test_all_real_routes_load_with_their_recorded_figures(reference_data: Path) -> None:
    """Length, orientation and kind are those of the table beside the files; repeated points are gone."""
    with (reference_data / "tracks" / "tracks.csv").open() as file:
        table = {row["name"]: row for row in csv.DictReader(file)}
    files = sorted((reference_data / "tracks").glob("*.npy"))
    assert len(files) == len(table) == 136
    for file in files:
        row, track = table[file.stem], read_route(file)
        assert track.closed == (row["is_loop"] == "True"), file.stem
        assert track.length == pytest.approx(float(row["length_m"]), abs=0.0006), file.stem
        if track.closed:
            assert ("ccw" if track.ccw else "cw") == row["direction"], file.stem
        assert np.hypot(*np.diff(track.center, axis=0).T).min() > 1e-9, file.stem
        assert len(track.center) <= int(row["points"]) + 1, file.stem
