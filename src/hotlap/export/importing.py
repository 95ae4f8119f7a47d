"""Import a DeepRacer model: read it, prove it, and only then make a model folder of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from hotlap.config.files import decode_text, parse_json_object, read_bytes
from hotlap.config.hyperparameters import Hyperparameters
from hotlap.config.job import Job
from hotlap.config.metadata import ModelMetadata
from hotlap.config.template import folder_readme, hyperparameters_json, job_toml
from hotlap.deepracer.sensors import LIDARS
from hotlap.errors import ConfigError, RecordError
from hotlap.export.foreign_policy import ForeignPolicy, read_foreign
from hotlap.export.source import HYPERPARAMETERS, METADATA, REWARD, Found, Source, Which, open_source
from hotlap.records.checkpoints import CheckpointName, CheckpointStore, IndexEntry
from hotlap.records.folder import Folder
from hotlap.records.trainer_state import TrainerState
from hotlap.rewards.loader import DEFAULT_EXAMPLE, example_file
from hotlap.rl.specs import DiscreteActions

JOB: Final = "job.toml"
README: Final = "README.md"


@dataclass(frozen=True)
class Import:
    """What came of an import.

    Attributes:
        folder: The model folder.
        checkpoint: Its only checkpoint, under the number that it had.
        metadata: As read.
        policy: What was read, and how well it agrees with the source.
        written: Files that were made, but for the checkpoint's.
        kept: Files that were there already.
        weights_remarks: What the user should know about the choice of the checkpoint and its weights.
        files_remarks: The same about the files that were written beside them.
    """

    folder: Path
    checkpoint: CheckpointName
    metadata: ModelMetadata
    policy: ForeignPolicy
    written: list[str]
    kept: list[str]
    weights_remarks: list[str]
    files_remarks: list[str]

    @property
    def remarks(self) -> list[str]:
        """All that the user should know."""
        return self.weights_remarks + self.files_remarks

    @property
    def num_outputs(self) -> int:
        """Actions to choose from, or dimensions of an action."""
        actions = self.policy.network.actions
        return actions.num if isinstance(actions, DiscreteActions) else actions.num_dims


def import_model(
    origin: str | Path,
    folder: Path,
    *,
    which: Which = "best",
    metadata_file: Path | None = None,
    track: str | None = None,
) -> Import:
    """Make a model folder of a DeepRacer model, ready to be evaluated, trained on and cloned.

    Nothing is written before everything is read and proved.

    Args:
        origin: An archive, a frozen graph, a model's S3 prefix or a folder laid out like one, or a checkpoint's file in
            such a folder.
        folder: A new folder, or one without checkpoints; files that it has are kept.
        which: Which of several checkpoints.
        metadata_file: Instead of the source's own model_metadata.json.
        track: For the job.toml that is written.

    Raises:
        RecordError: If there is no usable model, or ``folder`` holds one already.
        ConfigError: If the metadata is missing or wrong.
    """
    store = CheckpointStore(folder)
    if store.list():
        raise RecordError(f"{folder}: it already holds a trained model ({store.list()[-1]}). Name a new folder.")
    with open_source(origin, which) as (source, chosen):
        found = source.find(chosen)
        content = _metadata_content(source, found, folder, metadata_file)
        metadata = _metadata(content, f"{origin}: {METADATA}" if metadata_file is None else str(metadata_file))
        policy = read_foreign(found, metadata, str(origin))
        weights_remarks = [*source.remarks, *_remarks(policy)]
        others, remarks = _other_files(source, track)
        files = {METADATA: content, **others, README: folder_readme().encode()}
    job = Job.load(folder / JOB) if (folder / JOB).is_file() else Job()
    kept = [name for name in files if (folder / name).exists()]
    target = Folder(folder)
    for name in files:
        if name not in kept:
            target.put(name, files[name])
    _save(store, found.name, metadata, policy, job.training.seed)
    written = [name for name in files if name not in kept]
    files_remarks = [remarks[name] for name in written if name in remarks]
    return Import(folder, found.name, metadata, policy, written, kept, weights_remarks, files_remarks)


def _metadata_content(source: Source, found: Found, folder: Path, metadata_file: Path | None) -> bytes:
    """The bytes of the model_metadata.json that counts: the given one, the model's own, or that of the folder."""
    own = folder / METADATA
    if metadata_file is not None:
        if not metadata_file.is_file():
            raise ConfigError(f"{metadata_file}: there is no such file.")
        content = read_bytes(metadata_file)
    elif found.metadata is not None:
        content = read_bytes(found.metadata)
    elif own.is_file():
        return read_bytes(own)
    else:
        raise ConfigError(
            f"{source.origin}: there is no {METADATA} with the model, so nobody knows what its outputs mean. Put it "
            "beside the model, or name it with --metadata FILE."
        )
    if own.is_file() and _metadata(read_bytes(own), str(own)) != _metadata(content, str(source.origin)):
        raise ConfigError(
            f"{own}: it says something else than the {METADATA} of the model to be imported. Remove it, or name a new "
            "folder."
        )
    return content


