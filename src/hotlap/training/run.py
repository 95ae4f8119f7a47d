"""What a training has done so far, and the place where all that is written: its files, its records, its checkpoints."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, replace
from functools import partial
from types import TracebackType
from typing import Self

from hotlap.config.job import Job
from hotlap.config.model_folder import ModelFolder
from hotlap.errors import RecordError
from hotlap.records.address import is_s3
from hotlap.records.checkpoints import CheckpointName, CheckpointStore
from hotlap.records.events import IterationRecord, ProgressLog
from hotlap.records.layout import FINISHED
from hotlap.records.output import Output
from hotlap.records.tallies import TALLIES, Tally, TallyLog
from hotlap.records.trainer_state import TrainerState
from hotlap.records.typed_json import parse_record
from hotlap.rl.learner import Learner, Update
from hotlap.rollouts.model import critic_of
from hotlap.rollouts.run_description import describe_workers
from hotlap.rollouts.worker import PlayedEpisode
from hotlap.tracks.pool import TrackPool
from hotlap.training.background import Background
from hotlap.training.fit import changed_since, checksums, require_fit, with_fresh_value
from hotlap.training.iteration import OpenIteration, summarize
from hotlap.training.launch import announce
from hotlap.training.listener import Listener
from hotlap.training.method import Remembers
from hotlap.training.ranking import index_metric
from hotlap.training.recorder import Recorder
from hotlap.training.stages import StageClock
from hotlap.training.training_log import LOG_BYTES, TrainingLog

# In the trainer's state:
FILES = "files"  # checksums of what the user wrote
RECORD = "record"  # the iteration that made the checkpoint
CLOSED = "closed"  # whether that record is finished: the checkpoint is evaluated
BACK_TO = "back_to"  # the best checkpoint, whose weights are trained on after a collapse
RUN_OFF = "run_off"  # what contenders have driven in all when training had ended


class Run:
    """A training at its place, which `output` holds for it alone.

    Use it in a ``with`` statement after `take_up`; the end waits for what is being saved and says that it is over.

    Args:
        folder: The model.
        job: Its settings.
        output: The place.
        learner: What is trained; takes the weights that are found.
        listener: Is told.
        stage: Times what is written.
        elapsed: Wall-clock spent training, over all resumes [s].
    """

    def __init__(
        self,
        folder: ModelFolder,
        job: Job,
        output: Output,
        learner: Learner,
        listener: Listener,
        stage: StageClock,
        elapsed: Callable[[], float],
    ) -> None:
        training = job.training
        keep, every = training.kept_checkpoints
        self.folder, self.job, self.output, self.learner = folder, job, output, learner
        self.listener, self.stage, self.elapsed = listener, stage, elapsed
        self.place = training.output or folder.path
        self.store = output.store
        self.checkpoints = CheckpointStore(self.store, keep=keep, every=every)
        self.state = TrainerState(
            iteration=0, total_steps=0, num_episodes=0, elapsed_s=0.0, sim_time=0.0, seed=training.seed
        )
        self.cloned: CheckpointName | None = None
        """The checkpoint that training begins with, if it is another model's."""
        self.open: OpenIteration | None = None
        """The iteration whose weights are there, but not all of its records."""
        self._saving = Background()

    def take_up(self, *, resume: bool, wipe: bool) -> Callable[[], None]:
        """Look for an earlier training here; take another model's weights if there is none to go on with.

        Returns:
            What to call when all that the user gave has proved usable: it deletes what is to be deleted, or takes up
            the earlier training.

        Raises:
            RecordError: If the weights to begin with cannot be read, or are those of another network.
        """
        # The first weights of a training that ended before its first iteration are no loss.
        self._checksums = checksums(self.folder)
        there = bool(self.checkpoints.list())
        earlier = there and (resume or self.checkpoints.worth_keeping() is not None)
        clone = self.job.training.clone_from
        if clone and not (earlier and resume):
            self._clone(clone)
        self._resumes = earlier and not wipe
        if wipe or (there and not earlier):
            return self.output.wipe
        return self._restore if earlier else lambda: None

    @property
    def seed(self) -> int:
        """Of the training, which is that of the earlier one that is taken up."""
        earlier = self.checkpoints.load("last").state if self._resumes else None
        return self.state.seed if earlier is None else earlier.seed

    def begin(self, pools: Sequence[TrackPool], num_workers: int) -> None:
        """Open the records, and say that the training begins.

        Args:
            pools: Tracks of each worker, or of all of them.
            num_workers: Workers that share the episodes.
        """
        training = self.job.training
        self.pools, self.num_workers = pools, num_workers
        kept = self.state.extra.get(LOG_BYTES, {})
        num_lines = max(0, self.state.iteration - bool(self.open))
        self.recorder = Recorder(
            self.store,
            self.state,
            num_lines=num_lines,
            num_workers=num_workers,
            pools=pools,
            best_model_metric=index_metric(training.best_model_metric),
            log=TrainingLog(
                self.store,
                describe_workers(self.folder, self.job, pools, num_workers),
                kept=kept if self._resumes else None,
                metric=training.best_model_metric,
                steps=training.log_steps,
                echo=self.listener.on_log,
            ),
            num_traced=training.traced_episodes,
            keeps_driven=isinstance(self.learner, Remembers),
        )
        self.tallies = TallyLog(self.store, num_iterations=num_lines, kept=kept.get(TALLIES))
        self.store.delete(FINISHED)
        self.output.start()
        announce(self.folder, self.store, elsewhere=is_s3(self.place))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Wait for what is being saved, then let those who watch the place know, if it can still be written to."""
        try:
            self._saving.wait()
        finally:
            with suppress(RecordError):
                self.recorder.log.end(error)
                self.store.put(FINISHED, b"")

    @property
    def progress(self) -> ProgressLog:
        """The lines of all finished iterations."""
        return self.recorder.progress

    @property
    def last_record(self) -> IterationRecord | None:
        """The record of the iteration that made the present state, as far as it is known."""
        record = self.state.extra.get(RECORD)
        return IterationRecord.from_json(record) if record else None

    @property
    def checkpoint_name(self) -> CheckpointName:
        """Of the present state; a clone's numbers follow those of the model it came from."""
        return CheckpointName(
            self.state.extra.get("first_checkpoint", 0) + self.state.iteration, self.state.total_steps
        )

    @property
    def stages(self) -> dict[str, float] | None:
        """Times of the open iteration, which what is written belongs to."""
        return self.open.stages if self.open else None

    def advance(self, episodes: Sequence[PlayedEpisode], next_state: TrainerState, update: Update) -> None:
        """Open the record of an iteration that was just learned from; ``next_state`` is what its episodes tell."""
        if RUN_OFF in self.state.extra:  # had training gone on at once, there would have been none
            extra = {name: value for name, value in self.state.extra.items() if name != RUN_OFF}
            self.state = replace(self.state, extra=extra)
            self.checkpoints.save_state(self.checkpoint_name, self.state)
        self.recorder.add(episodes, self.state.iteration)
        iteration, elapsed_s = self.state.iteration, self.elapsed()
        extra = dict(self.state.extra)
        if "first_lap" not in extra and any(episode.completed for episode in episodes):
            extra["first_lap"] = {"steps": next_state.total_steps, "elapsed_s": elapsed_s}
        # What the evaluation before has changed meanwhile stays.
        self.state = replace(next_state, best=self.state.best, elapsed_s=elapsed_s)
        record = summarize(iteration, episodes, update, self.state, self.checkpoint_name, self.pools, self.num_workers)
        for of_the_last in (BACK_TO, CLOSED):
            extra.pop(of_the_last, None)
        if math.isfinite(record.reward_mean):
            extra["reward_mean"] = record.reward_mean
        self.state = replace(self.state, extra=extra | {RECORD: asdict(record)})
        self.recorder.log.learned(record, episodes, update, lr=self.folder.hyperparameters.lr)
        self.open = OpenIteration(record, self.stage.next_iteration())

    def save(self) -> None:
        """Write traces, metrics and checkpoint of the open iteration, if there is one and they are not written."""
        if self.open is None or self.open.saved:
            return
        with self.stage("record", iteration=self.open.stages):
            written = self.recorder.write(self.open.record.iteration)
        self.listener.on_episodes(written)
        self.save_checkpoint()
        self.open.saved = True

    def save_checkpoint(self) -> None:
        """Begin to write the present weights and state; `finish_checkpoint` before the weights change."""
        self.output.confirm()
        name, log = self.checkpoint_name, self.recorder.log
        with self.stage("record", iteration=self.stages):
            log.saves(name)
            log.write()
        self.protect()
        extra = self.state.extra | {LOG_BYTES: self._num_bytes, FILES: self._checksums}
        if self.stages is not None:  # what a resumed training cannot measure again
            extra[RECORD] = extra[RECORD] | {"stages_s": self.stages | {"checkpoint": 0.0}}
        self.state = replace(self.state, extra=extra)
        with self.stage("checkpoint", iteration=self.stages):
            save = partial(
                self.checkpoints.save,
                name.number,
                name.steps,
                self.learner.network.state_dict(),
                metadata={
                    "network": self.learner.network.name,
                    "sensors": list(self.folder.metadata.sensors),
                    "action_space": self.folder.metadata.action_space.model_dump(mode="json"),
                    "shared_encoder": self.learner.network.shared_encoder,
                    "seed": self.state.seed,
                }
                | ({"critic": "state"} if self.learner.network.critic == "state" else {}),  # else as it was before
                optimizer=self.learner.optimizer_state(),
                state=self.state,
            )
            self._saving.start(save)

    def finish_checkpoint(self) -> None:
        """Wait until the last checkpoint is where it belongs."""
        if self._saving.busy:
            with self.stage("checkpoint", iteration=self.stages):
                self._saving.wait()

    def close_iteration(self, record: IterationRecord, *, elapsed_s: float) -> None:
        """Add the line of the open iteration; all of it is written then, and its checkpoint's state says so.

        Killed before that state is written, training evaluates the checkpoint again when it is resumed.
        """
        assert self.open is not None
        stages_s = {name: round(seconds, 3) for name, seconds in sorted(self.open.stages.items())}
        record = replace(record, elapsed_s=elapsed_s, stages_s=stages_s)
        self.open = None
        self.progress.append(record)
        self.recorder.log.write()
        self.state = replace(self.state, elapsed_s=elapsed_s)
        self.note(**{RECORD: asdict(record), CLOSED: True, LOG_BYTES: self._num_bytes})
        self.checkpoints.save_state(self.checkpoint_name, self.state)
        self.protect()
        self.checkpoints.prune()
        self.listener.on_iteration(record)

    @property
    def _num_bytes(self) -> dict[str, int]:
        """Length of each file that grows, by key."""
        return self.recorder.num_bytes | {TALLIES: self.tallies.num_bytes}

    @property
    def contenders(self) -> tuple[Tally, ...]:
        """The best checkpoint and those that may still turn out to be better."""
        return self._tallies("tallies")

    def keep_contenders(self, tallies: Sequence[Tally]) -> None:
        """Take what contenders have driven into the state."""
        self.note(tallies=[asdict(tally) for tally in tallies])

    def protect(self, *others: Tally | None) -> None:
        """Let the files of all contenders stay, and those of others."""
        names = (CheckpointName.parse(tally.checkpoint) for tally in (*self.contenders, *others) if tally is not None)
        self.checkpoints.contenders = frozenset(name for name in names if name is not None)

    @property
    def run_off(self) -> tuple[Tally, ...]:
        """What contenders have driven in all, if training had ended with this state before."""
        return self._tallies(RUN_OFF)

    def keep_run_off(self, tallies: Sequence[Tally]) -> None:
        """Note in the last checkpoint's state what contenders have driven when training had ended."""
        self.note(**{RUN_OFF: [asdict(tally) for tally in tallies]})
        self.checkpoints.save_state(self.checkpoint_name, self.state)

    def go_back(self, name: str) -> bool:
        """Go on with the weights of another checkpoint; False if they cannot be read, which is said."""
        try:
            weights = self.checkpoints.load(name).weights
        except RecordError as error:
            self.listener.on_message(f"{error} Training goes on with the present weights.")
            return False
        self.learner.load_weights(weights)
        self.note(**{BACK_TO: name})
        return True

    def note(self, **extra: object) -> None:
        """Keep something in the state."""
        self.state = replace(self.state, extra=self.state.extra | extra)

    def _tallies(self, name: str) -> tuple[Tally, ...]:
        return tuple(parse_record(Tally, json.dumps(each)) for each in self.state.extra.get(name, ()))

    def _restore(self) -> None:
        """Take weights, optimizer and state from the last checkpoint."""
        checkpoint = self.checkpoints.load("last")
        if checkpoint.state is None:
            raise RecordError(
                f"checkpoint {checkpoint.name} in {self.place} has no trainer state, so training cannot be "
                "resumed from it. Begin anew with --wipe."
            )
        way_out = "Put the files back as they were, or begin anew with --wipe."
        require_fit(checkpoint, self.folder.metadata, self.learner.network, place=self.place, way_out=way_out)
        if checkpoint.optimizer is None or checkpoint.optimizer.keys() != self.learner.optimizer_state().keys():
            self.learner.load_weights(checkpoint.weights)
            why = (
                "no optimizer's state, which only the newest one keeps"
                if checkpoint.optimizer is None
                else ("the optimizer's state of another way to learn")
            )
            if checkpoint.state.iteration:
                self.listener.on_message(f"checkpoint {checkpoint.name} has {why}: the optimizer starts afresh.")
        else:
            weights = {f"model.{name}": value for name, value in checkpoint.weights.items()}
            self.learner.load_state_dict(weights | checkpoint.optimizer)
        self.state = checkpoint.state
        if sentence := changed_since(self.state.extra.get(FILES, {}), self._checksums):
            self.listener.on_message(sentence)
        record = self.last_record
        if record is not None and not self.state.extra.get(CLOSED):
            self.open = OpenIteration(record, dict(record.stages_s), saved=True)
        if best := self.state.extra.get(BACK_TO):
            self.go_back(best)
        self.protect()
        self.checkpoints.point_at(checkpoint.name)  # drops what is not protected

    def _clone(self, source: str) -> None:
        """Begin with the weights of another model; its numbers go on, its statistics do not."""
        found = CheckpointStore(source).load(self.job.training.clone_checkpoint)
        checkpoint = with_fresh_value(found, self.learner.network)
        way_out = "Clone a model of the same network, sensors and number of actions."
        require_fit(checkpoint, self.folder.metadata, self.learner.network, place=source, way_out=way_out)
        if checkpoint is not found:
            self.listener.on_message(
                f"checkpoint {found.name} in {source} was trained with training.critic = {critic_of(found)!r}, this "
                f"model is with {self.learner.network.critic!r}: the policy is cloned, the value begins afresh."
            )
        self.cloned = checkpoint.name
        self.learner.load_weights(checkpoint.weights)
        self.state = replace(self.state, extra={"first_checkpoint": checkpoint.name.number + 1})
