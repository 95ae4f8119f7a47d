"""The progress file: lines come back, torn ones do not, and resume drops the future."""

from __future__ import annotations

import math

from hotlap.records.events import PROGRESS, EvaluationSummary, IterationRecord, ProgressLog
from hotlap.records.folder import Folder


def record(iteration: int, **changes: object) -> IterationRecord:
    values: dict = {
        "iteration": iteration,
        "checkpoint": f"{iteration + 1}_Step-{100 * iteration + 100}.ckpt",
        "total_episodes": 20 * iteration + 20,
        "total_steps": 100 * iteration + 100,
        "elapsed_s": 2.5 * iteration,
        "num_episodes": 20,
        "num_steps": 100,
        "reward_mean": 3.25,
        "completion_mean": 12.5,
        "laps_completed": 1,
        "evaluation": EvaluationSummary(64, 88.0, 0.5, 40.0, 11.5, 11.2),
        "losses": {"policy": -0.01},
        "stages_s": {"collect": 1.0},
    }
    return IterationRecord(**{**values, **changes})


def test_lines_come_back(tmp_path):
    log = ProgressLog(Folder(tmp_path), num_iterations=0)
    written = [record(0), record(1, evaluation=None, lap_time_best_s=11.0, is_best=True)]
    for each in written:
        log.append(each)
    assert log.read() == written


def test_torn_line_is_dropped_wherever_the_kill_tore_it(tmp_path):
    folder = Folder(tmp_path, sync=False)
    ProgressLog(folder).append(record(0))
    whole = folder.get(PROGRESS)
    torn = record(1).to_line().encode()
    for length in range(0, len(torn), 7):
        folder.put(PROGRESS, whole + torn[:length])
        assert ProgressLog(folder).read() == [record(0)]
    resumed = ProgressLog(folder, num_iterations=1)
    resumed.append(record(1))
    assert resumed.read() == [record(0), record(1)]


def test_resume_drops_iterations_after_the_checkpoint(tmp_path):
    folder = Folder(tmp_path)
    log = ProgressLog(folder)
    for iteration in range(4):
        log.append(record(iteration))
    assert [each.iteration for each in ProgressLog(folder, num_iterations=2).read()] == [0, 1]


def test_numbers_that_are_not_finite_become_null_and_new_fields_are_ignored():
    line = record(0, losses={"policy": math.nan, "value": 1.0}).to_line()
    assert '"policy": null' in line
    newer = line[:-1] + ', "from_the_future": 1}'
    losses = IterationRecord.from_line(newer).losses
    assert math.isnan(losses["policy"])
    assert losses["value"] == 1.0
