"""What a line of a reward file reads, and what it does while it does not come to an end."""

from __future__ import annotations

import ast
import functools
import linecache
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Final

from hotlap.rewards.reading import Reading, called, is_name, read

_WAITING: Final = (
    "accept", "acquire", "check_call", "check_output", "communicate", "connect", "create_connection", "getaddrinfo",
    "input", "recv", "select", "sleep", "system", "urlopen", "wait",
)  # fmt: skip
_WAITING_IN_FULL: Final = ("subprocess.run", "subprocess.call", "requests.get", "requests.post", "requests.request")


def source_of(file: Path | str, line: int) -> str:
    """The text of a line as it was when the file was loaded."""
    return linecache.getline(str(file), line).strip() if line else ""


def keys_read(file: Path | str, line: int, keys: Collection[str]) -> tuple[str, ...]:
    """Those of ``keys`` that a line reads, itself or by variables that were given them; all of the file for line 0."""
    found = _keys_read("".join(linecache.getlines(str(file))), line)
    return tuple(key for key in found if key in keys)


@functools.lru_cache(maxsize=64)
def _keys_read(source: str, line: int) -> tuple[str, ...]:
    reading = read(source)
    found: dict[str, None] = {}
    followed: set[str] = set()

    def follow(node: ast.AST) -> None:
        for each in ast.walk(node):
            if isinstance(each, ast.Constant) and isinstance(each.value, str):
                found[each.value] = None
            elif is_name(each) and (name := ast.unparse(each)) not in followed:
                followed.add(name)
                for value in reading.given.get(name, []):
                    if value is not None:
                        follow(value)

    for part in _parts(reading, line) if line else [reading.tree]:
        follow(part)
    return tuple(found)


def hanging(file: Path | str, line: int) -> str:
    """Such as "it hangs in line 3: `while True:`"; nothing without a line."""
    source = source_of(file, line)
    if not source:
        return ""
    reading = read("".join(linecache.getlines(str(file))))
    if any(_waits(each) for part in _parts(reading, line) for each in ast.walk(part) if isinstance(each, ast.Call)):
        return f"it waits in line {line}: `{source}`"
    loops = [node for node in reading.nodes if isinstance(node, ast.While) and _holds(node, line)]
    if loops:
        line = max(loop.lineno for loop in loops)
        source = source_of(file, line)
    return f"it hangs in {'the loop of ' if loops else ''}line {line}: `{source}`"


def _waits(call: ast.Call) -> bool:
    joins = called(call) == "join" and not call.args  # a thread; with words it joins these
    return joins or called(call) in _WAITING or ast.unparse(call.func) in _WAITING_IN_FULL


def _holds(node: ast.AST, line: int) -> bool:
    return getattr(node, "lineno", 0) <= line <= (getattr(node, "end_lineno", None) or 0)


def _parts(reading: Reading, line: int) -> Iterator[ast.AST]:
    """What is executed in a line: a statement, or the head of one that has others within it."""
    for node in reading.nodes:
        if not isinstance(node, ast.stmt) or not _holds(node, line):
            continue
        heads = [each for each in ast.iter_child_nodes(node) if not isinstance(each, ast.stmt | ast.excepthandler)]
        if not hasattr(node, "body"):
            yield node
        elif not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield from (each for each in heads if _holds(each, line))
