"""The original's lines: tools find in ours what they look for, and a log that goes on has no line twice."""

from __future__ import annotations

import ast
import json
import re
from pathlib import Path

import pytest

import hotlap
from hotlap.errors import ConfigError, RewardError
from hotlap.records.folder import Folder
from hotlap.records.log_file import LogFile
from hotlap.records.log_lines import (
    RunDescription,
    best_line,
    checkpoint_lines,
    episode_line,
    epoch_line,
    evaluation_lines,
    exception_line,
    new_best_lines,
)

EPISODE = episode_line("Training", episode=3, reward=-12.3456, total_steps=450, iteration=7)
LAP = episode_line("Testing", episode=60, reward=100, total_steps=4500, iteration=8)
EPOCH = epoch_line(2, policy_loss=-0.0123, kl=7.25e-06, entropy=1.58, lr=0.0003)

RUN = RunDescription(
    job_type="TRAINING",
    world="reinvent_base",
    race_type="TIME_TRIAL",
    num_workers=2,
    sensors=("FRONT_FACING_CAMERA",),
    network="DEEP_CONVOLUTIONAL_NETWORK_SHALLOW",
    version=5,
    algorithm="clipped_ppo",
    action_space_type="discrete",
    action_space=[{"steering_angle": -30.0, "speed": 0.5}],
    lidar_config={"num_sectors": 8, "num_values_per_sector": 8, "clipping_dist": 2.0},
    hyperparameters={"lr": 0.0003, "batch_size": 64, "loss_type": "huber"},
)


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        # What metric definitions of the original's notebook and of DeepRacer-for-Cloud look for.
        (r"^Training>.*Total reward=(.*?),", [-12.35]),
        (r"^Testing>.*Total reward=(.*?),", [100.0]),
        (r"^Policy training>.*Surrogate loss=(.*?),", [-0.0123]),
        (r"^Policy training>.*Entropy=(.*?),", [1.58]),
        (r"Entropy=(.*?),", [1.58]),
        # What tools of the community compare, part by part.
        (r"Training> Name=main_level/agent, Worker=0, Episode=(\d+), Total reward=", [3]),
        (r"^Training> Name=.*, Steps=(\d+), Training iteration=\d+$", [450]),
        (r"^Training> .*, Training iteration=(\d+)$", [7]),
        (r"KL divergence=(.*?),", [7.25e-06]),
        (r"training epoch=(\d+), ", [2]),
        (r"learning_rate=(.*)$", [0.0003]),
    ],
)
def test_metric_definitions_find_their_numbers(pattern, found):
    """Each finds its number in the line that it is meant for, and nothing in the others."""
    matches = [re.search(pattern, line) for line in (EPISODE, LAP, EPOCH)]
    assert [float(match[1]) for match in matches if match] == found


