"""Route files: a track as a NumPy array file of N rows of six coordinates.

A row holds a point of the center line, the inner and the outer border: ``center_x, center_y, inner_x, inner_y, outer_x,
outer_y`` [m]. On a loop the last row repeats the first. Rows are counted from 0 in every message.

A route that is not quite right is read like this:

- Ends no farther apart than 1.5 times the usual spacing of the rows are those of a loop that lacks its closing row. It
  is added, where the original would take such a file for an open track.
- Repeated center points are dropped by ``Track``.
- A line may cross itself within half a meter of its own length: such knots, from the inside of a sharp bend or from a
  pair of swapped rows, are in routes that people race on, and no rule is hurt by them. Longer loops are refused, as is
  any crossing of two different lines.

Format: DeepRacer simapp, ``bundle/routes``.
"""

from __future__ import annotations

import ast
import io
import math
import re
from pathlib import Path

import numpy as np

from hotlap.bounded import read_bounded, told
from hotlap.errors import TrackError
from hotlap.tracks import polyline
from hotlap.tracks.track import Track
from hotlap.unfinished import whole_file

MAX_ROWS = 5000  # 750 m at the usual spacing; far beyond it, someone saved something else
MAX_EXTENT = 200.0  # [m] beyond it the unit was not meters
MIN_WIDTH = 0.2  # [m] the car is 0.196 m wide
CLOSE_SPACINGS = 1.5
MAX_KNOT = 0.5  # [m] of a line's own length
EDGE_TOLERANCE = 1e-3  # [m] the ends of an open center line lie on the edge of the road
LINES = ("center line", "inner border", "outer border")
NPY_MAGIC = b"\x93NUMPY"
MAX_BYTES = 1 << 20  # four times what the rows need
MAX_HEADER = 1000  # characters; usual are 70
MAX_CROSSINGS = 100  # of two lines, or of a line with itself; routes that are raced on have a few

_EXPECTED = "Expected a NumPy file made with np.save(path, rows), rows being float64 of shape (N, 6)."
_LENGTH_BYTES = {b"\1\0": 2, b"\2\0": 4}  # by the format's version; the third is for names outside of ASCII
_NUMBER_OF_PYTHON_2 = re.compile(r"(?<=\d)L\b")


def read_route(path: str | Path, *, closed: bool | None = None, name: str | None = None) -> Track:
    """Read a route file.

    Args:
        path: The ``.npy`` file.
        closed: True adds a missing closing row however far apart the ends are; None decides by their distance.
        name: Name of the track; by default the file's.

    Raises:
        TrackError: If the file is missing or is no usable route; the message says what is wrong and where.
    """
    path = Path(path)
    return parse_route(read_route_bytes(path), name or path.stem, closed=closed, source=str(path))


def read_route_bytes(path: Path) -> bytes:
    """The bytes of what should be a route file.

    Raises:
        TrackError: If it is missing, no file, or larger than any route.
    """
    try:
        return read_bounded(path, MAX_BYTES)
    except FileNotFoundError as error:
        raise TrackError(f"{path}: there is no such file. Check the path, or see `hotlap tracks list`.") from error
    except OSError as error:
        raise TrackError(f"{path}: cannot be read ({error.strerror or error}). {_EXPECTED}") from error


def parse_route(content: bytes, name: str, *, closed: bool | None = None, source: str | None = None) -> Track:
    """The track in the bytes of a route file; arguments and errors are those of ``track_from_rows``."""
    return track_from_rows(_rows(content, source or f"track {name!r}"), name, closed=closed, source=source)


def write_route(track: Track, path: str | Path) -> None:
    """Write a track as a route file, whole or not at all."""
    content = io.BytesIO()
    np.save(content, track.to_rows(), allow_pickle=False)
    write_whole(content.getvalue(), path)


def write_whole(content: bytes, path: str | Path) -> None:
    """Write a file of a folder of tracks, whole or not at all.

    Raises:
        TrackError: If it cannot be written there.
    """
    path = Path(path)
    try:
        with whole_file(path) as file:
            file.write(content)
    except OSError as error:
        raise TrackError(
            f"{path}: cannot be written there ({error.strerror or error}). Choose a folder that you may write to."
        ) from error


def track_from_rows(rows: np.ndarray, name: str, *, closed: bool | None = None, source: str | None = None) -> Track:
    """Make a track of route rows (N, 6) [m], after all checks; see the module for what is tolerated.

    Args:
        rows: The route.
        name: Name of the track.
        closed: As in ``read_route``.
        source: What messages call the route; by default ``name``.

    Raises:
        TrackError: If the rows are no usable route.
    """
    source = source or f"track {name!r}"
    rows = np.asarray(rows)
    _check_array(rows, source)
    rows = np.array(rows, dtype=np.float64)
    _check_numbers(rows, source)
    rows = _close(rows, closed)
    loop = bool(np.array_equal(rows[0, :2], rows[-1, :2]))
    distinct = np.count_nonzero(np.hypot(*np.diff(rows[:, :2], axis=0).T) > 1e-9)
    if distinct < (3 if loop else 1):
        raise TrackError(
            f"{source}: only {distinct} of its {len(rows)} rows move on from the row before. "
            f"A loop needs at least three different points on its center line, an open track two; "
            f"a row about every 0.15 m is usual."
        )
    _check_widths(rows, source)
    track = Track(name, rows[:, 0:2], rows[:, 2:4], rows[:, 4:6], loop)
    _check_lines(track, source)
    return track


