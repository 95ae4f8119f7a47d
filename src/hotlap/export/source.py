"""Where a foreign model comes from: a folder like a model's S3 prefix, such a prefix, an archive, or a single file.

Only files with the names that DeepRacer gives them are looked at, and only up to the size that they can have.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, Final, Literal

from hotlap.archives.archive import is_archive, unpack
from hotlap.bounded import MalformedError, in_words, load_json, read_bounded
from hotlap.errors import RecordError
from hotlap.export import graph, tf_checkpoint
from hotlap.records.address import S3Prefix, is_s3
from hotlap.records.checkpoints import CheckpointName, CheckpointStore
from hotlap.unfinished import scratch_folder

MAX_DEPTH: Final = 6  # folders below the source
MAX_ENTRIES: Final = 50_000

METADATA: Final = "model_metadata.json"
REWARD: Final = "reward_function.py"
HYPERPARAMETERS: Final = "hyperparameters.json"
_INDEX: Final = "deepracer_checkpoints.json"
_POINTER: Final = ".coach_checkpoint"

_SIZES: Final = {METADATA: 1 << 20, REWARD: 1 << 20, HYPERPARAMETERS: 1 << 20, _INDEX: 1 << 16, _POINTER: 1 << 12}
_CHECKPOINT: Final = re.compile(r"([0-9]{1,9})_Step-([0-9]{1,12})\.ckpt(?:\.(index|meta|data-00000-of-00001))?")
_PARTS: Final = {  # what they are, and their largest size
    "index": ("index", tf_checkpoint.MAX_INDEX_BYTES),
    "meta": ("meta", 64 << 20),
    "data-00000-of-00001": ("data", 640 << 20),
}
_NUMBERED_GRAPH: Final = re.compile(r"model_([0-9]{1,9})\.pb")
_GZIP: Final = b"\x1f\x8b"

Which = Literal["best", "last"] | int


@dataclass(frozen=True)
class Found:
    """The files of one checkpoint, as far as they are there.

    Attributes:
        name: Number and steps; 0 where they are not known.
        index: With ``data``: a TensorFlow checkpoint. Neither is there without the other.
        meta: The graph of that checkpoint.
        frozen: The policy's frozen graph.
        frozen_name: What the source calls it.
        metadata: The nearest ``model_metadata.json``.
    """

    name: CheckpointName
    index: Path | None = None
    data: Path | None = None
    meta: Path | None = None
    frozen: Path | None = None
    frozen_name: str = ""
    metadata: Path | None = None


@dataclass(frozen=True)
class Source:
    """Files of a foreign model.

    Attributes:
        origin: What the user named.
        files: Where each file lies, by its name relative to the source; those of a bucket come when they are asked for.
        remarks: What the user should know about the choice that was made.
    """

    origin: str | Path
    files: Mapping[str, Path]
    remarks: list[str] = field(default_factory=list)

    def find(self, which: Which) -> Found:
        """The files of the checkpoint that is asked for.

        Raises:
            RecordError: If there is none, or none of that number.
        """
        numbered = self._numbered()
        if isinstance(which, int):
            if which not in numbered:
                raise RecordError(
                    f"{self.origin}: there is no checkpoint {which}. There are: "
                    f"{', '.join(map(str, sorted(numbered))) or 'none with a number'}."
                )
            return self._found(which, numbered[which])
        if numbered:
            named = self._named(which)
            if named is not None and named.number in numbered:
                return self._found(named.number, numbered[named.number])
            newest = max(numbered)
            if len(numbered) > 1:
                self.remarks.append(f"No index names the {which} checkpoint, so the newest, {newest}, was taken.")
            return self._found(newest, numbered[newest])
        frozen = [name for name in self.files if name.endswith(".pb")]
        if len(frozen) != 1:
            raise self._nothing(frozen)
        name = self._pointed() or CheckpointName(0, 0)
        metadata = self._nearest(METADATA, frozen[0])
        return Found(name, frozen=self.files[frozen[0]], frozen_name=PurePosixPath(frozen[0]).name, metadata=metadata)

    def nearest(self, name: str) -> Path | None:
        """The file of this name that lies least deep."""
        return self._nearest(name, "")

    def _numbered(self) -> dict[int, dict[str, str]]:
        """Names of the usable files of each checkpoint, by the attributes of `Found`."""
        parts: dict[int, dict[str, str]] = {}
        for name in sorted(self.files):
            base = PurePosixPath(name).name
            if (match := _CHECKPOINT.fullmatch(base)) and match[3]:
                number, kind = int(match[1]), _PARTS[match[3]][0]
            elif match := _NUMBERED_GRAPH.fullmatch(base):
                number, kind = int(match[1]), "frozen"
            else:
                continue
            other = parts.setdefault(number, {}).setdefault(kind, name)
            if other != name:
                raise RecordError(
                    f"{self.origin}: it holds more than one model ({other}, {name}). Name the folder of one of them."
                )
        for number, names in parts.items():
            if not {"index", "data"} <= names.keys():
                parts[number] = {kind: name for kind, name in names.items() if kind == "frozen"}
        return {number: names for number, names in parts.items() if names}

    def _found(self, number: int, names: dict[str, str]) -> Found:
        match = _CHECKPOINT.fullmatch(PurePosixPath(names.get("index", "")).name)
        return Found(
            CheckpointName(number, int(match[2]) if match else 0),
            frozen_name=PurePosixPath(names.get("frozen", "")).name,
            metadata=self._nearest(METADATA, next(iter(names.values()))),
            **{kind: self.files[name] for kind, name in names.items()},
        )

    def _named(self, which: Literal["best", "last"]) -> CheckpointName | None:
        path = self.nearest(_INDEX)
        if path is None:
            return self._pointed()
        try:
            entry: Any = load_json(read_bounded(path, _SIZES[_INDEX]))[f"{which}_checkpoint"]["name"]
            match = _CHECKPOINT.fullmatch(entry)
        except (OSError, ValueError, TypeError, KeyError, IndexError):
            self.remarks.append(f"{_INDEX} is damaged and was ignored.")
            return self._pointed()
        return CheckpointName(int(match[1]), int(match[2])) if match else self._pointed()

    def _pointed(self) -> CheckpointName | None:
        path = self.nearest(_POINTER)
        if path is None:
            return None
        try:
            content = read_bounded(path, _SIZES[_POINTER])
        except OSError:
            return None
        match = _CHECKPOINT.fullmatch(content.decode(errors="replace").strip())
        return CheckpointName(int(match[1]), int(match[2])) if match else None

    def _nearest(self, wanted: str, beside: str) -> Path | None:
        """The file called ``wanted`` in the folder of ``beside``, else the one that lies least deep."""
        folder = PurePosixPath(beside).parent
        names = [name for name in self.files if PurePosixPath(name).name == wanted]
        names.sort(key=lambda name: (PurePosixPath(name).parent != folder, name.count("/"), name))
        return self.files[names[0]] if names else None

    def _instead(self) -> str:
        names = sorted({PurePosixPath(name).name for name in self.files})
        return f", only {', '.join(names[:6])}" if names else ""

    def _nothing(self, frozen: list[str]) -> RecordError:
        if frozen:
            return RecordError(
                f"{self.origin}: there are several graphs without a number ({', '.join(sorted(frozen)[:4])}). Name the "
                "one that is meant."
            )
        if (is_s3(self.origin) or Path(self.origin).is_dir()) and CheckpointStore(self.origin).list():
            return RecordError(
                f"{self.origin}: this is a hotlap model. It needs no import: evaluate it as it is, copy its folder, or "
                "begin another training with its weights (training.clone_from in job.toml)."
            )
        return RecordError(
            f"{self.origin}: there is no DeepRacer model in it{self._instead()}. Expected a frozen graph "
            "(agent/model.pb, model_N.pb) or a TensorFlow checkpoint (N_Step-S.ckpt.index with its .data and "
            ".meta file)."
        )


@contextmanager
def open_source(origin: str | Path, which: Which) -> Iterator[tuple[Source, Which]]:
    """The files of the model at ``origin``.

    That may be a folder, ``s3://bucket/prefix``, an archive, a frozen graph, or a checkpoint's file.

    Yields:
        The files, and which checkpoint is meant: a checkpoint's file means its own.

    Raises:
        ConfigError: If a bucket cannot be used.
        RecordError: If there is no such file, it is no archive of a model, or a bucket does not answer.
    """
    if is_s3(origin):
        with scratch_folder() as scratch:
            yield Source(origin, _BucketFiles(str(origin), scratch)), which
        return
    origin = Path(origin)
    if origin.is_dir():
        yield Source(origin, _files_in(origin)), which
    elif match := _CHECKPOINT.fullmatch(origin.name):
        yield Source(origin, _files_in(origin.parent)), int(match[1])
    elif not origin.is_file() or not os.access(origin, os.R_OK):
        raise RecordError(f"{origin}: there is no such file or folder, or it may not be read. Check the name.")
    elif _begins_with(origin, _GZIP) or is_archive(origin):
        with scratch_folder() as scratch:
            try:
                files = unpack(origin, scratch, wanted_size)
            except MalformedError as error:
                raise RecordError(
                    f"{origin}: this is not an archive of a DeepRacer model: {error}. Expected a .tar.gz or .zip as "
                    "DeepRacer or hotlap export makes it; copy it again."
                ) from None
            yield Source(origin, files), which
    else:
        if origin.stat().st_size > graph.MAX_BYTES:
            raise RecordError(
                f"{origin}: it has {in_words(origin.stat().st_size)}, more than the {in_words(graph.MAX_BYTES)} of any "
                "policy. Name the archive, graph or folder of a DeepRacer model."
            )
        # The metadata lies beside the graph, or above it where the graph is in agent/.
        folder = origin.absolute().parent
        beside = {METADATA: folder / METADATA, f"../{METADATA}": folder.parent / METADATA}
        files = {name: path for name, path in beside.items() if _usable(path, _SIZES[METADATA])}
        yield Source(origin, {origin.name if origin.suffix == ".pb" else f"{origin.name}.pb": origin, **files}), which


class _BucketFiles(Mapping[str, Path]):
    """Wanted files of a bucket; each is fetched when it is first asked for."""

    def __init__(self, origin: str, scratch: Path) -> None:
        from hotlap.records.s3 import Bucket

        self.bucket = Bucket(S3Prefix.parse(origin))
        self.scratch = scratch
        self.names = [key for key in self.bucket.check() if wanted_size(key) is not None]
        self.fetched: dict[str, Path] = {}

    def __getitem__(self, name: str) -> Path:
        if name not in self.names:
            raise KeyError(name)
        if name not in self.fetched:
            path = self.scratch / str(len(self.fetched))
            path.write_bytes(self.bucket.get(name))
            self.fetched[name] = path
        return self.fetched[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    def __len__(self) -> int:
        return len(self.names)


def wanted_size(name: str) -> int | None:
    """Largest size [bytes] that a file with this name may have; None: it is not needed."""
    base = PurePosixPath(name).name
    if base.startswith("._"):  # macOS puts these beside files
        return None
    if match := _CHECKPOINT.fullmatch(base):
        return _PARTS[match[3]][1] if match[3] else None
    return graph.MAX_BYTES if base.endswith(".pb") else _SIZES.get(base)


def _files_in(folder: Path) -> dict[str, Path]:
    """Wanted files below a folder; links that lead out of it are left out."""
    root = folder.resolve()
    files: dict[str, Path] = {}
    num_entries = 0
    for current, folders, names in os.walk(folder):
        below = Path(current).relative_to(folder)
        num_entries += len(folders) + len(names)
        if num_entries > MAX_ENTRIES:
            raise RecordError(f"{folder}: it holds more than {MAX_ENTRIES} files. Name the folder of one model.")
        if len(below.parts) >= MAX_DEPTH:
            folders.clear()
        for name in names:
            limit, path = wanted_size(name), Path(current) / name
            if limit is not None and _usable(path, limit) and path.resolve().is_relative_to(root):
                files[(below / name).as_posix()] = path
    return files


def _usable(path: Path, limit: int) -> bool:
    try:
        return path.is_file() and path.stat().st_size <= limit and os.access(path, os.R_OK)
    except OSError:
        return False


def _begins_with(path: Path, magic: bytes) -> bool:
    with path.open("rb") as file:
        return file.read(len(magic)) == magic
