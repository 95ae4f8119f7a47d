"""What a beginner types first: the version, help, a mistyped command."""

from __future__ import annotations

import re
from collections.abc import Iterator

import click
import pytest
import typer
from typer.testing import CliRunner, Result

from hotlap import __version__
from hotlap.cli.main import _paragraph, app


def hotlap(*words: str) -> Result:
    return CliRunner().invoke(app, words, env={"COLUMNS": "120"})


def test_the_version_is_said():
    done = hotlap("--version")
    assert (done.exit_code, done.stdout) == (0, f"hotlap {__version__}\n")


def test_help_is_a_command_too():
    """`hotlap help COMMAND` says what `hotlap COMMAND --help` says, for commands of commands as well."""
    for words in ([], ["evaluate"], ["tracks"], ["tracks", "show"], ["help"]):
        asked, flagged = hotlap("help", *words), hotlap(*words, "--help")
        assert (asked.exit_code, asked.stdout) == (0, flagged.stdout)
        assert "Usage" in asked.stdout


def test_help_begins_with_the_commands_of_a_beginner():
    """Flags have no type, brackets stay, and what only programs read comes last."""
    text = hotlap("--help").stdout
    order = ("Start here", "new ", "train ", "evaluate ", "analyze ", "export ", "Trainings and models", "jobs ")
    assert [text.index(word) for word in order] == sorted(text.index(word) for word in order)
    for words in ([], ["train"], ["evaluate"], ["tracks", "add"], ["reward", "check"], ["bench"]):
        assert "<bool>" not in hotlap(*words, "--help").stdout
    text = hotlap("evaluate", "--help").stdout
    assert "[race]" in text
    assert text.index("JSON keys: ") > text.index("--json")


def test_a_command_without_a_folder_asks_for_one():
    for command in ("train", "evaluate", "checkpoints", "analyze"):
        assert f"which folder? For example: `hotlap {command} models/mine`" in str(hotlap(command).exception)


def test_a_command_in_a_message_can_be_copied():
    """It stands in one line, whatever the length of the lines around it."""
    command = "`hotlap train 'models of mine/first' --resume`"
    for words in range(20):
        assert command in _paragraph(f"{'word ' * words}{command} goes on from there.")


def test_lines_of_a_message_stay_lines():
    """Long ones are filled, the rest of an indented one farther in."""
    lines = _paragraph(f"job.toml:\n  line 1: {'word ' * 30}\n  line 2: wrong").splitlines()
    assert [line[:7] for line in lines] == ["job.tom", "  line ", "    wor", "  line "]
    assert max(map(len, lines)) <= 110


def test_a_mistyped_command_is_told_with_the_near_one():
    """Also where help is asked about it."""
    for words in (["evalute", "models/mine"], ["help", "evalute"]):
        done = hotlap(*words)
        assert done.exit_code == 2
        assert "Did you mean 'evaluate'" in done.output
    assert "Did you mean 'show'" in hotlap("tracks", "shwo").output


def commands(words: tuple[str, ...], command: click.Command) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """All commands and commands of commands, by what is typed."""
    yield words, command
    for name, inner in getattr(command, "commands", {}).items():
        yield from commands((*words, name), inner)


COMMANDS = dict(commands((), typer.main.get_command(app)))


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_help_says_every_word_of_its_source(words: tuple[str, ...]):
    """To the library that prints it, a word in brackets would be a color."""
    command = COMMANDS[words]
    source = " ".join([command.help or "", *(getattr(each, "help", None) or "" for each in command.params)])
    shown = " ".join(re.findall(r"[^\s│]+", hotlap(*words, "--help").stdout))
    for word in re.findall(r"\[[^\]]+\]", source):
        assert word in shown
