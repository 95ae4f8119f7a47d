"""Numbered checkpoints of a model: weights, the optimizer's state, the trainer's state, and the index of best and last.

A checkpoint N at S environment steps is up to three files in ``model/``:

    {N}_Step-{S}.safetensors             the weights; this file *is* the checkpoint
    {N}_Step-{S}.optimizer.safetensors   moments of the optimizer, of the newest checkpoint only
    {N}_Step-{S}.state.json              the `TrainerState`

The weights are written last. A process killed at any moment therefore leaves either the complete checkpoint or the
previous one, never weights without their state. In ``deepracer_checkpoints.json`` and ``.coach_checkpoint`` the name
is ``{N}_Step-{S}.ckpt``, as the tools of the original expect it.
"""

from __future__ import annotations

import json
import math
import re
import warnings
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hotlap.bounded import load_json, told
from hotlap.errors import RecordError
from hotlap.records.layout import INDEX, MODEL_FOLDER, POINTER, foreign_checkpoint
from hotlap.records.opening import open_store
from hotlap.records.store import Store
from hotlap.records.trainer_state import TrainerState

if TYPE_CHECKING:
    import torch

CHECKPOINT_FORMAT = 1
KEPT_CHECKPOINTS = 4
MAX_HEADER = 8 << 20  # bytes of a safetensors header; ours have a few thousand

_WEIGHTS = re.compile(r"(\d+)_Step-(\d+)\.safetensors")
_BELONGINGS = re.compile(r"(\d+)_Step-(\d+)\.(?:safetensors|optimizer\.safetensors|state\.json)")
# Safetensors writes the entries of its metadata in random order; a single one keeps equal checkpoints equal in bytes.
_METADATA_KEY = "hotlap"


@dataclass(frozen=True, order=True)
class CheckpointName:
    """Number and environment steps of a checkpoint; sorts by number."""

    number: int
    steps: int

    @property
    def stem(self) -> str:
        """Common beginning of the checkpoint's files."""
        return f"{self.number}_Step-{self.steps}"

    def __str__(self) -> str:
        return f"{self.stem}.ckpt"

    @classmethod
    def parse(cls, text: str) -> CheckpointName | None:
        """Read ``{N}_Step-{S}.ckpt``; None if it is no such name."""
        match = re.fullmatch(r"(\d+)_Step-(\d+)\.ckpt", text.strip())
        return cls(int(match[1]), int(match[2])) if match else None


Which = str | int | CheckpointName
"""``best``, ``last``, a number, or a name such as ``5_Step-4912``, with or without ``.ckpt``."""


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """A loaded checkpoint; tensors are on the CPU."""

    name: CheckpointName
    weights: dict[str, torch.Tensor]

    metadata: dict[str, Any]
    """What was given to `CheckpointStore.save`: network, sensors, action space, iteration, seed, …"""

    optimizer: dict[str, torch.Tensor] | None
    """None if it was not kept: only the newest checkpoint has it."""

    state: TrainerState | None
    """None if it was not kept or is damaged."""


@dataclass(frozen=True)
class IndexEntry:
    """One half of ``deepracer_checkpoints.json``."""

    name: CheckpointName

    avg_eval_metric: float | None
    """Mean of the selection metric over its evaluation episodes: percent, reward or milliseconds."""

    time_stamp: float
    """Simulation clock when decided [s]."""


