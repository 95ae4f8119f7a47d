"""What it costs a training to leave records behind.

The same training runs with and without them, in turn, again and again. With one seed an iteration is the same work in
all of these runs, so the fastest of each iteration are compared: what else the machine did meanwhile drops out.
"""

from __future__ import annotations

import time
from typing import Any, Self

import numpy as np

from hotlap.bench.recipe import stock_model
from hotlap.config.job import Training
from hotlap.records.events import IterationRecord
from hotlap.training.listener import Silence
from hotlap.training.trainer import Trainer
from hotlap.unfinished import scratch_folder


def measure_records_cost(*, track: str, iterations: int, repeats: int, options: dict[str, Any]) -> dict[str, Any]:
    """Train the stock recipe, evaluated after every update as a training is by default.

    Args:
        track: Name or route file.
        iterations: How many count; one more comes before them.
        repeats: Trainings of each kind.
        options: Keys of job.toml's training section.

    Returns:
        JSON-ready: ``records_cost``, the share by which traces, metrics, logs, events and checkpoints lengthen the
        loop, and ``records``: the ``seconds`` of the best iterations together with and without them, by stage what a
        training with them waited for (``stages_s``), and ``repeats``.
    """
    options = options | {
        "max_iterations": iterations + 1,
        "eval_every": Training().eval_every,
        "eval_laps": Training().eval_laps,
    }
    seconds: dict[str, list[list[float]]] = {"off": [], "on": []}
    stages_s: list[dict[str, float]] = []
    for _ in range(repeats):
        for kind, trainer_class in (("off", _Unrecorded), ("on", Trainer)):
            watch = _Watch()
            with scratch_folder() as folder:
                model = stock_model(folder, track=track, training=options)
                job = model.job.updated(monitoring={} if kind == "on" else {"tensorboard": False})
                trainer_class(model, job=job, listener=watch).run()
            seconds[kind].append(np.diff(watch.ends).tolist())
            if kind == "on":
                stages_s += watch.stages_s[1:]
    best = {kind: float(np.min(rows, axis=0).sum()) for kind, rows in seconds.items()}
    return {
        "records_cost": best["on"] / best["off"] - 1.0,
        "records": {
            "seconds": best,
            "stages_s": {name: sum(each[name] for each in stages_s) / repeats for name in stages_s[0]},
            "repeats": repeats,
        },
    }


class _Watch(Silence):
    """Notes when iterations end, and what they waited for."""

    def __init__(self) -> None:
        self.ends: list[float] = []
        self.stages_s: list[dict[str, float]] = []

    def on_iteration(self, record: IterationRecord) -> None:
        self.ends.append(time.perf_counter())
        self.stages_s.append(record.stages_s)


class _Nothing:
    """Stands for whatever keeps records: takes everything and keeps nothing."""

    def __getattr__(self, name: str) -> Any:
        return _Nothing()

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return ()

    def __or__(self, other: Any) -> Any:
        return other


class _Unrecorded(Trainer):
    """Trains, and leaves no trace of it."""

    def open(self) -> Self:
        super().open()
        self._run.recorder = _Nothing()  # type: ignore[assignment]
        self._run.checkpoints = _Nothing()  # type: ignore[assignment]
        self._run.tallies = _Nothing()  # type: ignore[assignment]
        self._run.save_checkpoint = _Nothing()  # type: ignore[method-assign, assignment]
        return self