def _rows(content: bytes, source: str) -> np.ndarray:
    start = content[: len(NPY_MAGIC)]
    if start != NPY_MAGIC:
        raise TrackError(f"{source}: not a NumPy array file{_guess_format(start)}. {_EXPECTED}")
    try:
        return _array(content, source)
    except (
        ValueError,
        TypeError,
        KeyError,
        OverflowError,
        SyntaxError,
        RecursionError,
        MemoryError,
    ) as error:
        # The header is Python's notation, and its parser gives up in many ways.
        raise TrackError(
            f"{source}: the NumPy file is damaged or cut short ({told(error)}). Copy it again. {_EXPECTED}"
        ) from None


def _array(content: bytes, source: str) -> np.ndarray:
    """The array of a file. What its header promises is compared with the file before there is room made for it."""
    dtype, columns_first, shape, begin = _header(content)
    if dtype.hasobject:
        raise TrackError(
            f"{source}: holds pickled Python objects, which hotlap never loads because they can run code. "
            f"Save plain numbers: np.save(path, np.asarray(rows, dtype=float))."
        )
    count, found = math.prod(shape), len(content) - begin
    if min(shape, default=0) < 0 or count * dtype.itemsize > found:
        raise ValueError(f"it promises {count} numbers, but has {found} bytes of them")
    values = np.frombuffer(content, dtype, count, begin)
    return values.reshape(shape, order="F" if columns_first else "C")


def _header(content: bytes) -> tuple[np.dtype, bool, tuple[int, ...], int]:
    """Kind of number, whether columns come first, shape, and where the numbers begin.

    Not by NumPy's own function, which tries a second parser on what the first refuses: it takes minutes for a header
    with ten thousand blanks.
    """
    begin = len(NPY_MAGIC) + 2
    size = _LENGTH_BYTES.get(content[len(NPY_MAGIC) : begin])
    if size is None:
        raise ValueError("its version is neither 1.0 nor 2.0")
    end = begin + size + int.from_bytes(content[begin : begin + size], "little")
    text = content[begin + size : end].decode("latin-1").strip()
    if end > len(content) or len(text) > MAX_HEADER:
        raise ValueError("its header is too long")
    header = ast.literal_eval(_NUMBER_OF_PYTHON_2.sub("", text))
    shape, columns_first = header["shape"], header["fortran_order"]
    if not isinstance(shape, tuple) or not all(type(each) is int for each in shape) or type(columns_first) is not bool:
        raise ValueError("its header says no shape")
    return np.lib.format.descr_to_dtype(header["descr"]), columns_first, shape, end


def _guess_format(start: bytes) -> str:
    if not start:
        return ": it is empty"
    if start[:1] == b"\x80":
        return " but a Python pickle, which hotlap never loads because it can run code"
    if start[:2] == b"PK":
        return " but a zip archive, perhaps from np.savez"
    return f": it begins with {start!r}"


def _check_array(rows: np.ndarray, source: str) -> None:
    if rows.dtype.kind not in "fiu":
        raise TrackError(
            f"{source}: the array holds {ascii(str(rows.dtype))[1:-1][:100]}, not numbers. Expected float64 "
            f"coordinates in meters: save rows.astype(float)."
        )
    if rows.ndim != 2 or rows.shape[1] != 6:
        hint = ""
        if rows.ndim == 2 and rows.shape[0] == 6:
            hint = " It looks transposed: save rows.T."
        elif rows.ndim == 2 and rows.shape[1] in (2, 4):
            hint = f" It seems to lack {'both borders' if rows.shape[1] == 2 else 'the center line or a border'}."
        raise TrackError(
            f"{source}: the array has shape {rows.shape}, expected (N, 6): center x, y, inner x, y, outer x, y "
            f"in every row.{hint}"
        )
    if len(rows) < 2:
        raise TrackError(f"{source}: {len(rows)} rows are too few. A loop needs at least four, an open track two.")
    if len(rows) > MAX_ROWS:
        raise TrackError(
            f"{source}: {len(rows)} rows are more than the {MAX_ROWS} allowed. A row every 0.15 m is usual; "
            f"keep every {-(-len(rows) // MAX_ROWS)}th row."
        )


