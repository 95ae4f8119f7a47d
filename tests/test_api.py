"""The functions that `import hotlap` offers do what the commands of the same names do."""

from __future__ import annotations

from pathlib import Path

from tiny_model import write_model
from trained_folder import curve, weights
from typer.testing import CliRunner

import hotlap
from hotlap.cli.main import app


def test_python_trains_a_copy_as_the_command_does(tmp_path: Path):
    """The same files with the same weights, and nothing in the model's own folder."""
    model = write_model(tmp_path / "model", training={"max_iterations": 1}, monitoring={"tensorboard": False})
    before = sorted(model.path.rglob("*"))
    hotlap.train(model.path, output=tmp_path / "python")
    done = CliRunner().invoke(app, ["train", str(model.path), "--output", str(tmp_path / "command"), "--json"])
    assert done.exit_code == 0, done.output
    python, command = (
        {path.relative_to(tmp_path / name) for path in (tmp_path / name).rglob("*")} for name in ("python", "command")
    )
    assert python | {Path("learning_curve.png")} == command
    assert weights(tmp_path / "python") == weights(tmp_path / "command")
    assert curve(tmp_path / "python") == curve(tmp_path / "command")
    assert sorted(model.path.rglob("*")) == before
