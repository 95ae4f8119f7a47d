"""A run read back: everything that its folder holds about training and evaluations."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from hotlap.analysis.read.action_space import action_space_of
from hotlap.analysis.read.driven_track import Candidates, driven_track
from hotlap.analysis.read.episodes import Episodes, in_order
from hotlap.analysis.read.iterations import (
    Results,
    joined_results,
    records_of,
    results_of,
    sound_records,
    with_wall_clock,
)
from hotlap.analysis.read.run_data import Evaluation, Run, on_track
from hotlap.analysis.read.run_files import find_run, metrics_files, wanted_size
from hotlap.archives.archive import as_folder, is_archive
from hotlap.bounded import read_bounded
from hotlap.deepracer.trace import LOG_MARK
from hotlap.errors import RecordError
from hotlap.records.checkpoints import CheckpointName, CheckpointStore
from hotlap.records.events import IterationRecord, ProgressLog, with_best
from hotlap.records.folder import Folder
from hotlap.records.metrics import read_metrics
from hotlap.records.steps import Steps
from hotlap.records.tallies import Tally, TallyLog
from hotlap.records.trace_reader import MAX_BYTES, kind_of_trace, read_trace
from hotlap.tracks.track import Track
from hotlap.wording import counted


def read_run(
    folder: str | Path,
    *,
    name: str | None = None,
    tracks: Sequence[str | Path | Track] = (),
    on_file: Callable[[int, int], None] | None = None,
) -> Run:
    """Read a model folder of ours, a log folder of DeepRacer or DeepRacer-for-Cloud, an archive of one, or one trace.

    Files that are damaged are left out, with a note.

    Args:
        folder: The one that holds ``training-simtrace``, ``metrics`` and so on, a .tar.gz or .zip of it, or a trace.
        name: What to call it; by default as the folder is called.
        tracks: Tracks, or their names or route files, to try first when looking for the track that it was driven on.
        on_file: Called with the number of traces that are read and how many there are.

    Raises:
        RecordError: If there is no such place, an archive is damaged, or nothing about a run is in it.
    """
    place = Path(folder)
    name = name or place.resolve().name
    if not place.exists():
        raise RecordError(f"{place} does not exist. Give the folder of a model, or of the logs of one.")
    if place.is_dir() or is_archive(place):
        members: list[str] = []

        def wanted(member: str) -> int | None:
            members.append(member)
            return wanted_size(member)

        with as_folder(place, wanted) as inside:
            return _read(place, inside, name, tracks, on_file, members)
    if kind_of_trace(place) is None:
        raise RecordError(
            f"{place} is a file, but no trace, no log with {LOG_MARK} lines, and no .tar.gz or .zip. Give the "
            "folder of a model, or of the logs of one, an archive of it, or one trace."
        )
    return _read(place, place, name, tracks, on_file)


def _read(
    place: Path,
    inside: Path,
    name: str,
    tracks: Sequence[str | Path | Track],
    on_file: Callable[[int, int], None] | None,
    members: Sequence[str] = (),
) -> Run:
    """The run in a folder or trace ``inside``, which the user calls ``place``; ``members`` are those of an archive."""
    reader = _Reader(inside, Candidates(tracks, inside if inside.is_dir() else None), on_file)
    folder = reader.folder
    best = reader.best()
    iterations = with_best(reader.progress(), str(best) if best else None)
    wall_clock = bool(iterations)
    steps, evaluations = reader.traces()
    episodes = Episodes.of(steps)
    if not iterations:
        results = reader.results()
        iterations = records_of(results, steps, episodes, best_number=best.number if best else None)
        wall_clock, iterations = with_wall_clock(iterations, steps)
        if iterations and not len(results):
            why = "" if inside.is_file() else "metrics/TrainingMetrics.json is not there or cannot be read: "
            reader.notes.append(
                f"{why}Evaluations within the training are not known, and the curves are those of the training "
                "episodes in the traces."
            )
    if not (iterations or len(steps) or evaluations):
        raise RecordError(" ".join([_nothing(place, inside, members), *reader.notes]))
    if not len(steps):
        reader.notes.append("There are no traces of the training: maps, paths, actions and endings cannot be drawn.")
    driven = reader.driven(steps)
    reader.note_unknown()
    return Run(
        name=name,
        iterations=iterations,
        steps=steps,
        episodes=episodes,
        evaluations=evaluations,
        driven=driven,
        actions=action_space_of(folder),
        best=best,
        tally=reader.tally(iterations),
        wall_clock=wall_clock,
        notes=reader.notes,
        taken=f"Took {reader.files.taken} from {place}." if reader.files.taken else "",
    )


def _nothing(place: Path, inside: Path, members: Sequence[str]) -> str:
    """What a folder or archive holds instead of a run, and the way out."""
    found = sorted(path.name for path in inside.iterdir()) if inside.is_dir() else []
    way_out = "Give the folder of a trained model, or of the logs of one."
    if any(member.endswith("agent/model.pb") for member in members):
        return f"{place} is an archive for a car and holds no records of the training. {way_out}"
    if "model_metadata.json" in found and "reward_function.py" in found:
        return f"{place} has not been trained yet: there are no records. Train it with `hotlap train {place}`."
    some = f"; there is only {', '.join(found[:6])}{', …' if len(found) > 6 else ''}" if found else "; it is empty"
    return (
        f"{place} holds nothing readable about a run: no training-simtrace/N-iteration.csv, no metrics/progress.jsonl "
        "or TrainingMetrics.json, no evaluation-YYYYMMDDhhmmss/evaluation-simtrace, no other trace or log with "
        f"{LOG_MARK} lines{some if inside.is_dir() else ''}. {way_out}"
    )


class _Reader:
    """Reads the parts of a run and collects notes."""

    def __init__(self, place: Path, candidates: Candidates, on_file: Callable[[int, int], None] | None) -> None:
        self.files = find_run(place)
        self.folder = folder = self.files.root
        self.candidates = candidates
        self.store = Folder(folder)
        self.on_file = on_file
        self.notes: list[str] = []
        self._known_tracks: list[Track] = []
        self._unknown: set[float] = set()  # lengths [m]
        self._numbers = iter(range(0))
        self._total = 0

    def progress(self) -> list[IterationRecord]:
        try:
            records, num_damaged = sound_records(ProgressLog(self.store).read())
        except RecordError as error:
            self.notes.append(str(error))
            return []
        if num_damaged:
            self.notes.append(f"metrics/progress.jsonl: {num_damaged} damaged lines were left out.")
        return records

    def traces(self) -> tuple[Steps, list[Evaluation]]:
        training, evaluations = self.files.training, self.files.evaluations
        self._total = len(training) + sum(len(each.paths) for each in evaluations)
        self._numbers = iter(range(1, self._total + 1))
        steps = in_order([part for file in training for part in self._trace(file.path, file.worker, file.iteration)])
        self._note_gaps({file.iteration for file in training if file.iteration is not None})
        read = [
            (each.name, in_order([part for path in each.paths for part in self._trace(path)])) for each in evaluations
        ]
        return steps, [
            Evaluation(name, self._track(driven), driven, Episodes.of(driven)) for name, driven in read if len(driven)
        ]

    def results(self) -> Results:
        parts = []
        for worker, key in metrics_files(self.folder):
            try:
                results, num_damaged = results_of(read_metrics(self.store, key), worker)
            except RecordError as error:
                self.notes.append(str(error))
                continue
            if num_damaged:
                self.notes.append(f"{key}: {num_damaged} damaged records were left out.")
            parts.append(results)
        return joined_results(parts or [results_of((), 0)[0]])

    def best(self) -> CheckpointName | None:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                entry = CheckpointStore(self.store).best()
            except RecordError as error:
                self.notes.append(str(error))
                return None
        self.notes += [str(warning.message) for warning in caught]
        return entry.name if entry else None

    def tally(self, records: Sequence[IterationRecord]) -> Tally | None:
        try:
            return TallyLog(self.store).of_best(records)
        except RecordError as error:
            self.notes.append(str(error))
            return None

    def driven(self, steps: Steps) -> dict[tuple[int, float], Track | None]:
        """The track of each worker and logged length; the same road is the same object."""
        pairs = np.unique(np.stack([steps.worker, steps.track_length.round(2)], axis=1), axis=0)
        return {
            (int(worker), length): self._track(steps.where(on_track(steps, int(worker), length)))
            for worker, length in pairs.tolist()
        }

    def note_unknown(self) -> None:
        """Say which roads are not known."""
        if self._unknown:
            *others, last = [f"{length:.2f}" for length in sorted(self._unknown)]
            lengths = f"{', '.join(others)} or {last}" if others else last
            self.notes.append(
                f"No known track is {lengths} m long and leads where the car drove, so maps show no road. Give its "
                "route file with --track FILE.npy, or add it with `hotlap tracks add FILE.npy`."
            )

    def _track(self, steps: Steps) -> Track | None:
        track = driven_track(steps, self.candidates)
        if track is None:
            self._unknown.add(round(float(np.median(steps.track_length)), 2))
            return None
        for known in self._known_tracks:
            if np.array_equal(known.center, track.center):
                return known
        self._known_tracks.append(track)
        return track

    def _trace(self, path: Path, worker: int = 0, iteration: int | None = 0) -> list[Steps]:
        """The steps in a file; none, and a note, if it cannot be read."""
        name = path.relative_to(self.folder)
        try:
            trace = read_trace(read_bounded(path, MAX_BYTES), source=str(name), worker=worker, iteration=iteration)
        except (RecordError, OSError) as error:
            self.notes.append(str(error) if isinstance(error, RecordError) else f"{name}: {error.strerror}.")
            return []
        finally:
            if self.on_file:
                self.on_file(next(self._numbers), self._total)
        if trace.num_damaged:
            self.notes.append(f"{name}: {counted(trace.num_damaged, 'damaged row')} left out.")
        return [trace.steps]

    def _note_gaps(self, iterations: set[int]) -> None:
        missing = sorted(set(range(max(iterations, default=-1) + 1)) - iterations)
        if missing:
            names = ", ".join(f"{each}-iteration.csv" for each in missing[:8]) + (", …" if len(missing) > 8 else "")
            self.notes.append(f"There are no traces of {counted(len(missing), 'iteration')} ({names}).")
