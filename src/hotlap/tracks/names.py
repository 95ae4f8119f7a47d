"""Names of tracks as people write them.

``re:Invent 2018``, ``REINVENT_BASE``, ``reinvent_base.npy`` and ``reinvent_base_ccw`` all mean one track, the last one
in one direction. Letters and digits count; case, blanks and marks do not, unless two names differ in nothing else.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from typing import Literal, NamedTuple

Turn = Literal["cw", "ccw"]

GENERATED = "generated"
"""Stands for tracks that are made up, so no track has this name."""

_DIRECTION = re.compile(
    r"[\s_(-]+(?P<ccw>ccw|(counter|anti)[\s_-]?clockwise)\)?$|[\s_(-]+(cw|clockwise)\)?$", re.IGNORECASE
)
_CUTOFF = 0.6


class Match(NamedTuple):
    """A name that is meant."""

    name: str
    turn: Turn | None
    """The direction that was asked for beyond the name, if any."""


def match_name(text: str, names: Iterable[str], console_names: Mapping[str, str]) -> Match | None:
    """The name among ``names`` that ``text`` means; None if it means none of them.

    Args:
        text: What somebody wrote.
        names: Names to choose from.
        console_names: The names behind the console's names.
    """
    names = list(names)
    text = re.sub(r"\.npy$", "", text.strip(), flags=re.IGNORECASE)
    whole = _same(text, names, console_names)
    if whole is not None:
        return Match(whole, None)
    direction = _DIRECTION.search(text)
    if direction is None:
        return None
    stem = _same(text[: direction.start()], names, console_names)
    return None if stem is None else Match(stem, "ccw" if direction["ccw"] else "cw")


def near_names(text: str, names: Iterable[str], console_names: Mapping[str, str]) -> list[str]:
    """At most three names, the console's among them, that resemble ``text``; the nearest first."""
    spellings = {
        **{fold(console): name for console, name in console_names.items()},
        **{fold(name): name for name in names},
    }
    direction = _DIRECTION.search(text)
    wanted = fold(text[: direction.start()] if direction else text)
    near = [*difflib.get_close_matches(wanted, spellings, n=3, cutoff=_CUTOFF)]
    if len(wanted) > 3:
        near += sorted((each for each in spellings if wanted in each), key=len)
    return list(dict.fromkeys(spellings[each] for each in near))[:3]


def fold(text: str) -> str:
    """Letters and digits of a name, in lower case."""
    return "".join(filter(str.isalnum, text.casefold()))


def _same(text: str, names: list[str], console_names: Mapping[str, str]) -> str | None:
    if text in names:
        return text
    for change in (str.casefold, fold):
        for name in names:
            if change(name) == change(text) != "":
                return name
    folded = fold(text)
    return next((name for console, name in console_names.items() if fold(console) == folded and name in names), None)
