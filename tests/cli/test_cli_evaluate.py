"""`hotlap evaluate`: its films, rewards only where they are asked for, its rules, and comparisons of models."""

from __future__ import annotations

import csv
import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from tiny_model import ROUND_AND_ROUND, write_model
from typer.testing import CliRunner, Result

from hotlap.cli.checkpoint_option import split_checkpoint
from hotlap.cli.main import app
from hotlap.cli.video_option import parse_video
from hotlap.config import ConfigWarning
from hotlap.config.model_folder import ModelFolder
from hotlap.errors import ConfigError, RecordError
from hotlap.records.opening import open_store
from hotlap.shell import quoted
from hotlap.training.trainer import Trainer

pytestmark = pytest.mark.usefixtures("slim_networks", "coarse_figures")


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
    model = write_model(tmp_path_factory.mktemp("model") / "[red]", training={"max_iterations": 1, "eval_laps": 1})
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


def test_a_folder_that_cannot_be_written_to_costs_no_results(model: ModelFolder):
    """A file stands where the metrics' folder should be; the table is printed all the same, and no film is tried."""
    (model.path / "metrics").rename(model.path / "away")
    (model.path / "metrics").write_text("in the way")
    done, text = hotlap("evaluate", model.path, "--laps", "2", "--json"), hotlap("evaluate", model.path, "--laps", "2")
    (model.path / "metrics").unlink()
    (model.path / "away").rename(model.path / "metrics")
    report = json.loads(done.stdout)
    assert (report["num_laps"], report["metrics"], report["videos"]) == (2, None, [])
    assert "Evaluation results" in text.stdout
    for error in (done.exception, text.exception):
        assert isinstance(error, RecordError)
        assert str(error).startswith("the files of the evaluation could not be written. ")
        assert "resume the run" not in str(error)


def test_people_are_told_what_to_watch_first_and_what_comes_next(model: ModelFolder):
    """The other films of a trial only on demand."""
    text = hotlap("evaluate", model.path, "--laps", "2", "--video", "2").stdout
    first = model.path / "mp4" / "camera-pip" / "0-video.mp4"
    assert f"watch first (trial 1): {first}\n" in text
    assert text.count(".mp4") == 1
    assert text.endswith(f"Next: hotlap analyze {quoted(model.path)}\n")
    assert hotlap("evaluate", model.path, "--laps", "1", "--video", "1", "--verbose").stdout.count(".mp4") > 4


def test_films_are_told(model: ModelFolder):
    done = hotlap("evaluate", model.path, "--laps", "2", "--video", "1", "--json")
    assert done.exit_code == 0, done.output
    (films,) = json.loads(done.stdout)["videos"]
    assert films["trial"] == 1
    assert Path(films["pip"]) == model.path / "mp4/camera-pip/0-video.mp4"
    assert all(Path(films[name]).is_file() for name in ("pip", "chase", "top", "car"))


def test_places_are_printed_in_one_piece(model: ModelFolder):
    """On a terminal of any width, and whatever the folder is called."""
    done = CliRunner().invoke(app, ["evaluate", str(model.path), "--laps", "1", "--no-video"], env={"COLUMNS": "40"})
    assert done.exit_code == 0, done.output
    lines = done.stdout.splitlines()
    assert any(line.startswith(f"{model.path}, checkpoint ") for line in lines)
    for name in ("metrics", "trace", "log", "figure"):
        (line,) = (line for line in lines if line.startswith(f"{name}: {model.path}"))
        assert Path(line.removeprefix(f"{name}: ")).is_file()


# Rewards


TELLS = """
import pathlib
def reward_function(params):
    pathlib.Path(__file__).with_name("asked").touch()
    return 2.0
"""


def rewards(trace: str) -> set[float]:
    with open(trace) as file:
        return {float(row["reward"]) for row in csv.DictReader(file) if row["episode_status"] == "in_progress"}


def evaluated(*words: str | Path) -> dict[str, Any]:
    done = hotlap("evaluate", *words, "--no-video", "--json")
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


