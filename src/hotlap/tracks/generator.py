"""Random tracks that can be driven: never too tight, never too narrow, never crossing themselves."""

from __future__ import annotations

import numpy as np

from hotlap.errors import TrackError
from hotlap.tracks import polyline, shaping
from hotlap.tracks.route_file import track_from_rows
from hotlap.tracks.track import Track

SMOOTHING = 0.15  # [m]
LENGTH_TOLERANCE = 0.01
MAX_TRIES = 600
CALM_AFTER = 300  # tries
START_STRAIGHT = 1.0  # [m] room for the start line before the first bend


def random_track(
    seed: int,
    *,
    length: float = 20.0,
    width: float = 1.0,
    min_radius: float = 0.8,
    margin: float = 0.3,
    winding: float = 0.7,
    name: str | None = None,
) -> Track:
    """Make up a closed track; the same arguments give the same track.

    Guaranteed, or else an error:

    - The center line is ``length`` long, to within 1 %.
    - No bend of the center line is tighter than ``min_radius``.
    - The road is ``width`` wide everywhere.
    - It does not cross itself: points of the center line that are more than half a turn (pi ``min_radius``) apart along
      it are at least ``width + margin`` apart, so that ``margin`` of field lies between the borders.
    - The start line is on a straight of at least a meter.

    Half of the tracks run clockwise. The idea: squares of a grid, grown together at random without closing a ring; the
    outline of such a figure folds like a race track and never meets itself. Its corners are moved a little, rounded,
    and the whole is scaled to length. A draw that breaks a promise is thrown away; later draws are calmer ones, and if
    none will do an oval is made.

    Args:
        seed: Any non-negative integer.
        length: Length of the center line [m].
        width: Width of the road [m].
        min_radius: Least radius of the center line [m], ``(width + margin) / 2`` or more, for hairpins.
        margin: Least field between two stretches of road [m].
        winding: From 0, few wide bends, to 1, as many hairpins as the length has room for.
        name: Name of the track; by default ``random_<seed>``.

    Raises:
        TrackError: If an argument is out of range, or no such track exists.
    """
    _check_arguments(seed, length, width, min_radius, margin, winding)
    rng = np.random.default_rng(seed)
    for attempt in range(MAX_TRIES):
        calm = min(1.0, attempt / CALM_AFTER)
        square = min_radius * (2.3 + 1.7 * (1.0 - winding * (1.0 - calm)) * rng.uniform(0.5, 1.0))
        shape = _draw_corners(rng, num_sides=max(4, round(1.1 * length / square)), jitter=0.28 * (1.0 - calm))
        if len(shape) == 4 and length > 8 * square:
            continue  # a bar gives an oval, which is dull where there is room for more
        line = _fit(shape, rng.uniform(0.2 + 0.8 * calm, 1.0, len(shape)), length, min_radius)
        clockwise = rng.random() < 0.5
        if line is None or not _keeps_promises(line, width, min_radius, margin):
            continue
        rows = shaping.road(line[::-1] if clockwise else line, width, closed=True)
        return track_from_rows(rows, name or f"random_{seed}", closed=True)
    # Barely longer than a circle, or far more field asked for than is usual: only this is sure to fit.
    rows = shaping.road(_oval(length, min_radius), width, closed=True)
    return track_from_rows(rows, name or f"random_{seed}", closed=True)


def _check_arguments(seed: int, length: float, width: float, min_radius: float, margin: float, winding: float) -> None:
    rules = [
        ("seed", seed, seed >= 0, "at least 0"),
        ("length", length, 6.0 <= length <= 200.0, "from 6 to 200 m"),
        ("width", width, 0.3 <= width <= 3.0, "from 0.3 to 3 m"),
        ("margin", margin, 0.0 <= margin <= 5.0, "from 0 to 5 m"),
        ("winding", winding, 0.0 <= winding <= 1.0, "from 0 to 1"),
    ]
    for key, value, right, expected in rules:
        if not right:
            raise TrackError(f"random track: {key} is {value:g}, expected {expected}.")
    least = 0.5 * (width + margin)
    if not least <= min_radius <= 20.0:
        raise TrackError(
            f"random track: min_radius is {min_radius:g} m, expected from {least:g} to 20 m, so that the borders of a "
            f"hairpin stay {margin:g} m apart on a road {width:g} m wide. Take a larger radius or a narrower road."
        )
    shortest = 2.0 * np.pi * _least_drawn(min_radius) + 4.0 * START_STRAIGHT
    if length < shortest:
        raise TrackError(
            f"random track: {length:g} m is too short for bends of {min_radius:g} m radius and a start straight; at "
            f"least {shortest:.1f} m are needed."
        )


def _least_drawn(min_radius: float) -> float:
    """Least radius [m] to draw with, as smoothing takes some of it back."""
    return min_radius + 2.0 * SMOOTHING**2 / min_radius


def _oval(length: float, min_radius: float) -> np.ndarray:
    radius = _least_drawn(min_radius)
    side = 0.5 * length - np.pi * radius
    corners = np.array([[0.0, 0.0], [side, 0.0], [side, 0.0], [0.0, 0.0]]) + radius * np.array(
        [[0.0, 0.0], [2.0, 0.0], [2.0, 2.0], [0.0, 2.0]]
    )
    line = shaping.smooth(shaping.round_corners(corners, np.full(4, radius), closed=True), SMOOTHING, closed=True)
    return line - line.min(axis=0)


def _draw_corners(rng: np.random.Generator, num_sides: int, jitter: float) -> np.ndarray:
    """Corners (K, 2) of the outline of squares grown together, counter-clockwise, in squares' sides.

    The outline is about ``num_sides`` long; each corner is moved by up to ``jitter`` in x and y, and the
    whole is stretched in x.
    """
    corners = _outline(_grow_squares(rng, num_sides)).astype(np.float64)
    corners += rng.uniform(-jitter, jitter, corners.shape)
    return corners * (rng.uniform(1.0, 1.7), 1.0)


