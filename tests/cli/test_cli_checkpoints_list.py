"""`hotlap checkpoints`, what of the checkpoints is kept, and the one number of an iteration and its checkpoint."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from drfc_folder import write_drfc_folder
from tiny_model import ROUND_AND_ROUND, write_model
from typer.testing import CliRunner, Result

from hotlap.analysis.read.run_reader import read_run
from hotlap.analysis.report.headline import headline
from hotlap.cli.main import app
from hotlap.config.model_folder import ModelFolder
from hotlap.errors import HotlapError
from hotlap.records.checkpoints import CheckpointStore
from hotlap.records.events import ProgressLog
from hotlap.records.folder import Folder
from hotlap.records.tallies import TallyLog
from hotlap.training.ranking import contenders
from hotlap.training.trainer import Trainer

pytestmark = pytest.mark.usefixtures("slim_networks", "coarse_figures", "short_run_offs")

SHORT = {"num_episodes_between_training": 1}


def hotlap(*words: str | Path) -> Result:
    result = CliRunner().invoke(app, list(map(str, words)))
    if isinstance(result.exception, HotlapError):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result


def listed(place: str | Path) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads(hotlap("checkpoints", place, "--json").stdout)["checkpoints"]
    return rows


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> ModelFolder:
    """Two iterations of a car that drives clean laps."""
    model = write_model(
        tmp_path_factory.mktemp("model"),
        actions=ROUND_AND_ROUND,
        hyperparameters=SHORT,
        training={"max_iterations": 2, "eval_laps": 2},
    )
    Trainer(model).run()
    return model


@pytest.fixture(scope="module")
def exportable(tmp_path_factory: pytest.TempPathFactory) -> ModelFolder:
    """An iteration of a network that a car can have."""
    model = write_model(
        tmp_path_factory.mktemp("exportable"),
        hyperparameters=SHORT,
        training={"max_iterations": 1, "eval_laps": 1},
        built_in_network=True,
    )
    Trainer(model).run()
    return model


def test_a_line_for_each_checkpoint(model: ModelFolder):
    """Number, steps, laps, clean share with its interval, lap time and what it is; in JSON the same."""
    store, tallies = CheckpointStore(model.path), TallyLog(Folder(model.path)).read()
    rows = listed(model.path)
    assert [row["name"] for row in rows] == [str(name) for name in store.list()]
    assert [(row["number"], row["laps"] > 0, row["last"]) for row in rows] == [
        (0, False, False),
        (1, True, False),
        (2, True, True),
    ]
    best = store.best()
    assert best is not None
    assert [row["name"] for row in rows if row["best"]] == [str(best.name)]
    text = hotlap("checkpoints", model.path).stdout.splitlines()
    assert len(text) == 1 + len(rows)
    for row, line in zip(rows[1:], text[2:], strict=True):
        tally = tallies[row["name"]]
        assert (row["laps"], row["clean_laps"]) == (tally.num_laps, tally.clean_laps)
        assert row["low"] < row["clean_rate"] == tally.clean_rate
        words = line.split()
        assert words[:4] == [str(row["number"]), f"{row['steps']:,}", str(row["laps"]), f"{row['clean_rate']:.0%}"]
        assert f"{row['lap_time_s']:.2f}" in words
        assert ("best" in line, "last" in line) == (row["best"], row["last"])


def test_no_training_and_no_reward_function_are_no_obstacle(tmp_path: Path):
    """It is said that there is no checkpoint; nobody asks for a reward."""
    model = write_model(tmp_path)
    (tmp_path / "reward_function.py").unlink()
    assert hotlap("checkpoints", model.path).stdout == f"{tmp_path} has no checkpoint yet.\n"
    assert listed(model.path) == []
    with pytest.raises(HotlapError, match="nowhere"):
        hotlap("checkpoints", tmp_path / "nowhere")


def test_a_drfc_folder_is_listed_as_it_is(tmp_path: Path):
    """With and without --drfc; the model lies where its environment files say."""
    drfc = write_drfc_folder(tmp_path / "drfc")
    assert listed(drfc) == []
    assert "has no checkpoint yet" in hotlap("checkpoints", "--drfc", drfc).stdout


@pytest.mark.parametrize("keep", ["all", "best 5", "every 3", 2])
def test_what_is_kept_is_what_was_asked_for(tmp_path: Path, keep: str | int):
    """Beside the newest ones, the best and its closest rivals; what is gone is listed as not kept."""
    model = write_model(
        tmp_path,
        hyperparameters=SHORT,
        training={"max_iterations": 10, "eval_laps": 1, "keep_checkpoints": keep},
    )
    Trainer(model).run()
    store, tallies = CheckpointStore(model.path), TallyLog(Folder(model.path)).read()
    kept = {name.number for name in store.list()}
    best = store.best()
    assert best is not None
    rivals = contenders(tallies.values(), tallies[str(best.name)], number=5 if keep == "best 5" else 4)
    newest = {"all": 11, 2: 2}.get(keep, 4)
    asked = set(range(11 - newest, 11)) | {int(each.checkpoint.partition("_")[0]) for each in rivals}
    if keep == "every 3":
        asked |= {0, 3, 6, 9}
    assert asked <= kept
    assert len(kept - asked) <= 1  # whom the last one drove against
    assert {row["number"] for row in listed(model.path) if row["kept"]} == kept
    assert {row["number"] for row in listed(model.path) if not row["kept"]} == set(range(11)) - kept - {0}


def test_a_checkpoint_is_named_in_every_form_where_one_is_asked_for(
    model: ModelFolder, exportable: ModelFolder, tmp_path: Path
):
    """Export and evaluation take a number, best, last and a name, and say how sure the choice is."""
    stem, sure = first_one(model)
    best = next(row["name"] for row in listed(model.path) if row["best"])
    for words in ((f"{model.path}@{stem}",), (model.path, "--checkpoint", stem), (f"{model.path}@1",)):
        found = json.loads(hotlap("evaluate", *words, "--laps", "1", "--no-video", "--json").stdout)
        assert found["checkpoint"] == f"{stem}.ckpt"
        assert found["in_training"].startswith("checkpoint 1")
        assert found["in_training"].endswith(sure)
    found = json.loads(hotlap("evaluate", f"{model.path}@best", "--laps", "1", "--no-video", "--json").stdout)
    assert found["checkpoint"] == best
    text = " ".join(hotlap("evaluate", f"{model.path}@{stem}", "--laps", "1", "--no-video").stdout.split())
    assert "In training: checkpoint 1" in text
    assert sure in text

    stem, sure = first_one(exportable)
    archive = ("--output", tmp_path / "car.tar.gz")
    made = json.loads(hotlap("export", exportable.path, "--checkpoint", stem, *archive, "--json").stdout)
    assert made["checkpoint"] == f"{stem}.ckpt"
    assert made["in_training"].endswith(sure)
    text = hotlap("export", exportable.path, "--checkpoint", f"{stem}.ckpt", *archive).stdout
    assert f"checkpoint {stem}.ckpt" in text
    assert sure in text


def first_one(model: ModelFolder) -> tuple[str, str]:
    """The name of the checkpoint of the first iteration, and the words that say how sure its share is."""
    first = listed(model.path)[1]
    low, high = (f"{100 * first[end]:.1f}".removesuffix(".0") for end in ("low", "high"))
    share = f"{first['clean_laps']} of {first['laps']} laps clean"
    return first["name"].removesuffix(".ckpt"), f"{share} (true share between {low} and {high} %, with 95 % certainty)"


def test_an_iteration_and_its_checkpoint_bear_one_number(model: ModelFolder, tmp_path: Path):
    """In the lines of a training, its last words, the list, the records and the report; also in a clone."""
    clone = write_model(
        tmp_path,
        actions=ROUND_AND_ROUND,
        hyperparameters=SHORT,
        training={"max_iterations": 2, "eval_laps": 1},
    )
    told = hotlap("train", clone.path, "--clone", model.path, "--clone-checkpoint", "last").output
    lines = [line.split() for line in told.splitlines() if re.match(r"\s*\d+\s+\d+\s+[\d,]+\s", line)]
    numbers = [int(words[0]) for words in lines]
    rows = [row for row in listed(clone.path) if row["laps"]]
    assert numbers == [row["number"] for row in rows] == [4, 5]
    assert [int(words[2].replace(",", "")) for words in lines] == [row["steps"] for row in rows]
    assert numbers == [record.number for record in ProgressLog(Folder(clone.path)).read()]
    best = next(row["number"] for row in rows if row["best"])
    assert f"Checkpoint {best} (best" in told
    assert "with 95 % certainty)" in told
    assert "the best checkpoints drive again beside one another" in told
    assert told.endswith(f"Next: hotlap evaluate {clone.path}\n")
    fact = headline(read_run(clone.path))[0]
    assert fact.value.startswith(f"{best}_Step-")
    assert fact.detail == f"after iteration {best}"


def test_a_model_of_deepracer_is_called_what_it_is(tmp_path: Path):
    """Not a model without a checkpoint yet: an evaluation would refuse it, in the same words."""
    model = write_model(tmp_path)
    store = Folder(model.path)
    for name in ("5_Step-1234.ckpt.index", "5_Step-1234.ckpt.meta", "model_5.pb"):
        store.put(f"model/{name}", b"")
    for command in ("checkpoints", "evaluate", "export"):
        with pytest.raises(HotlapError, match=r"holds a model that DeepRacer trained.*`hotlap import "):
            hotlap(command, model.path)
