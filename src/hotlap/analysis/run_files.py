"""Where the files of a run lie: in our folders, in those of DeepRacer-for-Cloud and in logs of the console.

training-simtrace/N-iteration.csv                             one worker
K/training-simtrace/N-iteration.csv                           worker K of several
sim-trace/training/[NAME/]training-simtrace/N-iteration.csv   console, deepracer-on-aws
evaluation-STAMP/evaluation-simtrace/N-iteration.csv          evaluations
sim-trace/evaluation/NAME/evaluation-simtrace/N-iteration.csv
metrics/TrainingMetrics.json, metrics/TrainingMetrics_K.json  worker 0, worker K
metrics/training/training-*.json                              console, deepracer-on-aws
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

_TRAINING = (
    "training-simtrace",
    "sim-trace/training/training-simtrace",
    "sim-trace/training/*/training-simtrace",
)
_EVALUATION = ("evaluation-*/evaluation-simtrace", "sim-trace/evaluation/*/evaluation-simtrace")
_ITERATION = re.compile(r"(\d{1,6})-iteration\.csv")
_METRICS = re.compile(r"TrainingMetrics(?:_(\d{1,3}))?\.json")


@dataclass(frozen=True)
class TraceFile:
    """A trace on disk."""

    path: Path
    worker: int
    iteration: int


@dataclass(frozen=True)
class EvaluationFiles:
    """The traces of one evaluation."""

    name: str
    """Its stamp, YYYYMMDDhhmmss, or the name of its folder."""
    paths: tuple[Path, ...]


def training_traces(folder: Path) -> list[TraceFile]:
    """Traces of training iterations, by iteration and worker.

    Where a folder holds those of a single worker and of several, the iterations of the several are taken from them.
    """
    of_workers = [
        TraceFile(path, int(place.parent.name), iteration)
        for place in _folders(folder, "[0-9]*/training-simtrace")
        if place.parent.name.isdecimal() and len(place.parent.name) <= 3
        for iteration, path in _iterations(place)
    ]
    known = {file.iteration for file in of_workers}
    single = {
        iteration: TraceFile(path, 0, iteration)
        for pattern in reversed(_TRAINING)
        for place in _folders(folder, pattern)
        for iteration, path in _iterations(place)
        if iteration not in known
    }
    return sorted([*of_workers, *single.values()], key=lambda file: (file.iteration, file.worker))


def evaluation_traces(folder: Path) -> list[EvaluationFiles]:
    """Traces of evaluations, by name, which is by time."""
    places = {place.parent.name: place for pattern in reversed(_EVALUATION) for place in _folders(folder, pattern)}
    found = (
        EvaluationFiles(name.removeprefix("evaluation-"), tuple(path for _, path in _iterations(place)))
        for name, place in places.items()
    )
    return sorted((each for each in found if each.paths), key=lambda each: each.name)


def metrics_files(folder: Path) -> list[tuple[int, str]]:
    """Workers and the keys of their metrics."""
    found = []
    for path in sorted(folder.glob("metrics/TrainingMetrics*.json")):
        if match := _METRICS.fullmatch(path.name):
            found.append((int(match[1] or 0), f"metrics/{path.name}"))
    if not found:
        console = sorted(folder.glob("metrics/training/training-*.json"))
        found = [(0, f"metrics/training/{path.name}") for path in console[-1:]]
    return sorted(found)


def _folders(folder: Path, pattern: str) -> list[Path]:
    return sorted(path for path in folder.glob(pattern) if path.is_dir())


def _iterations(place: Path) -> list[tuple[int, Path]]:
    matches = ((_ITERATION.fullmatch(path.name), path) for path in place.iterdir())
    return sorted((int(match[1]), path) for match, path in matches if match and path.is_file())
