"""JSON that is nearly what a reader expects: values of other kinds, keys missing, doubled or moved, endless numbers."""

from __future__ import annotations

import json
from collections.abc import Callable
from copy import deepcopy
from typing import Any

from fuzz_choices import Choices, mutated, sometimes_mutated

TOKENS = (
    "null",
    "true",
    "false",
    "0",
    "-1",
    "2",
    "0.5",
    "1e308",
    "-1e999",
    "NaN",
    "-Infinity",
    "1" + "0" * 400,
    "9" * 5000,
    '""',
    '"1"',
    '"nan"',
    '"-0"',
    '"training"',
    '"Lap complete"',
    '"3_Step-70.ckpt"',
    '"\\u0663_Step-9.ckpt"',
    '"\\ud800"',
    '"\\u0000\\u001b[31m\\n"',
    '"../../etc/passwd"',
    json.dumps("x" * 3000),
    "[]",
    "{}",
    "[[]]",
    '{"name": 1}',
    "[" * 40 + "]" * 40,
    '{"a":' * 300 + "1" + "}" * 300,
    "[" * 3000,
)
"""What may stand in the place of a value."""


class _Table(list[tuple[str, Any]]):
    """An object as pairs, of which two may have the same key."""


class _Token(str):
    """Written as it is."""


def odd_json(sample: Any) -> Callable[[Choices], bytes]:
    """A maker of files like the one that ``sample`` would be."""
    text = json.dumps(sample)

    def make(choices: Choices) -> bytes:
        if choices.below(4) == 3:
            return mutated(text.encode(), choices)
        root = [json.loads(text, object_pairs_hook=_Table)]
        for _ in range(1 + choices.below(3)):
            if not choices:
                break
            _edit(root, choices)
        written = "".join(_written(root[0])) if root else ""
        prefix = choices.of(("", "", "", "\ufeff", " \n"))
        return sometimes_mutated((prefix + written).encode("utf-8", "surrogatepass"), choices)

    return make


def _edit(root: list[Any], choices: Choices) -> None:
    """Change one place of the tree."""
    places = _places(root)
    holder, index = choices.of(places)
    other, place = choices.of(places)
    kind = choices.below(7)
    value = _at(holder, index)
    stranger = deepcopy(_at(other, place))  # or a tree might hold itself
    if kind <= 1:
        _put(holder, index, _Token(choices.of(TOKENS)))
    elif kind == 2 and holder is not root:
        del holder[index]
    elif kind == 3:
        holder.insert(index, (holder[index][0], stranger) if isinstance(holder, _Table) else stranger)
    elif kind == 4:
        _put(holder, index, stranger)
    elif kind == 5:
        _put(
            holder,
            index,
            [value] if choices.below(2) else _Table([(choices.of(("", "name", "\ud800", "a" * 500)), value)]),
        )
    elif isinstance(holder, _Table):
        holder[index] = (choices.of(("", "name", "\u202e", "\x1b[0m", holder[index][0].upper())), value)


def _places(root: list[Any]) -> list[tuple[list[Any], int]]:
    """Every value, as its holder and where it stands in it."""
    found: list[tuple[list[Any], int]] = []
    holders: list[list[Any]] = [root]
    while holders and len(found) < 500:
        holder = holders.pop()
        for index in range(len(holder)):
            found.append((holder, index))
            value = _at(holder, index)
            if isinstance(value, list):
                holders.append(value)
    return found


def _at(holder: list[Any], index: int) -> Any:
    return holder[index][1] if isinstance(holder, _Table) else holder[index]


def _put(holder: list[Any], index: int, value: Any) -> None:
    holder[index] = (holder[index][0], value) if isinstance(holder, _Table) else value


def _written(value: Any) -> list[str]:
    """The text of a tree, in pieces."""
    if isinstance(value, _Token):
        return [str(value)]
    if isinstance(value, _Table):
        pieces = [[json.dumps(key), ": ", *_written(each)] for key, each in value]
        return ["{", *_joined(pieces), "}"]
    if isinstance(value, list):
        return ["[", *_joined([_written(each) for each in value]), "]"]
    return [json.dumps(value)]


def _joined(pieces: list[list[str]]) -> list[str]:
    return [text for index, piece in enumerate(pieces) for text in ((", ",) if index else ()) + tuple(piece)]
