"""Runs made of numbers instead of drives: folders of any size in no time, written through the records."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from episode_records import episode_record

from hotlap.deepracer.statuses import Status
from hotlap.records.events import EvaluationSummary, IterationRecord, ProgressLog, WorkerSummary
from hotlap.records.folder import Folder
from hotlap.records.metrics import TrainingMetrics
from hotlap.records.sim_trace import evaluation_trace_key, training_trace_key, write_trace
from hotlap.records.steps import Steps
from hotlap.tracks.route_file import write_route
from hotlap.tracks.track import Track

PERIOD = 1 / 15
STEER = (-30.0, 0.0, 30.0)
NUM_WAYPOINTS = 40


def ring(radius: float = 2.0) -> Track:
    """A round track, driven counter-clockwise from its point on the x-axis."""
    angle = np.linspace(0, 2 * np.pi, NUM_WAYPOINTS + 1)
    circle = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    circle[-1] = circle[0]
    return Track("ring", radius * circle, (radius - 0.4) * circle, (radius + 0.4) * circle, closed=True)


def episode_rows(number: int, num_steps: int, *, track: Track, clock: float, rng: np.random.Generator) -> Steps:
    """An episode that drives a fortieth of a lap in a step, and leaves the track if it does not complete the lap."""
    steps = np.arange(1, num_steps + 1)
    progress = np.minimum(2.5 * steps, 100.0)
    angle = 2 * np.pi * progress / 100
    radius = np.hypot(*track.center[0]) + 0.1 * rng.standard_normal()
    action = rng.integers(0, len(STEER), num_steps)
    complete = progress[-1] >= 100.0
    status = np.full(num_steps, Status.IN_PROGRESS)
    status[0] = Status.PREPARE
    status[-1] = Status.LAP_COMPLETE if complete else Status.OFF_TRACK
    done = steps == num_steps
    return Steps.of(
        episode=number,
        step=steps,
        x=radius * np.cos(angle),
        y=radius * np.sin(angle),
        heading=np.degrees(angle) + 90,
        steering_angle=np.array(STEER)[action],
        speed=1.5,
        action=action,
        reward=np.where(done & (not complete), 0.0, 1.0),
        done=done,
        all_wheels_on_track=~done | complete,
        progress=progress,
        nearest_waypoint=np.minimum(np.round(angle / (2 * np.pi) * NUM_WAYPOINTS), NUM_WAYPOINTS).astype(int),
        track_length=track.length,
        time=clock + PERIOD * steps,
        status=status,
    )


def write_run(
    folder: Path,
    *,
    num_iterations: int = 6,
    num_episodes: int = 8,
    num_workers: int = 1,
    tracks: tuple[Track, ...] = (),
    evaluations: tuple[str, ...] = (),
    progress: bool = True,
) -> Path:
    """Write a run that gets better: episodes grow from a tenth of a lap to the whole.

    Args:
        folder: Where to.
        num_iterations: So many traces per worker.
        num_episodes: Of each worker in an iteration.
        num_workers: Several write into folders of their own.
        tracks: Of the workers; by default all drive on one ring.
        evaluations: Stamps; each of three laps.
        progress: Whether hotlap trained it; else only what the original writes is there.
    """
    tracks = tracks or (ring(),)
    folder.mkdir(parents=True, exist_ok=True)
    for track in tracks:
        write_route(track, folder / f"{track.name}.npy")
    store = Folder(folder, sync=False)
    log = ProgressLog(store, num_iterations=0)
    metrics = [TrainingMetrics(store, worker=worker) for worker in range(num_workers)]
    rng = np.random.default_rng(0)
    clock, total_steps, total_episodes = 10.0, 0, 0
    for iteration in range(num_iterations):
        lengths: list[list[int]] = []
        for worker in range(num_workers):
            track, at = tracks[worker % len(tracks)], clock
            reach = 4 + 40 * iteration / max(num_iterations - 1, 1)
            lengths.append(np.clip(rng.normal(reach, 6, num_episodes).astype(int), 3, 40).tolist())
            rows, episodes, first = [], [], iteration * num_episodes
            for i, num_steps in enumerate(lengths[-1]):
                rows.append(episode_rows(first + i, num_steps, track=track, clock=at, rng=rng))
                end = at + PERIOD * num_steps
                complete = num_steps >= 40
                episodes.append(
                    episode_record(
                        reward=float(rows[-1].reward.sum()),
                        progress=float(rows[-1].progress[-1]),
                        status="lap_complete" if complete else "off_track",
                        start_s=at,
                        end_s=end,
                    )
                )
                at = end + 0.2
            metrics[worker].add(episodes)
            write_trace(store, training_trace_key(iteration, worker if num_workers > 1 else None), rows)
        clock = at
        steps = [num for share in lengths for num in share]
        total_steps, total_episodes = total_steps + sum(steps), total_episodes + len(steps)
        completion = np.minimum(2.5 * np.array(steps), 100.0)
        laps = [PERIOD * num for num in steps if num >= 40]
        log.append(
            IterationRecord(
                iteration=iteration,
                checkpoint=f"{iteration + 1}_Step-{total_steps}.ckpt",
                total_episodes=total_episodes,
                total_steps=total_steps,
                elapsed_s=12.0 * (iteration + 1),
                num_episodes=len(steps),
                num_steps=sum(steps),
                reward_mean=float(np.mean([num - (num < 40) for num in steps])),
                completion_mean=float(completion.mean()),
                laps_completed=len(laps),
                lap_time_best_s=min(laps, default=None),
                evaluation=EvaluationSummary(8, min(100.0, 20.0 * iteration), min(1.0, iteration / 5), 3.0 * iteration),
                is_best=iteration == num_iterations - 2,
                losses={"entropy": 1.1 - 0.1 * min(iteration, 8), "approx_kl": 0.01, "policy_loss": -0.02}
                | {"value_loss": 1.0, "clip_fraction": 0.2, "explained_variance": 0.5},
                stages_s={"collect": 2.0, "update": 8.0, "evaluate": 1.5, "checkpoint": 0.4, "record": 0.1},
                workers=[
                    WorkerSummary(
                        worker,
                        tracks[worker % len(tracks)].name,
                        len(share),
                        sum(share),
                        float(np.mean(share)),
                        float(np.mean(np.minimum(2.5 * np.array(share), 100.0))),
                        sum(num >= 40 for num in share),
                    )
                    for worker, share in enumerate(lengths)
                ]
                if num_workers > 1
                else [],
            )
        )
    for one in metrics:
        one.save()
    for stamp in evaluations:
        rows = [episode_rows(i, num, track=tracks[0], clock=3.0 * i, rng=rng) for i, num in enumerate((40, 25, 40))]
        write_trace(store, evaluation_trace_key(stamp), rows)
    if not progress:
        (folder / "metrics" / "progress.jsonl").unlink()
    return folder
