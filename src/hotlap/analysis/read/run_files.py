"""Where the files of a run lie: in our folders, in those of DeepRacer-for-Cloud and in logs of the console.

training-simtrace/N-iteration.csv                             one worker
K/training-simtrace/N-iteration.csv, worker-K/…               worker K of several
sim-trace/training/[NAME/]training-simtrace/N-iteration.csv   console, deepracer-on-aws
evaluation-STAMP/evaluation-simtrace/N-iteration.csv          evaluations
sim-trace/evaluation/NAME/evaluation-simtrace/N-iteration.csv
logs/training/*-robomaker.log, any other CSV or log           by what is in it
metrics/TrainingMetrics.json, metrics/TrainingMetrics_K.json  worker 0, worker K
metrics/training/training-*.json                              console, deepracer-on-aws

Logs are looked at only where there are no traces as CSV: they tell the same.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from hotlap.errors import RecordError
from hotlap.records.trace_reader import MAX_BYTES, kind_of_trace

MAX_DEPTH: Final = 8  # folders below the one that is named
MAX_ENTRIES: Final = 200_000

_ITERATION = re.compile(r"(\d{1,6})-iteration\.csv(?:\.gz)?")
_METRICS = re.compile(r"TrainingMetrics(?:_(\d{1,3}))?\.json")
_WORKER = re.compile(r"(?:worker[-_]?)?(\d{1,3})")
_NAMED_WORKER = re.compile(r"worker[-_]?\d{1,3}")
_OF_A_RUN = ("sim-trace", "training-simtrace", "evaluation-simtrace", "logs")
_NOT_TRACES = ("model", "videos", "mp4", "agent", "__MACOSX")
_SIZES = {
    ".csv": MAX_BYTES,
    ".log": MAX_BYTES,
    ".txt": MAX_BYTES,
    ".json": 64 << 20,
    ".jsonl": 256 << 20,
    ".npy": 8 << 20,
}


def wanted_size(name: str) -> int | None:
    """Largest size [bytes] that a file of a run with this name may have; None: nothing reads it."""
    if Path(name).name.startswith("._"):
        return None
    return _SIZES.get(Path(name.removesuffix(".gz")).suffix.lower())


@dataclass(frozen=True)
class TraceFile:
    """A trace on disk."""

    path: Path
    worker: int
    iteration: int | None
    """None where its name does not tell."""


@dataclass(frozen=True)
class EvaluationFiles:
    """The traces of one evaluation."""

    name: str
    """Its stamp, YYYYMMDDhhmmss, or the name of its folder."""
    paths: tuple[Path, ...]


@dataclass(frozen=True)
class RunFiles:
    """The traces of a run.

    Attributes:
        root: The folder of the run, in or below the one that was named.
        training: By iteration and worker.
        evaluations: By name, which is by time.
    """

    root: Path
    training: list[TraceFile]
    evaluations: list[EvaluationFiles]
    from_logs: bool
    """Whether those of the training are logs."""

    @property
    def taken(self) -> str:
        """What was found, in words; empty if nothing was."""
        parts = []
        if self.training:
            num_workers = len({file.worker for file in self.training})
            logs = " (read from logs)" if self.from_logs else ""
            parts.append(f"training traces of {_count(num_workers, 'worker')}{logs}")
        if self.evaluations:
            parts.append(f"traces of {_count(len(self.evaluations), 'evaluation')}")
        return " and ".join(parts)


@dataclass(frozen=True)
class _Candidate:
    path: Path
    parts: tuple[str, ...]
    """Folders from the named one."""
    log: bool

    @property
    def evaluation(self) -> bool:
        return any(part.startswith("evaluation") for part in (*self.parts, self.path.name))

    @property
    def run(self) -> tuple[str, ...]:
        """The folders above what belongs to one run."""
        for number, part in enumerate(self.parts):
            if part in _OF_A_RUN or part.startswith("evaluation") or _NAMED_WORKER.fullmatch(part) or part.isdecimal():
                return self.parts[:number]
        return self.parts

    @property
    def worker(self) -> int | None:
        below = [part for part in self.parts[len(self.run) :] if _WORKER.fullmatch(part)]
        match = _WORKER.fullmatch(below[-1]) if below else None
        return int(match[1]) if match else None

    @property
    def iteration(self) -> int | None:
        match = _ITERATION.fullmatch(self.path.name)
        return int(match[1]) if match else None

    @property
    def name(self) -> str:
        """Of an evaluation."""
        below = self.parts[len(self.run) :]
        if "evaluation-simtrace" in below and below.index("evaluation-simtrace"):
            return below[below.index("evaluation-simtrace") - 1].removeprefix("evaluation-")
        stamped = [part for part in below if part.startswith("evaluation-") and part != "evaluation-simtrace"]
        return stamped[0].removeprefix("evaluation-") if stamped else self.path.name.split(".")[0]


def find_run(place: Path) -> RunFiles:
    """The traces of the run in a folder, or the one that a file is.

    They are known by what is in them; of a file that is named like a trace, ``N-iteration.csv``, its reader will say
    so if it is none. Where there are traces of a single worker and of several, the iterations of the several are taken
    from them.

    Raises:
        RecordError: If several runs lie below the folder and none in it, or too many files do.
    """
    if place.is_file():
        kind = kind_of_trace(place)
        found = [_Candidate(place, (), kind == "log")] if kind else []
    else:
        found = list(_candidates(place))
    training = _sources([each for each in found if not each.evaluation])
    evaluations = _sources([each for each in found if each.evaluation])
    runs = sorted({each.run for each in (*training, *evaluations)})
    if len(runs) > 1 and runs[0] != ():
        some = ", ".join("/".join(run) for run in runs[:4]) + (", …" if len(runs) > 4 else "")
        raise RecordError(f"{place} holds {len(runs)} runs ({some}). Name the folder of one, or several of them.")
    run = runs[0] if runs else ()
    by_name: dict[str, list[_Candidate]] = {}
    for each in evaluations:
        if each.run == run:
            by_name.setdefault(each.name, []).append(each)
    return RunFiles(
        place.parent if place.is_file() else place.joinpath(*run),
        _training([each for each in training if each.run == run]),
        [
            EvaluationFiles(name, tuple(each.path for each in sorted(some, key=_order)))
            for name, some in sorted(by_name.items())
        ],
        any(each.log for each in training),
    )


def _candidates(folder: Path) -> Iterator[_Candidate]:
    num_entries = 0
    for current, folders, names in os.walk(folder):
        parts = Path(current).relative_to(folder).parts
        num_entries += len(folders) + len(names)
        if num_entries > MAX_ENTRIES:
            raise RecordError(f"{folder} holds more than {MAX_ENTRIES} files. Name the folder of one run.")
        deep = len(parts) >= MAX_DEPTH
        folders[:] = [] if deep else sorted(one for one in folders if one not in _NOT_TRACES and one[0] != ".")
        for name in sorted(names):
            path = Path(current) / name
            ending = Path(name.removesuffix(".gz")).suffix.lower()
            if name.startswith(".") or ending not in (".csv", ".log", ".txt", ""):
                continue
            if _ITERATION.fullmatch(name) and path.is_file():
                yield _Candidate(path, parts, False)
            elif name != "index.csv" and (kind := kind_of_trace(path)):
                yield _Candidate(path, parts, kind == "log")


def _sources(found: list[_Candidate]) -> list[_Candidate]:
    """Tables where there are some, else logs."""
    return [each for each in found if not each.log] or found


def _training(found: list[_Candidate]) -> list[TraceFile]:
    of_workers = {each.iteration for each in found if each.worker is not None}
    single: dict[int | None, TraceFile] = {}
    chosen = []
    for each in sorted(found, key=_order):
        file = TraceFile(each.path, each.worker or 0, each.iteration)
        if file.iteration is None or each.worker is not None:
            chosen.append(file)
        elif file.iteration not in of_workers:
            single.setdefault(file.iteration, file)
    return sorted([*chosen, *single.values()], key=lambda file: (file.iteration or 0, file.worker))


def _order(each: _Candidate) -> tuple[int, int, str]:
    """By iteration; of one iteration that which lies least deep first, and of equals the newest."""
    return each.iteration or 0, len(each.parts), str(each.path)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'s' if number != 1 else ''}"


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
