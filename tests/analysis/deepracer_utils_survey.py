"""Every public function of deepracer-utils, called on a log folder: what it gives, or how it fails.

Run as a script it writes the table in docs/analysis.md:

    python tests/analysis/deepracer_utils_survey.py
"""

from __future__ import annotations

import ast
import contextlib
import io
import os
import sys
import tarfile
import tempfile
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any
from unittest.mock import patch

import matplotlib
import numpy as np
import pandas as pd

matplotlib.use("Agg")

import deepracer
import deepracer.logs as logs
import deepracer.tracks as tracks
import matplotlib.pyplot as plt
from log_folders import LogFolder, write_own_log, write_real_log

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "analysis.md"
BEGIN, END = "<!-- survey: begin -->", "<!-- survey: end -->"

REWARD = """
class Reward:
    def __init__(self, verbose=False):
        self.verbose = verbose

    def reward_function(self, params):
        return float(params["speed"] - params["distance_from_center"])
"""

BREAKDOWN = tracks.track_utils.TrackBreakdown(
    [3, 20],
    [(3, 100, "left"), (20, 100, "left")],
    np.array([3, 20]),
    np.zeros(2),
    np.full((2, 2), 2),
    np.full((2, 2), 9),
)

NOT_ABOUT_LOGS = {
    "FileHandler": "abstract",
    "S3FileHandler": "reads from a bucket; tested apart",
    "load_session": "shows a TensorFlow graph, needs TensorFlow",
    "visualize_gradcam_discrete_ppo": "shows a TensorFlow graph, needs TensorFlow",
    "rgb2gray": "in a module that needs OpenCV",
    "TrackBreakdown": "sections of a track, which ActionBreakdownUtils is given",
    "UpdateActionSpeeds": "edits a file of actions",
    "load": "edits a file of actions",
    "update": "edits a file of actions",
    "save": "edits a file of actions",
    "run": "edits a file of actions",
}
"""Functions, and classes with all their methods, that no log can be given to, and why."""


class Sample(LogFolder):
    """A log folder to try the library on. Tables are copies: the library adds columns to what it is given."""

    @cached_property
    def _training(self) -> logs.DeepRacerLog:
        log = logs.DeepRacerLog(str(self.folder))
        log.load()
        return log

    @cached_property
    def _evaluation(self) -> logs.DeepRacerLog:
        log = logs.DeepRacerLog(str(self.folder))
        log.load_evaluation_trace()
        return log

    @property
    def log(self) -> logs.DeepRacerLog:
        return self._training

    @property
    def steps(self) -> pd.DataFrame:
        return self._training.dataframe().copy()

    @property
    def evaluation_steps(self) -> pd.DataFrame:
        return self._evaluation.dataframe().copy()

    @property
    def lap(self) -> pd.DataFrame:
        steps = self.evaluation_steps
        return steps[(steps["episode"] == 0) & (steps["stream"] == steps["stream"].iloc[0])].copy()

    @property
    def few(self) -> pd.DataFrame:
        steps = self.steps
        return steps[steps["unique_episode"] < 3].copy()

    @property
    def episodes(self) -> pd.DataFrame:
        return logs.AnalysisUtils.simulation_agg(self.steps, secondgroup="unique_episode")

    @property
    def track(self) -> tracks.Track:
        return tracks.TrackIO(str(self.route.parent)).load_track(self.route.stem)

    @property
    def lines(self) -> list[str]:
        return logs.SimulationLogsIO.load_data(str(self.text_log))

    @property
    def metrics(self) -> logs.TrainingMetrics:
        return logs.TrainingMetrics("bucket", fname=str(self.folder / "metrics/TrainingMetrics.json"))

    @cached_property
    def archive(self) -> str:
        path = self.scratch / "log.tar.gz"
        with tarfile.open(path, "w:gz") as tar:
            tar.add(self.folder, arcname="model")
        return str(path)

    @property
    def trace_bytes(self) -> bytes:
        return (self.folder / "training-simtrace/0-iteration.csv").read_bytes()


def _axes() -> plt.Axes:
    return plt.figure().add_subplot()


def _reload(sample: Sample) -> logs.TrainingMetrics:
    metrics = sample.metrics
    path = str(sample.folder / "metrics/TrainingMetrics.json")
    metrics.addRound("again", fname=path, training_round=2)
    return metrics


def _new_reward(sample: Sample) -> pd.DataFrame:
    (sample.scratch / "survey_reward.py").write_text(REWARD)
    steps = sample.few
    with patch.object(sys, "path", [str(sample.scratch), *sys.path]):
        logs.NewRewardUtils.new_reward(steps, sample.track.center_line, "survey_reward")
    return steps[["new_reward"]]


def _handler(sample: Sample) -> logs.FSFileHandler:
    handler = logs.FSFileHandler(str(sample.folder))
    handler.determine_root_folder_type()
    return handler


