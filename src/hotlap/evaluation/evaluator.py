"""Evaluate a trained model: load a checkpoint, drive trials or laps, write what the original writes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

import torch

from hotlap.config.base import warn
from hotlap.config.job import Job
from hotlap.config.model_folder import ModelFolder
from hotlap.deepracer.sensors import CAMERAS
from hotlap.envs.race_tracks import tracks_of
from hotlap.errors import ConfigError
from hotlap.evaluation.filming import film_trials, trials_to_film
from hotlap.evaluation.laps import laps_of
from hotlap.evaluation.replay import drive_of, standing_objects
from hotlap.evaluation.rules import EvaluationRules
from hotlap.evaluation.statistics import EvaluationReport
from hotlap.monitoring.evaluation import EvaluationMonitor
from hotlap.records.address import file_in, model_name
from hotlap.records.checkpoints import CheckpointStore, Which
from hotlap.records.layout import video_keys
from hotlap.records.log_lines import EVALUATION_END, evaluation_log
from hotlap.records.metrics import TrialMetrics, evaluation_metrics_key, write_evaluation_metrics
from hotlap.records.output import evaluation_output
from hotlap.records.sim_trace import evaluation_trace_key, format_log_lines, write_trace
from hotlap.resources import num_processors
from hotlap.rollouts.fleet import Fleet, build_fleet
from hotlap.rollouts.model import RolloutSetup, race_config, saved_network
from hotlap.rollouts.plan import plan_evaluation
from hotlap.rollouts.request import CollectRequest
from hotlap.rollouts.run_description import describe
from hotlap.rollouts.worker import PlayedEpisode
from hotlap.tracks.pool import TrackPool
from hotlap.tracks.track import Track

MAX_PARALLEL = 64  # worlds side by side in a process; more laps take turns


class Evaluator:
    """Drives a model's checkpoint under the rules of an evaluation.

    Nothing is started before `open`, which `run` does where nobody has. Where several workers drive, use it in a
    ``with`` statement, or `close` it, which ends them.

    Args:
        model: The model's folder.
        job: Its settings.
        checkpoint: Which one drives.
        track: Where to drive, instead of on the track of the job.
        laps: So many laps from the start line, each ended by its first mistake; None: the trials of the job, with its
            resets and penalties.
        reward: Whether the reward function is asked, for the rewards in the trace and the films. Without it they are 0,
            and the model needs none.
        workers: How many processes drive; the laps are the same, whoever drives them.
        tell: Is told what the user should know of workers, or of a bucket that does not answer; perhaps from another
            thread.

    Raises:
        ConfigError: If the job names more than one track, and no ``track`` is given.
        RecordError: If there is no such checkpoint, or it is of another network than the folder describes.
    """

    def __init__(
        self,
        model: ModelFolder,
        *,
        job: Job | None = None,
        checkpoint: Which = "best",
        track: Track | None = None,
        laps: int | None = None,
        reward: bool = False,
        workers: int = 1,
        tell: Callable[[str], None] = lambda message: None,
    ) -> None:
        self.model = model
        self.job = job or model.job
        self.place = self.job.training.output or model.path
        checkpoints = CheckpointStore(self.place)
        seed = checkpoints.seed(self.job.training.seed)
        pool = tracks_of(self.job.race, seed=seed) if track is None else TrackPool((track,))
        if len(pool.tracks) > 1:
            raise ConfigError(
                f"race.track = {self.job.race.track!r} means {len(pool.tracks)} tracks, but an evaluation drives on "
                "one. Name it, or drive on many with `hotlap evaluate DIR`."
            )
        self.track = pool.tracks[0]
        self._tell = tell
        self._monitor = EvaluationMonitor(self.job.monitoring, tell)
        self.conditions = EvaluationRules.of(self.job, laps)
        if self.conditions.disturb and not set(model.metadata.sensors) & set(CAMERAS):
            warn("evaluation.disturb has no effect on a model without a camera.")
        self.num_episodes = self.conditions.num_episodes
        self.rules = self.conditions.race_rules
        self.num_workers = min(workers, self.num_episodes)
        loaded = checkpoints.load(checkpoint)
        self.checkpoint_name = str(loaded.name)
        self.name = f"{self.place}@{loaded.name.number}"
        network = saved_network(model.metadata, loaded, self.place)
        self._weights = network.state_dict()
        self.config = race_config(model, self.job.race, pool, rules=self.rules, reward=reward)
        self._setup = RolloutSetup(
            races=(self.config,),
            pools=(pool,),
            metadata=model.metadata,
            network=network.name,
            num_worlds=min(-(-self.num_episodes // self.num_workers), MAX_PARALLEL),
            critic=network.critic,
            precision=self.job.training.precision,
        )
        self.fleet: Fleet | None = None
        """Who drives, while it is open."""
        self.episodes: list[PlayedEpisode] = []
        self.report = EvaluationReport(())
        self.log: list[str] = []
        """Lines as the original's worker prints them, once the evaluation is recorded."""
        self._stamp = ""

    def open(self, after: Evaluator | None = None) -> Self:
        """Let those get ready who drive.

        Args:
            after: An evaluation that has driven and is closed now; whoever drove it goes on if the race is the same.

        Raises:
            MissingExtraError: If several workers are to drive and Ray is not installed.
            HotlapError: If the race cannot be built.
        """
        if after is not None and after.fleet is not None:
            if self.fleet is None and self._same_race(after):
                self.fleet, after.fleet = after.fleet, None
            after.close()
        if self.fleet is None:
            torch.set_num_threads(self.job.training.threads or num_processors())
            training = self.job.training
            # A single process drives here, also where training goes to a cluster.
            cluster = training.cluster if self.num_workers > 1 else None
            self.fleet = build_fleet(self._setup, training, self.num_workers, cluster=cluster, on_message=self._tell)
        return self

    def close(self) -> None:
        """End the processes that drive."""
        if self.fleet is not None:
            self.fleet.close()
        self.fleet = None

    def __enter__(self) -> Self:
        return self.open()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def run(self, *, on_step: Callable[[int, int], None] | None = None) -> EvaluationReport:
        """Drive, and say what came of it.

        Args:
            on_step: Called with (episodes finished, steps played) as they change.

        Raises:
            RewardError: If the reward function is asked and fails.
            TrainingError: If laps cannot be driven.
        """
        fleet = self.open().fleet
        assert fleet is not None
        plans = plan_evaluation(
            job_seed=self.job.evaluation.seed,
            number=0,
            num_laps=self.num_episodes,
            reverse=[self.job.race.reverse_dir],
        )
        request = CollectRequest.evaluation(plans, self._weights, disturb=self.conditions.disturb)
        self.episodes = fleet.start(request).result(on_step)
        self.report = laps_of(self.episodes, self.rules)
        return self.report

    def _same_race(self, other: Evaluator) -> bool:
        ours, theirs = (
            (each.conditions, replace(each._setup, races=(), pools=()), each.num_workers, _looks(each.track))
            for each in (self, other)
        )
        # A reward function may remember what it saw: it is loaded anew for every evaluation.
        return ours == theirs and self.config.reward is None and other.config.reward is None

    def record(self, stamp: str, launch_files: Mapping[str, bytes] | None = None) -> dict[str, str | Path]:
        """Write metrics, trace, log and the picture of the driven lines.

        Args:
            stamp: 14 digits, YYYYMMDDhhmmss.
            launch_files: Keys and contents of what is written along.

        Returns:
            Where each lies: ``metrics``, ``trace``, ``log``, ``figure``.
        """
        # Matplotlib takes long to load, and only figures and films need it.
        from hotlap.analysis.figures.evaluation_figure import evaluation_figure
        from hotlap.analysis.figures.style import png_of

        self._stamp = stamp
        clock = 0.0
        trials = []
        for number, lap in enumerate(self.report.laps, start=1):
            end = clock + lap.time_ms / 1000
            last = number == self.report.num_laps
            status = "in_progress" if self.rules.number_of_laps > 1 and not last else lap.status
            trials.append(
                TrialMetrics(
                    start_time=clock,
                    end_time=end,
                    progress=lap.completion_percentage,
                    status=status,
                    trial=lap.trial,
                    crash_count=lap.crash_count,
                    immobilized_count=lap.immobilized_count,
                    off_track_count=lap.off_track_count,
                    reversed_count=lap.reversed_count,
                )
            )
            clock = end if self.rules.number_of_laps > 1 else 0.0
        standing = self.config.obstacles
        fixed = standing is not None and not (standing.randomize and not standing.positions)
        keys = {
            "metrics": evaluation_metrics_key(stamp),
            "trace": evaluation_trace_key(stamp),
            "log": evaluation_log(stamp),
            "figure": f"evaluation-{stamp}/driven_lines.png",
        }
        traces = [each.steps for each in self.episodes]
        run = describe(self.model, self.job.race, TrackPool((self.track,)), job_type="EVALUATION")
        self.log = [*run.lines(), *(line for steps in traces for line in format_log_lines(steps)), EVALUATION_END]
        with evaluation_output(self.place, stamp, self._tell) as store:
            for key, content in (launch_files or {}).items():
                store.put(key, content)
            write_evaluation_metrics(store, stamp, trials)
            write_trace(store, keys["trace"], traces)
            store.put(keys["log"], "".join(f"{line}\n" for line in self.log).encode())
            figure = evaluation_figure(
                self.track,
                [drive_of(episode) for episode in self.episodes],
                [lap.time_ms / 1000 for lap in self.report.laps if lap.complete],
                obstacles=standing_objects(self.config, self.episodes[0]) if fixed else None,
                subtitle=f"{model_name(self.place)}, checkpoint {self.checkpoint_name}, {self.track.name}",
            )
            store.put(keys["figure"], png_of(figure))
            self._monitor.report(model_name(self.place), store, trials, self.log)
        return {name: file_in(self.place, key) for name, key in keys.items()}

    def record_comparison(self, others: Sequence[Evaluator]) -> str | Path:
        """Write a picture of the lines that this model and others drove, beside that of its own; where it lies.

        Args:
            others: Evaluations under the same rules.
        """
        from hotlap.analysis.figures.evaluation_figure import comparison_figure
        from hotlap.analysis.figures.style import png_of

        models = [(each.name, [drive_of(episode) for episode in each.episodes]) for each in (self, *others)]
        key = f"evaluation-{self._stamp}/comparison.png"
        with evaluation_output(self.place, self._stamp, self._tell) as store:
            store.put(key, png_of(comparison_figure(self.track, models, subtitle=str(self.conditions))))
        return file_in(self.place, key)

    def film(
        self,
        which: Literal["all", "first"] | int = "all",
        *,
        on_frame: Callable[[int, int], None] = lambda done, total: None,
    ) -> dict[int, dict[str, str | Path]]:
        """Film trials of the evaluation that was recorded last.

        Args:
            which: All, so many, or the first clean one; without any, the one that got farthest.
            on_frame: Called with (steps filmed, steps in all).

        Returns:
            Where the films of each trial lie by their names, which are those of `video_keys`, by its number from 0.

        Raises:
            RecordError: If a film cannot be written; the evaluation's results stay, and films that are done.
        """
        trials = trials_to_film(self.report, which)
        lie: dict[int, dict[str, str | Path]] = {}
        with evaluation_output(self.place, self._stamp, self._tell) as store:
            for number, films in film_trials(self.config, self.episodes, trials, on_frame=on_frame):
                keys = video_keys(self._stamp, number)
                for name, film in films.items():
                    store.put(keys[name], film.read_bytes())
                lie[number] = {name: file_in(self.place, keys[name]) for name in films}
        return lie


def _looks(track: Track) -> tuple[object, ...]:
    """What makes a track; several may have one name."""
    return track.name, track.theme, *(line.tobytes() for line in (track.center, track.inner, track.outer))


def drive(evaluators: Sequence[Evaluator], *, on_step: Callable[[int, int], None] | None = None) -> None:
    """Drive what several evaluations ask, one after the other; each has its report then, and all are closed.

    Args:
        evaluators: The evaluations; the first may be open.
        on_step: Called with (episodes finished, steps played) of all of them together.

    Raises:
        HotlapError: See `Evaluator.open` and `Evaluator.run`.
    """
    done = steps = 0
    before: Evaluator | None = None

    def count(finished: int, played: int) -> None:
        if on_step is not None:
            on_step(done + finished, steps + played)

    with ExitStack() as held:
        for evaluator in evaluators:
            held.enter_context(evaluator.open(before)).run(on_step=count)
            done += len(evaluator.episodes)
            steps += sum(episode.num_steps for episode in evaluator.episodes)
            before = evaluator
