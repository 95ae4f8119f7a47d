"""Log folders as DeepRacer-for-Cloud leaves them: one of the original's recordings, one that we write ourselves."""

from __future__ import annotations

import csv
import gzip
import shutil
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

REAL_TRAINING = "v4_drfc1-train"
REAL_EVALUATIONS = ("20220709200242", "20220709200509", "20220709200711")
REAL_TRACK = "reinvent_base"
NUM_ITERATIONS = 6  # of the real log; all of them only take longer
COLUMNS = (
    *("episode", "steps", "X", "Y", "yaw", "steer", "throttle", "action", "reward", "done", "all_wheels_on_track"),
    *("progress", "closest_waypoint", "track_len", "tstamp", "episode_status", "pause_duration"),
)


@dataclass
class LogFolder:
    """A training and evaluations, and what they are read with."""

    folder: Path
    """Training and evaluations, as DeepRacer-for-Cloud leaves them."""
    route: Path
    """Route file of its track."""
    text_log: Path
    """Lines that begin with SIM_TRACE_LOG."""
    scratch: Path
    """Where files may be written."""


def write_real_log(reference_data: Path, folder: Path) -> LogFolder:
    """The sample log of deepracer-utils as its folder was, made of the recordings: first iterations and evaluations."""
    data, formats = reference_data / "logs", reference_data / "formats"
    model = folder / "real"
    by_iteration = defaultdict(list)
    for row in _rows(data / f"{REAL_TRAINING}.csv.gz"):
        by_iteration[int(row["iteration"])].append(row)
    for iteration in range(NUM_ITERATIONS):
        _write_trace(model / f"training-simtrace/{iteration}-iteration.csv", by_iteration[iteration])
    for stamp in REAL_EVALUATIONS:
        rows = list(_rows(data / f"v4_drfc1-eval-{stamp}.csv.gz"))
        _write_trace(model / f"evaluation-{stamp}/evaluation-simtrace/0-iteration.csv", rows)
    for name, source in (
        ("metrics/TrainingMetrics.json", "TrainingMetrics.json"),
        ("ip/hyperparameters.json", "hyperparameters.json"),
        ("model/model_metadata.json", "model_metadata_v4_discrete.json"),
    ):
        (model / name).parent.mkdir(exist_ok=True)
        shutil.copyfile(formats / source, model / name)
    tracks_folder, scratch = folder / "real_tracks", folder / "real_scratch"
    tracks_folder.mkdir()
    scratch.mkdir()
    route = shutil.copyfile(reference_data / f"tracks/{REAL_TRACK}.npy", tracks_folder / f"{REAL_TRACK}.npy")
    return LogFolder(model, route, formats / "sim_trace_log_lines_v5.txt", scratch)


def _rows(path: Path) -> Iterator[dict[str, str]]:
    with gzip.open(path, "rt", newline="") as file:
        yield from csv.DictReader(file)


def _write_trace(path: Path, rows: list[dict[str, str]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        writer.writerows([row[column] for column in COLUMNS] for row in rows)


def write_own_log(folder: Path) -> LogFolder:
    """A model of ours, trained and evaluated in seconds."""
    import tiny_model

    from hotlap.evaluation.evaluator import Evaluator
    from hotlap.records.sim_trace import format_log_lines
    from hotlap.training.trainer import Trainer

    model = tiny_model.write_model(
        folder / "own",
        actions=[*tiny_model.ROUND_AND_ROUND, {"steering_angle": -30, "speed": 2.5}],
        hyperparameters={"num_episodes_between_training": 8},
    )
    with Trainer(model) as trainer:
        trainer.run()
    evaluator = Evaluator(model)
    evaluator.run()
    evaluator.record("20260102030405")
    text_log, scratch = folder / "own.log", folder / "own_scratch"
    lines = [line for episode in evaluator.episodes for line in format_log_lines(episode.steps)]
    text_log.write_text("\n".join(lines) + "\n")
    scratch.mkdir()
    return LogFolder(model.path, model.path / "ring.npy", text_log, scratch)
