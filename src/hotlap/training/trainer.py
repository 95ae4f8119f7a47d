"""The trainer: one iteration is plan, collect, update, checkpoint, evaluate, record."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
import torch

from hotlap.config.hyperparameters import Hyperparameters
from hotlap.config.job import Job
from hotlap.config.metadata import DiscreteActionSpace
from hotlap.config.model_folder import ModelFolder
from hotlap.errors import RecordError, TrainingError
from hotlap.evaluation.laps import laps_of
from hotlap.evaluation.statistics import EvaluationReport
from hotlap.records.checkpoints import CheckpointName, CheckpointStore, IndexEntry
from hotlap.records.events import EvaluationSummary, IterationRecord, ProgressLog
from hotlap.records.folder import Folder
from hotlap.records.metrics import EpisodeMetrics, TrainingMetrics
from hotlap.records.sim_trace import training_trace_key, write_trace
from hotlap.records.trainer_state import BestCheckpoint, TrainerState
from hotlap.rl.policy import EpsilonGreedy, Policy
from hotlap.rl.ppo import PPO, PPOConfig, UpdateStats
from hotlap.rl.precision import compute_dtype
from hotlap.rollouts.fleet import Fleet, InProcessFleet
from hotlap.rollouts.model import build_network, race_config
from hotlap.rollouts.plan import StartRule, plan_evaluation, plan_training
from hotlap.rollouts.traces import trace_rows
from hotlap.rollouts.worker import PlayedEpisode, RolloutWorker
from hotlap.sim.vehicle import CONTROL_PERIOD
from hotlap.training.listener import Listener, Silence
from hotlap.training.selection import candidate, is_better

MAX_BAD_UPDATES = 3  # updates in a row with numbers that are not finite before training gives up
COLLAPSE_SHARE = 0.3  # of the best checkpoint's progress: an evaluation below it drives as if it had forgotten …
COLLAPSE_EVALUATIONS = 3  # … and after so many of them in a row training goes back to the best checkpoint


@dataclass
class TrainingResult:
    """How a training ended."""

    reason: str
    """``goal``, ``max_minutes``, ``max_iterations``, ``term_cond_max_episodes`` or ``term_cond_avg_score``."""
    iterations: int
    """Finished, over all resumes."""
    total_steps: int
    total_episodes: int
    elapsed_s: float
    """Wall-clock spent training, over all resumes [s]."""
    best: BestCheckpoint | None
    stages_s: dict[str, float] = field(default_factory=dict)
    """Wall-clock of each stage in this run [s]."""
    first_lap: dict[str, float] | None = None
    """``steps`` and ``elapsed_s`` at the end of the iteration with the first complete training lap."""


def ppo_config(hyperparameters: Hyperparameters) -> PPOConfig:
    """PPO's settings from the names of hyperparameters.json."""
    return PPOConfig(
        lr=hyperparameters.lr,
        batch_size=hyperparameters.batch_size,
        num_epochs=hyperparameters.num_epochs,
        gamma=hyperparameters.discount_factor,
        beta_entropy=hyperparameters.beta_entropy,
        loss_type="huber" if hyperparameters.loss_type == "huber" else "mse",
    )


def _losses(stats: UpdateStats) -> dict[str, float]:
    names = ("policy_loss", "value_loss", "entropy", "approx_kl", "clip_fraction", "explained_variance")
    return {name: getattr(stats, name) for name in names}


