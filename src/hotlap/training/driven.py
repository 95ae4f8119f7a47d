"""What was driven in an iteration, kept so that it can be driven again: starts and actions, a few kilobytes.

A learner that remembers episodes of earlier iterations would have to save all pictures that it remembers. The simulator
makes the same ones again.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Sequence
from dataclasses import fields

import numpy as np

from hotlap.errors import RecordError
from hotlap.records.store import Store
from hotlap.rollouts.plan import EpisodePlan
from hotlap.rollouts.worker import PlayedEpisode
from hotlap.sim.starts import Start

_OF_PLAN = ("number", "worker", "worker_number")
_OF_START = tuple(each.name for each in fields(Start))


def driven_key(iteration: int) -> str:
    """Key of the file of an iteration, counted from 0."""
    return f"logs/training/driven/{iteration}.npz"


def write_driven(store: Store, iteration: int, episodes: Sequence[PlayedEpisode]) -> None:
    """Keep what was driven in an iteration.

    Raises:
        RecordError: If it could not be written.
    """
    plans = [episode.plan for episode in episodes]
    columns = {name: np.array([getattr(plan, name) for plan in plans]) for name in _OF_PLAN}
    columns |= {name: np.array([getattr(plan.start, name) for plan in plans]) for name in _OF_START}
    columns["length"] = np.array([len(episode.actions) for episode in episodes])
    columns["actions"] = np.concatenate([episode.actions for episode in episodes])
    file = io.BytesIO()
    np.savez_compressed(file, **columns)  # type: ignore[arg-type]
    store.put(driven_key(iteration), file.getvalue())


def read_driven(store: Store, iteration: int) -> list[EpisodePlan]:
    """Plans of the same episodes, with what to do in each step.

    Raises:
        RecordError: If the file is missing or damaged.
    """
    key = driven_key(iteration)
    try:
        with np.load(io.BytesIO(store.get(key)), allow_pickle=False) as columns:
            rows = {name: columns[name].tolist() for name in (*_OF_PLAN, *_OF_START)}
            ends = np.cumsum(columns["length"])
            actions = np.split(columns["actions"], ends[:-1])
        return [
            EpisodePlan(
                **{name: rows[name][k] for name in _OF_PLAN},
                start=Start(**{name: rows[name][k] for name in _OF_START}),
                actions=tuple(actions[k]),
            )
            for k in range(len(ends))
        ]
    except (ValueError, KeyError, IndexError, TypeError, EOFError, OSError, zipfile.BadZipFile) as error:
        raise RecordError(
            f"{key} is damaged ({error}), and what was learned from cannot be driven again. Begin this stage anew with "
            "--wipe."
        ) from error
