"""The log of a training, in the lines that tools of the original look for.

One file holds what the original's trainer prints, and one for each worker what that prints. They are written once per
iteration, before its checkpoint, whose state notes how long they are: a training that resumes cuts them there, and
then drives and logs again what came after.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from hotlap.config.job import OUR_METRICS
from hotlap.deepracer.driving import CONTROL_PERIOD
from hotlap.records.checkpoints import CheckpointName
from hotlap.records.events import IterationRecord
from hotlap.records.folder import Folder
from hotlap.records.log_file import LogFile
from hotlap.records.log_lines import (
    GOODBYE,
    TRAINER_LOG,
    RunDescription,
    best_line,
    checkpoint_lines,
    episode_line,
    epoch_line,
    evaluation_lines,
    exception_line,
    new_best_lines,
    worker_log,
)
from hotlap.records.sim_trace import format_log_lines
from hotlap.records.steps import Steps
from hotlap.records.trainer_state import BestCheckpoint
from hotlap.rl.learner import Update
from hotlap.rollouts.worker import PlayedEpisode
from hotlap.training.ranking import INCOMPLETE_LAP_MS

LOG_BYTES = "log_bytes"  # key of the trainer's state: length of each file when the checkpoint was made
_NUM_FILES = 3  # of a checkpoint: weights, optimizer, state


class TrainingLog:
    """Gathers lines; `write` brings them to the store.

    Args:
        store: Where the model lies.
        runs: What each worker drives.
        kept: Length of each file that stays, by key; None begins anew.
        metric: What makes a checkpoint the best, as in job.toml.
        steps: Whether the steps of every episode are logged too, as each worker of the original does.
        echo: Is told the lines of the trainer and of the first worker.

    Raises:
        RecordError: If the files of an earlier run cannot be read or cut.
    """

    def __init__(
        self,
        store: Folder,
        runs: Sequence[RunDescription],
        *,
        kept: dict[str, int] | None,
        metric: str,
        steps: bool,
        echo: Callable[[Sequence[str]], None],
    ) -> None:
        def file(key: str, run: RunDescription) -> LogFile:
            return LogFile(store, key, run.lines(), kept=0 if kept is None else kept.get(key))

        self.store = store
        self.metric = metric
        self.steps = steps
        self._echo = echo
        self._echoes: list[str] = []
        self.trainer = file(TRAINER_LOG, runs[0])
        self.workers = [file(worker_log(worker), run) for worker, run in enumerate(runs)]
        echo(runs[0].lines())

    @property
    def num_bytes(self) -> dict[str, int]:
        """Length of each file, by key."""
        return {file.key: file.num_bytes for file in (self.trainer, *self.workers)}

    def learned(self, record: IterationRecord, episodes: Sequence[PlayedEpisode], update: Update, *, lr: float) -> None:
        """An iteration was played and learned from."""
        total_steps = record.total_steps - record.num_steps
        lines: list[str] = []
        for episode in episodes:
            total_steps += episode.num_steps
            number = record.total_episodes - len(episodes) + len(lines) + 1
            lines.append(
                episode_line(
                    "Training",
                    episode=number,
                    reward=episode.reward,
                    total_steps=total_steps,
                    iteration=record.iteration,
                )
            )
        lines += [
            epoch_line(number, policy_loss=epoch["policy_loss"], kl=epoch["approx_kl"], entropy=epoch["entropy"], lr=lr)
            for number, epoch in enumerate(update.epochs)
            if epoch.keys() >= {"policy_loss", "approx_kl", "entropy"}  # the line has room for these alone
        ]
        self._add(lines)

    def saves(self, name: CheckpointName) -> None:
        """A checkpoint is about to be written."""
        self._add(checkpoint_lines(str(name), name.number, _NUM_FILES))

    def add_steps(self, iteration: int, worker: int, episodes: Sequence[Steps]) -> None:
        """Write the steps of an iteration, if steps are logged: into a file of their own, beside the worker's.

        Raises:
            RecordError: If it could not be written.
        """
        if not self.steps:
            return
        lines = [line for steps in episodes for line in format_log_lines(steps)]
        self.store.put(f"{worker_log(worker)}.{iteration + 1}", "".join(f"{line}\n" for line in lines).encode())
        if worker == 0:
            self._echoes = lines + self._echoes

    def evaluated(
        self,
        record: IterationRecord,
        episodes: Sequence[PlayedEpisode],
        new: BestCheckpoint,
        *,
        former: BestCheckpoint | None,
    ) -> None:
        """The checkpoint of an iteration was evaluated.

        Args:
            record: The iteration with its evaluation.
            episodes: Of the evaluation.
            new: What they say about the checkpoint.
            former: The best checkpoint before.
        """
        metric = "progress" if self.metric in OUR_METRICS else self.metric
        best = new if record.is_best or former is None else former
        self._add(
            [
                episode_line(
                    "Testing",
                    episode=record.total_episodes,
                    reward=episode.reward,
                    total_steps=record.total_steps,
                    iteration=record.iteration + 1,
                )
                for episode in episodes
            ]
        )
        lines = evaluation_lines(metric, [_measured(episode, metric) for episode in episodes], new.metric)
        if record.is_best:
            lines += new_best_lines(
                self.metric,
                self._mean(new),
                new.name,
                former_mean=self._mean(former) if former else None,
                former_name=former.name if former else new.name,
            )
        self.workers[0].add(lines)
        self._echoes += lines
        self._add([best_line(_number(best), _number(new))])
        self._tell()

    def write(self) -> None:
        """Write what was added.

        Raises:
            RecordError: If it could not be written.
        """
        for file in (self.trainer, *self.workers):
            file.write()
        self._tell()

    def end(self, error: BaseException | None) -> None:
        """The training ends, perhaps because of an error.

        Raises:
            RecordError: If it could not be written.
        """
        if isinstance(error, Exception):
            self.trainer.add([exception_line(error)])  # whoever called the trainer says it, too
        for worker in self.workers:
            worker.add([GOODBYE])
        self._echoes.append(GOODBYE)
        self.write()

    def _add(self, lines: Sequence[str]) -> None:
        self.trainer.add(lines)
        self._echoes += lines

    def _tell(self) -> None:
        self._echo(self._echoes)
        self._echoes = []

    def _mean(self, checkpoint: BestCheckpoint) -> float:
        return checkpoint.clean_rate if self.metric in OUR_METRICS else checkpoint.metric


def _measured(episode: PlayedEpisode, metric: str) -> float:
    if metric == "laptime":
        return round(episode.num_steps * CONTROL_PERIOD * 1000) if episode.completed else INCOMPLETE_LAP_MS
    return episode.reward if metric == "reward" else episode.progress


def _number(checkpoint: BestCheckpoint) -> int:
    name = CheckpointName.parse(checkpoint.name)
    assert name is not None
    return name.number
