"""`hotlap evaluate` and its films: which ones are made, where they lie, and what happens where they cannot be."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tiny_model import write_model
from typer.testing import CliRunner, Result

from hotlap.cli.main import app
from hotlap.cli.video_option import parse_video
from hotlap.config.model_folder import ModelFolder
from hotlap.errors import ConfigError, RecordError
from hotlap.training.trainer import Trainer


@pytest.mark.parametrize(
    ("words", "no_video", "laps", "wanted", "which"),
    [
        (None, False, None, True, "all"),
        (None, False, 64, True, "first"),
        (None, False, None, False, 0),
        (None, False, 64, False, 0),
        ("all", False, 64, False, "all"),
        ("first", False, None, True, "first"),
        ("none", False, None, True, 0),
        ("2", False, None, True, 2),
        (None, True, None, True, 0),
        ("none", True, None, True, 0),
    ],
)
def test_what_is_filmed(words, no_video, laps, wanted, which):
    """All trials, of many laps side by side one; but what the command says counts more."""
    assert parse_video(words, no_video, laps=laps, wanted=wanted) == which


@pytest.mark.parametrize("words", ["", "-1", "two", "1.5", "ALL", "²", "9" * 12])
def test_other_words_are_errors(words):
    with pytest.raises(ConfigError, match="must be all, first, none or a number"):
        parse_video(words, False, laps=None, wanted=True)


def test_both_options_contradict_each_other():
    with pytest.raises(ConfigError, match="contradict each other"):
        parse_video("all", True, laps=None, wanted=True)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> ModelFolder:
    """A model that knows nothing: its trials end after a second."""
    model = write_model(tmp_path_factory.mktemp("model"), training={"max_iterations": 1, "eval_laps": 1})
    Trainer(model).run()
    return model


def hotlap(*words: str | Path) -> Result:
    return CliRunner().invoke(app, list(map(str, words)))


def test_a_film_on_a_full_disk_costs_no_results(model: ModelFolder):
    """A file stands where the films' folder should be; what the evaluation found is printed and written."""
    (model.path / "mp4").write_text("in the way")
    done = hotlap("evaluate", model.path, "--laps", "2", "--json")
    (model.path / "mp4").unlink()
    report = json.loads(done.stdout)
    assert isinstance(done.exception, RecordError)
    assert "mp4/camera-" in str(done.exception)
    assert (report["num_laps"], report["videos"]) == (2, [])
    assert Path(report["metrics"]).is_file()
    assert Path(report["trace"]).is_file()


def test_films_are_told(model: ModelFolder):
    done = hotlap("evaluate", model.path, "--laps", "2", "--video", "1", "--json")
    assert done.exit_code == 0, done.output
    (films,) = json.loads(done.stdout)["videos"]
    assert films["trial"] == 1
    assert Path(films["pip"]) == model.path / "mp4/camera-pip/0-video.mp4"
    assert all(Path(films[name]).is_file() for name in ("pip", "chase", "top", "car"))
