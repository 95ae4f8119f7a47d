"""TOML and environment files with lines that are doubled, moved, or say odd things."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from fuzz_choices import Choices, mutated, sometimes_mutated

TOML_VALUES = (
    "0",
    "-1",
    "1.5",
    "inf",
    "nan",
    "1e999",
    "0x" + "f" * 400,
    "9" * 5000,
    "true",
    '""',
    '"\\u0000"',
    '"\\u001b[31m"',
    "'../../etc/passwd'",
    '"' + "x" * 3000 + '"',
    '"""a\nb"""',
    "1979-05-27T07:32:00Z",
    "1979-13-99",
    "25:61:00",
    "[]",
    "[1, 'a', {}]",
    "[" * 40 + "]" * 40,
    "[" * 2000,
    "{}",
    "{a.b.c = 1}",
    "{x = " * 100 + "1" + "}" * 100,
)
TOML_LINES = (
    "[workers]",
    "[[race]]",
    "[[workers]]",
    "[race.obstacles.positions]",
    "[evaluation]",
    "[''.\"\\u001b\"]",
    ".".join("a" * 200) + " = 1",
    "race.track.deep = 1",
    "unknown = 1",
    "[[workers]]\nrace_type = 'head_to_bot'\n[workers.bots]\nnumber = 2",
    "# \x00",
    "\u202e = 1",
)

ENV_VALUES = (
    "",
    "0",
    "-1",
    "2",
    "1e999",
    "9" * 4000,
    "True",
    "no",
    "$A$A$A$A",
    "${A}",
    "$(rm)",
    "`id`",
    "'$A'",
    '"$A"',
    '"open',
    "\\",
    "a;b",
    "..",
    "../../etc",
    "/",
    "0.5,1;0.7,-1",
    "nan,inf",
    "\x1b[31m",
    "\u202e",
    "\u0663",
    "HEAD_TO_BOT",
    "x" * 5000,
)
ENV_LINES = (
    "A=$A$A$A$A$A$A$A$A",
    "A=xxxxxxxx",
    "export A=b",
    "=",
    "A==b",
    "1A=b",
    "A=1 B=2 C # D=3",
    "\x00=\x00",
    "DR_EXPERIMENT_NAME=other",
    "DR_UPLOAD_S3_PREFIX=a",
    "DR_TRAIN_MULTI_CONFIG=True",
    "DR_WORKERS=2",
    " ",
    "#",
)


def odd_toml(sample: str) -> Callable[[Choices], bytes]:
    """A maker of files like ``sample``."""
    return _odd_lines(sample, " = ", TOML_VALUES, TOML_LINES)


def odd_env(sample: str) -> Callable[[Choices], bytes]:
    """A maker of files like ``sample``."""
    return _odd_lines(sample, "=", ENV_VALUES, ENV_LINES)


def _odd_lines(sample: str, sign: str, values: Sequence[str], strangers: Sequence[str]) -> Callable[[Choices], bytes]:
    def make(choices: Choices) -> bytes:
        if choices.below(4) == 3:
            return mutated(sample.encode(), choices)
        lines = sample.splitlines()
        for _ in range(1 + choices.below(3)):
            if not choices or not lines:
                break
            _edit(lines, sign, values, strangers, choices)
        text = choices.of(("", "", "", "\ufeff")) + choices.of(("\n", "\n", "\r\n")).join(lines) + "\n"
        return sometimes_mutated(text.encode(), choices)

    return make


def _edit(lines: list[str], sign: str, values: Sequence[str], strangers: Sequence[str], choices: Choices) -> None:
    """Change, move or add a line."""
    index, kind = choices.below(len(lines)), choices.below(6)
    name, _, value = lines[index].partition(sign)
    other = choices.of(lines).partition(sign)
    if kind <= 1:
        lines[index] = name + sign + choices.of(values)
    elif kind == 2:
        lines.insert(index, choices.of(strangers))
    elif kind == 3:
        lines[index] = other[0] + sign + value
    elif kind == 4:
        lines.insert(choices.below(len(lines)), lines[index])
    else:
        lines[index] = name + sign + other[2]
