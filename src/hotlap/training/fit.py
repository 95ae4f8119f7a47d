"""Whether weights fit the network that is to be trained, and if not, what differs; which files have changed since."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any, Final

from hotlap.config.files import read_bytes
from hotlap.config.metadata import ModelMetadata
from hotlap.config.model_folder import ModelFolder
from hotlap.errors import RecordError
from hotlap.records.checkpoints import Checkpoint
from hotlap.rl.networks import ActorCritic
from hotlap.rollouts.model import critic_of


def require_fit(
    checkpoint: Checkpoint, metadata: ModelMetadata, network: ActorCritic, *, place: object, way_out: str
) -> None:
    """Refuse weights of another network than the one to be trained.

    Args:
        checkpoint: With the weights.
        metadata: Of the model that is to be trained.
        network: That is to be trained.
        place: Where the checkpoint lies, and …
        way_out: … what to do: for the message.

    Raises:
        RecordError: If they do not fit.
    """
    found = differences(checkpoint, metadata, network)
    if found:
        raise RecordError(
            f"checkpoint {checkpoint.name} in {place} was made for another network than model_metadata.json and "
            f"job.toml describe now: {'; '.join(found)}. {way_out}"
        )


def with_fresh_value(checkpoint: Checkpoint, network: ActorCritic) -> Checkpoint:
    """The checkpoint with the value of ``network`` where its own reads something else, camera or state; else as it is.

    Where policy and value share an encoder, none of the two can be taken alone.
    """
    kinds = {critic_of(checkpoint), network.critic}
    if len(kinds) == 1 or "shared" in kinds:
        return checkpoint
    fresh = {name: weight for name, weight in network.state_dict().items() if name.startswith("value.")}
    policy = {name: weight for name, weight in checkpoint.weights.items() if not name.startswith("value.")}
    return replace(checkpoint, weights=policy | fresh, metadata=checkpoint.metadata | {"critic": network.critic})


def differences(checkpoint: Checkpoint, metadata: ModelMetadata, network: ActorCritic) -> list[str]:
    """What a checkpoint was made for and what is to be trained, where they differ; none if its weights fit.

    Ranges and values of actions may differ, and so may all that is not the network's.
    """
    found = list(_differences(checkpoint.metadata | {"critic": critic_of(checkpoint)}, metadata, network))
    if found:
        return found
    shapes = {name: tuple(weight.shape) for name, weight in network.state_dict().items()}
    theirs = {name: tuple(weight.shape) for name, weight in checkpoint.weights.items()}
    names = sorted(name for name in shapes.keys() | theirs.keys() if shapes.get(name) != theirs.get(name))
    return [f"{len(names)} weights such as {names[0]}"] if names else []


def checksums(model: ModelFolder) -> dict[str, str]:
    """Of the three files that say what is learned and how, by their names in a model folder."""
    files = {
        "reward_function.py": model.reward_file,
        "model_metadata.json": model.metadata_file,
        "hyperparameters.json": model.hyperparameters_file,
    }
    return {name: hashlib.sha256(read_bytes(path)).hexdigest() for name, path in files.items()}


def changed_since(before: Mapping[str, str], now: Mapping[str, str]) -> str | None:
    """A sentence about files that are not what they were, if that is known and any is."""
    changed = [name for name in now if name in before and before[name] != now[name]]
    if not changed:
        return None
    return f"Changed since the last iteration: {', '.join(changed)}. The training goes on with what is there now."


def _differences(theirs: dict[str, Any], metadata: ModelMetadata, network: ActorCritic) -> Iterator[str]:
    ours = {
        "network": network.name,
        "sensors": list(metadata.sensors),
        "action_space": metadata.action_space.model_dump(mode="json"),
        "critic": network.critic,
    }
    for key, (what, say) in _WORDS.items():
        if key in theirs and say(theirs[key]) != say(ours[key]):
            yield f"{what} {say(theirs[key])}, not {say(ours[key])}"


def _actions(space: dict[str, Any]) -> str:
    return f"{len(space['actions'])} discrete actions" if space["type"] == "discrete" else f"{space['type']} actions"


# Of the entries in a checkpoint's metadata: the name that users know, and what is compared of the value.
_WORDS: Final[dict[str, tuple[str, Callable[[Any], str]]]] = {
    "network": ("neural_network", str),
    "sensors": ("sensor", ", ".join),
    "action_space": ("action_space of", _actions),
    "critic": ("training.critic =", lambda critic: "none (shared_encoder)" if critic == "shared" else critic),
}