AROUND = ((1, 0), (1, 1), (0, 1), (-1, 1), (-1, 0), (-1, -1), (0, -1), (1, -1))


def _grow_squares(rng: np.random.Generator, num_sides: int) -> set[tuple[int, int]]:
    """Squares (column, row) that hang together and whose outline is one line that touches itself nowhere."""
    squares = {(0, 0)}
    outline = 4
    while outline < num_sides:
        growth: list[tuple[int, int, int]] = []
        for x, y in sorted({(x + i, y + j) for x, y in squares for i, j in AROUND[::2]} - squares):
            taken = [(x + i, y + j) in squares for i, j in AROUND]
            # Taken neighbors in one piece around the square: it closes no ring and touches no far corner.
            if sum(taken[k] and not taken[k - 1] for k in range(8)) == 1:
                growth.append((x, y, 4 - 2 * sum(taken[::2])))
        # Arms lengthen the outline and fold it; what fills a corner opens it up.
        weights = np.array([{2: 1.0, 0: 0.4}.get(longer, 0.0) for _, _, longer in growth])
        x, y, longer = growth[rng.choice(len(growth), p=weights / weights.sum())]
        squares.add((x, y))
        outline += longer
    return squares


def _outline(squares: set[tuple[int, int]]) -> np.ndarray:
    """Corners (K, 2) of the outline of squares, counter-clockwise."""
    # Every side with its square on the left, as a step from corner to corner.
    following: dict[tuple[int, int], tuple[int, int]] = {}
    for x, y in squares:
        ring = ((x, y), (x + 1, y), (x + 1, y + 1), (x, y + 1))
        for k, (i, j) in enumerate(((0, -1), (1, 0), (0, 1), (-1, 0))):
            if (x + i, y + j) not in squares:
                following[ring[k]] = ring[(k + 1) % 4]
    walk = [min(following)]
    while (corner := following[walk[-1]]) != walk[0]:
        walk.append(corner)
    points = np.array(walk)
    before, after = points - np.roll(points, 1, axis=0), np.roll(points, -1, axis=0) - points
    return points[np.any(before != after, axis=1)]


def _fit(shape: np.ndarray, sharpness: np.ndarray, length: float, min_radius: float) -> np.ndarray | None:
    """The shape scaled so that its rounded and smoothed line is ``length`` long; None if its bends do not fit."""
    perimeter = polyline.arc_lengths(np.concatenate([shape, shape[:1]]))[-1]
    scale = 1.1 * length / perimeter
    for _ in range(6):
        corners = scale * shape
        radii = _choose_radii(corners, sharpness, min_radius)
        if radii is None:
            return None
        line = shaping.round_corners(*_start_on_longest_straight(corners, radii), closed=True)
        line = shaping.smooth(line, SMOOTHING, closed=True)
        reached = polyline.arc_lengths(line)[-1]
        if abs(reached / length - 1) < 0.5 * LENGTH_TOLERANCE:
            ahead = line[5] - line[0]
            level = np.array([[ahead[0], -ahead[1]], [ahead[1], ahead[0]]]) / np.hypot(*ahead)
            line = line @ level  # the start straight along x, for tidy pictures
            return line - line.min(axis=0)
        scale *= length / reached
    return None


def _choose_radii(corners: np.ndarray, sharpness: np.ndarray, min_radius: float) -> np.ndarray | None:
    """A radius for every corner: between the least one and what half of the shorter side allows, by ``sharpness``.

    None if the least radius itself does not fit.
    """
    least = _least_drawn(min_radius)
    per_radius = np.maximum(np.tan(0.5 * np.abs(shaping.turn_angles(corners))), 1e-3)
    sides = np.hypot(*(np.roll(corners, -1, axis=0) - corners).T)
    # A side is shared in proportion to what its two corners need at least.
    need = least * per_radius
    spare = sides - need - np.roll(need, -1)
    if np.any(spare < 0.0):
        return None
    share = need / (need + np.roll(need, -1))
    ahead, behind = share * spare, np.roll((1.0 - share) * spare, 1)
    return np.minimum(least + (1.0 - sharpness) * np.minimum(ahead, behind) / per_radius, 12.0)


def _start_on_longest_straight(corners: np.ndarray, radii: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    sides = np.hypot(*(np.roll(corners, -1, axis=0) - corners).T)
    tangents = shaping.tangent_lengths(corners, radii, closed=True)
    first = int(np.argmax(sides - tangents - np.roll(tangents, -1)))
    return np.roll(corners, -first, axis=0), np.roll(radii, -first)


def _keeps_promises(line: np.ndarray, width: float, min_radius: float, margin: float) -> bool:
    fine = shaping.resample(line, 0.05)[:-1]
    bends = np.abs(polyline.circle_curvature(np.roll(fine, 3, axis=0), fine, np.roll(fine, -3, axis=0)))
    around_start = int(0.5 * START_STRAIGHT / 0.05)
    if max(bends[:around_start].max(), bends[-around_start:].max()) > 0.02 or bends.max() * min_radius > 1.0:
        return False
    points = fine[::2]
    index = np.arange(len(points))
    along = np.abs(index[:, None] - index[None])
    along = 0.1 * np.minimum(along, len(points) - along)
    apart = np.hypot(points[:, None, 0] - points[None, :, 0], points[:, None, 1] - points[None, :, 1])
    # Between the samples, a tenth of a meter apart, points may be nearer by the sag of a bend.
    return bool(np.all(apart[along > np.pi * min_radius - 0.1] >= width + margin + 0.01))