class CheckpointStore:
    """The checkpoints of one model.

    Args:
        model: The model's folder (the one that contains ``model/``), or a `Store` rooted there.
        keep: How many of the newest checkpoints stay, or all for None; the best one stays always.
        every: Those whose number is a multiple of it stay too; 0: none.
    """

    def __init__(self, model: str | Path | Store, *, keep: int | None = KEPT_CHECKPOINTS, every: int = 0) -> None:
        self.store = open_store(model)
        self.keep = keep
        self.every = every
        self.contenders: frozenset[CheckpointName] = frozenset()
        """Checkpoints that stay because they may still turn out to be the best."""

    def save(
        self,
        number: int,
        steps: int,
        weights: Mapping[str, torch.Tensor],
        *,
        metadata: Mapping[str, Any],
        optimizer: Mapping[str, torch.Tensor] | None = None,
        state: TrainerState | None = None,
    ) -> CheckpointName:
        """Write a checkpoint, point ``.coach_checkpoint`` at it, and drop the ones no longer kept.

        Equal arguments give files with equal bytes. Checkpoints with this or a higher number are removed first: after
        a resume from an earlier one they belong to a future that is now driven anew.

        Args:
            number: One more than the previous checkpoint; 0 for the untrained network.
            steps: Environment steps trained on so far.
            weights: Flat names to tensors of any device and layout.
            metadata: JSON values that say what the weights are.
            optimizer: Flat names to tensors.
            state: What a resumed training needs.

        Raises:
            RecordError: If a file could not be written; earlier checkpoints are untouched.
        """
        name = CheckpointName(number, steps)
        for abandoned in self.list():
            if abandoned.number >= number and abandoned != name:
                self.store.delete(_key(f"{abandoned.stem}.safetensors"))
        if optimizer is not None:
            self.store.put(_key(f"{name.stem}.optimizer.safetensors"), _encode(optimizer, {}))
        if state is not None:
            self.store.put(_key(f"{name.stem}.state.json"), state.to_json())
        self.store.put(_key(f"{name.stem}.safetensors"), _encode(weights, metadata))
        self.point_at(name)
        return name

    def save_state(self, name: CheckpointName, state: TrainerState) -> None:
        """Write the state of a checkpoint that is there again, because more has become of it.

        Raises:
            RecordError: If it could not be written; the former state is untouched.
        """
        self.store.put(_key(f"{name.stem}.state.json"), state.to_json())

    def point_at(self, name: CheckpointName) -> None:
        """Point ``.coach_checkpoint`` at a checkpoint and drop what is not kept; a killed `save` may have done neither.

        Raises:
            RecordError: If a file could not be written or removed.
        """
        pointer = f"{name}\n".encode()
        if not self.store.exists(_key(POINTER)) or self.store.get(_key(POINTER)) != pointer:
            self.store.put(_key(POINTER), pointer)
        self.prune()

    def list(self) -> list[CheckpointName]:
        """The checkpoints whose weights are there, oldest first."""
        names = (_WEIGHTS.fullmatch(_file_name(key)) for key in self.store.list(MODEL_FOLDER))
        return sorted(CheckpointName(int(match[1]), int(match[2])) for match in names if match)

    def load(self, which: Which = "last") -> Checkpoint:
        """Read a checkpoint.

        A damaged newest checkpoint is skipped, with a warning, for the one before it; a best one that is missing or
        damaged is replaced by the last. A checkpoint asked for by number is that one or an error.

        Args:
            which: ``"best"`` as the index says, ``"last"`` the highest number, or a certain one by number or name.

        Raises:
            RecordError: If there is none, or none that can be read.
        """
        names = self.list()
        if isinstance(which, str) and which not in ("best", "last"):
            name = CheckpointName.parse(f"{which.removesuffix('.ckpt')}.ckpt")
            if name is None:
                raise RecordError(f"{which!r} is no checkpoint; name best, last, a number or one such as 5_Step-4912.")
            which = name
        if not names:
            self.refuse_foreign()
            raise RecordError(
                f"There is no checkpoint in {self.store}: its model/ holds no file like 3_Step-1200.safetensors. "
                "Train the model first, or check the folder's name."
            )
        if isinstance(which, int | CheckpointName):
            found = [name for name in names if which in (name, name.number)]
            if not found:
                raise RecordError(
                    f"There is no checkpoint {which} in {self.store}. It holds: {', '.join(map(str, names))}."
                )
            return self._read(found[-1])
        if which == "best":
            entry = self.best()
            if entry is None:
                warnings.warn(f"{self.store} names no best checkpoint yet; the last one is taken.", stacklevel=2)
            elif entry.name not in names:
                warnings.warn(f"The best checkpoint {entry.name} is missing; the last one is taken.", stacklevel=2)
            else:
                try:
                    return self._read(entry.name)
                except RecordError as error:
                    warnings.warn(f"{error} The last checkpoint is taken instead of the best.", stacklevel=2)
        for name in reversed(names):
            try:
                return self._read(name)
            except RecordError as error:
                warnings.warn(f"{error} The checkpoint before it is tried.", stacklevel=2)
        raise RecordError(
            f"None of the {len(names)} checkpoints in {self.store} can be read. Restore model/ from a copy, or start "
            "the training anew with --wipe."
        )

    def refuse_foreign(self) -> None:
        """Object to a model that DeepRacer trained.

        Raises:
            RecordError: Names the way out.
        """
        if foreign := foreign_checkpoint(self.store.list(MODEL_FOLDER)):
            raise RecordError(
                f"{self.store} holds a model that DeepRacer trained ({foreign}). `hotlap import {self.store} NEW` "
                "makes a model folder of it in NEW; then name NEW instead."
            )

    def worth_keeping(self) -> CheckpointName | None:
        """The last checkpoint that would be a loss; None if there is only what a training begins with.

        A training writes its first weights, random or cloned, before it plays, and the index of best and last only
        after an iteration. An imported model has an index.
        """
        names = self.list()
        if len(names) == 1 and not self.store.exists(INDEX):
            with warnings.catch_warnings(action="ignore"):
                state = self._read_state(names[0])
            if state is not None and state.iteration == 0:
                return None
        return names[-1] if names else None

    def seed(self, default: int) -> int:
        """Of the training that saved the last checkpoint; ``default`` if none did, or its state is lost."""
        names = self.list()
        with warnings.catch_warnings(action="ignore"):
            state = self._read_state(names[-1]) if names else None
        return default if state is None else state.seed

    def best(self) -> IndexEntry | None:
        """The best checkpoint as the index names it; None if there is no readable index."""
        return self._index().get("best_checkpoint")

    def last(self) -> IndexEntry | None:
        """The last evaluated checkpoint as the index names it; None if there is no readable index."""
        return self._index().get("last_checkpoint")

    def write_index(self, *, best: IndexEntry, last: IndexEntry) -> None:
        """Write ``deepracer_checkpoints.json``, then drop a former best that is no longer kept."""
        index = {"best_checkpoint": _entry_json(best), "last_checkpoint": _entry_json(last)}
        self.store.put(INDEX, json.dumps(index).encode())
        self.prune()

    def prune(self) -> None:
        """Delete the checkpoints that are no longer kept, and all but the newest optimizer's state."""
        names = self.list()
        if not names:
            return
        best = self.best()
        kept = set(names[-self.keep :] if self.keep is not None else names) | self.contenders
        kept |= {name for name in names if self.every and name.number % self.every == 0}
        if best is not None:
            kept.add(best.name)
        for key in self.store.list(MODEL_FOLDER):
            match = _BELONGINGS.fullmatch(_file_name(key))
            if match is None:
                continue
            name = CheckpointName(int(match[1]), int(match[2]))
            if name not in kept or (key.endswith(".optimizer.safetensors") and name != names[-1]):
                self.store.delete(key)

    def _index(self) -> dict[str, IndexEntry]:
        if not self.store.exists(INDEX):
            return {}
        try:
            return parse_index(self.store.get(INDEX))
        except ValueError:
            warnings.warn(f"{self.store}: {INDEX} is damaged and is ignored.", stacklevel=3)
            return {}

    def _read(self, name: CheckpointName) -> Checkpoint:
        weights, metadata = _decode(self.store.get(_key(f"{name.stem}.safetensors")), f"checkpoint {name}")
        return Checkpoint(name, weights, metadata, self._read_optimizer(name), self._read_state(name))

    def _read_optimizer(self, name: CheckpointName) -> dict[str, torch.Tensor] | None:
        key = _key(f"{name.stem}.optimizer.safetensors")
        if not self.store.exists(key):
            return None
        try:
            return _decode(self.store.get(key), f"optimizer state of checkpoint {name}")[0]
        except RecordError as error:
            warnings.warn(f"{error} The optimizer starts afresh.", stacklevel=4)
            return None

    def _read_state(self, name: CheckpointName) -> TrainerState | None:
        key = _key(f"{name.stem}.state.json")
        if not self.store.exists(key):
            return None
        try:
            return TrainerState.from_json(self.store.get(key), source=f"trainer state of checkpoint {name}")
        except RecordError as error:
            warnings.warn(str(error), stacklevel=4)
            return None


