"""A run of Weights & Biases: values of every iteration, and of every training episode."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from hotlap.errors import MissingExtraError
from hotlap.monitoring.sink import Beginning, News, episodes, iterations
from hotlap.monitoring.values import episode_values, iteration_values
from hotlap.records.folder import Folder
from hotlap.user_folders import state_folder

_WITH_SERVER = ("online", "run", "shared")  # modes of the library
STEPS, EPISODE = "progress/steps", "episode/number"  # the axes


class WeightsAndBiases:
    """Reports through the library of Weights & Biases, which has a process of its own.

    Only what is measured leaves this machine: no code, no settings, no names of users, programs and hardware.

    Args:
        project: In which the run appears.

    Raises:
        MissingExtraError: If the library is not installed.
    """

    def __init__(self, project: str) -> None:
        try:
            import wandb  # noqa: F401
        except ImportError:
            raise MissingExtraError("wandb", "wandb", "Reporting to Weights & Biases") from None
        self.name = f"Weights & Biases ({project})"
        self._project = project

    def begin(self, training: Beginning) -> None:
        import wandb

        settings = wandb.Settings(
            console="off",
            silent=True,
            disable_git=True,
            disable_code=True,
            save_code=False,
            disable_job_creation=True,
            x_disable_stats=True,
            x_disable_meta=True,
            x_disable_machine_info=True,
            x_save_requirements=False,
            host="",
        )
        mode = wandb.setup(settings=settings).settings.mode
        # By itself it would ask on the terminal, in the middle of what the training shows.
        if mode in _WITH_SERVER and not wandb.login(prompt=False):
            raise PermissionError("there is no key; set WANDB_API_KEY, or run `wandb login` once")
        self._run = wandb.init(
            project=self._project,
            dir=_folder(training.store),
            name=training.model,
            id=training.run,
            resume="allow",
            settings=settings,
        )
        self._run.define_metric("*", step_metric=STEPS)
        self._run.define_metric("episode/*", step_metric=EPISODE)

    def send(self, news: Sequence[News]) -> None:
        for _, record in iterations(news):
            self._run.log(iteration_values(record))
        for _, episode in episodes(news):
            if episode.phase == "training":
                self._run.log({EPISODE: episode.episode + 1, **episode_values(episode)})

    def end(self) -> None:
        self._run.finish()


def _folder(store: Folder) -> Path:
    """Where the library's own files go: ``WANDB_DIR``, or beside the model's logs, or where hotlap keeps its state."""
    given = os.environ.get("WANDB_DIR")
    mirrored = store.root.is_relative_to(state_folder())  # what is there goes to a bucket, and does not stay
    folder = Path(given) if given else state_folder() if mirrored else store.root / "logs"
    folder.mkdir(parents=True, exist_ok=True)
    return folder