def test_no_reward_function_is_asked_but_on_demand(model: ModelFolder, tmp_path: Path):
    """Without --reward the trace's rewards are 0, and everything else is the same to the byte."""
    folder = copied(model, tmp_path / "copy")
    (folder / "reward_function.py").write_text(TELLS)
    plain = evaluated(folder, "--laps", "2")
    assert not (folder / "asked").exists()
    asked = evaluated(folder, "--laps", "2", "--reward")
    assert (folder / "asked").exists()
    assert (rewards(plain["trace"]), rewards(asked["trace"])) == ({0.0}, {2.0})
    assert plain["laps"] == asked["laps"]
    (folder / "reward_function.py").write_text("raise SystemExit")
    assert evaluated(folder, "--laps", "2")["laps"] == plain["laps"]


def test_a_model_without_a_reward_function_is_evaluated_and_exported(tmp_path: Path):
    """As an archive of others may come; a training, and --reward, still need one and say so."""
    trained = write_model(tmp_path, training={"max_iterations": 1, "eval_laps": 1}, built_in_network=True)
    Trainer(trained).run()
    folder = trained.path
    (folder / "reward_function.py").unlink()
    assert evaluated(folder, "--laps", "2")["num_laps"] == 2
    assert hotlap("export", folder).exit_code == 0
    assert (folder / "model.tar.gz").is_file()
    for command in (("train", folder, "--resume"), ("evaluate", folder, "--reward")):
        assert re.search(r"lacks reward_function\.py", str(hotlap(*command).exception))


def test_a_film_without_rewards_shows_none(model: ModelFolder, monkeypatch: pytest.MonkeyPatch):
    """Not a sum of 0, which would be a claim."""
    shown = []
    from hotlap.film.readings import Strip

    picture = Strip.picture
    monkeypatch.setattr(
        Strip, "picture", lambda self, values, *rest: shown.append(values) or picture(self, values, *rest)
    )
    assert hotlap("evaluate", model.path, "--laps", "1").exit_code == 0
    assert {values[4] for values in shown if len(values) == 6} == {"--"}
    shown.clear()
    assert hotlap("evaluate", model.path, "--laps", "1", "--reward").exit_code == 0
    assert {values[4] for values in shown if len(values) == 6} > {"0.0"}


def copied(model: ModelFolder, folder: Path) -> Path:
    return Path(shutil.copytree(model.path, folder))


# Rules


def test_options_count_more_than_the_rules_file_and_that_more_than_job_toml(model: ModelFolder, tmp_path: Path):
    """The report says which rules were driven, and the drive follows them."""
    rules = tmp_path / "league.toml"
    rules.write_text(
        "[race]\ndirection = 'cw'\n[evaluation]\noff_track_penalty = 2.0\nnumber_of_resets = 2\ntrials = 1\n"
    )
    own = evaluated(model.path, "--trials", "1", "--resets", "2")
    assert own["rules"].items() >= {"direction": "as_is", "off_track_penalty": 5.0, "number_of_resets": 2}.items()
    assert own["laps"][0]["penalty_s"] == 10.0
    filed = evaluated(model.path, "--rules", rules)
    assert filed["rules"].items() >= {"direction": "cw", "off_track_penalty": 2.0, "trials": 1}.items()
    assert filed["laps"][0]["penalty_s"] == 4.0
    words = ("--off-track-penalty", "0.5", "--collision-penalty", "3", "--direction", "ccw", "--seed", "7")
    given = evaluated(model.path, "--rules", rules, *words)
    assert given["rules"] == {
        "race_type": "time_trial",
        "track": str(model.path / "ring.npy"),
        "direction": "ccw",
        "reverse_dir": False,
        "trials": 1,
        "continuous": True,
        "number_of_resets": 2,
        "off_track_penalty": 0.5,
        "collision_penalty": 3.0,
        "seed": 7,
        "disturb": None,
    }
    assert given["laps"][0]["penalty_s"] == 1.0
    assert (
        "penalties 0.5 s off the track" in hotlap("evaluate", model.path, "--no-video", "--rules", rules, *words).stdout
    )
    assert "race.direction" in str(hotlap("evaluate", model.path, "--direction", "left").exception)


