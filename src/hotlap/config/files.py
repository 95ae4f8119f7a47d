"""Read a user's text, JSON and TOML files; every failure names the file and, where there is one, the line."""

from __future__ import annotations

import json
import re
import tomllib
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NoReturn

from hotlap.bounded import read_bounded
from hotlap.config.base import shown, warn
from hotlap.errors import ConfigError

MAX_BYTES = 1 << 20  # the longest that we know has a fiftieth of it
MAX_TOML_BYTES = 1 << 16
MAX_TOML_LINE = 4096  # characters; the time to read a key grows with the square of its length
MAX_DEPTH = 32  # tables in tables; no setting lies deeper than three


def read_text(path: Path) -> str:
    """The text of a UTF-8 file, without a byte order mark.

    Raises:
        ConfigError: If it is absent, a folder, unreadable, or not UTF-8.
    """
    return decode_text(read_bytes(path), str(path))


def read_bytes(path: Path, limit: int = MAX_BYTES) -> bytes:
    """The bytes of a file.

    Raises:
        ConfigError: If it is absent, a folder, unreadable, or has more than ``limit``.
    """
    try:
        return read_bounded(path, limit)
    except FileNotFoundError:
        raise ConfigError(f"{path}: there is no such file. Check its name.") from None
    except IsADirectoryError:
        raise ConfigError(f"{path}: this is a folder, but a file was expected.") from None
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror}).") from None


def decode_text(content: bytes, source: str) -> str:
    """The text of UTF-8 bytes, without a byte order mark; ``source`` names them in errors.

    Raises:
        ConfigError: If they are not UTF-8.
    """
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigError(
            f"{source}: byte {error.start} is not UTF-8 text ({error.reason}). Save the file with the encoding UTF-8."
        ) from None


def read_json_object(path: Path) -> dict[str, Any]:
    """The object that a JSON file holds; a repeated key counts the last time and is warned about.

    Raises:
        ConfigError: If the file cannot be read, is not JSON, or holds something else than an object.
    """
    return parse_json_object(read_text(path), str(path))


def parse_json_object(text: str, source: str) -> dict[str, Any]:
    """The same from a text; ``source`` names it in errors.

    Raises:
        ConfigError: If it is not JSON, or something else than an object.
    """

    def no_constant(name: str) -> NoReturn:
        raise ConfigError(f"{source}: {name} is not a JSON number. Write a finite number.")

    def pairs(items: list[tuple[str, Any]]) -> dict[str, Any]:
        values = dict(items)
        if len(values) < len(items):
            times = Counter(name for name, _ in items)
            repeated = sorted(name for name, number in times.items() if number > 1)
            warn(
                f"{source}: the key {', '.join(map(shown, repeated[:3]))} stands there more than once; the last one "
                "counts."
            )
        return values

    if not text.strip():
        raise ConfigError(f"{source}: the file is empty, but a JSON object {{…}} was expected.")
    try:
        data = json.loads(text, parse_constant=no_constant, object_pairs_hook=pairs)
    except json.JSONDecodeError as error:
        line = text.splitlines()[error.lineno - 1].strip() if error.lineno <= len(text.splitlines()) else "end of file"
        raise ConfigError(
            f"{source}: line {error.lineno}, column {error.colno} is not JSON: {error.msg} (near {line[:60]!a}). "
            f"{_json_advice(text, error.pos)}"
        ) from None
    except ValueError as error:  # a number of thousands of digits
        raise ConfigError(f"{source}: a number cannot be read ({error}).") from None
    except RecursionError:
        raise _too_deep(source) from None
    _check_depth(data, source)
    if not isinstance(data, dict):
        raise ConfigError(f"{source}: holds a JSON {type(data).__name__}, but an object {{…}} was expected.")
    return data


def _json_advice(text: str, position: int) -> str:
    """What to do about the character that is no JSON."""
    rest = text[position : position + 20]
    before = text[max(0, position - 1000) : position].rstrip()
    if rest.startswith(("//", "/*", "#")):
        return "JSON has no comments: delete this one."
    if rest.startswith(("'", "\u201c", "\u201d", "\u2018", "\u2019")):
        return 'JSON wants straight double quotes: ".'
    if (rest.startswith(("}", "]")) and before.endswith(",")) or re.match(r",\s*[}\]]", rest):
        return "Delete the comma after the last entry."
    if found := re.match(r"(True|False|None)\b", rest):
        return f"JSON writes { ({'True': 'true', 'False': 'false', 'None': 'null'}[found[1]]) }, not {found[1]}."
    if not rest.strip():
        return "The file ends too early: a bracket or a quote is not closed."
    if rest.startswith("<<<<<<<") or rest.startswith(("=======", ">>>>>>>")):
        return "It holds two versions that git could not join: keep one."
    return "JSON wants double quotes, no comments, a comma between two entries and none after the last."


def read_toml(path: Path) -> dict[str, Any]:
    """The tables of a TOML file.

    Raises:
        ConfigError: If the file cannot be read or is not TOML; names the line.
    """
    text = decode_text(read_bytes(path, MAX_TOML_BYTES), str(path))
    for number, line in enumerate(text.split("\n"), start=1):
        if len(line) > MAX_TOML_LINE:
            raise ConfigError(f"{path}: line {number} has more than {MAX_TOML_LINE} characters. Divide it.")
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        found = re.search(r"line (\d+)", str(error))
        lines = text.splitlines()
        near = f" (near {lines[int(found[1]) - 1].strip()[:60]!a})" if found and int(found[1]) <= len(lines) else ""
        raise ConfigError(
            f"{path}: not valid TOML: {error}{near}. Each line is [section], key = value, or # a comment; "
            'text stands in "double quotes", true and false are lower-case.'
        ) from None
    except ValueError as error:  # a number of thousands of digits
        raise ConfigError(f"{path}: a number cannot be read ({error}).") from None
    except RecursionError:
        raise _too_deep(str(path)) from None
    _check_depth(tables, str(path))
    return tables


def key_lines(path: Path) -> dict[str, int]:
    """The line of each table and key of a TOML file by its full name; of arrays of tables and of odd names none."""
    lines: dict[str, int] = {}
    table: str | None = ""
    for number, line in enumerate(read_text(path).split("\n"), start=1):
        if line.lstrip().startswith("["):
            header = re.match(r"\s*\[([\w.-]+)\]", line)
            table = f"{header[1]}." if header else None
            if header:
                lines.setdefault(header[1], number)
        elif table is not None and (key := re.match(r"\s*([\w.-]+)\s*=", line)):
            lines.setdefault(f"{table}{key[1]}", number)
    return lines


def _check_depth(data: Any, source: str) -> None:
    """Refuse what is nested so deeply that to print it would fail."""
    level = [data]
    for _ in range(MAX_DEPTH):
        level = [inner for each in level if isinstance(each, list | dict) for inner in _items(each)]
    if level:
        raise _too_deep(source)


def _items(value: list[Any] | dict[str, Any]) -> Iterable[Any]:
    return value.values() if isinstance(value, dict) else value


def _too_deep(source: str) -> ConfigError:
    return ConfigError(f"{source}: it is nested too deeply; no setting lies deeper than a table in a table.")
