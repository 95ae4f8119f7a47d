"""Files as long as they may be, each made to cost its reader as much as possible: read or refused before the alarm."""

from __future__ import annotations

import gzip
import io
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from fuzz_readers import READERS, RECORD, TRACE
from PIL import Image

from hotlap import bounded
from hotlap.bounded import load_json

WIDTH = np.array([0.0, 0.3])  # [m] half of the road's


def filled(limit: int, begin: str, repeated: str, end: str = "") -> bytes:
    """Text of at most ``limit`` bytes."""
    return (begin + repeated * ((limit - len(begin) - len(end)) // len(repeated)) + end).encode()


def tangle(num_rows: int, *, spacing: float) -> bytes:
    """A route whose lines go back and forth across each other."""
    numbers = np.arange(num_rows)
    x = np.where(numbers % 2, spacing * num_rows, 0.0)
    center = np.stack([x, spacing * numbers[::-1] * (1 - 2 * (numbers % 2))], axis=1)
    file = io.BytesIO()
    np.save(file, np.concatenate([center, center + WIDTH, center - WIDTH], axis=1))
    return file.getvalue()


def knots() -> bytes:
    """A route whose every segment crosses all others within centimeters, which short knots are allowed to do."""
    angle = np.arange(4999) * np.pi * (1 + 1 / 4999)
    center = 1e-5 * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    file = io.BytesIO()
    np.save(file, np.concatenate([center, center + WIDTH, center - WIDTH], axis=1))
    return file.getvalue()


def bomb() -> bytes:
    """An image of a thousand times its size."""
    file = io.BytesIO()
    Image.new("1", (12_000, 12_000)).save(file, "PNG")
    return file.getvalue()


MIB = 1 << 20
SHORT_RECORD = json.dumps(
    {name: value for name, value in json.loads(RECORD.to_line()).items() if name not in ("evaluation", "workers")}
    | {"losses": {}, "stages_s": {}}
)
HEADER, ROW = TRACE.split(b"\n")[:2]
FILES: dict[str, tuple[str, Callable[[], bytes]]] = {
    "a key again and again": ("hyperparameters", lambda: filled(MIB, '{"lr":1', ',"lr":0', "}")),
    "many unknown keys": (
        "hyperparameters",
        lambda: ("{" + ",".join(f'"lr{number}":0' for number in range(20_000)) + "}").encode(),
    ),
    "empty lists": ("model_metadata", lambda: filled(MIB, '{"action_space":[', "[],", "[]]}")),
    "sensors": ("model_metadata", lambda: filled(MIB, '{"version":5,"action_space":[1],"sensor":[', '"a",', '"a"]}')),
    "actions": (
        "model_metadata",
        lambda: filled(MIB, '{"action_space":[', '{"steering_angle":1,"speed":1},', '{"steering_angle":1,"speed":1}]}'),
    ),
    "digits": ("model_metadata", lambda: filled(MIB, '{"version":', "9", "}")),
    "a long key": ("job", lambda: filled(1 << 16, "a", ".a", "=1")),
    "long keys": ("job", lambda: filled(1 << 16, "", ".".join("a" * 100) + "\n")),
    "tables": ("job", lambda: filled(1 << 16, "", "[[workers]]\n")),
    "nested tables": ("job", lambda: filled(1 << 16, "a=", "{a=", "1")),
    "lines that double each other": (
        "run_env",
        lambda: (
            "".join(f"A{number + 1}=$A{number}$A{number}\n" for number in range(60)).encode().replace(b"$A0", b"xx")
        ),
    ),
    "unknown variables": ("run_env", lambda: "".join(f"DR_{number:x}=\n" for number in range(7000)).encode()),
    "expansions": ("run_env", lambda: filled(1 << 16, "A=", "$b")),
    "words": ("run_env", lambda: filled(1 << 16, "A=b", " #")),
    "a long number": ("worker_env", lambda: filled(1 << 16, "DR_EVAL_NUMBER_OF_TRIALS=", "9", "x")),
    "crossings": ("route", lambda: tangle(4999, spacing=0.01)),
    "short crossings": ("route", knots),
    "commas": ("trace", lambda: HEADER + b"\n" + b"," * (16 * MIB)),
    "quotes": ("trace", lambda: HEADER + b"\n" + b'"' * (8 * MIB)),
    "short lines": ("trace", lambda: HEADER + b"\n" * (4 * MIB)),
    "bad rows": ("trace", lambda: HEADER + b"\n" + (ROW.replace(b"1.5", b"x") + b"\n") * 50_000),
    "columns": ("recording", lambda: b"a," * MIB),
    "a bomb in a zip": ("zipped_recording", lambda: gzip.compress(bytes(80 * MIB), 1)),
    "a bomb of an image": ("frame", bomb),
    "records": ("training_metrics", lambda: filled(8 * MIB, '{"metrics":[', "{},", "{}]}")),
    "lists in lists": ("training_metrics", lambda: b"[" * MIB),
    "short lines of progress": ("progress", lambda: b"{}\n" * MIB),
    "countless records of progress": (
        "progress",
        lambda: filled(64 * MIB, "", SHORT_RECORD + "\n"),
    ),
    "a line of progress": ("progress", lambda: filled(64 * MIB, '{"iteration":', "9", "}\n")),
    "a resumed line of progress": ("resumed_progress", lambda: filled(64 * MIB, '{"iteration":', "9", "}\n")),
    "short lines of episodes": ("episodes", lambda: b"{}\n" * MIB),
    "countless episodes": ("episodes", lambda: filled(64 * MIB, "", READERS["episodes"].samples[0].decode())),
    "a line of the log": ("resumed_log", lambda: b"a" * (64 * MIB)),
    "lines of the log": ("resumed_log", lambda: b"\n" * (64 * MIB)),
    "an index": ("checkpoint_names", lambda: filled(4 * MIB, '{"best_checkpoint":{"name":"', "9", '"}}')),
    "a state": ("trainer_state", lambda: filled(4 * MIB, '{"format":2,"extra":{"a":[', "1,", "1]}}")),
    "a header": (
        "checkpoint",
        lambda: (8 * MIB).to_bytes(8, "little") + filled(8 * MIB, '{"__metadata__":{"a":"', "b", '"}}').ljust(8 * MIB),
    ),
}


@pytest.mark.parametrize("case", FILES)
def test_costly_files_come_to_an_end(case: str, tmp_path: Path):
    name, content = FILES[case]
    READERS[name].prepare(tmp_path)
    READERS[name].meet(tmp_path, content())


def test_values_are_counted_before_they_are_made(monkeypatch: pytest.MonkeyPatch):
    """As text or as bytes."""
    monkeypatch.setattr(bounded, "MAX_JSON_VALUES", 10)
    for data in (b"[[],[],[],[],[],[]]", "[1,2,3,4,5,6,7,8,9,10,11]"):
        with pytest.raises(ValueError, match="more than 10 values"):
            load_json(data)
    assert load_json("[1,2,3]") == [1, 2, 3]
