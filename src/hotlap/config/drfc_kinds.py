"""Kinds of values in DeepRacer-for-Cloud's environment files: what is allowed, and how text becomes a value."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from hotlap.config.base import shown

T = TypeVar("T", int, float)


@dataclass(frozen=True)
class Kind:
    """What a variable may hold."""

    allowed: str
    """For people, after "Allowed:"."""
    parse: Callable[[str], Any]
    """From the text to the value; a ValueError if it is not allowed, whose words, if any, say more."""


def whole(low: int, high: int | None = None) -> Kind:
    """A whole number within bounds."""
    return Kind(f"a whole number {_range(low, high)}", lambda text: _bounded(text, r"[+-]?[0-9]+", int, low, high))


def number(low: float, high: float | None = None, *, above: bool = False, unit: str = "") -> Kind:
    """A number within bounds; ``above`` leaves ``low`` itself out."""

    def parse(text: str) -> float:
        value = _bounded(text, r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?", float, low, high)
        if not math.isfinite(value) or (above and value == low):
            raise ValueError
        return value

    bounds = f"above {low:g}" if above else _range(low, high)
    return Kind(f"a number {bounds}{f' ({unit})' if unit else ''}", parse)


def choice(*names: str) -> Kind:
    """One of a few words, exactly so."""

    def parse(text: str) -> str:
        if text not in names:
            raise ValueError
        return text

    return Kind(", ".join(names), parse)


def optional(kind: Kind) -> Kind:
    """The same, or nothing, which is as if the variable were not set."""
    return Kind(f"{kind.allowed}, or nothing", lambda text: kind.parse(text) if text else None)


_NO = ("false", "no", "f", "0", "n", "off", "")


def _boolean(
    allowed: str, yes: tuple[str, ...], no: tuple[str, ...], refusal: str, values: Any = (True, False)
) -> Kind:
    """Words for one value and the other, in any case; ``refusal`` says what the original makes of others."""

    def parse(text: str) -> Any:
        if text in yes or text.lower() in yes:
            return values[0]
        if text.lower() in no:
            return values[1]
        raise ValueError(refusal.format(shown(text, 60)) if text else "")

    return Kind(allowed, parse)


def boolean(true: Any = True, false: Any = False) -> Kind:
    """True or False in any case.

    The original takes every other text for true as well. What plainly means yes may stay; what does not, such as
    ``no`` or ``0``, is refused, because nobody who wrote it wanted true.
    """
    refusal = "the original takes {} for true, like all that is not False"
    return _boolean("True, False", ("true", "yes", "y", "t", "1", "on"), ("false",), refusal, (true, false))


def _resets(text: str) -> int:
    value: int = whole(0).parse(text)
    if value == 1:
        raise ValueError("as in the original a single reset is not possible")
    return value


def _race_type(text: str) -> str:
    types = {"TIME_TRIAL": "time_trial", "OBJECT_AVOIDANCE": "object_avoidance", "HEAD_TO_BOT": "head_to_bot"}
    if text == "HEAD_TO_MODEL":
        raise ValueError("a race against a second model is not available yet")
    if text not in types:
        raise ValueError
    return types[text]


def _positions(text: str) -> list[list[float]]:
    text = text.replace('"', "")  # as in the original, for worker files; in run.env the shell has taken them off
    places = []
    for entry in text.split(";") if text else []:
        fraction, comma, lane = entry.partition(",")
        if not comma:
            raise ValueError
        places.append([_KINDS["fraction"].parse(fraction), number(-math.inf).parse(lane)])
    return places


def _matching(allowed: str, pattern: str) -> Kind:
    def parse(text: str) -> str:
        if not re.fullmatch(pattern, text):
            raise ValueError
        return text

    return Kind(allowed, parse)


def _bounded(text: str, pattern: str, kind: type[T], low: float, high: float | None) -> T:
    if not re.fullmatch(pattern, text):
        raise ValueError
    value = kind(text)
    if value < low or (high is not None and value > high):
        raise ValueError
    return value


def _range(low: float, high: float | None) -> str:
    if math.isinf(low):
        return "of any size"
    return f"of at least {low:g}" if high is None else f"from {low:g} to {high:g}"


_PART = r"(?!\.\.?(/|$))[^/\s\\'\"$`]+"  # of a path: neither . nor .., no blank, nothing that a shell would change

_KINDS: Final = {
    "text": Kind("anything", lambda text: text),
    "boolean": boolean(),
    "start": boolean(true="round_robin", false="fixed"),
    "log_group": boolean(true="/deepracer-for-cloud", false=None),
    "fraction": number(0, 1, unit="fraction of the lap"),
    "seconds": number(0, unit="seconds"),
    "meters": number(0, above=True, unit="meters"),
    "bot_speed": number(0, 4, unit="m/s"),
    # The console's names of tracks have blanks: "A to Z Speedway".
    "track": _matching("the name of a track, without quotes", rf"/?{_PART}(/{_PART})*|{_PART}( {_PART})*"),
    "name": _matching("a plain name, without blanks, quotes and slashes", _PART),
    "key": _matching(
        "names with / between them, without blanks and quotes, none of them . or ..", rf"{_PART}(/{_PART})*"
    ),
    "resets": Kind("0, or a whole number of at least 2", _resets),
    "race_type": Kind("TIME_TRIAL, OBJECT_AVOIDANCE, HEAD_TO_BOT", _race_type),
    "script_boolean": _boolean(
        "True, yes, t, 1, False, no, f, 0",
        ("true", "yes", "t", "1"),
        _NO,
        "the original takes {} for false, like all that is not True, yes, t or 1",
    ),
    "multi_config": _boolean(
        "True, False", ("True",), _NO, "only True, exactly so, switches it on; the original takes {} for False"
    ),
    "positions": Kind("lap fraction (0 to 1), a comma and the lane (-1: outer), with ; between two places", _positions),
    "host": _matching("the name or the address of a machine", r"[A-Za-z0-9._:-]+"),
    "stream_prefix": _matching("text without : and *, at most 256 characters", r"[^:*]{0,256}"),
}


def kind_called(words: str) -> Kind:
    """The kind that is called so, as ``meters``, ``whole 0 50``, ``choice last best``, ``optional key``."""
    first, *rest = words.split()
    if first == "optional":
        return optional(kind_called(" ".join(rest)))
    if first == "whole":
        return whole(*map(int, rest))
    return choice(*rest) if first == "choice" else _KINDS[first]
