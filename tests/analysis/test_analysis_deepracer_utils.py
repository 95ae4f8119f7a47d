"""The community's own library reads what our trainings and evaluations leave, and all of it works on them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from log_folders import LogFolder, write_own_log, write_real_log

from hotlap.records.folder import Folder
from hotlap.records.metrics import read_metrics


@pytest.fixture(scope="module")
def library() -> Any:
    """The survey, which imports the library: a second, which each process of a run would wait at module level."""
    import deepracer_utils_survey

    return deepracer_utils_survey


@pytest.fixture(scope="module")
def own(short_run_offs: None, coarse_figures: None, tmp_path_factory: pytest.TempPathFactory) -> LogFolder:
    return write_own_log(tmp_path_factory.mktemp("own"))


@pytest.fixture(scope="module")
def results(library: Any, own: LogFolder) -> dict[str, Any]:
    return library.survey(own)


def test_every_public_function_is_called_or_has_a_reason(library):
    """A new release of the library that can do more makes this fail."""
    called = {name.partition(" (")[0] for name in library.CASES}
    excused = {name for name in library.public_functions() if name.partition(".")[0] in library.NOT_ABOUT_LOGS}
    assert set(library.public_functions()) - excused == called


@pytest.mark.data
def test_what_works_on_a_real_log_works_on_ours(library, results, reference_data, tmp_path):
    real = library.survey(write_real_log(reference_data, tmp_path))
    worse = {name: results[name].words for name in library.CASES if real[name].works and not results[name].works}
    assert not worse
    assert sum(each.works for each in real.values()) >= len(library.CASES) - 4  # or the sample is not what it should be
    # A chart or a column that stays empty on ours but not on the original's would be a failure that raises nothing.
    charts = {name: (real[name].words, results[name].words) for name in library.CASES if "chart" in real[name].words}
    assert not {name: both for name, both in charts.items() if "chart" not in both[1]}


def test_document_holds_the_table_of_this_version(library, results):
    """What docs/analysis.md says about ours is still so; regenerate it with deepracer_utils_survey.py."""
    text = library.DOCUMENT.read_text(encoding="utf-8").partition(library.BEGIN)[2].partition(library.END)[0]
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.strip().splitlines()[2:]]
    written = {row[0].strip("`"): not row[2].startswith("**fails**") for row in cells if not row[1].startswith("not")}
    assert written == {name: result.works for name, result in results.items()}


def test_tables_hold_our_numbers(library, own):
    """Episodes, rewards and progress in the library's tables are those of our metrics."""
    log = library.logs.DeepRacerLog(str(own.folder))
    log.load()
    assert log.fh.type is library.logs.LogFolderType.DRFC_MODEL_SINGLE_WORKERS
    episodes = library.logs.AnalysisUtils.simulation_agg(log.dataframe().copy(), secondgroup="unique_episode")
    records = read_metrics(Folder(own.folder), "metrics/TrainingMetrics.json")
    training = [record for record in records if record["phase"] == "training"]
    assert len(episodes) == len(training)
    np.testing.assert_allclose(episodes["reward"], [record["reward_score"] for record in training], atol=0.501)
    np.testing.assert_array_equal(
        episodes["progress"].astype(int), [record["completion_percentage"] for record in training]
    )


def test_evaluations_are_found_by_their_stamp(library, own):
    log = library.logs.DeepRacerLog(str(own.folder))
    log.load_evaluation_trace()
    steps = log.dataframe()
    assert set(steps["stream"]) == {"20260102030405"}
    assert steps["episode"].nunique() == 3


def test_traces_of_several_workers_are_read(library, own, tmp_path):
    """Workers have folders of their own; the library tells them apart and numbers their episodes through."""
    for worker in "01":
        for trace in (own.folder / "training-simtrace").iterdir():
            path = tmp_path / "model" / worker / "training-simtrace" / trace.name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(trace.read_bytes())
    log = library.logs.DeepRacerLog(str(tmp_path / "model"))
    log.load(ignore_metadata=True)
    assert log.fh.type is library.logs.LogFolderType.DRFC_MODEL_MULTIPLE_WORKERS
    single = library.logs.DeepRacerLog(str(own.folder))
    single.load()
    assert sorted(log.dataframe()["worker"].unique()) == [0, 1]
    assert log.dataframe()["unique_episode"].nunique() == 2 * single.dataframe()["unique_episode"].nunique()


def test_trace_columns_are_those_of_the_library(library, own):
    """The header of our traces is the library's, so that no column is missed or misread."""
    header = Path(own.folder / "training-simtrace/0-iteration.csv").read_text().partition("\n")[0].split(",")
    assert set(library.logs.DeepRacerLog._CSV_TO_INTERNAL_COLUMNS) <= set(header)
    assert {"tstamp", "episode_status", "pause_duration", "wall_clock"} <= set(header)