def test_lines_are_those_of_the_original():
    """Word for word the examples of the format's description."""
    assert episode_line("Training", episode=1, reward=0, total_steps=35, iteration=0) == (
        "Training> Name=main_level/agent, Worker=0, Episode=1, Total reward=0.0, Steps=35, Training iteration=0"
    )
    assert epoch_line(0, policy_loss=-0.0123, kl=0.0004, entropy=1.58, lr=0.0003) == (
        "Policy training> Surrogate loss=-0.0123, KL divergence=0.0004, Entropy=1.58, training epoch=0, "
        "learning_rate=0.0003"
    )
    assert checkpoint_lines("1_Step-678.ckpt", 1, 3) == [
        "Checkpoint> Saving in path=['./checkpoint_sagemaker/agent/1_Step-678.ckpt']",
        "Uploaded 3 files for checkpoint 1",
    ]
    assert best_line(3, 5) == "Best checkpoint number: 3, Last checkpoint number: 5"
    assert evaluation_lines("progress", [40, 44.2], 42.1) == [
        "[BestModelSelection] Number of evaluations: 2 Evaluation episode progress: [40.0, 44.2]",
        "[BestModelSelection] Evaluation episode progress mean: 42.1",
    ]
    assert new_best_lines("progress", 42.1, "5_Step-9.ckpt", former_mean=40, former_name="3_Step-5.ckpt") == [
        "[BestModelSelection] current progress mean: 42.1 >= best progress mean: 40",
        '[BestModelSelection] Updating the best checkpoint to "5_Step-9.ckpt" from "3_Step-5.ckpt".',
    ]
    lines = RUN.lines()
    assert " * /WORLD_NAME: reinvent_base" in lines
    assert (
        "Sensor list ['FRONT_FACING_CAMERA'], network DEEP_CONVOLUTIONAL_NETWORK_SHALLOW, simapp_version 5.0, "
        "training_algorithm clipped_ppo, action_space_type discrete lidar_config {'num_sectors': 8, "
        "'num_values_per_sector': 8, 'clipping_dist': 2.0}"
    ) in lines
    assert "Action space from file: [{'steering_angle': -30.0, 'speed': 0.5}]" in lines
    begin = lines.index("Using the following hyper-parameters")
    assert json.loads("\n".join(lines[begin + 1 :])) == RUN.hyperparameters
    assert lines[begin + 2] == '  "batch_size": 64,'
    assert ast.literal_eval(lines[0]) == {
        "JOB_TYPE": "TRAINING",
        "NUM_WORKERS": "2",
        "RACE_TYPE": "TIME_TRIAL",
        "WORLD_NAME": "reinvent_base",
    }


def raised(error: Exception) -> Exception:
    try:
        raise error
    except Exception as caught:
        return caught


@pytest.mark.parametrize(
    ("error", "kind", "event", "code"),
    [
        (RewardError("line 3: no\nsuch key"), "simulation_worker.exceptions", "user_error", "400"),
        (ConfigError("no such track"), "training_worker.exceptions", "user_error", "400"),
        (ZeroDivisionError("division by zero"), "training_worker.exceptions", "system_error", "500"),
    ],
)
def test_errors_are_one_line_that_says_whose_they_are(error, kind, event, code):
    """What a user can mend is the user's, everything else the system's."""
    line = exception_line(raised(error))
    assert "\n" not in line
    (said,) = json.loads(line).values()
    assert said.pop("date")
    assert re.fullmatch(r"test_records_log_lines\.py::raised::\d+", said.pop("function"))
    assert said == {
        "version": hotlap.__version__,
        "message": str(error),
        "exceptionType": kind,
        "eventType": event,
        "errorCode": code,
    }


def test_a_log_goes_on_where_it_is_cut(tmp_path: Path):
    """Lines after the noted length, torn ones among them, are dropped; the head is there once."""
    store = Folder(tmp_path)
    log = LogFile(store, "logs/a.log", ["head"])
    log.add(["one", "zwölf"])
    log.write()
    kept = log.num_bytes
    log.add(["of an iteration that was never finished"])
    log.write()
    store.append("logs/a.log", b"tor")
    assert kept == len("head\none\nzwölf\n".encode())

    log = LogFile(store, "logs/a.log", ["head"], kept=kept)
    log.add(["two"])
    log.write()
    assert store.get("logs/a.log").decode().splitlines() == ["head", "one", "zwölf", "two"]
    assert log.num_bytes == len(store.get("logs/a.log"))


@pytest.mark.parametrize(
    ("kept", "expected"),
    [(0, "new head\n"), (None, "head\none\nnew head\n"), (10**6, "head\none\nnew head\n")],
)
def test_another_head_is_added(tmp_path: Path, kept, expected):
    """A run with other settings says so, unless it begins anew; without a noted length all whole lines stay."""
    store = Folder(tmp_path)
    store.put("logs/a.log", b"head\none\ntor")
    LogFile(store, "logs/a.log", ["new head"], kept=kept).write()
    assert store.get("logs/a.log").decode() == expected
