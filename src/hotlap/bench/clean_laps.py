"""How fast a car drives clean laps after so many minutes of training, from scratch or with a teacher, over seeds.

The clock runs from the first line of a training to its last: starts, records and evaluations between iterations are in
it. Then the best checkpoint drives a hundred laps with other cars than those it was chosen with, outside of the clock.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import mean, median
from typing import Any, Literal

import torch
from matplotlib.figure import Figure

from hotlap.analysis.figures.style import BEST, EVALUATION, GRAY, TRAINING, new_figure, save_figure, tidy
from hotlap.bench.machine import provenance
from hotlap.bench.results_folder import results_folder
from hotlap.config.hyperparameters import STARTER
from hotlap.config.job import Job
from hotlap.config.model_folder import ModelFolder
from hotlap.config.template import hyperparameters_json, job_toml, metadata_json
from hotlap.deepracer.driving import DEFAULT_TRACK
from hotlap.errors import ConfigError
from hotlap.evaluation.evaluator import Evaluator
from hotlap.records.events import IterationRecord, ProgressLog
from hotlap.records.opening import open_store
from hotlap.rewards.loader import read_reward
from hotlap.training.course import STUDENT, TEACHER, Course
from hotlap.training.listener import Silence
from hotlap.unfinished import scratch_folder

LAPS = 100
STEERING_DEG = range(-30, 31, 10)
REWARD = '''"""Progress: 3 for each meter along the center line since the last step, -5 off the track or in a crash."""

LAST = {}


def reward_function(params):
    progress = params["progress"] / 100.0 * params["track_length"]
    gained = progress - LAST.get("progress", progress) if params["steps"] > 2 else 0.0
    LAST["progress"] = progress
    return float(3.0 * gained - 5.0 * (params["is_offtrack"] or params["is_crashed"]))
'''


@dataclass(frozen=True)
class LapTask:
    """What is to be learned."""

    track: str = DEFAULT_TRACK
    """Name or route file."""
    speed: float = 4.0
    """Of the fastest actions [m/s]; there are seven steering angles at each of 1, 2, … m/s and at this speed."""
    reward: str | None = None
    """File, or name of a shipped example; None: the progress, as the shortest lap earns the most of it a second."""
    race_type: str = "time_trial"
    """As ``race.race_type``; obstacles and bot cars stand at new places in every episode."""
    number: int = 3
    """How many of them."""
    reverse: bool = False
    """Whether the track is driven against its order of waypoints."""

    @property
    def words(self) -> list[str]:
        """What tells the files of its results from those of others on the same track."""
        unusual = {
            f"{self.speed:g}mps": self.speed != 4.0,
            "reversed": self.reverse,
            self.race_type: self.race_type != "time_trial",
            Path(self.reward or "").stem: self.reward is not None,
        }
        return [word for word, tells in unusual.items() if tells]

    @property
    def race(self) -> dict[str, Any]:
        """Keys of job.toml's race section."""
        others = {"number": self.number, "randomize": True}
        placed = {"object_avoidance": {"obstacles": others}, "head_to_bot": {"bots": others}}
        direction = "reversed" if self.reverse else "as_is"
        return {
            "track": self.track,
            "race_type": self.race_type,
            "direction": direction,
            **placed.get(self.race_type, {}),
        }


def write_model(folder: Path, task: LapTask, training: Mapping[str, Any]) -> ModelFolder:
    """Write a model that is to learn a task.

    Args:
        folder: Where to; it must exist.
        task: What it is to learn.
        training: Keys of job.toml's training section that differ.
    """
    speed = task.speed
    speeds = [*(float(each) for each in range(1, int(speed) + 1) if each < speed), speed]
    actions = [{"steering_angle": angle, "speed": each} for each in speeds for angle in STEERING_DEG]
    metadata = json.loads(metadata_json()) | {"action_space": actions}
    settings = STARTER.model_copy(update={"term_cond_max_episodes": 10**9, "term_cond_avg_score": 1e9})
    job = Job().updated("benchmark", race=task.race, training=training)
    reward = REWARD.encode() if task.reward is None else read_reward(task.reward).text
    (folder / "reward_function.py").write_bytes(reward)
    (folder / "model_metadata.json").write_text(json.dumps(metadata), encoding="utf-8")
    (folder / "hyperparameters.json").write_text(hyperparameters_json(settings), encoding="utf-8")
    (folder / "job.toml").write_text(job_toml(job), encoding="utf-8")
    return ModelFolder(folder)


