"""The doctor finds what works, names what does not, and never stops halfway."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
import typer
from typer.testing import CliRunner

from hotlap.cli import doctor as room

app = typer.Typer()
app.command()(room.doctor)


def test_a_working_machine_is_ready():
    """Everything essential is found working, the simulator by driving; JSON is all there is on standard output."""
    done = CliRunner().invoke(app, ["--json"])
    assert done.exit_code == 0
    found = json.loads(done.stdout)
    assert list(found) == ["ok", "findings"]
    assert found["ok"]
    status = {finding["name"]: finding["status"] for finding in found["findings"]}
    for name in ("python", "torch", "warp", "simulator", "environment"):
        assert status[name] == "ok"
    assert set(status) >= {"system", "processor", "memory", "disk", "gpu", "video", "tracks", "extra sb3"}
    for finding in found["findings"]:
        assert set(finding) == {"name", "status", "detail", "way_out"}
        assert (finding["way_out"] is None) == (finding["status"] == "ok")


def test_nothing_but_the_findings_is_printed():
    """Warp's native code would tell of itself and of a driver that is not there, past Python's streams."""
    words = [sys.executable, "-m", "hotlap.cli.main", "doctor"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=200)
    assert (done.returncode, done.stderr) == (0, "")
    assert "Warp" not in done.stdout


def test_something_broken_is_named_and_the_rest_still_looked_at(monkeypatch):
    """What raises is reported as broken, with the way out and exit code 1."""

    def explode() -> room.Finding:
        raise ImportError("libtorch.so: no such file")

    monkeypatch.setattr(room, "_torch", explode)
    done = CliRunner().invoke(app, [])
    assert done.exit_code == 1
    assert "libtorch.so: no such file" in done.stdout
    assert "Not usable yet: torch" in done.stdout
    assert "✓" in done.stdout
    assert "✗" in done.stdout


def test_missing_extra_is_told_with_its_command(monkeypatch):
    """An optional package that is absent breaks nothing."""
    monkeypatch.setitem(room.EXTRAS, "sb3", ("no_such_package", "comparing"))
    finding = room._extra("sb3")
    assert finding.status == "missing"
    assert finding.way_out == "pip install 'hotlap[sb3]'"


@pytest.mark.parametrize(("size", "status"), [(1.0, "missing"), (16.0, "ok"), (None, "ok")])
def test_little_memory_is_told(monkeypatch, size, status):
    monkeypatch.setattr("hotlap.bench.machine.memory_gib", lambda: size)
    assert room._memory().status == status
