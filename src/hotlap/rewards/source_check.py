"""What can be said about a reward file by reading it."""

from __future__ import annotations

import ast
import builtins
import itertools
import symtable
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from hotlap.deepracer.reward_inputs import KEYS
from hotlap.rewards.explain import meant
from hotlap.rewards.reading import Reading, called, is_name, key_of, read
from hotlap.rewards.units import wrong_units

# The console's pre-check: DeepRacer simapp, `docker/files/ml-code/reward_func_validator`.
ALLOWED_PACKAGES: Final = ("math", "random", "numpy", "scipy", "shapely")
FORBIDDEN_NAMES: Final = ("open", "exec", "eval", "compile", "input")
FORBIDDEN_TEXTS: Final = (
    "__import__", "load", "fromfile", "genfromtxt", "loadtxt", "tofile", "savez", "save", "savetxt", "memmap",
)  # fmt: skip

CONSOLE: Final = "the DeepRacer console, now shut down, would have refused: "
"""How a note about the console's validator begins."""

# What reaches beyond the function.
_POWERFUL_MODULES: Final = (
    "ctypes", "ftplib", "http", "multiprocessing", "requests", "shutil", "smtplib", "socket", "subprocess", "urllib",
)  # fmt: skip
_POWERFUL_CALLS: Final = (
    "os.remove", "os.unlink", "os.rmdir", "os.removedirs", "os.rename", "os.replace", "os.system", "os.popen",
    "os.chmod", "os.mkdir", "os.makedirs",
)  # fmt: skip
_WRITING_METHODS: Final = ("write_text", "write_bytes", "unlink", "savetxt", "tofile", "savez")


@dataclass(frozen=True)
class Problem:
    """Something about a reward file that its author should know."""

    level: Literal["error", "warning", "note"]
    """error: training would stop; warning: it runs, but look at this; note: good to know, nothing to mend."""
    message: str
    line: int | None = None
    inputs: dict[str, Any] = field(default_factory=dict)
    """What the function was asked when a call failed."""
    reads: tuple[str, ...] = ()
    """Those of `inputs` that the line reads."""


def warning(message: str, line: int | None = None) -> Problem:
    """What runs, but should be looked at."""
    return Problem("warning", message, line)


def check_source(source: str, namespace: dict[str, Any]) -> list[Problem]:
    """Problems that show without calling the function.

    Args:
        source: The text of a reward file that loads.
        namespace: The globals of the loaded module.
    """
    reading = read(source)
    problems = [
        *_undefined_names(source, reading, namespace),
        *_unknown_keys(reading.tree),
        *itertools.starmap(warning, wrong_units(reading)),
        *_reaches_out(reading),
        *_refused_by_the_console(source, reading),
    ]
    return sorted(problems, key=lambda problem: (problem.level, problem.line or 0))


def _undefined_names(source: str, reading: Reading, namespace: dict[str, Any]) -> Iterator[Problem]:
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
        uses = [node.lineno for node in reading.nodes if isinstance(node, ast.Name) and node.id == name]
        yield Problem("error", f"the name {name!r} is not defined anywhere", min(uses, default=None))


def _unknown_keys(tree: ast.Module) -> Iterator[Problem]:
    """Keys read from the argument of a reward function that the dictionary does not have."""
    names = "reward_function", "reward_function_batch"
    functions = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name in names]
    for function in functions:
        arguments = function.args.posonlyargs + function.args.args
        for node in ast.walk(function) if arguments else ():
            key = key_of(node)
            if key is None or key in KEYS or not isinstance(node, ast.Subscript | ast.Call):
                continue
            stored = isinstance(node, ast.Subscript) and not isinstance(node.ctx, ast.Load)
            holder = node.value if isinstance(node, ast.Subscript) else getattr(node.func, "value", None)
            if isinstance(holder, ast.Name) and holder.id == arguments[0].arg and not stored:
                yield warning(f"there is no key {key!r} in the inputs.{meant(key)}", node.lineno)


def _imports(nodes: Iterable[ast.AST]) -> Iterator[tuple[str, int]]:
    """The modules that are imported, and where."""
    for node in nodes:
        if isinstance(node, ast.ImportFrom):
            yield node.module or ".", node.lineno
        elif isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)


def _refused_by_the_console(source: str, reading: Reading) -> Iterator[Problem]:
    """What runs here, but the validator of the DeepRacer console, which was shut down, would have refused."""

    def refused(message: str, line: int) -> Problem:
        return Problem("note", CONSOLE + message, line)

    for name, line in _imports(reading.nodes):
        if name.split(".")[0] not in ALLOWED_PACKAGES:
            yield refused(f"import of {name!r} (allowed: {', '.join(ALLOWED_PACKAGES)})", line)
    for node in reading.nodes:
        if is_name(node):
            name = node.id if isinstance(node, ast.Name) else node.attr
            if name in FORBIDDEN_NAMES:
                yield refused(f"use of {name!r}", node.lineno)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            for inner in ast.walk(node):
                if isinstance(inner, ast.Import | ast.ImportFrom):
                    yield refused("import inside a function", inner.lineno)
    for number, text in enumerate(source.splitlines(), start=1):
        found = [word for word in FORBIDDEN_TEXTS if word in text]
        if found:
            yield refused(f"the text {max(found, key=len)!r}, even within a word or a comment", number)


