"""From a few corners to a road: rounding, smoothing, and borders at half a width on either side."""

from __future__ import annotations

import numpy as np

from hotlap.tracks import polyline

FINE_STEP = 0.01  # [m] between the points of a line that is being shaped
ROW_SPACING = 0.15  # [m] between the rows of the finished route, as in the DeepRacer routes
ARC_STEP = np.radians(0.5)


def tangent_lengths(corners: np.ndarray, radii: np.ndarray, *, closed: bool) -> np.ndarray:
    """How much of either adjoining side rounding takes from each corner [m], shape (K,); open ends take nothing."""
    tangents = radii * np.tan(0.5 * np.abs(turn_angles(corners)))
    if not closed:
        tangents[[0, -1]] = 0.0
    return tangents


def turn_angles(corners: np.ndarray) -> np.ndarray:
    """Change of heading at each corner of a closed polygon (K, 2) [rad], left positive."""
    after = np.roll(corners, -1, axis=0) - corners
    before = np.roll(after, 1, axis=0)
    cross = before[:, 0] * after[:, 1] - before[:, 1] * after[:, 0]
    return np.arctan2(cross, np.einsum("ij,ij->i", before, after))


def round_corners(corners: np.ndarray, radii: np.ndarray, *, closed: bool) -> np.ndarray:
    """Replace every corner (K, 2) [m] by an arc of its radius [m].

    Returns:
        A polyline [m]; for ``closed``, a ring that starts in the middle of the straight from the first to the second
        corner.

    Raises:
        ValueError: If two arcs do not fit on the side between their corners; the message names the corners.
    """
    corners, radii = np.asarray(corners, dtype=np.float64), np.asarray(radii, dtype=np.float64)
    sides = np.hypot(*(np.roll(corners, -1, axis=0) - corners).T)
    tangents = tangent_lengths(corners, radii, closed=closed)
    spare = sides - tangents - np.roll(tangents, -1)
    tight = np.flatnonzero((spare if closed else spare[:-1]) < -1e-9)
    if len(tight):
        raise ValueError(f"the arcs of corner {tight[0]} and the next overlap by {-spare[tight[0]]:.3f} m")
    angles = turn_angles(corners)
    pieces = []
    for i in range(len(corners)) if closed else range(1, len(corners) - 1):
        before = corners[i] - corners[i - 1]
        before /= np.hypot(*before)
        steps = max(2, int(np.ceil(abs(angles[i]) / ARC_STEP)))
        turned = np.linspace(0.0, angles[i], steps + 1)
        left = np.array([-before[1], before[0]]) * np.sign(angles[i])
        entry = corners[i] - tangents[i] * before
        pieces.append(
            entry
            + radii[i] * np.sin(np.abs(turned))[:, None] * before
            + radii[i] * (1.0 - np.cos(turned))[:, None] * left
        )
    if not closed:
        return np.concatenate([corners[:1], *pieces, corners[-1:]])
    start = 0.5 * (pieces[0][-1] + pieces[1][0])
    return np.concatenate([start[None], *pieces[1:], pieces[0], start[None]])


def smooth(line: np.ndarray, sigma: float, *, closed: bool) -> np.ndarray:
    """Blur a polyline along its own length, so that curvature sets in over a few ``sigma`` [m] as on real roads.

    Straights stay straight, and an arc of radius R shrinks by a share of about ``sigma² / (2 R²)``. The ends of open
    lines stay where they are.
    """
    line = resample(line, FINE_STEP)
    reach = round(4 * sigma / FINE_STEP)
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) * FINE_STEP / sigma) ** 2)
    kernel /= kernel.sum()
    if closed:
        padded = np.concatenate([line[-reach - 1 : -1], line, line[1 : reach + 1]])
    else:  # mirrored through the ends, which therefore stay
        before, after = 2 * line[0] - line[reach:0:-1], 2 * line[-1] - line[-2 : -reach - 2 : -1]
        padded = np.concatenate([before, line, after])
    smoothed = np.stack([np.convolve(part, kernel, mode="valid") for part in padded.T], axis=1)
    if closed:
        smoothed[-1] = smoothed[0]
    return smoothed


def resample(line: np.ndarray, spacing: float) -> np.ndarray:
    """Points evenly spaced along a polyline, about ``spacing`` [m] apart, first and last kept."""
    length = polyline.arc_lengths(line)[-1]
    return polyline.interpolate(line, np.linspace(0.0, length, max(2, round(length / spacing) + 1)))


def road(center: np.ndarray, widths: np.ndarray | float, *, closed: bool) -> np.ndarray:
    """Route rows (N, 6) [m] of a road along a fine center line.

    Args:
        center: Fine polyline (M, 2) [m], a ring if ``closed``.
        widths: Width [m] of the road, or a sequence of widths evenly spaced over its length, between which it changes
            linearly; on loops the last equals the first.
        closed: Whether the road is a loop.

    Returns:
        Rows about 0.15 m apart, rounded to a micrometer so that they are the same on every machine.
    """
    rows = resample(center, ROW_SPACING)
    ahead, behind = np.roll(rows, -1, axis=0), np.roll(rows, 1, axis=0)
    if closed:
        ahead[-1], behind[0] = rows[1], rows[-2]
    else:
        ahead[-1], behind[0] = rows[-1], rows[0]
    along = ahead - behind
    left = np.stack([-along[:, 1], along[:, 0]], axis=1) / np.hypot(*along.T)[:, None]
    steps = np.atleast_1d(widths)
    width = np.interp(np.linspace(0.0, 1.0, len(rows)), np.linspace(0.0, 1.0, len(steps)), steps)
    offset = 0.5 * width[:, None] * left
    if closed and polyline.signed_area(rows) < 0.0:
        offset = -offset
    route = np.round(np.hstack([rows, rows + offset, rows - offset]), 6) + 0.0  # adding 0 turns -0 into 0
    if closed:
        route[-1] = route[0]
    return route
