"""What fuzzing, and looking for it, has found: each in the smallest file that showed it."""

from __future__ import annotations

import json
import math
import os
import warnings
from dataclasses import replace
from pathlib import Path

import pytest
from drfc_folder import RUN_ENV, SYSTEM_ENV
from fuzz_arrays import METADATA, weights_file
from fuzz_readers import EPISODES, HOLDER, MODEL, READERS, RECORD, STATE

from hotlap.bounded import gunzip, read_bounded
from hotlap.config.drfc import DrfcFolder
from hotlap.config.job import Job
from hotlap.errors import ConfigError
from hotlap.records.checkpoints import CheckpointStore
from hotlap.records.events import IterationRecord, WorkerSummary
from hotlap.records.folder import Folder
from hotlap.records.store import largest
from hotlap.records.trainer_state import BestCheckpoint


def npy(header: str) -> bytes:
    text = header.encode()
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text


DEEP = json.dumps({"format": 2}).encode()[:-1] + b', "extra": ' + b"[" * 400 + b"]" * 400 + b"}"
REFUSED = {
    "TOML with a number of thousands of digits": ("job", b"a = " + b"9" * 5000),
    "TOML nested beyond Python's stack": ("job", b"a = " + b"[" * 3000),
    "JSON nested as deeply as Python reads it, but cannot print it": (
        "model_metadata",
        b'{"action_space":' + b"[" * 900 + b"]" * 900 + b"}",
    ),
    "a route's header that Python's tokenizer rejects": ("route", npy("{'descr': '<f8',\n(")),
    "a route's header that is too deep for Python's parser": ("route", npy("-" * 3000 + "1")),
    "a route's header with a number beyond 64 bits": (
        "route",
        npy("{'descr': '<f8', 'fortran_order': False, 'shape': (99999999999999999999, 6), }\n"),
    ),
    "a route's header with thousands of blanks": ("route", b"\x93NUMPY\x02\x00\x6c\x23\x00\x00{" + b" " * 9067),
    "a route of a newer format": ("route", b"\x93NUMPY\x03\x00\x00\x00\x00\x00"),
    "a CSV with a long field": ("recording", b"episode,steps\n" + b"a" * 140_000),
    "a CSV in a zip that is none": ("zipped_recording", b"\x1f\x8b\x08\x00 and so on, but no gzip"),
    "a trace beyond all numbers": ("recording", b"episode,steps\n1,1e300\n"),
    "a list of recordings with an endless name": (
        "recordings",
        b"file,version,role,track\n" + b"9" * 400 + b",v4,,a\n",
    ),
    "weights with a header of gigabytes": ("checkpoint", (1 << 40).to_bytes(8, "little") + b"{}"),
    "weights whose metadata is no object": ("checkpoint", weights_file([1, 2])),
    "a state that is too deep": ("trainer_state", DEEP),
    "a state with a text for a number": ("trainer_state", replace(STATE, iteration="1").to_json()),  # type: ignore[arg-type]
    "a state whose best checkpoint has no name": (
        "trainer_state",
        replace(STATE, best=BestCheckpoint("best", 1.0, 0.5, None)).to_json(),
    ),
    "a state with a record that is none": (
        "trainer_state",
        replace(STATE, extra={"record": {"iteration": 0}}).to_json(),
    ),
    "a state with a text for a count": ("trainer_state", replace(STATE, extra={"goal_evaluations": "2"}).to_json()),
    "metrics that are too deep": ("training_metrics", b'{"metrics":' + b"[" * 5000),
    "metrics with a text for a number": (
        "training_metrics",
        json.dumps({"metrics": [EPISODES[0] | {"trial": "x"}, EPISODES[1]]}).encode(),
    ),
    "a job with a negative process": (
        "job_record",
        b'{"id": "1", "folder": "/", "process": {"pid": -1, "start": 1, "host": "a"}}',
    ),
    "a job with another kind of date": ("job_record", b'{"id": "1", "folder": "/", "started": "yesterday"}'),
    "a doubling environment": (
        "run_env",
        "".join(f"A{n + 1}=${{A{n}}}${{A{n}}}\n" for n in range(40)).replace("${A0}", "x").encode(),
    ),
}
READ = {
    "an action beyond all floats": (
        "action_space",
        json.dumps(MODEL | {"action_space": [{"speed": 10**400}]}).encode(),
    ),
    "a lock with control characters": (
        "lock",
        json.dumps(HOLDER | {"host": "\x1b[31m\n" * 500}).encode(),
    ),
    "a line of progress with a huge number": (
        "progress",
        json.dumps(json.loads(RECORD.to_line()) | {"reward_mean": 10**400}).encode() + b"\n",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused(case: str, tmp_path: Path):
    """In our words, instead of an error of Python's or of a library."""
    name, content = REFUSED[case]
    READERS[name].prepare(tmp_path)
    assert READERS[name].meet(tmp_path, content) != "read"


@pytest.mark.parametrize("case", READ)
def test_read_with_a_grain_of_salt(case: str, tmp_path: Path):
    name, content = READ[case]
    READERS[name].prepare(tmp_path)
    assert READERS[name].meet(tmp_path, content) == "read"


def test_what_a_worker_may_not_set_does_not_count(tmp_path: Path):
    """It is warned about; an impossible value of it was an error of Python's, and a possible one was merged."""
    (tmp_path / "system.env").write_text(SYSTEM_ENV.replace("DR_WORKERS=1", "DR_WORKERS=2"))
    (tmp_path / "run.env").write_text(RUN_ENV + "DR_TRAIN_MULTI_CONFIG=True\n")
    for value in ("x", "7"):
        (tmp_path / "worker-2.env").write_text(f"DR_EVAL_NUMBER_OF_TRIALS={value}\n")
        with pytest.warns(UserWarning, match="DR_EVAL_NUMBER_OF_TRIALS has no effect in the file of a worker"):
            drfc = DrfcFolder(tmp_path)
        assert drfc.environments.workers[1]["DR_EVAL_NUMBER_OF_TRIALS"].value == "3"
        assert drfc.job.num_workers == 2


def test_a_worker_whose_reward_is_not_finite_is_recorded():
    """As null, like every other number that is not finite."""
    worker = WorkerSummary(0, "first_lap", 2, 70, math.nan, math.inf, 1)
    again = IterationRecord.from_line(replace(RECORD, workers=[worker]).to_line())
    assert again.workers[0].reward_mean is None


@pytest.mark.skipif(os.name == "nt", reason="links need permissions there")
def test_a_circular_link_does_not_hide_its_neighbors(tmp_path: Path):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "3_Step-70.safetensors").write_bytes(weights_file(METADATA))
    (tmp_path / "model" / "4_Step-90.safetensors").symlink_to("4_Step-90.safetensors")
    assert CheckpointStore(tmp_path).load("last").name.number == 3


def test_names_that_no_file_can_have(tmp_path: Path):
    """Neither read, nor there."""
    for name in ("a\0b", "\ud800", "x" * 300):
        with pytest.raises(OSError, match=r"."):
            read_bounded(tmp_path / name, 10)
        assert not Folder(tmp_path).exists(name)
    assert Folder(tmp_path).list("a\0b") == []


def test_sizes_are_told(tmp_path: Path):
    """What a file has, and what it may have."""
    (tmp_path / "job.toml").write_bytes(b"#" * 70_000)
    with pytest.raises(
        ConfigError, match=r"job\.toml: cannot be read \(it has 68\.36 KiB, more than the 64 KiB it may"
    ):
        Job.load(tmp_path / "job.toml")
    assert largest("metrics/TrainingMetrics.json") < largest("model/3_Step-70.safetensors") < largest("mp4/a.mp4")


def test_a_zip_has_an_end():
    """Whole, cut, swollen."""
    import gzip

    packed = gzip.compress(b"a" * 1000)
    assert gunzip(packed, 1000) == b"a" * 1000
    for content, reason in ((packed[:-9], "cut short"), (packed, "more than 999 bytes"), (b"no zip at all", "no gzip")):
        with pytest.raises(ValueError, match=reason):
            gunzip(content, 999 if "999" in reason else 1000)


def test_the_warnings_of_a_repeated_key_are_few(tmp_path: Path):
    """Three names of thousands."""
    (tmp_path / "hyperparameters.json").write_text("{" + ",".join(f'"{n}":0,"{n}":0' for n in range(5000)) + "}")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        READERS["hyperparameters"].read(tmp_path)
    repeated = [str(each.message) for each in caught if "more than once" in str(each.message)]
    assert len(repeated) == 1
    assert len(repeated[0]) < 400