def _loaded(sample: Sample, load: Callable[[logs.DeepRacerLog], None]) -> pd.DataFrame:
    log = logs.DeepRacerLog(str(sample.folder))
    load(log)
    return log.dataframe()


def _from_archive(sample: Sample) -> pd.DataFrame:
    log = logs.DeepRacerLog(filehandler=logs.TarFileHandler(sample.archive))
    log.load_training_trace(ignore_metadata=True)
    return log.dataframe()


def _normalized(sample: Sample) -> pd.DataFrame:
    steps = sample.steps
    logs.SimulationLogsIO.normalize_rewards(steps)
    return steps[["reward"]]


def _animation(sample: Sample) -> str:
    path = sample.scratch / "laps.gif"
    logs.PlottingUtils.save_laps_animation(sample.few, sample.track, filename=str(path))
    return f"GIF, {path.stat().st_size > 1000}"


_GEOMETRY = tracks.GeometryUtils

CASES: dict[str, Callable[[Sample], Any]] = {
    # logs/log.py
    "DeepRacerLog.load": lambda s: _loaded(s, lambda log: log.load()),
    "DeepRacerLog.load_training_trace": lambda s: _loaded(s, lambda log: log.load_training_trace()),
    "DeepRacerLog.load_evaluation_trace": lambda s: _loaded(s, lambda log: log.load_evaluation_trace()),
    "DeepRacerLog.load_robomaker_logs": lambda s: _loaded(s, lambda log: log.load_robomaker_logs()),
    "DeepRacerLog.dataframe": lambda s: s.log.dataframe(),
    "DeepRacerLog.hyperparameters": lambda s: s.log.hyperparameters(),
    "DeepRacerLog.action_space": lambda s: s.log.action_space(),
    "DeepRacerLog.agent_and_network": lambda s: s.log.agent_and_network(),
    "DeepRacerLog.stability": lambda s: s.log.stability.analyze(),
    # logs/handler.py
    "FSFileHandler.list_files": lambda s: _handler(s).list_files(filterexp=_handler(s).training_simtrace_path),
    "FSFileHandler.get_file": lambda s: _handler(s).get_file(str(s.folder / "model/model_metadata.json")),
    "FSFileHandler.determine_root_folder_type": lambda s: _handler(s).type.name,
    "TarFileHandler.list_files": lambda s: logs.TarFileHandler(s.archive).list_files(filterexp="training-simtrace"),
    "TarFileHandler.get_file": lambda s: logs.TarFileHandler(s.archive).get_file("model/model_metadata.json"),
    "TarFileHandler.determine_root_folder_type": _from_archive,
    # logs/log_utils.py
    "SimulationLogsIO.load_single_file": lambda s: logs.SimulationLogsIO.load_single_file(str(s.text_log)),
    "SimulationLogsIO.load_buffer": lambda s: logs.SimulationLogsIO.load_buffer(io.StringIO(s.text_log.read_text())),
    "SimulationLogsIO.load_data": lambda s: s.lines,
    "SimulationLogsIO.convert_to_pandas": lambda s: logs.SimulationLogsIO.convert_to_pandas(s.lines),
    "SimulationLogsIO.load_a_list_of_logs": lambda s: logs.SimulationLogsIO.load_a_list_of_logs([(s.text_log, "one")]),
    "SimulationLogsIO.load_pandas": lambda s: logs.SimulationLogsIO.load_pandas(str(s.text_log)),
    "SimulationLogsIO.normalize_rewards": _normalized,
    "AnalysisUtils.simulation_agg": lambda s: logs.AnalysisUtils.simulation_agg(
        s.steps, secondgroup="unique_episode", add_tstamp=True, add_perf=True
    ),
    "AnalysisUtils.simulation_agg (evaluation)": lambda s: logs.AnalysisUtils.simulation_agg(
        s.evaluation_steps, firstgroup="stream", is_eval=True, add_tstamp=True, add_perf=True
    ),
    "AnalysisUtils.scatter_aggregates": lambda s: logs.AnalysisUtils.scatter_aggregates(s.episodes, title="all"),
    "AnalysisUtils.scatter_by_groups": lambda s: logs.AnalysisUtils.scatter_by_groups(s.episodes),
    "AnalysisUtils.analyze_training_progress": lambda s: logs.AnalysisUtils.analyze_training_progress(s.episodes),
    "AnalysisUtils.plot": lambda s: logs.AnalysisUtils.plot(
        _axes(), s.episodes, "unique_episode", "episode", "reward", "reward"
    ),
    "PlottingUtils.print_border": lambda s: logs.PlottingUtils.print_border(_axes(), s.track),
    "PlottingUtils.plot_selected_laps": lambda s: logs.PlottingUtils.plot_selected_laps([0, 1], s.steps, s.track),
    "PlottingUtils.plot_laps": lambda s: logs.PlottingUtils.plot_laps([0, 1], s.steps, s.track, single_plot=True),
    "PlottingUtils.plot_laps (modern)": lambda s: logs.PlottingUtils.plot_laps([0], s.steps, s.track, style="modern"),
    "PlottingUtils.plot_evaluations": lambda s: logs.PlottingUtils.plot_evaluations(s.evaluation_steps, s.track),
    "PlottingUtils.plot_grid_world": lambda s: logs.PlottingUtils.plot_grid_world(s.lap, s.track),
    "PlottingUtils.plot_track": lambda s: logs.PlottingUtils.plot_track(s.few, s.track),
    "PlottingUtils.plot_trackpoints": lambda s: logs.PlottingUtils.plot_trackpoints(s.track, annotate_every_nth=10),
    "PlottingUtils.plot_points": lambda s: logs.PlottingUtils.plot_points(_axes(), s.track.center_line, 10),
    "PlottingUtils.save_laps_animation": _animation,
    "PlottingUtils.plot_laps_navigator": lambda s: logs.PlottingUtils.plot_laps_navigator(s.few, s.track),
    "EvaluationUtils.analyse_single_evaluation": lambda s: logs.EvaluationUtils.analyse_single_evaluation(
        s.evaluation_steps, s.track
    ),
    "EvaluationUtils.analyse_multiple_race_evaluations": lambda s: (
        logs.EvaluationUtils.analyse_multiple_race_evaluations([(str(s.text_log), "one")], s.track)
    ),
    "NewRewardUtils.df_to_params": lambda s: logs.NewRewardUtils.df_to_params(s.steps.iloc[5], s.track.center_line),
    "NewRewardUtils.new_reward": _new_reward,
    "ActionBreakdownUtils.determine_action_names": lambda s: logs.ActionBreakdownUtils.determine_action_names(s.steps),
    "ActionBreakdownUtils.action_breakdown": lambda s: logs.ActionBreakdownUtils.action_breakdown(
        s.steps, s.track, iteration_ids=[0], track_breakdown=BREAKDOWN
    ),
    # logs/metrics.py
    "TrainingMetrics.addRound": lambda s: _reload(s).metrics,
    "TrainingMetrics.reloadRound": lambda s: _reload(s).reloadRound(
        "again", fname=str(s.folder / "metrics/TrainingMetrics.json")
    ),
    "TrainingMetrics.getTraining": lambda s: s.metrics.getTraining(),
    "TrainingMetrics.getEvaluation": lambda s: s.metrics.getEvaluation(),
    "TrainingMetrics.getSummary": lambda s: s.metrics.getSummary(),
    "TrainingMetrics.plotProgress": lambda s: s.metrics.plotProgress(),
    "TrainingMetrics.plotProgress (several)": lambda s: _reload(s).plotProgress(method=["mean", "max"], grid=True),
    # logs/stability.py
    "SimtraceStabilityAnalyzer.analyze": lambda s: s.log.stability.analyze(),
    "SimtraceStabilityAnalyzer.print_summary": lambda s: s.log.stability.print_summary(),
    "SimtraceStabilityAnalyzer.analyze_timing": lambda s: s.log.stability.analyze_timing(),
    "SimtraceStabilityAnalyzer.analyze_episodes": lambda s: s.log.stability.analyze_episodes(0),
    "parse_simtrace_bytes": lambda s: logs.parse_simtrace_bytes(s.trace_bytes)[0],
    "episode_stats": lambda s: logs.episode_stats(s.trace_bytes),
    # tracks/track_utils.py
    "TrackIO.get_tracks": lambda s: list(tracks.TrackIO(str(s.route.parent)).get_tracks()),
    "TrackIO.get_track_waypoints": lambda s: tracks.TrackIO(str(s.route.parent)).get_track_waypoints(s.route.name),
    "TrackIO.load_track": lambda s: s.track.name != "",
    "Track.size": lambda s: s.track.size(),
    "Track.ratio": lambda s: s.track.ratio(),
    "TrackPlotter.plot_track": lambda s: tracks.TrackPlotter.plot_track(s.track),
    "GeometryUtils.vector": lambda s: _GEOMETRY.vector(*s.track.center_line[:2]),
    "GeometryUtils.get_angle": lambda s: _GEOMETRY.get_angle(*s.track.center_line[:2]),
    "GeometryUtils.get_vector_length": lambda s: _GEOMETRY.get_vector_length(s.track.center_line[0]),
    "GeometryUtils.normalize_vector": lambda s: _GEOMETRY.normalize_vector(s.track.center_line[0]),
    "GeometryUtils.perpendicular_vector": lambda s: _GEOMETRY.perpendicular_vector(s.track.center_line[0]),
    "GeometryUtils.crossing_point_for_two_lines": lambda s: _GEOMETRY.crossing_point_for_two_lines(
        *s.track.inner_border[[0, 9]], *s.track.outer_border[[5, 20]]
    ),
    "GeometryUtils.get_a_and_b_for_function": lambda s: _GEOMETRY.get_a_and_b_for_function(
        *s.track.center_line[[3, 9]]
    ),
    "GeometryUtils.get_a_point_on_a_line_closest_to_point": lambda s: _GEOMETRY.get_a_point_on_a_line_closest_to_point(
        *s.track.center_line[[0, 1]], s.track.inner_border[0]
    ),
    "GeometryUtils.is_point_roughly_on_the_line": lambda s: _GEOMETRY.is_point_roughly_on_the_line(
        *s.track.center_line[[0, 1]], s.track.inner_border[0]
    ),
}
"""How each function is called; a name may be followed by what is special in brackets."""