def bench_clean_laps(
    task: LapTask,
    *,
    method: Literal["ppo", "teacher"],
    seeds: int = 5,
    minutes: float = 3.0,
    goal: float = 0.0,
    threads: int = 0,
    workers: int = 1,
    out: Path | None = None,
    on_iteration: Callable[[int, str, IterationRecord], None] = lambda seed, training, record: None,
) -> dict[str, Any]:
    """Train the same model with seeds 0, 1, …, and let each drive a hundred laps.

    Args:
        task: What it is to learn.
        method: As ``training.method``.
        seeds: How many.
        minutes: Time of each training, all of its stages together.
        goal: Share of clean laps at which a training ends before; 0: at none.
        threads, workers: See ``training`` in job.toml.
        out: Folder for this result (``clean_laps_TRACK_METHOD.json``) and its picture (``….png``); None: nowhere.
        on_iteration: Called with the seed, the training's name and the record of each iteration.

    Returns:
        JSON-ready: medians over the seeds ``clean_share``, ``lap_s_median`` (of clean laps; None without any),
        ``reward_per_lap`` and ``seconds``; ``seeds``, each with the same and with a ``curve``; where there is a teacher
        also ``teacher`` and ``student``, each with the same numbers, and ``steps_per_s`` of the teacher's loop,
        ``samples_per_s`` of the student's updates; ``method``, ``track``, the other fields of the task, ``minutes``,
        ``goal``, ``threads``, ``workers``, ``files``, ``machine``.

    Raises:
        ConfigError: If an argument is not possible.
        RecordError: If ``out`` cannot be written.
    """
    if seeds < 1 or minutes <= 0:
        raise ConfigError(f"--seeds must be at least 1 and --minutes above 0, got {seeds} and {minutes:g}.")
    training = {"method": method, "max_minutes": minutes, "threads": threads, "workers": workers}
    training["goal_clean_share"] = goal
    rows, name = [], ""
    for seed in range(seeds):
        with scratch_folder() as folder:
            model = write_model(folder, task, training | {"seed": seed})
            row, name = _train(model, seed, on_iteration)
            rows.append(row)
    summary: dict[str, Any] = {
        **_medians(rows),
        **{stage: _medians([row[stage] for row in rows]) for stage in (TEACHER, STUDENT) if stage in rows[0]},
        "seeds": rows,
        "method": method,
        **asdict(task),
        "track": name,
        "minutes": minutes,
        "goal": goal,
        "threads": torch.get_num_threads(),
        "workers": workers,
        "files": [],
        "machine": provenance(),
    }
    if out is not None:
        _write(out, "_".join(["clean_laps", name, *task.words, method]), summary)
    return summary


class _Curve(Silence):
    """Notes what each evaluation found, and when."""

    def __init__(self, seed: int, report: Callable[[int, str, IterationRecord], None]) -> None:
        self.seed, self.report = seed, report
        self.begin = time.perf_counter()
        self.training = ""
        self.rows: list[dict[str, Any]] = []

    def on_begin(self, name: str, max_s: float, max_iterations: int) -> None:
        self.training = name

    def on_iteration(self, record: IterationRecord) -> None:
        self.report(self.seed, self.training, record)
        if found := record.evaluation:
            self.rows.append(
                {
                    "training": self.training,
                    "seconds": round(time.perf_counter() - self.begin, 1),
                    "steps": record.total_steps,
                    "clean_share": round(found.clean_rate, 4),
                    "lap_s_median": found.lap_time_median_s,
                }
            )