def parse_index(data: bytes) -> dict[str, IndexEntry]:
    """The entries of an index, by ``best_checkpoint`` and ``last_checkpoint``. Raises ValueError if it is none."""
    try:
        parsed = {key: _entry(value) for key, value in load_json(data).items()}
    except (TypeError, AttributeError, KeyError, OverflowError) as error:
        raise ValueError(str(error)) from error
    return {key: entry for key, entry in parsed.items() if entry is not None}


def _key(file_name: str) -> str:
    return f"{MODEL_FOLDER}/{file_name}"


def _file_name(key: str) -> str:
    return key.rpartition("/")[2]


def _entry_json(entry: IndexEntry) -> dict[str, Any]:
    metric = entry.avg_eval_metric
    finite = metric is not None and math.isfinite(metric)
    return {
        "name": str(entry.name),
        "avg_eval_metric": metric if finite else None,
        "time_stamp": entry.time_stamp,
    }


def _entry(value: dict[str, Any]) -> IndexEntry | None:
    name = CheckpointName.parse(value["name"])
    # Older indexes call the metric avg_comp_pct.
    metric = value.get("avg_eval_metric", value.get("avg_comp_pct"))
    metric = None if metric is None else float(metric)
    return IndexEntry(name, metric, float(value.get("time_stamp", 0.0))) if name else None