def _check_numbers(rows: np.ndarray, source: str) -> None:
    wrong = np.argwhere(~np.isfinite(rows))
    if len(wrong):
        row, column = wrong[0]
        more = f", and so are {len(wrong) - 1} more numbers" if len(wrong) > 1 else ""
        raise TrackError(
            f"{source}: row {row}, {LINES[column // 2]} {'xy'[column % 2]} is {rows[row, column]}{more}. "
            f"All coordinates must be finite: remove or mend such rows."
        )
    points = rows.reshape(-1, 2)
    extent = np.ptp(points, axis=0)
    if extent.max() > MAX_EXTENT:
        raise TrackError(
            f"{source}: the track extends over {extent[0]:.0f} x {extent[1]:.0f} m, at most {MAX_EXTENT:.0f} m are "
            f"allowed. Coordinates are in meters: divide centimeters by 100."
        )


def _close(rows: np.ndarray, closed: bool | None) -> np.ndarray:
    """The rows with the first repeated exactly at the end, if they form a loop."""
    gap = np.hypot(*(rows[-1, :2] - rows[0, :2]))
    if gap <= 1e-6:
        rows[-1] = rows[0]
        return rows
    spacing = np.median(np.hypot(*np.diff(rows[:, :2], axis=0).T))
    # Three rows that nearly meet are a short open track with few points, not a loop.
    if closed or (closed is None and len(rows) > 3 and gap <= CLOSE_SPACINGS * spacing):
        return np.concatenate([rows, rows[:1]])
    return rows


def _check_widths(rows: np.ndarray, source: str) -> None:
    widths = np.hypot(*(rows[:, 2:4] - rows[:, 4:6]).T)
    row = int(widths.argmin())
    if widths[row] < MIN_WIDTH:
        raise TrackError(
            f"{source}: row {row} at {_at(rows[row, :2])} is {widths[row]:.3f} m wide; the road must be at least "
            f"{MIN_WIDTH} m wide, as the car is 0.196 m. Move the borders (columns 2 to 5) apart there."
        )


def _check_lines(track: Track, source: str) -> None:
    lines = (track.center, track.inner, track.outer)
    _check_self_crossing(track, source, 0)
    for one, other in ((1, 2), (0, 1), (0, 2)):
        crossings = polyline.find_crossings(lines[one], lines[other], MAX_CROSSINGS)
        if crossings:
            row = crossings[0].first
            more = f"; there are {len(crossings) - 1} more such places" if len(crossings) > 1 else ""
            raise TrackError(
                f"{source}: the {LINES[one]} crosses the {LINES[other]} at {_at(crossings[0].point)}, between rows "
                f"{row} and {row + 1}{more}. The three lines may not cross: mend the rows there."
            )
    _check_self_crossing(track, source, 1)
    _check_self_crossing(track, source, 2)
    if track.closed and abs(polyline.signed_area(track.inner)) > abs(polyline.signed_area(track.outer)):
        raise TrackError(
            f"{source}: the inner border (columns 2, 3) encloses the outer one (columns 4, 5). "
            f"They are swapped: save rows[:, [0, 1, 4, 5, 2, 3]]."
        )
    _check_center_on_road(track, source)


def _check_self_crossing(track: Track, source: str, which: int) -> None:
    line = (track.center, track.inner, track.outer)[which]
    arc = polyline.arc_lengths(line)
    crossings = polyline.find_crossings(line, line, MAX_CROSSINGS)
    if len(crossings) == MAX_CROSSINGS:
        raise TrackError(
            f"{source}: the {LINES[which]} is a tangle that crosses itself at {MAX_CROSSINGS // 2} places or more, "
            f"first at {_at(crossings[0].point)}, row {crossings[0].first}. Lead it straight on."
        )
    for row, other_row, point in crossings:
        around = abs(arc[row] - arc[other_row])
        if track.closed:
            around = min(around, arc[-1] - around)
        if around > MAX_KNOT:
            raise TrackError(
                f"{source}: the {LINES[which]} crosses itself at {_at(point)}, between rows {row} and {row + 1} and "
                f"again between rows {other_row} and {other_row + 1}. Bridges and crossroads cannot be driven: lead "
                f"the stretches past each other."
            )


def _check_center_on_road(track: Track, source: str) -> None:
    outside = np.flatnonzero(~track.contains(track.center))
    if len(outside) == 0:
        return
    off = np.min([polyline.nearest(ring, track.center[outside]).distance for ring in track.road_rings], axis=0)
    outside = outside[off > EDGE_TOLERANCE]
    if len(outside):
        row = int(outside[0])
        raise TrackError(
            f"{source}: the center line is not between the borders at {_at(track.center[row])}, row {row}"
            f"{f' and {len(outside) - 1} more' if len(outside) > 1 else ''}. Columns must be center x, y, inner x, y, "
            f"outer x, y, with the center between the two borders."
        )


def _at(point: np.ndarray | tuple[float, float]) -> str:
    return f"({point[0]:.3f}, {point[1]:.3f})"
