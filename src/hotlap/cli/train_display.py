"""What `hotlap train` shows: a line per iteration, a bar for what is going on, and the figures of the end."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from hotlap.cli.console import print_json, print_log_lines, progress_bar
from hotlap.errors import HotlapError
from hotlap.shell import quoted
from hotlap.wording import counted

if TYPE_CHECKING:
    from rich.console import Console

    from hotlap.config.job import Job
    from hotlap.config.metadata import ModelMetadata
    from hotlap.records.episode_log import EpisodeRecord
    from hotlap.records.events import IterationRecord
    from hotlap.records.trainer_state import TrainerState
    from hotlap.training.trainer import Trainer, TrainingResult


NOTHING = 0.05  # share of clean laps below which a training came to nothing


class TrainingDisplay:
    """Shows a training: a line per iteration, and on a terminal a bar for what is going on now.

    Args:
        out: For people.
        print_log: Print the lines of the log on standard output, too.
    """

    def __init__(self, out: Console, *, print_log: bool = False) -> None:
        self.out = out
        self.print_log = print_log
        self.bar = progress_bar(out)
        self.task = self.bar.add_task("", total=None, note="")
        self.stage_begin = time.perf_counter()
        self.max_s = 0.0
        """Limit of the time spent training, over all resumes [s]; 0: none."""
        self.max_iterations = 0
        """Limit of the iterations, over all resumes; 0: none."""

    def __enter__(self) -> TrainingDisplay:
        self.bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.bar.stop()

    def on_begin(self, name: str, max_s: float, max_iterations: int) -> None:
        self.max_s, self.max_iterations = max_s, max_iterations
        self.out.print(f"{name:<22} {' training ':-^21} {' evaluation ':-^21}")
        self.out.print(
            f"{'iter':>4} {'episodes':>8} {'steps':>8} {'reward':>7} {'complete':>8} {'laps':>4} "
            f"{'clean':>5} {'complete':>8} {'lap s':>6} {'steps/s':>7} {'time':>7} {'left':>7}"
        )

    def on_stage(self, stage: str, total: int | None) -> None:
        self.stage_begin = time.perf_counter()
        self.bar.reset(self.task, description=stage, total=total, note="")

    def on_advance(self, done: int, steps: int) -> None:
        seconds = max(time.perf_counter() - self.stage_begin, 1e-3)
        self.bar.update(self.task, completed=done, note=f"{steps:,} steps, {steps / seconds:,.0f}/s")

    def on_episodes(self, records: Sequence[EpisodeRecord]) -> None:
        """A line per iteration is enough."""

    def on_iteration(self, record: IterationRecord) -> None:
        seconds = record.stages_s.get("collect", 0.0) + record.stages_s.get("update", 0.0)
        pace = f"{record.num_steps / seconds:.0f}" if seconds else "–"  # an interrupted one is only evaluated anew
        clean = complete = lap = "–"
        if evaluation := record.evaluation:
            clean = f"{evaluation.clean_rate:.0%}"
            complete = f"{evaluation.completion_mean:.1f}%"  # it decides while nothing is clean
            lap = f"{evaluation.lap_time_median_s:.2f}" if evaluation.lap_time_median_s else lap
        self.out.print(
            f"{record.number:>4} {record.total_episodes:>8,} {record.total_steps:>8,} "
            f"{record.reward_mean:>7.1f} {record.completion_mean:>7.1f}% {record.laps_completed:>4} "
            f"{clean:>5} {complete:>8} {lap:>6} {pace:>7} "
            f"{_clock(record.elapsed_s):>7} {self._left(record):>7}" + (" [green]best[/]" if record.is_best else ""),
            markup=True,
        )

    def on_message(self, message: str) -> None:
        self.out.print(message, style="yellow")

    def on_log(self, lines: Sequence[str]) -> None:
        if self.print_log:
            print_log_lines(lines)

    def _left(self, record: IterationRecord) -> str:
        """Time until a limit at the present pace; a goal may end the training earlier."""
        limits = []
        if self.max_s:
            limits.append(self.max_s - record.elapsed_s)
        if self.max_iterations:
            pace = record.elapsed_s / (record.iteration + 1)
            limits.append(pace * (self.max_iterations - record.iteration - 1))
        return _clock(max(0.0, min(limits))) if limits else "–"


def report(trainer: Trainer, result: TrainingResult, words: str, out: Console, as_json: bool) -> None:
    """Say how a training ended, and draw its learning curve.

    Args:
        trainer: Which has run.
        result: How it ended.
        words: What names the model on a command line.
        out: For people.
        as_json: Print one JSON object instead.
    """
    from hotlap.cli.checkpoints import how_sure
    from hotlap.records.events import with_best
    from hotlap.records.opening import open_store
    from hotlap.records.tallies import TallyLog

    place, best = trainer.place, result.best
    records = with_best(trainer.progress.read(), best.name if best else None)
    curve = _learning_curve(records, place, out)
    if as_json:
        print_json({"folder": str(place), **asdict(result), "learning_curve": str(curve) if curve else None})
        return
    out.print(f"Training ended: {_REASONS[result.reason]}.")
    out.print(how_much(result, trainer.begun))
    if result.first_lap:
        steps, seconds = result.first_lap["steps"], result.first_lap["elapsed_s"]
        out.print(f"First complete training lap after {steps:,} steps, {_duration(seconds)}.")
    if best:
        lap = f", lap {best.lap_time_ms / 1000:.2f} s" if best.lap_time_ms else ""
        out.print(f"{how_sure(place, best.name).capitalize()}{lap}.")
        if (tally := TallyLog(open_store(place)).read().get(best.name)) and tally.num_sets > 1:
            out.print(
                f"It drove {tally.num_laps} laps, not only the {trainer.job.training.eval_laps} of one evaluation: "
                "the best checkpoints drive again beside one another, so that no lucky one is chosen."
            )
    if curve:
        out.print(f"Learning curve: {curve}")
    if records and (best is None or best.clean_rate < NOTHING):
        training = trainer.job.training.model_copy(update={"seed": trainer.state.seed})  # whose tracks were driven
        job = trainer.job.model_copy(update={"training": training})
        for sentence in why_nothing(job, trainer.metadata, records):
            out.print(sentence, style="yellow")
    if result.reason == "stopped":
        out.print(go_on(words))
    if best:
        out.print(f"Next: hotlap evaluate {words}")


def how_much(result: TrainingResult, before: TrainerState) -> str:
    """What this run did, and after a resume what was done in all."""

    def amount(iterations: int, episodes: int, steps: int, seconds: float) -> str:
        things = counted(iterations, "iteration"), counted(episodes, "episode"), counted(steps, "step")
        return f"{', '.join(things)} in {_duration(seconds)}"

    in_all = amount(result.iterations, result.total_episodes, result.total_steps, result.elapsed_s)
    this_run = amount(
        result.iterations - before.iteration,
        result.total_episodes - before.num_episodes,
        result.total_steps - before.total_steps,
        result.elapsed_s - before.elapsed_s,
    )
    stages = ", ".join(f"{name} {_duration(seconds)}" for name, seconds in result.stages_s.items())
    if this_run == in_all:
        return f"{in_all} ({stages})."
    return f"This run: {this_run} ({stages}); in all {in_all}."


def why_nothing(job: Job, metadata: ModelMetadata, records: Sequence[IterationRecord]) -> list[str]:
    """Plain reasons why hardly any lap was clean, and what to try."""
    from hotlap.envs.cornering import action_limits, greatest_speed, speed_doubts
    from hotlap.envs.race_tracks import tracks_of
    from hotlap.sim.vehicle import vehicle_for_version

    last = records[-1]
    found = [
        f"Hardly any lap was clean. In the last iteration the cars got {last.completion_mean:.0f} % of the way round "
        f"on average, after {last.total_steps:,} steps in all."
    ]
    if forbidden := speed_doubts(job, metadata):
        return [*found, *(f"{each[0].upper()}{each[1:]}" for each in forbidden)]
    limits, vehicle = action_limits(metadata), vehicle_for_version(metadata.version)
    pools = [tracks_of(race, seed=job.training.seed) for race in job.races]
    tightest = [min(pool.tracks, key=lambda track: track.min_radius) for pool in pools]
    for track in {track.name: track for track in tightest}.values():
        greatest = greatest_speed(track, vehicle, limits.steering_deg)
        if limits.fastest > greatest:
            found.append(
                f"The actions drive {limits.slowest:g} to {limits.fastest:g} m/s, but the tightest bend of "
                f"{track.name} can be held at {greatest:.1f} m/s at most: the car must learn to brake there first. "
                "Slower actions are learned sooner."
            )
        found.append(
            f"{track.name} is {track.length:.1f} m long"
            + (f" and its tightest bend has a radius of {track.min_radius:.2f} m" if track.min_radius < 100 else "")
            + ": the longer and tighter, the more steps it takes. Train longer (--minutes), or train on an easier "
            "track first and go on from that model with --clone."
        )
    if job.training.method == "ppo":
        found.append(
            "Or let a teacher learn first, which sees the simulator's state and needs a fraction of the time: "
            "--wipe --teacher (docs/teacher.md)."
        )
    return found


def go_on(words: str) -> str:
    """How to continue an interrupted training, which ``words`` name on a command line."""
    return f"All finished iterations are saved; `hotlap train {words} --resume` goes on from there."


def mend(reward_file: Path, saved: int) -> str:
    """What to do about a training that its reward function ended; ``saved`` iterations are not lost."""
    again = f"give the same command with --resume: {saved} iterations are saved" if saved else "give the same command"
    return f"Next: mend the reward function, try it with `hotlap reward check {quoted(reward_file)}`, then {again}."


_REASONS = {
    "stopped": "it was told to stop",
    "goal": "its goal is reached",
    "plateau": "its laps did not get better any more",
    "max_minutes": "its time is up (training.max_minutes, which counts over all resumes; --minutes counts from now)",
    "max_iterations": "its iterations are done (training.max_iterations, which counts over all resumes; --iterations "
    "counts from now)",
    "minutes": "the time of this run is up (--minutes)",
    "iterations": "the iterations of this run are done (--iterations)",
    "term_cond_max_episodes": "its iterations are done (term_cond_max_episodes)",
    "term_cond_avg_score": "its score is reached (term_cond_avg_score)",
}


def _learning_curve(records: list[IterationRecord], place: str | Path, out: Console) -> str | Path | None:
    """Draw it at the place of the model; None if there is nothing to draw, or the place cannot be written to."""
    if not records:
        return None
    from hotlap.analysis.figures.learning_curve import learning_curve
    from hotlap.analysis.figures.style import save_figure
    from hotlap.records.address import is_s3, model_name
    from hotlap.records.opening import open_store
    from hotlap.records.store import Store
    from hotlap.records.tallies import TallyLog
    from hotlap.unfinished import scratch_folder

    name = "learning_curve.png"

    def draw(path: Path, store: Store) -> Path:
        tally = TallyLog(store).of_best(records)
        return save_figure(learning_curve(records, title=model_name(place), tally=tally), path)

    if not is_s3(place):
        return draw(Path(place) / name, open_store(place))
    try:
        store = open_store(place)
        with scratch_folder() as folder:
            store.put(name, draw(folder / name, store).read_bytes())
    except HotlapError as error:
        out.print(f"No learning curve: {error}", style="yellow")
        return None
    return f"{place}/{name}"


def _duration(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {seconds:02d} s"


def _clock(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"
