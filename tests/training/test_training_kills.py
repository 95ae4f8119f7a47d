"""Long trainings in which processes are killed again and again, and what they need of memory."""

from __future__ import annotations

import os
import random
import time
from pathlib import Path

import numpy as np
import psutil
import pytest
from hotlap_process import Hotlap
from tiny_model import write_model
from trained_folder import curve, episodes, log, played, weights

from hotlap.config.model_folder import ModelFolder
from hotlap.records.events import IterationRecord
from hotlap.rollouts.ray_fleet import RayFleet
from hotlap.training.listener import Silence
from hotlap.training.trainer import Trainer

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]

NUM_ITERATIONS = 160
NUM_WORKER_KILLS = 50
NUM_TRAINER_KILLS = 10


def model_in(folder: Path) -> ModelFolder:
    return write_model(
        folder,
        hyperparameters={"num_episodes_between_training": 4},
        training={"workers": 2, "precision": "float32", "max_iterations": NUM_ITERATIONS},
    )


def num_lines(folder: Path) -> int:
    path = folder / "metrics" / "progress.jsonl"
    return path.read_bytes().count(b"\n") if path.exists() else 0


def workers_of(trainer: int) -> list[psutil.Process]:
    """Processes that play for a trainer and have done so before."""
    try:
        processes = psutil.Process(trainer).children(recursive=True)
        # Ray names a process after what it does; one that starts has not played yet.
        return [process for process in processes if process.name() in ("ray::RolloutActor", "ray::RolloutActor.play")]
    except psutil.NoSuchProcess:
        return []


def test_sixty_kills_leave_no_trace(tmp_path: Path):
    """kill -9 of workers and of the trainer at random moments: the same weights, episodes, metrics and curve.

    Every episode is there once, and all are those of a training that nobody disturbed.
    """
    chance = random.Random(4)
    events = ["worker"] * NUM_WORKER_KILLS + ["trainer"] * NUM_TRAINER_KILLS
    chance.shuffle(events)
    moments = sorted(chance.uniform(1, NUM_ITERATIONS - 5) for _ in events)
    killed = {"worker": 0, "trainer": 0}
    begin = time.monotonic()
    hotlap = Hotlap(tmp_path)
    model = model_in(tmp_path / "killed")
    output = ""
    while True:
        with hotlap.start("train", model.path, "--resume") as process:
            while process.poll() is None and events:
                time.sleep(0.05)
                if num_lines(model.path) < moments[0]:
                    continue
                time.sleep(chance.uniform(0, 1))
                if events[0] == "worker":
                    if not (victims := workers_of(process.pid)):
                        continue
                    victim = chance.choice(victims)
                else:
                    victim = psutil.Process(process.pid)
                victim.kill()
                killed[events[0]] += 1
                del moments[0]
                if events.pop(0) == "trainer":
                    break
            text, _ = process.communicate()
            output += text
        if process.returncode != -9:
            break
    assert process.returncode == 0, output[-3000:]
    assert killed == {"worker": NUM_WORKER_KILLS, "trainer": NUM_TRAINER_KILLS}
    print(f"{killed} in {num_lines(model.path)} iterations, {time.monotonic() - begin:.0f} s")

    undisturbed = model_in(tmp_path / "undisturbed")
    with hotlap.start("train", undisturbed.path) as process:
        text, _ = process.communicate()
    assert process.returncode == 0, text[-3000:]
    assert len(curve(model.path)) == NUM_ITERATIONS
    assert curve(model.path) == curve(undisturbed.path)
    assert weights(model.path) == weights(undisturbed.path)
    assert played(model.path, 2) == played(undisturbed.path, 2)
    assert episodes(model.path) == episodes(undisturbed.path)
    assert log(model.path) == log(undisturbed.path)
    assert len(played(model.path, 2)) == 4 * NUM_ITERATIONS


class MemoryLog(Silence):
    """What trainer and workers hold at the end of every iteration: RSS [MiB], with the object store they have seen."""

    def __init__(self) -> None:
        self.fleet: RayFleet | None = None
        self.rows: list[list[float]] = []

    def on_iteration(self, record: IterationRecord) -> None:
        assert self.fleet is not None
        pids = [os.getpid(), *(worker.info.pid for worker in self.fleet.workers if worker.info)]
        self.rows.append([psutil.Process(pid).memory_info().rss / 2**20 for pid in pids])


def test_memory_stays_flat_over_two_hundred_iterations(ray_cluster: None, tmp_path: Path):
    """Within 5 %, of the trainer and of every worker, after 50 more in which all sizes of batches are met.

    It learns next to nothing, because longer episodes would rightly need more memory.
    """
    model = write_model(
        tmp_path,
        hyperparameters={"num_episodes_between_training": 4, "lr": 1e-8},
        training={"workers": 2, "precision": "float32", "max_iterations": 250},
    )
    memory = MemoryLog()
    with Trainer(model, listener=memory) as trainer:
        assert isinstance(trainer.fleet, RayFleet)
        memory.fleet = trainer.fleet
        trainer.run()
    rows = np.array(memory.rows)
    assert rows.shape == (250, 3)
    # Medians, because a single sample depends on what the allocator has just given back.
    begin, end = np.median(rows[50:90], axis=0), np.median(rows[-40:], axis=0)
    print(f"RSS of trainer and workers: {begin.round(1)} MiB, in the end {end.round(1)} MiB")
    np.testing.assert_allclose(end, begin, rtol=0.05)
