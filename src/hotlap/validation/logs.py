"""The simulator against recorded traces: reward inputs row by row, and the drives of the cars."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from hotlap.errors import DataError
from hotlap.validation.drift import validate_replay, why_no_replay
from hotlap.validation.logged_inputs import DIFFERENCES, INPUTS, rows_agree
from hotlap.validation.recordings import Problems
from hotlap.validation.traces import Recording, find_route, read_drive


def validate_logs(
    files: Sequence[Recording],
    *,
    tracks: Path | None = None,
    device: str = "cpu",
    on_trace: Callable[[Recording], None] = lambda file: None,
) -> dict[str, Any]:
    """Compare the simulator with recorded traces.

    Args:
        files: What to compare with; see ``open_traces``.
        tracks: Folder of the route files, if they are not beside the traces.
        device: Where to compute.
        on_trace: Called when a trace is done.

    Returns:
        A dictionary that JSON can hold:

        ==================== =======================================================================================
        left_out             why others cannot be compared, in sentences
        logs                 for each trace ``version``, ``role``, ``route`` (the file it was driven on), ``rows``
        rows_agree           for each trace and each of ``progress``, ``closest_waypoint``, ``all_wheels_on_track``,
                             ``off_track``, ``track_length`` the share of rows for which log and simulator agree
        rows_agree_version   the same for all rows of a version together
        differences          for versions whose definitions differed, how
        replay               for each car see ``validate_replay``
        no_replay            for each version without such errors, why
        ==================== =======================================================================================

    Raises:
        DataError: If there are no traces, or none can be read.
        TrackError: If the track of the only one is missing.
    """
    if not files:
        raise DataError("there are no traces to compare with. Give traces, logs, or a folder or archive of them.")
    logs: dict[str, dict[str, Any]] = {}
    agree: dict[str, dict[str, float]] = {}
    traces = []
    problems = Problems()
    for file in files:
        with problems.gathered():
            steps = read_drive(file)
            route = find_route(file, steps, tracks)
            agree[file.name] = rows_agree(steps, file.version, route, device=device)
            logs[file.name] = {"version": file.version, "role": file.role, "route": route.name, "rows": len(steps)}
            traces.append((file, steps))
        on_trace(file)
    if not traces:
        problems.raise_all()

    versions = list(dict.fromkeys(file.version for file, _ in traces))
    by_version = {}
    for version in versions:
        names = [name for name, log in logs.items() if log["version"] == version]
        rows = sum(logs[name]["rows"] for name in names)
        by_version[version] = {
            each: sum(agree[name][each] * logs[name]["rows"] for name in names) / rows for each in INPUTS
        }
    replay = validate_replay(traces, device=device)
    of_version = {version: [file for file, _ in traces if file.version == version] for version in versions}
    return {
        "left_out": problems.told,
        "logs": logs,
        "rows_agree": agree,
        "rows_agree_version": by_version,
        "differences": {version: DIFFERENCES[version] for version in versions if version in DIFFERENCES},
        "replay": replay,
        "no_replay": {version: why_no_replay(of_version[version]) for version in versions if version not in replay},
    }
