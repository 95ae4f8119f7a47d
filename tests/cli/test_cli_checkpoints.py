"""Beginnings, limits and checkpoints of a training, on the command line."""

from __future__ import annotations

from pathlib import Path

import pytest
import typer
from tiny_model import ROUND_AND_ROUND, write_model
from typer.testing import CliRunner

from hotlap.cli.checkpoint_option import parse_checkpoint
from hotlap.cli.checkpoints import how_sure
from hotlap.cli.train import train
from hotlap.errors import ConfigError, RewardError
from hotlap.records.checkpoints import CheckpointStore
from hotlap.training.trainer import Trainer


def test_what_never_finished_an_iteration_blocks_nothing_and_limits_count_from_now(tmp_path: Path):
    """First weights alone are no earlier training; `iterations` adds to what is there, max_iterations does not."""
    failing = "def reward_function(params):\n    raise ValueError('no')\n"
    broken = write_model(tmp_path, reward=failing, actions=ROUND_AND_ROUND, training={"max_iterations": 1})
    for _ in range(2):
        with pytest.raises(RewardError):
            Trainer(broken).run()
        assert [name.number for name in CheckpointStore(tmp_path).list()] == [0]
    model = write_model(tmp_path, actions=ROUND_AND_ROUND, training={"max_iterations": 1, "keep_checkpoints": "all"})
    assert Trainer(model).run().reason == "max_iterations"
    again = Trainer(model, resume=True, iterations=1).run()
    assert (again.reason, again.iterations) == ("iterations", 2)
    assert Trainer(model, resume=True).run().iterations == 2

    store = CheckpointStore(tmp_path)
    last = store.list()[-1]
    assert store.load(last.stem).name == store.load(str(last)).name == last
    assert f"checkpoint {last.number}" in how_sure(tmp_path, str(last))
    assert "laps clean" in how_sure(tmp_path, str(last))


@pytest.mark.parametrize(
    ("option", "value"), [("--minutes", "0"), ("--minutes", "-1"), ("--minutes", "nan"), ("--iterations", "0")]
)
def test_a_limit_of_nothing_is_refused(tmp_path: Path, option: str, value: str):
    """In job.toml 0 means no limit; who types it does not mean to train for ever."""
    app = typer.Typer()
    app.command()(train)
    model = write_model(tmp_path)
    error = CliRunner().invoke(app, [str(model.path), option, value]).exception
    assert isinstance(error, ConfigError)
    assert str(error).startswith(f"{option} must be above 0, got {value}; leave it out for no limit")
    assert not (tmp_path / "model").exists()


def test_a_checkpoint_is_named_in_every_form():
    """As best, last, a number, or a name with or without its ending."""
    assert parse_checkpoint("best") == "best"
    assert parse_checkpoint("5") == 5
    for name in ("5_Step-4912", "5_Step-4912.ckpt"):
        assert parse_checkpoint(name) == name
    with pytest.raises(ConfigError, match="5_Step-4912"):
        parse_checkpoint("fifth")
