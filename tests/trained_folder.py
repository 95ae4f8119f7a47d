"""What a training left in its folder, in a form that does not depend on how many workers played."""

from __future__ import annotations

import csv
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

from hotlap.records.episode_log import EpisodeLog, EpisodeRecord
from hotlap.records.events import IterationRecord, ProgressLog
from hotlap.records.folder import Folder
from hotlap.records.log_lines import TRAINER_LOG


def weights(folder: Path) -> dict[str, bytes]:
    """The files of all checkpoints' weights."""
    return {path.name: path.read_bytes() for path in sorted((folder / "model").glob("*_Step-*.safetensors"))}


def log(folder: Path) -> str:
    """What the trainer logged, but for the number of workers."""
    text = (folder / TRAINER_LOG).read_text()
    return re.sub(r"'NUM_WORKERS': '\d+'", "", text)


def curve(folder: Path) -> list[IterationRecord]:
    """The recorded iterations, without what the clock says and who played."""
    records = ProgressLog(Folder(folder)).read()
    return [replace(record, elapsed_s=0.0, stages_s={}, workers=[]) for record in records]


def episodes(folder: Path) -> list[EpisodeRecord]:
    """The recorded episodes in order of number, without who played."""
    records = [replace(record, worker=0) for record in EpisodeLog(Folder(folder)).read()]
    return sorted(records, key=lambda record: (record.iteration, record.phase, record.episode))


def played(folder: Path, workers: int) -> list[tuple[list[dict[str, str]], dict[str, Any]]]:
    """Trace rows and metrics of every episode in order of number, without the numbers that workers give them."""
    traces: dict[int, list[dict[str, str]]] = {}
    metrics: dict[int, dict[str, Any]] = {}
    for worker in range(workers):
        place = folder / str(worker) if workers > 1 else folder
        for path in sorted(place.glob("training-simtrace/*.csv")):
            with path.open() as file:
                for row in csv.DictReader(file):
                    traces.setdefault(int(row.pop("episode")) * workers + worker, []).append(row)
        path = folder / "metrics" / (f"TrainingMetrics_{worker}.json" if worker else "TrainingMetrics.json")
        records = json.loads(path.read_text())["metrics"]
        for record in (each for each in records if each["phase"] == "training"):
            number = (record.pop("episode") - 1) * workers + worker
            assert number not in metrics, f"episode {number} was counted twice"
            del record["trial"]
            metrics[number] = record
    assert sorted(traces) == sorted(metrics) == list(range(len(metrics)))
    return [(traces[number], metrics[number]) for number in sorted(metrics)]
