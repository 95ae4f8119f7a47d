"""What can be said about a reward file by reading it."""

from __future__ import annotations

import ast
import builtins
import symtable
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, Literal

from hotlap.rewards.function import meant
from hotlap.rewards.params import KEYS

# The console's pre-check: DeepRacer simapp, `docker/files/ml-code/reward_func_validator`.
ALLOWED_PACKAGES: Final = ("math", "random", "numpy", "scipy", "shapely")
FORBIDDEN_NAMES: Final = ("open", "exec", "eval", "compile", "input")
FORBIDDEN_TEXTS: Final = (
    "__import__",
    "load",
    "fromfile",
    "genfromtxt",
    "loadtxt",
    "tofile",
    "savez",
    "save",
    "savetxt",
    "memmap",
)


@dataclass(frozen=True)
class Problem:
    """Something about a reward file that its author should know."""

    level: Literal["error", "warning"]
    """error: training would stop; warning: it runs, but look at this."""
    message: str
    line: int | None = None


def check_source(source: str, namespace: dict[str, Any]) -> list[Problem]:
    """Problems that show without calling the function.

    Args:
        source: The text of a reward file that loads.
        namespace: The globals of the loaded module.
    """
    tree = ast.parse(source)
    problems = [
        *_undefined_names(source, tree, namespace),
        *_unknown_keys(tree),
        *_refused_by_the_console(source, tree),
    ]
    return sorted(problems, key=lambda problem: (problem.level, problem.line or 0))


def _undefined_names(source: str, tree: ast.Module, namespace: dict[str, Any]) -> Iterator[Problem]:
    """Names that nothing defines: they fail when the run first comes by, perhaps hours later."""
    tables, defined = [symtable.symtable(source, "reward", "exec")], set(namespace) | set(vars(builtins))
    wanted = set()
    while tables:
        table = tables.pop()
        tables += table.get_children()
        for symbol in table.get_symbols():
            if symbol.is_declared_global() and symbol.is_assigned():
                defined.add(symbol.get_name())
            elif symbol.is_global() and symbol.is_referenced():
                wanted.add(symbol.get_name())
    for name in sorted(wanted - defined):
        uses = [node.lineno for node in ast.walk(tree) if isinstance(node, ast.Name) and node.id == name]
        yield Problem("error", f"the name {name!r} is not defined anywhere", min(uses, default=None))


def _unknown_keys(tree: ast.Module) -> Iterator[Problem]:
    """Keys read from the argument of `reward_function` that the dictionary does not have."""
    functions = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == "reward_function"]
    for function in functions:
        arguments = function.args.posonlyargs + function.args.args
        if not arguments:
            continue
        for node in ast.walk(function):
            key = _key_read(node, arguments[0].arg)
            if key is not None and key not in KEYS:
                line = getattr(node, "lineno", None)
                yield Problem("warning", f"there is no key {key!r} in the inputs.{meant(key)}", line)


def _key_read(node: Any, argument: str) -> str | None:
    """The text in ``argument["text"]`` or ``argument.get("text")``."""
    if isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Load):
        holder, key = node.value, node.slice
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "get" and node.args:
        holder, key = node.func.value, node.args[0]
    else:
        return None
    if isinstance(holder, ast.Name) and holder.id == argument and isinstance(key, ast.Constant):
        return key.value if isinstance(key.value, str) else None
    return None


def _refused_by_the_console(source: str, tree: ast.Module) -> Iterator[Problem]:
    """What runs here, but the console's validator would not accept."""

    def refused(message: str, line: int) -> Problem:
        return Problem("warning", f"{message}: the DeepRacer console's validator would refuse this", line)

    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [node.module or "."] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names]
            for name in names:
                if name.split(".")[0] not in ALLOWED_PACKAGES:
                    yield refused(f"import of {name!r} (allowed: {', '.join(ALLOWED_PACKAGES)})", node.lineno)
        elif isinstance(node, ast.Name | ast.Attribute):
            name = node.id if isinstance(node, ast.Name) else node.attr
            if name in FORBIDDEN_NAMES:
                yield refused(f"use of {name!r}", node.lineno)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            for inner in ast.walk(node):
                if isinstance(inner, ast.Import | ast.ImportFrom):
                    yield refused("import inside a function", inner.lineno)
    for number, line in enumerate(source.splitlines(), start=1):
        found = [text for text in FORBIDDEN_TEXTS if text in line]
        if found:
            yield refused(f"the text {max(found, key=len)!r}, even within a word or a comment", number)