def _metadata(content: bytes, source: str) -> ModelMetadata:
    metadata = ModelMetadata.from_dict(parse_json_object(decode_text(content, source), source), source=source)
    lidars = [sensor for sensor in metadata.sensors if sensor in LIDARS]
    if lidars:
        raise ConfigError(
            f"{source}: models that see with {lidars[0]} cannot be imported yet, only those with one camera."
        )
    return metadata


def _other_files(source: Source, track: str | None) -> tuple[dict[str, bytes], dict[str, str]]:
    """Reward function, hyperparameters and job settings, from the source where it has them; and what to say of each."""
    remarks = {}
    reward = source.nearest(REWARD)
    if reward is None:
        remarks[REWARD] = (
            f"The model came without a reward function; {REWARD} is hotlap's {DEFAULT_EXAMPLE}. It matters for further "
            "training, not for driving."
        )
    else:
        remarks[REWARD] = f"{REWARD} came with the model. It is a program that runs on your machine: read it first."
    path = source.nearest(HYPERPARAMETERS)
    hyperparameters = hyperparameters_json().encode()
    if path is None:
        remarks[HYPERPARAMETERS] = (
            f"The model came without {HYPERPARAMETERS}; those that were written are hotlap's. They matter for further "
            "training, not for driving."
        )
    else:
        content, name = read_bytes(path), f"{source.origin}: {HYPERPARAMETERS}"
        try:
            Hyperparameters.from_dict(parse_json_object(decode_text(content, name), name), source=name)
            hyperparameters = content
        except ConfigError as error:
            remarks[HYPERPARAMETERS] = f"The model's hyperparameters cannot be used, hotlap's were written. {error}"
    if track is None:
        remarks[JOB] = (
            f"A DeepRacer model does not tell its track: {JOB} names hotlap's {Job().race.track}. Evaluate on another "
            "with --track, or write its name there."
        )
    job = Job() if track is None else Job().updated(race={"track": track})
    files = {
        REWARD: read_bytes(reward or example_file(DEFAULT_EXAMPLE)),
        HYPERPARAMETERS: hyperparameters,
        JOB: job_toml(job).encode(),
    }
    return files, remarks


def _remarks(policy: ForeignPolicy) -> list[str]:
    remarks = []
    if policy.value == "fresh":
        remarks.append(
            "The value network did not come with the model and begins with random weights: in the first iterations of "
            "further training the policy may get worse before the value has learned."
        )
    elif policy.value == "by_names":
        remarks.append(
            "The value network was found by the names of its variables; there was no graph to compare it with."
        )
    if not policy.log_std_known:
        remarks.append(
            "How widely the model explored did not come with it; further training begins with a spread of 1."
        )
    return remarks


def _save(
    store: CheckpointStore, name: CheckpointName, metadata: ModelMetadata, policy: ForeignPolicy, seed: int
) -> None:
    """Write the checkpoint as a training would have left it.

    The names of it come first: only its weights make a checkpoint, and whoever was killed before those were there can
    import again.
    """
    entry = IndexEntry(name, None, 0.0)
    store.write_index(best=entry, last=entry)
    store.point_at(name)
    store.save(
        name.number,
        name.steps,
        policy.network.state_dict(),
        metadata={
            "network": metadata.network,
            "sensors": list(metadata.sensors),
            "action_space": metadata.action_space.model_dump(mode="json"),
            "shared_encoder": False,
            "seed": seed,
        },
        state=TrainerState(
            iteration=0,
            total_steps=name.steps,
            num_episodes=0,
            elapsed_s=0.0,
            sim_time=0.0,
            seed=seed,
            extra={"first_checkpoint": name.number},
        ),
    )
