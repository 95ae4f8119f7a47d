"""A picture of recorded and replayed drives."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from hotlap.analysis.figures.style import BAD, GRAY, INK, TRAINING, new_figure, tidy
from hotlap.errors import DataError
from hotlap.sim.vehicle import VEHICLES
from hotlap.unfinished import whole_file
from hotlap.validation.drift import (
    BICYCLES,
    GROUPS,
    HORIZONS,
    OBSERVER_GAINS,
    WARM_UP,
    Windows,
    cut_windows,
    find_windows,
    is_reference,
    replay,
    replay_bicycle,
)
from hotlap.validation.traces import Recording, read_drive

PANELS = 4  # windows drawn per car
SECONDS = "2"


def draw_replays(files: Sequence[Recording], path: Path, *, device: str = "cpu") -> None:
    """Draw a few windows of each car: recorded, repeated by the simulator, repeated by the bicycle, over two seconds.

    The windows of a car are those whose errors stand at the 20th, 50th, 80th and 95th percentile, so the picture
    flatters nobody.

    Raises:
        DataError: If no trace has a window long enough, or the picture cannot be written.
    """
    steps = HORIZONS[SECONDS]
    rows: list[tuple[str, Windows, np.ndarray, np.ndarray, list[int]]] = []
    for group in GROUPS:
        ours = [read_drive(file) for file in files if file.version == group and is_reference(file)]
        windows = cut_windows(
            [(trace, [window for window in find_windows(trace) if window[1] >= steps]) for trace in ours]
        )
        if len(windows) == 0:
            continue
        poses = replay(windows, VEHICLES[group], OBSERVER_GAINS[group], device=device)
        end = WARM_UP + steps
        error = np.hypot(windows.x[:, end] - poses[:, steps - 1, 0], windows.y[:, end] - poses[:, steps - 1, 1])
        ranks = np.quantile(np.arange(len(windows)), (0.2, 0.5, 0.8, 0.95)).round().astype(int)
        chosen = [int(number) for number in np.argsort(error)[ranks]]
        rows.append((group, windows, poses, replay_bicycle(windows, BICYCLES[group]), chosen))
    if not rows:
        raise DataError(f"no trace has a stretch of {WARM_UP + steps} driving steps, so there is nothing to draw.")

    figure = new_figure(
        13.0,
        3.1 * len(rows),
        "Recorded drives, repeated",
        "Two seconds from where the gray warm-up ends [m]; at the 20th, 50th, 80th and 95th percentile of the error.",
    )
    axes = figure.subplots(len(rows), PANELS, squeeze=False)
    for (group, windows, poses, bicycle, chosen), panels in zip(rows, axes, strict=True):
        for number, panel in zip(chosen, panels, strict=True):
            now, end = WARM_UP, WARM_UP + steps
            x, y = windows.x[number], windows.y[number]
            miss = float(np.hypot(x[end] - poses[number, steps - 1, 0], y[end] - poses[number, steps - 1, 1]))
            tidy(panel, f"{group}: {100.0 * miss:.0f} cm off")
            panel.plot(x[: now + 1], y[: now + 1], color=GRAY, linewidth=1.2)
            drives = (
                (np.stack([x[now + 1 : end + 1], y[now + 1 : end + 1]], axis=-1), INK, "recorded", 2.6),
                (poses[number, :steps, :2], BAD, "simulator", 1.6),
                (bicycle[number, :steps, :2], TRAINING, "bicycle", 1.2),
            )
            for points, color, label, width in drives:
                points = np.vstack([[x[now], y[now]], points])
                panel.plot(points[:, 0], points[:, 1], color=color, linewidth=width, label=label)
            panel.set_aspect("equal", adjustable="datalim")
    axes[0, 0].legend(frameon=False, fontsize=8)
    try:
        with whole_file(path, parents=False) as file:
            figure.savefig(file, format=path.suffix[1:] or None)
    except (OSError, ValueError) as error:
        raise DataError(
            f"{path}: the picture cannot be written ({error}). Choose a .png in an existing folder."
        ) from error