def _encode(tensors: Mapping[str, torch.Tensor], metadata: Mapping[str, Any]) -> bytes:
    from safetensors.torch import save

    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    # Safetensors refuses tensors that share memory: from the second on they get their own.
    seen: set[int] = set()
    for name, tensor in plain.items():
        address = tensor.untyped_storage().data_ptr()
        if address in seen:
            plain[name] = tensor.clone()
        seen.add(address)
    header = {"format": CHECKPOINT_FORMAT, "crc32": _checksum(plain), "metadata": dict(metadata)}
    return save(plain, {_METADATA_KEY: json.dumps(header, sort_keys=True)})


def _decode(data: bytes, source: str) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    from safetensors import SafetensorError
    from safetensors.torch import load

    try:
        if int.from_bytes(data[:8], "little") > MAX_HEADER:
            raise ValueError("its header is too long")
        tensors = load(data)
        length = int.from_bytes(data[:8], "little")
        header = load_json(load_json(data[8 : 8 + length])["__metadata__"][_METADATA_KEY])
        found, expected, metadata = header["format"], header["crc32"], dict(header["metadata"])
    except (SafetensorError, ValueError, KeyError, TypeError) as error:
        raise RecordError(
            f"The {source} is damaged ({told(error)}): it should be a safetensors file written by hotlap."
        ) from error
    if found != CHECKPOINT_FORMAT:
        raise RecordError(
            f"The {source} has format {ascii(found)[:60]}, this version of hotlap reads format {CHECKPOINT_FORMAT}. "
            "Use the version that wrote it."
        )
    if _checksum(tensors) != expected:
        raise RecordError(f"The {source} is damaged: its bytes do not match the checksum written with them.")
    return tensors, metadata


def _checksum(tensors: Mapping[str, torch.Tensor]) -> int:
    """CRC-32 over names and bytes in the order of the names; safetensors itself notices only a wrong length."""
    import torch

    crc = 0
    for name in sorted(tensors):
        crc = zlib.crc32(name.encode(), crc)
        crc = zlib.crc32(tensors[name].reshape(-1).view(torch.uint8).numpy().data, crc)
    return crc