@dataclass(frozen=True)
class Result:
    """What came of a call."""

    works: bool
    words: str


def public_functions() -> list[str]:
    """All public functions, and methods and properties of public classes, read from the library's source."""
    names = []
    for path in sorted(Path(deepracer.__file__).parent.rglob("*.py")):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.FunctionDef):
                names.append(node.name)
            elif isinstance(node, ast.ClassDef):
                methods = [each.name for each in node.body if isinstance(each, ast.FunctionDef)]
                names += [f"{node.name}.{method}" for method in methods if not method.startswith("_")]
                names += [node.name] if methods == ["__init__"] else []
    return [name for name in dict.fromkeys(names) if not name.startswith("_")]


def survey(written: LogFolder) -> dict[str, Result]:
    """Call each function on a log folder."""
    sample = Sample(**vars(written))
    return {name: _called(case, sample) for name, case in CASES.items()}


def _called(case: Callable[[Sample], Any], sample: Sample) -> Result:
    charts = 0

    def count_charts(*_: object, **__: object) -> None:
        nonlocal charts
        charts += sum(axes.has_data() for number in plt.get_fignums() for axes in plt.figure(number).axes)

    try:
        with (
            patch.object(plt, "show", count_charts),
            warnings.catch_warnings(),
            contextlib.redirect_stdout(io.StringIO()),
        ):
            warnings.simplefilter("ignore")
            value = case(sample)
            if not charts:
                count_charts()
    except Exception as error:
        words = str(error).splitlines()[0] if str(error) else ""
        return Result(False, f"{type(error).__name__}: {words}"[:90])
    finally:
        plt.close("all")
    parts = [_described(value)] if value is not None else []
    return Result(True, ", ".join(parts + ([f"{charts} charts"] if charts else [])) or "done")


