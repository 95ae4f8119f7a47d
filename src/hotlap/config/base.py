"""What all configuration models share, and how their complaints become one paragraph."""

from __future__ import annotations

import difflib
import re
import textwrap
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, ValidationError

from hotlap.errors import ConfigError

MAX_TOLD = 5  # mistakes in a message

_SPOKEN = {"clockwise": "cw", "counterclockwise": "ccw", "anticlockwise": "ccw"}


class ConfigWarning(UserWarning):
    """A setting is accepted, but it probably does not do what its author expects."""


class Config(BaseModel):
    """Base of every model of settings: frozen, no unknown keys, no silent conversion, finite numbers only.

    The text under a field is its documentation everywhere: in help, in the schema and in the files `hotlap new` writes.
    """

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, use_attribute_docstrings=True, allow_inf_nan=False
    )


ConfigType = TypeVar("ConfigType", bound=Config)


def as_tuple(value: Any) -> Any:
    """A list as a tuple, for fields of fixed things; TOML and JSON know only lists."""
    return tuple(value) if isinstance(value, list) else value


def overlaid(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """``base`` with ``changes`` laid over it, also inside of its tables."""
    merged = dict(base)
    for key, value in changes.items():
        inner = merged.get(key)
        merged[key] = overlaid(inner, value) if isinstance(inner, Mapping) and isinstance(value, Mapping) else value
    return merged


def warn(message: str) -> None:
    """Tell the user about a setting that is accepted but doubtful."""
    warnings.warn(message, ConfigWarning, stacklevel=3)


def nearest(name: str, known: Iterable[str]) -> str:
    """A sentence that points from an unknown name to the known one it resembles, or else lists what is known."""
    return _nearest(name[:100], tuple(sorted(known)))


@lru_cache(maxsize=1000)  # a file may hold the same mistake a hundred thousand times
def _nearest(name: str, known: tuple[str, ...]) -> str:
    close = resembling(name, known)
    return f"Did you mean {close!r}?" if close else f"Known: {', '.join(known)}."


def resembling(name: str, known: Iterable[str], *, cutoff: float = 0.6) -> str | None:
    """The known name that ``name`` is most like, or None if none is like it at all."""
    by_lower = {candidate.lower(): candidate for candidate in sorted(known)}
    close = difflib.get_close_matches(name.lower(), by_lower, n=1, cutoff=cutoff)
    return by_lower[close[0]] if close else None


def build(
    model: type[ConfigType], values: Mapping[str, Any], source: str, *, lines: Callable[[], Mapping[str, int]] = dict
) -> ConfigType:
    """Check ``values`` and make a ``model`` of them.

    Args:
        model: The kind of settings.
        values: Of its keys.
        source: Where they come from, for errors.
        lines: Gives the lines on which full keys stand in ``source``, as far as that is known.

    Raises:
        ConfigError: Names ``source``, the full key, the value and what is allowed, a line for each mistake.
    """
    built, problems = checked(model, values, lines)
    if built is None:
        raise ConfigError(told(source, problems))
    return built


def told(source: str, problems: Sequence[str]) -> str:
    """The message about the mistakes in a file."""
    return (
        f"{source}: {problems[0]}" if len(problems) == 1 else f"{source}:\n{textwrap.indent(mistakes(problems), '  ')}"
    )


def checked(
    model: type[ConfigType], values: Mapping[str, Any], lines: Callable[[], Mapping[str, int]] = dict
) -> tuple[ConfigType | None, list[str]]:
    """A ``model`` of ``values``, or a sentence or two about each mistake in them; ``lines`` as of `build`."""
    try:
        return model.model_validate(dict(values)), []
    except ValidationError as error:
        found, places = error.errors(include_url=False), lines()
    found.sort(key=lambda problem: _line(problem, places))
    at = [f"line {line}: " if (line := _line(problem, places)) else "" for problem in found]
    return None, [f"{place}{_describe(model, problem)}" for place, problem in zip(at, found, strict=True)]


def mistakes(problems: Iterable[str]) -> str:
    """The first sentences, each on a line of its own, and how many more there are; nobody mends more at once."""
    problems = list(problems)
    more = [f"({len(problems) - MAX_TOLD} more after these.)"] if len(problems) > MAX_TOLD else []
    return "\n".join(problems[:MAX_TOLD] + more)


def _line(problem: Any, lines: Mapping[str, int]) -> int:
    """The line of the key that is wrong, or of the one it belongs to; 0 if that is not known."""
    parts = [str(part) for part in problem["loc"]]
    keys = (".".join(parts[:number]) for number in range(len(parts), 0, -1))
    return next((lines[key] for key in keys if key in lines), 0)


def _describe(model: type[Config], problem: Any) -> str:
    """One pydantic problem as a sentence or two."""
    key = ".".join(_plain(part) for part in problem["loc"])
    if problem["type"] == "extra_forbidden":
        name = str(problem["loc"][-1])
        homes = [section for section in model.model_fields if name in _section(model, (section,)).model_fields]
        if homes and homes[0] != problem["loc"][0]:
            return f"Unknown key '{key}': {name} belongs into the section [{homes[0]}]."
        return f"Unknown key '{key}'. {nearest(name, _section(model, problem['loc'][:-1]).model_fields)}"
    if problem["type"] == "model_type":
        return f"{key} must be a section [{key}] with keys of its own, got {shown(problem['input'], 60)}."
    expected = problem["msg"].removeprefix("Value error, ").removeprefix("Input ")
    if not key:  # a rule across fields speaks for itself
        return f"{expected}."
    if problem["type"] == "value_error":
        return f"{key} = {shown(problem['input'], 60)}: {expected}."
    meant = _meant(problem) if problem["type"] == "literal_error" else ""
    field = _section(model, problem["loc"][:-1]).model_fields.get(str(problem["loc"][-1]))
    meaning = f" ({' '.join(field.description.split())})" if field is not None and field.description else ""
    return f"{key} {expected}, got {shown(problem['input'], 60)}.{meant}{meaning}"


def _meant(problem: Any) -> str:
    """The allowed word that a wrong one stands for, as a sentence; empty if none does."""
    allowed = re.findall("'([^']*)'", problem["ctx"]["expected"])
    given = str(problem["input"])[:100]
    spoken = _SPOKEN.get(re.sub("[-_ ]", "", given.lower()))
    meant = spoken if spoken in allowed else resembling(given, allowed)
    return f" Did you mean {meant!r}?" if meant else ""


def _plain(part: int | str) -> str:
    """A part of a key: as it is if that can be printed in a line."""
    text = str(part)
    return text if len(text) <= 60 and text.isprintable() else shown(text, 60)


def _section(model: type[Config], path: tuple[Any, ...]) -> type[Config]:
    """The model of the nested section that ``path`` leads to."""
    for part in path:
        field = model.model_fields.get(str(part))
        if field is None:
            break
        nested = (field.annotation, *get_args(field.annotation))
        model = next((kind for kind in nested if isinstance(kind, type) and issubclass(kind, Config)), model)
    return model


def shown(value: Any, longest: int = 200) -> str:
    """A value as it can stand in a message."""
    text = repr(value)
    return text if len(text) <= longest else text[: longest - 3] + "..."
