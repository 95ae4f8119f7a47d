"""What a reward file says, read and not run: its tree, what its names are given, which inputs it reads."""

from __future__ import annotations

import ast
import functools
from collections.abc import Collection
from typing import TypeGuard

Given = dict[str, list[ast.expr | None]]
"""By name, what it is given anywhere in a file; None: something that is not followed."""


class Reading:
    """A parsed file."""

    def __init__(self, tree: ast.Module) -> None:
        self.tree = tree
        self.nodes = list(ast.walk(tree))
        self.given: Given = {}
        """Of variables and attributes."""
        self.returned: Given = {}
        """Of functions."""
        for node in self.nodes:
            if isinstance(node, ast.Assign):
                for target in node.targets:
                    self._give(target, node.value)
            elif isinstance(node, ast.AnnAssign | ast.NamedExpr):
                self._give(node.target, node.value)
            elif isinstance(node, ast.AugAssign):
                self._give(node.target, ast.BinOp(node.target, node.op, node.value))
            elif isinstance(node, ast.For | ast.comprehension):
                self._give(node.target, None)
            elif isinstance(node, ast.withitem) and node.optional_vars is not None:
                self._give(node.optional_vars, None)
            elif isinstance(node, ast.FunctionDef):
                returns = [each.value for each in ast.walk(node) if isinstance(each, ast.Return)]
                self.returned.setdefault(node.name, []).extend(returns or [None])
            elif isinstance(node, ast.arg):
                self.given.setdefault(node.arg, []).append(None)

    def _give(self, target: ast.expr, value: ast.expr | None) -> None:
        if isinstance(target, ast.Tuple | ast.List):
            fits = isinstance(value, ast.Tuple | ast.List) and len(value.elts) == len(target.elts)
            values = value.elts if fits and isinstance(value, ast.Tuple | ast.List) else [None] * len(target.elts)
            for each, part in zip(target.elts, values, strict=True):
                self._give(each, part)
        elif is_name(target):
            self.given.setdefault(ast.unparse(target), []).append(value)

    def mentions(self, keys: Collection[str]) -> bool:
        """Whether one of ``keys`` stands as a text in it."""
        return any(isinstance(node, ast.Constant) and node.value in keys for node in self.nodes)


@functools.lru_cache(maxsize=8)
def read(source: str) -> Reading:
    """The reading of a text; an empty one of what is not Python."""
    try:
        return Reading(ast.parse(source))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return Reading(ast.Module([], []))


def is_name(node: ast.AST | None) -> TypeGuard[ast.Name | ast.Attribute]:
    """Whether an expression is a name, perhaps with dots."""
    return isinstance(node, ast.Name | ast.Attribute)


def key_of(node: ast.AST | None) -> str | None:
    """The text in ``…["text"]`` or ``….get("text")``."""
    key: ast.AST | None = None
    if isinstance(node, ast.Subscript):
        key = node.slice
    elif isinstance(node, ast.Call) and called(node) == "get" and isinstance(node.func, ast.Attribute) and node.args:
        key = node.args[0]
    return key.value if isinstance(key, ast.Constant) and isinstance(key.value, str) else None


def called(call: ast.Call) -> str:
    """The last name of what is called."""
    return getattr(call.func, "attr", getattr(call.func, "id", ""))