def _train(
    model: ModelFolder, seed: int, on_iteration: Callable[[int, str, IterationRecord], None]
) -> tuple[dict[str, Any], str]:
    """The row of a seed, and the name of its track."""
    curve = _Curve(seed, on_iteration)
    result = Course(model, listener=curve, minutes=model.job.training.max_minutes).run()
    seconds = time.perf_counter() - curve.begin
    evaluator = Evaluator(model, laps=LAPS, reward=True)
    row: dict[str, Any] = {"seed": seed, **_found(evaluator), "seconds": round(seconds, 1), "reason": result.reason}
    for stage, earlier in result.earlier.items():
        place = model.path / stage
        records = ProgressLog(open_store(place)).read()
        drives = Evaluator(ModelFolder(place, reward_file=model.reward_file), laps=LAPS, reward=True)
        of_stage = _found(drives)
        of_stage["seconds"] = round(earlier.elapsed_s, 1)
        if stage == TEACHER:
            busy = sum(record.stages_s["collect"] + record.stages_s["update"] for record in records)
            of_stage["steps_per_s"] = round(earlier.total_steps / busy)
        else:
            updating = sum(record.stages_s["update"] for record in records)
            of_stage["samples_per_s"] = round(len(records) * model.job.student.samples / updating)
        row[stage] = of_stage
    return row | {"curve": curve.rows}, evaluator.track.name


def _found(evaluator: Evaluator) -> dict[str, Any]:
    report = evaluator.run()
    times = report.clean_lap_time
    return {
        "clean_share": report.clean_rate.value if report.clean_rate else 0.0,
        "lap_s_median": round(times.median, 3) if times else None,
        "reward_per_lap": round(mean(episode.reward for episode in evaluator.episodes), 2),
    }


def _medians(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The median of each number, over the rows that have it."""
    names = [name for name, value in rows[0].items() if name != "seed" and isinstance(value, int | float | None)]
    values = {name: [row[name] for row in rows if row[name] is not None] for name in names}
    return {name: median(found) if found else None for name, found in values.items()}


def _write(out: Path, name: str, summary: dict[str, Any]) -> None:
    summary["files"] = [f"{name}.json", f"{name}.png"]
    with results_folder(out):
        (out / f"{name}.json").write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")
    save_figure(clean_laps_figure(summary), out / f"{name}.png")


def clean_laps_figure(summary: Mapping[str, Any]) -> Figure:
    """Clean laps and lap times of the evaluations over the seconds of the training, a curve for each seed."""
    figure = new_figure(
        12,
        4.8,
        f"Clean laps on {summary['track']} at up to {summary['speed']:g} m/s",
        f"{'With a teacher' if summary['method'] == 'teacher' else 'PPO alone'}, {summary['minutes']:g} minutes, "
        f"{len(summary['seeds'])} seeds: {summary['clean_share']:.0%} of {LAPS} laps clean at the end (median), "
        f"on {summary['machine']['cpu']}.",
    )
    clean, laps = figure.subplots(1, 2, sharex=True)
    colors = {TEACHER: TRAINING, STUDENT: EVALUATION}
    for row in summary["seeds"]:
        for stage in dict.fromkeys(each["training"] for each in row["curve"]):
            of_stage = [each for each in row["curve"] if each["training"] == stage]
            line: dict[str, Any] = {"color": colors.get(stage, BEST), "linewidth": 1.6, "alpha": 0.65}
            if row is summary["seeds"][0]:
                line["label"] = stage or "PPO"
            clean.plot([e["seconds"] for e in of_stage], [100 * e["clean_share"] for e in of_stage], **line)
            timed = [e for e in of_stage if e["lap_s_median"]]
            laps.plot([e["seconds"] for e in timed], [e["lap_s_median"] for e in timed], **line)
    tidy(clean, "Clean laps in evaluations")
    tidy(laps, "Median clean lap [s]")
    clean.set_ylim(-3, 103)
    clean.yaxis.set_major_formatter("{x:.0f} %")
    for axes in (clean, laps):
        axes.set_xlabel("seconds since training started", color=GRAY, fontsize=9.5)
        axes.set_xlim(left=0)
    clean.legend(frameon=False, fontsize=9, labelcolor=GRAY, loc="lower right")
    return figure
