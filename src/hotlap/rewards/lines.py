"""What a line of a reward file reads, and what it does while it does not come to an end."""

from __future__ import annotations

import ast
import functools
import linecache
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Final

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
    tree = _parsed(source)
    given: dict[str, list[ast.expr]] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign):
            for target in node.targets:
                if isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple):
                    for each, value in zip(target.elts, node.value.elts, strict=False):
                        given.setdefault(ast.unparse(each), []).append(value)
                else:
                    given.setdefault(ast.unparse(target), []).append(node.value)
    found: dict[str, None] = {}
    followed: set[str] = set()

    def follow(node: ast.AST) -> None:
        for each in ast.walk(node):
            if isinstance(each, ast.Constant) and isinstance(each.value, str):
                found[each.value] = None
            elif isinstance(each, ast.Name | ast.Attribute) and (name := ast.unparse(each)) not in followed:
                followed.add(name)
                for value in given.get(name, []):
                    follow(value)

    for part in _parts(tree, line) if line else [tree]:
        follow(part)
    return tuple(found)


def hanging(file: Path | str, line: int) -> str:
    """Such as "it hangs in line 3: `while True:`"; nothing without a line."""
    source = source_of(file, line)
    if not source:
        return ""
    tree = _parsed("".join(linecache.getlines(str(file))))
    calls = [each for part in _parts(tree, line) for each in ast.walk(part) if isinstance(each, ast.Call)]
    if any(map(_waits, calls)):
        return f"it waits in line {line}: `{source}`"
    loops = [node for node in ast.walk(tree) if isinstance(node, ast.While) and _holds(node, line)]
    if loops:
        line = max(loop.lineno for loop in loops)
        source = source_of(file, line)
    return f"it hangs in {'the loop of ' if loops else ''}line {line}: `{source}`"


def _waits(call: ast.Call) -> bool:
    name = getattr(call.func, "attr", getattr(call.func, "id", ""))
    joins = name == "join" and not call.args  # a thread; with words it joins these
    return joins or name in _WAITING or ast.unparse(call.func) in _WAITING_IN_FULL


def _parsed(source: str) -> ast.Module:
    try:
        return ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return ast.Module([], [])


def _holds(node: ast.AST, line: int) -> bool:
    return getattr(node, "lineno", 0) <= line <= (getattr(node, "end_lineno", None) or 0)


def _parts(tree: ast.Module, line: int) -> Iterator[ast.AST]:
    """What is executed in a line: a statement, or the head of one that has others within it."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.stmt) or not _holds(node, line):
            continue
        heads = [each for each in ast.iter_child_nodes(node) if not isinstance(each, ast.stmt | ast.excepthandler)]
        if not hasattr(node, "body"):
            yield node
        elif not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield from (each for each in heads if _holds(each, line))