def _described(value: Any) -> str:
    if isinstance(value, pd.DataFrame):
        filled = value.notna().any().sum()
        return f"table of {len(value)} × {len(value.columns)}, {filled} columns with values"
    if isinstance(value, np.ndarray):
        return f"array {value.shape}"
    if isinstance(value, list | dict | tuple):
        return f"{type(value).__name__} of {len(value)}"
    if isinstance(value, bytes):
        return "bytes"
    if isinstance(value, plt.Axes | plt.Figure):
        return type(value).__name__.lower()
    return str(value)


def table(real: dict[str, Result], own: dict[str, Result]) -> str:
    """The results beside each other, in Markdown."""
    lines = ["| function | on a real log | on ours |", "|---|---|---|"]
    for name in CASES:
        cells = (f"{'' if result.works else '**fails** '}{result.words}" for result in (real[name], own[name]))
        lines.append(f"| `{name}` | {' | '.join(cell.replace('|', '/') for cell in cells)} |")
    lines += [f"| `{name}` | not called: {reason} | |" for name, reason in NOT_ABOUT_LOGS.items()]
    return "\n".join(lines)


def main() -> None:
    """Write the table into the document."""
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
    given = os.environ.get("HOTLAP_REFERENCE_DATA")
    data = Path(given) if given else Path(__file__).resolve().parents[3] / "shared" / "data"
    with tempfile.TemporaryDirectory() as name:
        os.environ["HOTLAP_STATE"] = name
        real, own = survey(write_real_log(data, Path(name))), survey(write_own_log(Path(name)))
    before, _, rest = DOCUMENT.read_text(encoding="utf-8").partition(BEGIN)
    after = rest.partition(END)[2]
    DOCUMENT.write_text(f"{before}{BEGIN}\n{table(real, own)}\n{END}{after}", encoding="utf-8")
    print(f"{sum(each.works for each in real.values())} of {len(CASES)} work on the real log,", end=" ")
    print(f"{sum(each.works for each in own.values())} on ours; written to {DOCUMENT}")


if __name__ == "__main__":
    main()
