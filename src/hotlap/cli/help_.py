"""``hotlap help``: what ``--help`` says; and how every command says it."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup, TyperOption

JSON_KEYS = "JSON keys: "  # in the docstring of a command, before what stands at the end of its help


class HelpfulCommand(TyperCommand):
    """A command whose help has lines of the terminal's width, flags without a type, and the JSON keys at its end.

    While it runs, its words are its context's ``obj``.
    """

    def __init__(self, *args: Any, help: str | None = None, **options: Any) -> None:
        text, _, keys = _filled(help or "").partition(JSON_KEYS)
        options["epilog"] = f"{JSON_KEYS}{keys}" if keys else None
        super().__init__(*args, help=text.rstrip(), **_without_markup(options))

    def get_params(self, ctx: Any) -> list[Any]:
        return _flags_without_type(super().get_params(ctx))

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        ctx.obj = [str(ctx.info_name), *args]  # as they were given, to run the command again elsewhere
        return super().parse_args(ctx, args)


class HelpfulGroup(TyperGroup):
    """A command of commands, with flags like theirs."""

    def get_params(self, ctx: Any) -> list[Any]:
        return _flags_without_type(super().get_params(ctx))


def make_helpful(app: typer.Typer) -> None:
    """Let all commands of an application, and of those in it, explain themselves in this way."""
    for command in app.registered_commands:
        command.cls = HelpfulCommand
    for group in app.registered_groups:
        group.cls = HelpfulGroup
        if group.typer_instance:
            make_helpful(group.typer_instance)


def help_(
    context: typer.Context,
    words: Annotated[list[str] | None, typer.Argument(metavar="[COMMAND]...", help="Such as: tracks show.")] = None,
) -> None:
    """Say what hotlap, or one of its commands, does and takes; the same as --help."""
    root = context.find_root()
    root.command.main([*(words or []), "--help"], prog_name=root.command_path)


def _filled(text: str) -> str:
    """Paragraphs in one line each, in which brackets are only brackets."""
    return "\n\n".join(" ".join(each.split()) for each in text.split("\n\n")).replace("[", "\\[")


def _without_markup(options: dict[str, Any]) -> dict[str, Any]:
    for parameter in options.get("params") or []:
        if getattr(parameter, "help", None):
            parameter.help = parameter.help.replace("[", "\\[")
    return options


def _flags_without_type(parameters: list[Any]) -> list[Any]:
    for parameter in parameters:
        if isinstance(parameter, TyperOption) and parameter.is_flag:
            parameter.metavar = ""
    return parameters
