"""Environment files of DeepRacer-for-Cloud, read as a shell would read them; nothing in them is ever executed."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from hotlap.config.base import mistakes, shown, warn
from hotlap.config.files import decode_text, read_bytes
from hotlap.errors import ConfigError

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
MAX_BYTES = 1 << 16  # DeepRacer-for-Cloud's own have a tenth of it
MAX_VALUE = 4096  # characters; a few lines that double each other would fill any memory
MAX_VARIABLES = 1000  # of a file; the original knows 150

_TRACK = "DR_WORLD_NAME"
_ENDS_A_COMMAND = ";&|<>()"


@dataclass(frozen=True)
class Assignment:
    """A variable, the value that a file gives it, and where."""

    name: str
    value: str
    file: Path
    line: int
    unset: tuple[str, ...] = ()
    """Names of variables that the value was to take in and that had none, so that nothing stands in their place."""

    @property
    def place(self) -> str:
        return f"{self.file}, line {self.line}"


Environment = Mapping[str, Assignment]
"""Assignments by name; of several of one name the one that counts."""

TrackNames = Callable[[str], str | None]
"""From what people call a track to its name, or None if there is no such track."""


def read_env_file(
    path: Path,
    earlier: Environment,
    *,
    shell: Mapping[str, str] | None = None,
    track_names: TrackNames = lambda called: None,
) -> Environment:
    """Read a system.env or run.env by the rules of DeepRacer-for-Cloud's activation script.

    Lines that begin with ``#`` are left out. The others are cut at blanks into words, the words at ``=``: the first
    part is the name, the second the value, so that a value holds neither a blank nor a second ``=``. Quotes,
    backslashes, ``$NAME`` and ``${NAME}`` mean what they mean to a shell.

    Args:
        path: The file.
        earlier: What earlier files say; ``$NAME`` expands to it, or to what an earlier line of this file says.
        shell: Variables of the shell, to which other names expand; None: those of this process. None of them begins
            with ``DR_``, since such would come from another activation.
        track_names: To say which name a track has that is called something with blanks.

    Returns:
        The assignments of this file alone. What has no value by then expands to nothing, and the assignment says so.

    Raises:
        ConfigError: For what a shell would execute or take for the end of a value; names file and line, up to three.
    """
    shell = os.environ if shell is None else shell
    found: dict[str, Assignment] = {}
    problems: list[str] = []

    def expand(name: str, unset: dict[str, None]) -> str:
        known = found.get(name) or earlier.get(name)
        if known is not None:
            unset.update(dict.fromkeys(known.unset))
            return known.value
        if name in shell and not name.startswith("DR_"):
            return shell[name]
        unset[name] = None
        return ""

    for number, line in enumerate(decode_text(read_bytes(path, MAX_BYTES), str(path)).split("\n"), start=1):
        if line.startswith("#"):
            continue
        place = f"{path}, line {number}"
        if track := _track_with_blanks(line, track_names):
            problems.append(f"{place}: run.env takes no blanks: write {_TRACK}={track}.")
            continue
        stray: list[str] = []
        for word in re.findall(r"[^ \t\r]+", line):
            name, *parts = word.split("=")
            if any("`" in part or "$(" in part for part in (name, *parts[1:])):
                problems.append(f"{place}: {shown(word)} holds a command for the shell, but nothing is executed here.")
            elif not parts or name.startswith("#") or (stray and not _NAME.fullmatch(name)):
                stray.append(word)
            elif not _NAME.fullmatch(name):
                problems.append(f"{place}: {shown(name)} in {shown(word)} cannot name a variable.")
            else:
                unset: dict[str, None] = {}
                try:
                    value = shell_value(parts[0], lambda name, unset=unset: expand(name, unset))  # type: ignore[misc]
                except ValueError as error:
                    problems.append(f"{place}: {name} = {shown(parts[0])}: {error}.")
                    continue
                if parts[1:]:
                    rest = "=".join(["", *parts[1:]])
                    warn(
                        f"{place}: {name} is {shown(value)}: a value ends at a second '=', so {shown(rest)} has no "
                        "effect."
                    )
                if any(each.startswith("#") for each in stray):
                    warn(f"{place}: {shown(word)} counts, though a # stands before it: only whole lines are comments.")
                _add(found, Assignment(name, value, path, number, tuple(unset)))
        if stray:
            warn(
                f"{place}: {shown(' '.join(stray))} has no effect. A comment needs a line of its own, and a value "
                "holds no blanks."
            )
    _raise(problems)
    return found


def _track_with_blanks(line: str, track_names: TrackNames) -> str | None:
    """The name of the track that a line calls by a name with blanks, with quotes or without."""
    name, _, called = line.strip().partition("=")
    called = called.strip("'\"")
    return track_names(called) if name == _TRACK and " " in called else None


def read_worker_file(path: Path) -> Environment:
    """Read a worker-N.env, which no shell ever saw: each line that is no comment is exactly NAME=VALUE.

    Raises:
        ConfigError: For an empty line, a line without or with a second ``=``, a name that is none; up to three.
    """
    found: dict[str, Assignment] = {}
    problems = []
    lines = decode_text(read_bytes(path, MAX_BYTES), str(path)).split("\n")
    if not lines[-1]:
        lines.pop()  # what follows the last end of line is no line
    for number, line in enumerate(lines, start=1):
        if line.startswith("#"):
            continue
        place, line = f"{path}, line {number}", line.rstrip("\r")
        name, *parts = line.split("=")
        if not line.strip():
            problems.append(f"{place} is empty, which a worker's file must not have. Delete the line.")
        elif len(parts) != 1:
            problems.append(f"{place}: {shown(line)} must be NAME=VALUE with exactly one '='.")
        elif not _NAME.fullmatch(name):
            problems.append(
                f"{place}: {shown(name)} in {shown(line)} cannot name a variable; no blanks stand before '='."
            )
        elif len(parts[0]) > MAX_VALUE:
            problems.append(f"{place}: the value of {shown(name)} has more than {MAX_VALUE} characters.")
        else:
            _add(found, Assignment(name, parts[0].strip(), path, number))
    _raise(problems)
    return found


def shell_value(text: str, expand: Callable[[str], str]) -> str:
    """What a shell makes of ``text`` behind ``NAME=``, with ``expand`` giving the values of variables.

    Raises:
        ValueError: If a shell would execute something, or take a character for the end of the value.
    """
    value, quote, i = "", "", 0
    while i < len(text):
        char, i = text[i], i + 1
        if quote == "'":
            quote, value = ("", value) if char == "'" else (quote, value + char)
        elif char == "\\" and i < len(text) and (not quote or text[i] in '$`"\\'):
            value, i = value + text[i], i + 1
        elif char == "`":
            raise ValueError("a command in backticks, but nothing is executed here")
        elif char == "$":
            name, i = _reference(text, i, quoted=bool(quote))
            value += expand(name) if name else "$"
        elif char == quote:
            quote = ""
        elif not quote and char in "'\"":
            quote = char
        elif not quote and char in _ENDS_A_COMMAND:
            raise ValueError(f"to a shell the value ends at {char!r}; put it in double quotes")
        else:
            value += char
        if len(value) > MAX_VALUE:
            raise ValueError(f"the value has more than {MAX_VALUE} characters")
    if quote:
        raise ValueError(f"the {quote} is not closed; a value holds neither blanks nor '=', also in quotes")
    return value


def _reference(text: str, i: int, *, quoted: bool) -> tuple[str, int]:
    """Name of the variable whose ``$`` stands before ``text[i]``, and where it ends; no name for a mere dollar."""
    if text.startswith("(", i):
        raise ValueError("a command in $(…), but nothing is executed here")
    if text.startswith("{", i):
        name, closed, _ = text[i + 1 :].partition("}")
        if closed and _NAME.fullmatch(name):
            return name, i + len(name) + 2
    elif found := _NAME.match(text, i):
        return found[0], found.end()
    elif not re.match(r"[0-9?!#@*$-]" if quoted else r"[0-9?!#@*$'\"-]", text[i:]):
        return "", i
    raise ValueError("of all that begins with $ only $NAME and ${NAME} can stand here")


def _add(found: dict[str, Assignment], new: Assignment) -> None:
    old = found.get(new.name)
    if old is not None and old.value != new.value:
        warn(f"{new.place}: {new.name} is set on line {old.line} already; {shown(new.value)} counts, the last one.")
    found[new.name] = new
    if len(found) > MAX_VARIABLES:
        raise ConfigError(
            f"{new.place}: the file sets more than {MAX_VARIABLES} variables, so it is none of DeepRacer-for-Cloud's."
        )


def _raise(problems: Iterable[str]) -> None:
    if told := mistakes(problems):
        raise ConfigError(told)