def test_options_without_effect_are_told(model: ModelFolder):
    """Laps side by side end by the first mistake, whatever the penalty."""
    with pytest.warns(ConfigWarning, match="--resets, --off-track-penalty has no effect with --laps"):
        evaluated(model.path, "--laps", "1", "--off-track-penalty", "3", "--resets", "2")


def test_the_table_ends_with_the_race(model: ModelFolder):
    """DNF, because a trial was not finished."""
    done = hotlap("evaluate", model.path, "--no-video", "--trials", "1", "--resets", "0")
    lines = [" ".join(line.split()) for line in done.stdout.splitlines()]
    assert "Total DNF 1 unfinished" in lines
    assert evaluated(model.path, "--trials", "1", "--resets", "0")["race_time_s"] is None


# Several models


def test_several_models_are_compared(model: ModelFolder, tmp_path: Path):
    """Folders and checkpoints of one of them, under the rules of the first; each one's results lie in its folder."""
    driver = write_model(tmp_path / "driver", actions=ROUND_AND_ROUND, training={"max_iterations": 1, "eval_laps": 1})
    Trainer(driver).run()
    # The rules of the first count, also where another's job.toml says otherwise.
    (driver.path / "job.toml").write_text("[training]\nthreads = 1\n[evaluation]\nseed = 3\n")
    done = hotlap("evaluate", model.path, driver.path, f"{driver.path}@0", "--laps", "12", "--json")
    assert done.exit_code == 0, done.output
    assert "it drives by the rules of" in " ".join(done.stderr.split())
    result = json.loads(done.stdout)
    first, best, start = result["models"]
    assert first["laps"] == evaluated(model.path, "--laps", "12")["laps"]
    assert start["checkpoint"] == "0_Step-0.ckpt"
    assert [each["folder"] for each in (first, best, start)] == [str(model.path), str(driver.path), str(driver.path)]
    assert best["rules"] == start["rules"] == result["rules"] == first["rules"]
    assert len({each["metrics"] for each in (first, best, start)}) == 3
    assert all(Path(each[name]).is_file() for each in (first, best, start) for name in ("metrics", "trace", "figure"))
    assert all(each["videos"] == [] for each in (first, best, start))
    assert Path(result["figure"]).parent == Path(first["figure"]).parent
    assert Path(result["figure"]).read_bytes() != Path(first["figure"]).read_bytes()
    sure = [each for each in result["differences"] if each["measure"] == "clean_rate"]
    assert {(each["better"], each["worse"]) for each in sure} <= {(1, 0), (2, 0)}
    assert (1, 0) in {(each["better"], each["worse"]) for each in sure}
    text = hotlap("evaluate", model.path, f"{driver.path}@best", "--laps", "12").stdout
    assert "drives more laps clean than" in " ".join(text.split())
    assert "each ended by the first mistake, seed 0." in text


def test_a_checkpoint_is_named_behind_the_folder(model: ModelFolder, tmp_path: Path):
    """What is no checkpoint is told; a folder with an @ in its name is that folder."""
    assert split_checkpoint("s3://bucket/me@home/model") == ("s3://bucket/me@home/model", None)
    assert split_checkpoint("models/mine@best") == ("models/mine", "best")
    assert evaluated(f"{model.path}@0", "--laps", "1")["checkpoint"] == "0_Step-0.ckpt"
    assert evaluated(copied(model, tmp_path / "model@0"), "--laps", "1")["checkpoint"] != "0_Step-0.ckpt"
    wrong = str(hotlap("evaluate", f"{model.path}@bets").exception)
    assert "must be best, last, a number or a name such as 5_Step-4912, got 'bets'" in wrong


def test_a_bucket_is_compared_with_a_folder(model: ModelFolder, s3_bucket: str):
    """It needs no reward function either, and keeps its results."""
    place = f"s3://{s3_bucket}/mine"
    store = open_store(place)
    for path in model.path.rglob("*"):
        if path.is_file() and path.name != "reward_function.py":
            store.put(path.relative_to(model.path).as_posix(), path.read_bytes())
    there, here = evaluated(place, model.path, "--laps", "2")["models"]
    assert there["laps"] == here["laps"]
    assert there["metrics"].startswith(f"{place}/metrics/evaluation/")
    assert store.exists(there["metrics"].removeprefix(f"{place}/"))