class Trainer:
    """Trains the model in a folder.

    Args:
        folder: The model.
        job: Its settings; default: those of the folder.
        resume: Continue where the folder's last checkpoint ends.
        wipe: Delete what an earlier training left in the folder.
        listener: Shows what happens.

    Raises:
        RecordError: If the folder holds an earlier training and neither ``resume`` nor ``wipe`` is set.
    """

    def __init__(
        self,
        folder: ModelFolder,
        *,
        job: Job | None = None,
        resume: bool = False,
        wipe: bool = False,
        listener: Listener | None = None,
    ) -> None:
        self.folder = folder
        self.job = job or folder.job
        self.listener: Listener = listener or Silence()
        self.metadata = folder.metadata
        self.hyperparameters = folder.hyperparameters
        training = self.job.training
        torch.set_num_threads(training.threads or os.cpu_count() or 1)

        self.store = Folder(folder.path)
        self.checkpoints = CheckpointStore(self.store)
        earlier = bool(self.checkpoints.list())
        if earlier and not (resume or wipe):
            raise RecordError(
                f"{folder.path} already holds a trained model (checkpoint {self.checkpoints.list()[-1]}). "
                "Continue it with --resume, or delete it and begin anew with --wipe."
            )

        self.network = build_network(self.metadata, shared_encoder=training.shared_encoder, seed=training.seed)
        self.ppo = PPO(self.network, ppo_config(self.hyperparameters), precision=training.precision)
        self.state = TrainerState(
            iteration=0, total_steps=0, num_episodes=0, elapsed_s=0.0, sim_time=0.0, seed=training.seed
        )
        self.race = race_config(folder, self.job)
        num_worlds = max(self.hyperparameters.num_episodes_between_training, training.eval_laps)
        actor = build_network(self.metadata, shared_encoder=training.shared_encoder)
        self.policy = Policy(actor, precision=training.precision, exploration=self._exploration())
        worker = RolloutWorker(self.race, self.policy, num_worlds=num_worlds)
        self.fleet: Fleet = InProcessFleet(worker)
        self.tracks = worker.race.scene.tracks

        # Only now, when track, reward function and metadata have proved usable, is anything deleted.
        if earlier and wipe:
            for prefix in ("model", "metrics", "training-simtrace"):
                for key in self.store.list(prefix):
                    self.store.delete(key)
        self.pending: dict[str, Any] | None = None
        if earlier and not wipe:
            self._restore()
        self.progress = ProgressLog(self.store, num_iterations=max(0, self.state.iteration - bool(self.pending)))
        self.metrics = TrainingMetrics(self.store, num_records=self.state.num_metric_records)
        self.last_reward_mean = -math.inf
        self.stages: dict[str, float] = {}
        self.result_stages: dict[str, float] = {}

    @property
    def arithmetic(self) -> str:
        """Number format of the network's arithmetic, such as ``bfloat16``."""
        dtype = compute_dtype(self.job.training.precision, self.ppo.device)
        return str(dtype).removeprefix("torch.")

    def run(self) -> TrainingResult:
        """Train until a stop rule applies.

        Raises:
            RewardError: If the reward function fails; all finished iterations are saved.
            TrainingError: If the numbers stay broken after going back to the last good checkpoint.
        """
        clock = time.perf_counter() - self.state.elapsed_s
        if self.state.iteration == 0 and not self.checkpoints.list():
            self._checkpoint()
        if self.pending is not None:  # killed between checkpoint and record: the evaluation is done again
            self._evaluate_and_record(IterationRecord(**self.pending), clock)
        bad_updates = 0
        while (reason := self._stop_reason(time.perf_counter() - clock)) is None:
            self.stages = {}
            with self._stage("collect", self.hyperparameters.num_episodes_between_training):
                episodes = self._collect()
            experience = [episode.experience for episode in episodes if episode.experience is not None]
            if not experience:
                raise TrainingError(
                    f"iteration {self.state.iteration} brought no step to learn from: its first episode alone exceeds "
                    f"the step cap of {self._step_cap} steps. Raise training.step_cap in job.toml."
                )
            before = self.ppo.state_dict()
            with self._stage("update", None):
                stats = self.ppo.update(
                    experience,
                    seed=int(np.random.SeedSequence([self.state.seed, self.state.iteration]).generate_state(1)[0]),
                )
            if not stats.finite:
                bad_updates += 1
                self.ppo.load_state_dict(before)
                self.listener.on_message(
                    f"iteration {self.state.iteration}: the update gave numbers that are not finite. "
                    "Went back to the weights before it; the episodes are played anew."
                )
                if bad_updates >= MAX_BAD_UPDATES:
                    raise TrainingError(
                        f"{MAX_BAD_UPDATES} updates in a row gave numbers that are not finite. The last good "
                        f"checkpoint is {self.checkpoints.list()[-1]}. Lower lr in hyperparameters.json or the size "
                        "of the rewards."
                    )
                self.state = replace(self.state, num_episodes=self.state.num_episodes + len(episodes))
                continue
            bad_updates = 0
            record = self._advance(episodes, _losses(stats), time.perf_counter() - clock)
            with self._stage("record", None):
                write_trace(
                    self.store,
                    training_trace_key(record.iteration),
                    [trace_rows(episode, self.tracks[episode.track].length) for episode in episodes],
                )
                self.metrics.save()
            self._checkpoint()
            self._evaluate_and_record(record, clock)
        return TrainingResult(
            reason=reason,
            iterations=self.state.iteration,
            total_steps=self.state.total_steps,
            total_episodes=self.state.num_episodes,
            elapsed_s=self.state.elapsed_s,
            best=self.state.best,
            stages_s=self.result_stages,
            first_lap=self.state.extra.get("first_lap"),
        )

    def _collect(self) -> list[PlayedEpisode]:
        race = self.job.race
        rule = StartRule(
            spread=race.start == "spread",
            change_start_position=race.start == "round_robin",
            offset=race.start_position_offset,
            advance=race.round_robin_advance_dist,
            reverse=race.reverse_dir,
            alternate_direction=race.alternate_driving_direction,
        )
        plans = plan_training(
            rule,
            job_seed=self.state.seed,
            iteration=self.state.iteration,
            num_episodes=self.hyperparameters.num_episodes_between_training,
            first_number=self.state.num_episodes,
            open_tracks=not all(track.closed for track in self.tracks),
            clock=self.state.sim_time,
        )
        # Steps of dropped episodes do not count, so that a resumed training explores like one that never stopped.
        self.policy.steps_taken = self.state.total_steps
        return self.fleet.collect(
            self._policy_weights(), plans, step_cap=self._step_cap, on_step=self.listener.on_advance
        )

    def _advance(self, episodes: list[PlayedEpisode], losses: dict[str, float], elapsed_s: float) -> IterationRecord:
        """The state and the record after an update with ``episodes``."""
        state = self.state
        self.metrics.add(
            EpisodeMetrics(
                reward=episode.reward,
                start_time=episode.plan.clock,
                end_time=episode.plan.clock + episode.num_steps * CONTROL_PERIOD,
                episode=state.num_episodes + k + 1,
                trial=k + 1,
                phase="training",
                progress=episode.progress,
                status=episode.status,
            )
            for k, episode in enumerate(episodes)
        )
        num_steps = sum(episode.num_steps for episode in episodes)
        laps = [episode.num_steps * CONTROL_PERIOD for episode in episodes if episode.completed]
        total_steps = state.total_steps + num_steps
        extra = dict(state.extra)
        if laps and "first_lap" not in extra:
            extra["first_lap"] = {"steps": total_steps, "elapsed_s": elapsed_s}
        record = IterationRecord(
            iteration=state.iteration,
            checkpoint=str(CheckpointName(state.iteration + 1, total_steps)),
            total_episodes=state.num_episodes + len(episodes),
            total_steps=total_steps,
            elapsed_s=elapsed_s,
            num_episodes=len(episodes),
            num_steps=num_steps,
            reward_mean=float(np.mean([episode.reward for episode in episodes])),
            completion_mean=float(np.mean([episode.progress for episode in episodes])),
            laps_completed=len(laps),
            lap_time_best_s=min(laps, default=None),
            losses=losses,
        )
        self.state = replace(
            state,
            iteration=state.iteration + 1,
            total_steps=total_steps,
            num_episodes=state.num_episodes + len(episodes),
            elapsed_s=elapsed_s,
            sim_time=state.sim_time + num_steps * CONTROL_PERIOD,
            num_metric_records=len(self.metrics),
            extra=extra | {"record": asdict(record)},
        )
        return record

    def _checkpoint(self) -> None:
        with self._stage("checkpoint", None):
            space = self.metadata.action_space
            self.checkpoints.save(
                self.state.iteration,
                self.state.total_steps,
                self.network.state_dict(),
                metadata={
                    "network": self.metadata.network,
                    "sensors": list(self.metadata.sensors),
                    "action_space": space.model_dump(mode="json"),
                    "shared_encoder": self.job.training.shared_encoder,
                    "seed": self.state.seed,
                },
                optimizer=self.ppo.optimizer_state(),
                state=self.state,
            )

    def _evaluate_and_record(self, record: IterationRecord, clock: float) -> None:
        """Drive the evaluation laps of the newest checkpoint, choose the best, add the iteration's line."""
        training = self.job.training
        name = CheckpointName(self.state.iteration, self.state.total_steps)
        if self.state.iteration % training.eval_every == 0:
            with self._stage("evaluate", training.eval_laps):
                report, reward_mean = self._evaluate(training.eval_laps)
            new = candidate(name, report)
            better = is_better(new, self.state.best)
            if better:
                self.state = replace(self.state, best=new)
            best = self.state.best
            assert best is not None
            best_name = CheckpointName.parse(best.name)
            assert best_name is not None
            self.checkpoints.write_index(
                best=IndexEntry(best_name, best.metric, self.state.sim_time),
                last=IndexEntry(name, new.metric, self.state.sim_time),
            )
            lap_time = report.clean_lap_time
            record = replace(
                record,
                is_best=better,
                evaluation=EvaluationSummary(
                    num_laps=report.num_laps,
                    completion_mean=new.metric,
                    clean_rate=new.clean_rate,
                    reward_mean=reward_mean,
                    lap_time_median_s=lap_time.median if lap_time else None,
                    lap_time_best_s=lap_time.min if lap_time else None,
                ),
            )
            reached = training.goal_clean_share > 0 and new.clean_rate >= training.goal_clean_share
            in_a_row = self.state.extra.get("goal_evaluations", 0) + 1 if reached else 0
            self.state = replace(self.state, extra=self.state.extra | {"goal_evaluations": in_a_row})
            self._go_back_if_collapsed(new)
        elapsed_s = time.perf_counter() - clock
        record = replace(record, elapsed_s=elapsed_s, stages_s={k: round(v, 3) for k, v in self.stages.items()})
        self.state = replace(self.state, elapsed_s=elapsed_s)
        self.pending = None
        self.progress.append(record)
        self.last_reward_mean = record.reward_mean
        self.listener.on_iteration(record)

    def _go_back_if_collapsed(self, new: BestCheckpoint) -> None:
        """Take the best checkpoint's weights again, with a fresh optimizer, when evaluations stay far below it."""
        best = self.state.best
        assert best is not None
        bad = self.state.extra.get("bad_evaluations", 0) + 1 if new.metric < COLLAPSE_SHARE * best.metric else 0
        if bad >= COLLAPSE_EVALUATIONS:
            weights = self.checkpoints.load("best").weights
            self.ppo = PPO(self.network, self.ppo.config, precision=self.job.training.precision)
            state = self.ppo.state_dict() | {f"model.{name}": value for name, value in weights.items()}
            self.ppo.load_state_dict(state)
            self.listener.on_message(
                f"the last {bad} evaluations drove less than {COLLAPSE_SHARE:.0%} as far as {best.name}: "
                "went back to its weights."
            )
            bad = 0
        self.state = replace(self.state, extra=self.state.extra | {"bad_evaluations": bad})

    def _evaluate(self, num_laps: int) -> tuple[EvaluationReport, float]:
        plans = plan_evaluation(
            job_seed=self.state.seed,
            iteration=self.state.iteration,
            num_laps=num_laps,
            reverse=self.job.race.reverse_dir,
        )
        episodes = self.fleet.evaluate(self._policy_weights(), plans, on_step=self.listener.on_advance)
        return laps_of(episodes, self.race.rules), float(np.mean([episode.reward for episode in episodes]))

    def _stop_reason(self, elapsed_s: float) -> str | None:
        training = self.job.training
        if training.goal_clean_share and self.state.extra.get("goal_evaluations", 0) >= training.goal_evaluations:
            return "goal"
        if training.max_minutes and elapsed_s >= 60 * training.max_minutes:
            return "max_minutes"
        if training.max_iterations and self.state.iteration >= training.max_iterations:
            return "max_iterations"
        if self.state.iteration >= self.hyperparameters.term_cond_max_episodes:
            return "term_cond_max_episodes"
        if self.last_reward_mean >= self.hyperparameters.term_cond_avg_score:
            return "term_cond_avg_score"
        return None

    def _restore(self) -> None:
        """Take weights, optimizer and state from the last checkpoint."""
        checkpoint = self.checkpoints.load("last")
        if checkpoint.state is None:
            raise RecordError(
                f"checkpoint {checkpoint.name} in {self.folder.path} has no trainer state, so training cannot be "
                "resumed from it. Begin anew with --wipe."
            )
        expected = {"network": self.metadata.network, "sensors": list(self.metadata.sensors)}
        found = {key: checkpoint.metadata.get(key) for key in expected}
        shapes = {key: value.shape for key, value in self.network.state_dict().items()}
        if found != expected or shapes != {key: value.shape for key, value in checkpoint.weights.items()}:
            raise RecordError(
                f"checkpoint {checkpoint.name} was made for another network ({found['network']}, sensors "
                f"{found['sensors']}) than model_metadata.json and job.toml describe now. Put the files back as they "
                "were, or begin anew with --wipe."
            )
        state = self.ppo.state_dict() | {f"model.{name}": value for name, value in checkpoint.weights.items()}
        self.ppo.load_state_dict(state | (checkpoint.optimizer or {}))
        self.state = checkpoint.state
        self.pending = checkpoint.state.extra.get("record")

    def _exploration(self) -> EpsilonGreedy | None:
        settings = self.hyperparameters
        discrete = isinstance(self.metadata.action_space, DiscreteActionSpace)
        if settings.exploration_type == "categorical" or not discrete:
            return None
        return EpsilonGreedy(final=settings.e_greedy_value, num_steps=settings.epsilon_steps)

    def _policy_weights(self) -> dict[str, torch.Tensor]:
        """What a worker needs to act."""
        return {name: value for name, value in self.network.state_dict().items() if name.startswith("policy.")}

    @property
    def _step_cap(self) -> int:
        return self.job.training.step_cap_for(self.metadata.network)

    @contextmanager
    def _stage(self, name: str, total: int | None) -> Iterator[None]:
        self.listener.on_stage(name, total)
        begin = time.perf_counter()
        yield
        seconds = time.perf_counter() - begin
        self.stages[name] = self.stages.get(name, 0.0) + seconds
        self.result_stages[name] = self.result_stages.get(name, 0.0) + seconds
