"""Environment files mean what a shell would make of them, and never do anything."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hotlap.config import ConfigWarning
from hotlap.config.env_file import Assignment, read_env_file, read_worker_file, shell_value
from hotlap.errors import ConfigError

BASH = shutil.which("bash")


def read(tmp_path: Path, text: str, earlier: dict[str, str] | None = None, **shell: str) -> dict[str, str]:
    path = tmp_path / "run.env"
    path.write_text(text)
    before = {name: Assignment(name, value, tmp_path / "system.env", 1) for name, value in (earlier or {}).items()}
    return {name: each.value for name, each in read_env_file(path, before, shell=shell).items()}


def test_words_are_assignments_and_lines_with_a_hash_are_not(tmp_path: Path):
    text = "# DR_A=0\n#DR_B=0\nDR_C=1 DR_D=two\r\n\n   DR_E=3\t\n"
    assert read(tmp_path, text) == {"DR_C": "1", "DR_D": "two", "DR_E": "3"}


def test_every_assignment_knows_its_line(tmp_path: Path):
    path = tmp_path / "run.env"
    path.write_text("# comment\nDR_A=1\n\nDR_B=2 DR_C=3\n")
    found = read_env_file(path, {})
    assert [(each.name, each.line, each.file) for each in found.values()] == [
        ("DR_A", 2, path),
        ("DR_B", 4, path),
        ("DR_C", 4, path),
    ]
    assert found["DR_C"].place == f"{path}, line 4"


def test_variables_expand_to_earlier_lines_then_earlier_files_then_the_shell(tmp_path: Path):
    text = "A=$X\nX=here\nB=$X-1\nC=${X}y\nD=\"$X;$HOME\"\nE='$X'\nF=\\$X\nG=$\n"
    assert read(tmp_path, text, {"X": "there"}, X="shell", HOME="/home/me") == {
        "A": "there",
        "X": "here",
        "B": "here-1",
        "C": "herey",
        "D": "here;/home/me",
        "E": "$X",
        "F": "$X",
        "G": "$",
    }


def test_what_is_not_set_expands_to_nothing_and_is_named(tmp_path: Path):
    """Also through another variable; those of another activation, which the shell may still hold, are not seen."""
    path = tmp_path / "run.env"
    path.write_text("A=[$DR_X]\nB=$A-$A-$Y\nC='$X'\n")
    found = read_env_file(path, {}, shell={"DR_X": "old"})
    assert {name: (each.value, each.unset) for name, each in found.items()} == {
        "A": ("[]", ("DR_X",)),
        "B": ("[]-[]-", ("DR_X", "Y")),
        "C": ("$X", ()),
    }


def test_the_last_assignment_counts_and_is_told(tmp_path: Path):
    with pytest.warns(ConfigWarning, match=r"line 3: DR_A is set on line 1 already; '2' counts"):
        assert read(tmp_path, "DR_A=1\nDR_B=1\nDR_A=2\n") == {"DR_A": "2", "DR_B": "1"}


@pytest.mark.filterwarnings("ignore::hotlap.config.ConfigWarning")
@pytest.mark.parametrize(
    ("line", "value", "warning"),
    [
        ("DR_A=b=c", "b", "a value ends at a second '=', so '=c' has no effect"),
        ("DR_A==c", "", "so '=c' has no effect"),
        ("DR_A=Fast Car", "Fast", "'Car' has no effect"),
        ("DR_A=1 # one worker", "1", "'# one worker' has no effect. A comment needs a line of its own"),
        ("DR_A=1 # (it's one)", "1", "has no effect"),
        ("export DR_A=1", "1", "'export' has no effect"),
        (" # DR_A=1", "1", "'DR_A=1' counts, though a # stands before it"),
        ("DR_A=1 #DR_A=2", "1", "'#DR_A=2' has no effect"),
    ],
)
def test_what_the_script_reads_otherwise_than_people_is_told(tmp_path: Path, line, value, warning):
    with pytest.warns(ConfigWarning, match=re.escape(warning)):
        assert read(tmp_path, line) == {"DR_A": value}


BAD_LINES = {
    "command": ("DR_A=$(touch made)", "DR_A = '$(touch': a command in $(…), but nothing is executed"),
    "command without blanks": ("DR_A=$(>made)", "a command in $(…)"),
    "backticks": ("DR_A=`>made`", "a command in backticks"),
    "command in quotes": ('DR_A="x$(>made)"', "a command in $(…)"),
    "backticks in quotes": ('DR_A="`>made`"', "a command in backticks"),
    "arithmetic": ("DR_A=$((1+1))", "a command in $(…)"),
    "command in the name": ("$(>made)=1", "'$(>made)=1' holds a command for the shell"),
    "backticks in the name": ("`>made`=1", "holds a command for the shell"),
    "command behind the value": ("DR_A=1=`>made`", "holds a command for the shell"),
    "command of its own": ("DR_A=1 $(>made)", "'$(>made)' holds a command for the shell"),
    "command in a comment": ("DR_A=1 # `>made`", "holds a command for the shell"),
    "next command": ("DR_A=1;>made", "to a shell the value ends at ';'"),
    "positions without quotes": ("DR_A=0.2,1;0.4,-1", "put it in double quotes"),
    "in the background": ("DR_A=1&>made", "ends at '&'"),
    "pipe": ("DR_A=1|tee", "ends at '|'"),
    "to a file": ("DR_A=1>made", "ends at '>'"),
    "from a file": ("DR_A=<run.env", "ends at '<'"),
    "subshell": ("DR_A=(1)", "ends at '('"),
    "quote never closed": ('DR_A="1', 'the " is not closed'),
    "blank in quotes": ('DR_A="Fast Car"', "a value holds neither blanks nor '='"),
    "apostrophe": ("DR_A=it's", "the ' is not closed"),
    "default of a variable": ("DR_A=${DR_B:-1}", "only $NAME and ${NAME}"),
    "default with a command": ("DR_A=${DR_B:-`>made`}", "only $NAME and ${NAME}"),
    "brace never closed": ("DR_A=${DR_B", "only $NAME and ${NAME}"),
    "argument of a script": ("DR_A=$1", "only $NAME and ${NAME}"),
    "exit status": ('DR_A="$?"', "only $NAME and ${NAME}"),
    "quotes of bash": ("DR_A=$'\\n'", "only $NAME and ${NAME}"),
    "no name": ("=1", "'' in '=1' cannot name a variable"),
    "name with a dash": ("DR-A=1", "'DR-A' in 'DR-A=1' cannot name a variable"),
    "name with a digit in front": ("1A=1", "cannot name a variable"),
}


@pytest.mark.filterwarnings("ignore::hotlap.config.ConfigWarning")
@pytest.mark.parametrize(("line", "fragment"), BAD_LINES.values(), ids=BAD_LINES)
def test_what_a_shell_would_execute_is_refused_and_not_executed(tmp_path: Path, monkeypatch, line, fragment):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError) as caught:
        read(tmp_path, f"DR_B=1\n{line}\n")
    assert str(caught.value).startswith(f"{tmp_path / 'run.env'}, line 2: ")
    assert fragment in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == ["run.env"]


def test_several_mistakes_are_told_at_once(tmp_path: Path):
    with pytest.raises(ConfigError) as caught:
        read(tmp_path, "A=;\nB=;\nC=1\nD=;\nE=;\n")
    lines = str(caught.value).split("\n")
    assert [line.split(":")[0] for line in lines] == [f"{tmp_path}/run.env, line {number}" for number in (1, 2, 4, 5)]


@pytest.mark.skipif(BASH is None, reason="needs bash")
@settings(max_examples=200)
@given(st.text("aX0$\\\"'{}.;,-/:%+@", min_size=1, max_size=8))
def test_a_value_is_what_bash_makes_of_it(text):
    """Whatever is not refused; ``~`` and ``{a,b}``, which no variable needs, are left out."""
    try:
        ours = shell_value(text, lambda name: {"X": "val"}.get(name, ""))
    except ValueError:
        return
    if re.search(r"\{.*,", text, re.DOTALL):
        return
    script = 'X=val; eval "export V=$1"; printf %s "$V"'
    done = subprocess.run(
        [str(BASH), "-c", script, "_", text], capture_output=True, text=True, env={"PATH": "/nowhere"}, check=True
    )
    assert ours == done.stdout


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path):
    with pytest.raises(ConfigError, match="no such file"):
        read_env_file(tmp_path / "none.env", {})
    (tmp_path / "binary.env").write_bytes(b"A=\xff\n")
    with pytest.raises(ConfigError, match="not UTF-8"):
        read_env_file(tmp_path / "binary.env", {})


def test_the_file_of_a_worker_is_taken_literally(tmp_path: Path):
    path = tmp_path / "worker-2.env"
    path.write_text('#DR_A=0\nDR_A=$X;`>made`\r\nDR_B=Fast Car\nDR_C=\nDR_D="1"\n')
    found = read_worker_file(path)
    assert {name: each.value for name, each in found.items()} == {
        "DR_A": "$X;`>made`",
        "DR_B": "Fast Car",
        "DR_C": "",
        "DR_D": '"1"',
    }
    assert [each.line for each in found.values()] == [2, 3, 4, 5]


@pytest.mark.parametrize("text", ["A to Z Speedway", '"A to Z Speedway"', "'A to Z Speedway'  ", "A to Z Speedway\r"])
def test_a_track_with_blanks_in_its_name_has_another_name(tmp_path: Path, text: str):
    """What is no track is told as any other value with blanks."""
    path = tmp_path / "run.env"
    path.write_text(f"DR_RUN_ID=0\nDR_WORLD_NAME={text}\n")
    with pytest.raises(ConfigError) as caught:
        read_env_file(path, {}, track_names={"A to Z Speedway": "reInvent2019_wide"}.get)
    assert str(caught.value) == f"{path}, line 2: run.env takes no blanks: write DR_WORLD_NAME=reInvent2019_wide."
    path.write_text("DR_WORLD_NAME=oval # the long one\n")
    with pytest.warns(ConfigWarning, match="has no effect"):
        assert read_env_file(path, {}, track_names={}.get)["DR_WORLD_NAME"].value == "oval"


@pytest.mark.parametrize(
    ("text", "fragment"),
    [
        ("DR_A=1\n\nDR_B=2\n", "line 2 is empty"),
        ("DR_A=1\n\n", "line 2 is empty"),
        ("DR_A=1\nDR_B\n", "line 2: 'DR_B' must be NAME=VALUE with exactly one '='"),
        ("DR_A=1=2\n", "line 1: 'DR_A=1=2' must be NAME=VALUE"),
        (" # comment\n", "line 1: ' # comment' must be NAME=VALUE"),
        ("DR_A =1\n", "'DR_A ' in 'DR_A =1' cannot name a variable"),
        ("export DR_A=1\n", "'export DR_A'"),
    ],
)
def test_the_file_of_a_worker_is_strict(tmp_path: Path, text, fragment):
    path = tmp_path / "worker-2.env"
    path.write_text(text)
    with pytest.raises(ConfigError, match=re.escape(f"{path}, ")) as caught:
        read_worker_file(path)
    assert fragment in str(caught.value)