def _reaches_out(reading: Reading) -> Iterator[Problem]:
    """What touches files, starts programs or talks to other machines: whoever runs the file should know."""
    found = [(line, f"imports {name}") for name, line in _imports(reading.nodes)
             if name.split(".")[0] in _POWERFUL_MODULES]  # fmt: skip
    for node in reading.nodes:
        if isinstance(node, ast.ImportFrom) and node.module == "os":
            calls = (f"os.{alias.name}" for alias in node.names)
            found += [(node.lineno, f"imports {name}") for name in calls if name in _POWERFUL_CALLS]
        elif isinstance(node, ast.Call):
            name = ast.unparse(node.func) if is_name(node.func) else ""
            if name in _POWERFUL_CALLS or (isinstance(node.func, ast.Attribute) and called(node) in _WRITING_METHODS):
                found.append((node.lineno, f"calls {called(node) if '(' in name else name}()"))
            elif called(node) == "open" and (mode := _mode(node)) and set(mode) & set("wax+"):
                found.append((node.lineno, f"opens a file with mode {mode!r}"))
    if found:
        told = [f"{text} (line {line})" for line, text in sorted(set(found))]
        more = f" and {len(told) - 3} more" if len(told) > 3 else ""
        yield Problem(
            "note",
            f"this file {', '.join(told[:3])}{more}, and it is run with your rights, here and in training; read it "
            "first if somebody else wrote it",
            min(found)[0],
        )


def _mode(call: ast.Call) -> str:
    """The mode that `open` is given."""
    given = [keyword.value for keyword in call.keywords if keyword.arg == "mode"]
    place = 1 if isinstance(call.func, ast.Name) or ast.unparse(call.func) in ("io.open", "codecs.open") else 0
    given += call.args[place : place + 1]  # a path's own method takes the mode first
    return given[0].value if given and isinstance(given[0], ast.Constant) and isinstance(given[0].value, str) else ""


@dataclass(frozen=True)
class RareName:
    """A variable that has a value only where a branch was taken."""

    name: str
    line: int
    """Where it is read."""
    assigned: frozenset[int]
    """Lines that give it one."""


def rare_names(source: str) -> list[RareName]:
    """Variables of functions that can be read on a way on which nothing was assigned to them."""
    found: list[RareName] = []
    for function in read(source).nodes:
        if isinstance(function, ast.FunctionDef):
            found += _Ways(function).found
    return found


class _Ways:
    """Follows the ways through a function; a loop's body is taken to run, a `try` to succeed."""

    def __init__(self, function: ast.FunctionDef) -> None:
        self.lines: dict[str, set[int]] = {}
        skipped: set[str] = set()
        for node in ast.walk(function):
            if isinstance(node, ast.Global | ast.Nonlocal):
                skipped.update(node.names)
            elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                self.lines.setdefault(node.id, set()).add(node.lineno)
        arguments = {argument.arg for argument in ast.walk(function.args) if isinstance(argument, ast.arg)}
        for name in skipped | arguments:
            self.lines.pop(name, None)
        self.found: list[RareName] = []
        self._run(function.body, set())

    def _run(self, body: list[ast.stmt], known: set[str]) -> set[str] | None:
        """The names that surely have a value behind ``body``; None if nothing comes behind it."""
        for statement in body:
            if isinstance(statement, ast.If):
                self._read(statement.test, known)
                ways = [self._run(statement.body, set(known)), self._run(statement.orelse, set(known))]
                left = [way for way in ways if way is not None]
                if not left:
                    return None
                known = set.intersection(*left)
            elif isinstance(statement, ast.For | ast.While | ast.With | ast.Try):
                for each in ast.walk(statement):  # not followed inside
                    if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Store):
                        known.add(each.id)
            elif isinstance(statement, ast.FunctionDef | ast.ClassDef | ast.Import | ast.ImportFrom):
                known |= {statement.name} if isinstance(statement, ast.FunctionDef | ast.ClassDef) else set()
            else:
                self._read(statement, known)
                known |= {
                    each.id
                    for each in ast.walk(statement)
                    if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Store)
                }
                if isinstance(statement, ast.Return | ast.Raise | ast.Break | ast.Continue):
                    return None
        return known

    def _read(self, node: ast.AST, known: set[str]) -> None:
        inner = {
            name.id
            for each in ast.walk(node)
            if isinstance(each, ast.comprehension | ast.NamedExpr)
            for name in ast.walk(each.target)
            if isinstance(name, ast.Name)
        }
        if any(isinstance(each, ast.Lambda) for each in ast.walk(node)):
            return
        for each in ast.walk(node):
            if isinstance(each, ast.Name) and each.id in self.lines and each.id not in known | inner:
                own = isinstance(node, ast.AugAssign) and each is node.target
                if isinstance(each.ctx, ast.Load) or own:
                    lines = self.lines[each.id] - {each.lineno}
                    if lines:
                        self.found.append(RareName(each.id, each.lineno, frozenset(lines)))
