"""The words of a command as they were given, to run it again elsewhere."""

from __future__ import annotations

from collections.abc import Collection

import typer


def words(context: typer.Context, *, without: Collection[str] = ()) -> list[str]:
    """What makes the same command again: its arguments, and the options that differ from their defaults.

    Args:
        context: Of the command.
        without: Names of its parameters to leave out.
    """
    found = [str(context.info_name)]
    for parameter in context.command.params:
        value = context.params.get(str(parameter.name))
        if parameter.name in without or value is None or value == parameter.default:
            continue
        if parameter.param_type_name == "argument":
            found.append(str(value))
        elif isinstance(value, bool):
            found.append((parameter.opts if value else parameter.secondary_opts)[0])
        else:
            found += [parameter.opts[0], str(value)]
    return found
