"""The one tree of errors that a user can cause.

    HotlapError
    ├── ConfigError          a file or option of the user's is wrong
    ├── TrackError           a route file or a track name is wrong
    ├── RewardError          the user's reward function cannot be loaded, raised, or returned something unusable
    │   └── RewardStopped    … or had to be stopped: it does not return, or would end the process
    ├── RecordError          a record on disk (checkpoint, trace, metrics) is missing, damaged or another model's
    ├── DataError            reference data to validate against is missing or damaged
    ├── TrainingError        training cannot go on (numbers became NaN and no good checkpoint is left, …)
    └── MissingExtraError    an optional package is not installed

Every message is one paragraph that says what happened, what was expected, and the way out; what a reward function was
asked when it failed follows on an indented line of its own. The command line prints it without a traceback and exits
with code 2. What only we can cause is an ``assert``.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import Any


class HotlapError(Exception):
    """Base of every error that a user of hotlap can cause and mend."""


class ConfigError(HotlapError):
    """A configuration file or option is wrong."""


class TrackError(HotlapError):
    """A route file or a track name is wrong."""


@dataclass(frozen=True)
class FailedCall:
    """What became of a call of a reward function, in parts."""

    place: str
    """File and line."""
    line: int | None
    where: str
    """Where the run stood, such as "episode 7, step 12"."""
    what: str
    """A sentence or two."""
    inputs: dict[str, Any]
    reads: tuple[str, ...]
    """Those of `inputs` that the line reads."""


class RewardError(HotlapError):
    """A reward function cannot be loaded, raised an exception, or returned something unusable."""

    call: FailedCall | None = None
    """The call that failed; it stays in its process, as its inputs may hold whatever the function put there."""

    def __reduce__(self) -> tuple[type[RewardError], tuple[Any, ...]]:
        return type(self), self.args


class RewardStopped(RewardError):
    """A reward function did not return, or did to its process what it must not: it would do so on any worker."""


class RecordError(HotlapError):
    """A record of a run is missing, damaged, or belongs to another model."""


class DataError(HotlapError):
    """Reference data is missing or damaged."""


class TrainingError(HotlapError):
    """Training cannot go on."""


class MissingExtraError(HotlapError):
    """An optional package is not installed."""

    def __init__(self, package: str, extra: str, purpose: str) -> None:
        super().__init__(package, extra, purpose)  # with which it is made anew when it comes from another process

    def __str__(self) -> str:
        package, extra, purpose = self.args
        return (
            f"{purpose} needs the package {package!r}, which is not installed. "
            f"Install it with: pip install 'hotlap[{extra}]'"
        )


def import_extra(module: str, extra: str, purpose: str, *, package: str | None = None) -> Any:
    """A module of an optional package, which has the module's name unless ``package`` says another.

    Raises:
        MissingExtraError: If it is not installed; names the extra of ours that brings it.
    """
    try:
        return import_module(module)
    except ImportError:
        raise MissingExtraError(package or module, extra, purpose) from None
