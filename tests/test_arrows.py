"""The rooms of the package and who may import whom; the arrows never form a circle."""

from __future__ import annotations

import ast
import subprocess
import sys
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import hotlap

PACKAGE = Path(hotlap.__file__).parent

# Every room may import the files that stand beside the rooms, and the package itself (its version).
FILES = ("backoff", "bounded", "checksum", "errors", "resources", "shell", "unfinished", "user_folders", "wording")
ARROWS = {
    **{name: set() for name in FILES},
    "deepracer": set(),
    "archives": set(),
    "config": {"deepracer"},
    "tracks": {"archives", "deepracer"},
    "sim": {"deepracer", "tracks"},
    "sensors": {"deepracer", "sim"},
    "rewards": {"deepracer"},
    "envs": {"config", "deepracer", "rewards", "sensors", "sim", "tracks"},
    "rl": {"deepracer"},
    "rollouts": {"config", "deepracer", "envs", "records", "rewards", "rl", "sensors", "sim", "tracks"},
    "records": {"deepracer"},
    "analysis": {"analysis.figures", "analysis.read", "analysis.report"},
    "analysis.read": {"archives", "deepracer", "records", "tracks"},
    "analysis.figures": {"analysis.read", "deepracer", "records", "tracks"},
    "analysis.report": {"analysis.figures", "analysis.read", "deepracer", "records"},
    "film": {"deepracer", "records", "sim", "tracks"},
    "evaluation": {
        "analysis.figures",
        "config",
        "deepracer",
        "envs",
        "film",
        "monitoring",
        "records",
        "rollouts",
        "sim",
        "tracks",
    },
    "monitoring": {"config", "deepracer", "records"},
    "training": {"config", "deepracer", "evaluation", "monitoring", "records", "rl", "rollouts", "sim", "tracks"},
    "export": {"archives", "config", "deepracer", "records", "rewards", "rl", "rollouts", "sim", "tracks"},
    "validation": {"analysis.figures", "analysis.read", "archives", "deepracer", "records", "sim", "tracks"},
    "deploy": {"api", "config", "export", "records", "training"},
    "jobs": {"config", "records", "tracks"},
    "bench": None,  # everything
    "cli": None,
}


def imported(file: Path) -> list[tuple[str, int, bool]]:
    """Modules of the package that a file imports, without the package's name: name, line, whether at module level."""
    tree = ast.parse(file.read_text())
    top = set(map(id, tree.body))
    found = []
    for node in ast.walk(tree):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}:{node.lineno}: relative import"
            module = node.module or ""
            # `from hotlap import tracks` and `from hotlap.sim import camera` name modules too.
            names = [f"{module}.{alias.name}" for alias in node.names]
        found += [
            (name.removeprefix("hotlap."), node.lineno, id(node) in top) for name in names if name.startswith("hotlap.")
        ]
    return found


def module_name(file: Path) -> str:
    """Name of the module in a file, without the package's name; the package itself: "hotlap"."""
    parts = file.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__") or "hotlap"


def imports_between_files(sources: dict[str, str]) -> dict[str, set[str]]:
    """For the source of each module (names as of `module_name`): the modules that it runs, early or late."""
    arrows = {}
    for module, source in sources.items():
        tree = ast.parse(source)
        only_for_types = {
            id(inner)
            for node in ast.walk(tree)
            if isinstance(node, ast.If) and ast.unparse(node.test).removeprefix("typing.") == "TYPE_CHECKING"
            for statement in node.body
            for inner in ast.walk(statement)
        }
        named: set[str] = set()
        for node in ast.walk(tree):
            if id(node) in only_for_types:
                continue
            if isinstance(node, ast.Import):
                named |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                home = (node.module or "").removeprefix("hotlap.")
                # A name is a module of the package `home`, or what `home` itself defines.
                named |= {
                    inner if (inner := f"{home}.{alias.name}".removeprefix("hotlap.")) in sources else home
                    for alias in node.names
                }
        arrows[module] = {name.removeprefix("hotlap.") for name in named} & sources.keys()
    return arrows


def circle(arrows: dict[str, set[str]]) -> str | None:
    """One circle as a path, or None."""
    try:
        TopologicalSorter(arrows).prepare()
    except CycleError as error:
        return " imports ".join(reversed(error.args[1]))
    return None


def room_of(name: str) -> str:
    """The innermost room of the table that a module is in; a name that is in none stands for itself."""
    rooms = [room for room in ARROWS if f"{name}.".startswith(f"{room}.")]
    return max(rooms, key=len, default=name.split(".")[0])


def files() -> list[tuple[str, Path]]:
    """Room and path of every file."""
    paths = [path.relative_to(PACKAGE) for path in sorted(PACKAGE.rglob("*.py"))]
    inside = [(room_of(".".join(path.parent.parts)), PACKAGE / path) for path in paths if path.parent.parts]
    return inside + [(name, PACKAGE / f"{name}.py") for name in FILES]


def test_the_vocabulary_loads_nothing():
    """Every room may read its words without paying for anything."""
    standard = sys.stdlib_module_names
    for path in (PACKAGE / "deepracer").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            assert not isinstance(node, ast.Import), path
            if isinstance(node, ast.ImportFrom):
                module = node.module or ""
                ours = module.startswith("hotlap.deepracer.")
                assert ours or module.split(".")[0] in standard, f"{path.name}: {module}"


def test_every_room_is_in_the_table():
    """A new room gets its place here first."""
    assert {room for room, _ in files()} == set(ARROWS)


def test_rooms_import_only_what_they_may():
    """Each import, wherever it stands in a file, is an arrow of the table; and the table has no arrow unused."""
    wrong, used = [], {room: set() for room in ARROWS}
    for room, path in files():
        for name, line, _ in imported(path):
            other = room_of(name)
            allowed = ARROWS[room]
            if other in (room, *FILES, "__version__") or allowed is None:
                continue
            if other in allowed:
                used[room].add(other)
            else:
                wrong.append(f"{path.relative_to(PACKAGE)}:{line}: {room} may not import {name}")
    assert not wrong, "\n".join(wrong)
    for room, allowed in ARROWS.items():
        assert used[room] == (allowed or set()), f"{room} does not use {sorted(allowed - used[room])}"


def test_arrows_make_no_circle():
    """There is an order in which every room stands above all that it imports."""
    TopologicalSorter({room: allowed for room, allowed in ARROWS.items() if allowed is not None}).prepare()


def test_files_make_no_circle():
    """Neither do the files within a room, wherever in a file the import stands."""
    arrows = imports_between_files({module_name(path): path.read_text() for path in PACKAGE.rglob("*.py")})
    circles = []
    while found := circle(arrows):
        circles.append(found)
        first, second, *_ = found.split(" imports ")
        arrows[first].remove(second)
    assert not circles, "\n".join(circles)


def test_a_circle_of_files_is_found():
    """Whether an import stands at the top, in a function or names the module: all but those for types alone count."""

    def found(below: str) -> str | None:
        return circle(imports_between_files({"a": "from hotlap.room.b import X", "room.b": below, "room": ""}))

    path = {"a imports room.b imports a", "room.b imports a imports room.b"}
    assert found("from hotlap.a import Y") in path
    assert found("from hotlap import a") in path
    assert found("def f():\n    import hotlap.a") in path
    assert found("if TYPE_CHECKING:\n    from hotlap.a import Y") is None
    assert found("if TYPE_CHECKING:\n    pass\nelse:\n    import hotlap.a") in path
    assert found("from hotlap.room import Z") is None
    three = {"a": {"b"}, "b": {"c"}, "c": {"a"}}
    assert circle(three) in {
        "a imports b imports c imports a",
        "b imports c imports a imports b",
        "c imports a imports b imports c",
    }


def test_the_command_line_starts_without_the_heavy_rooms():
    """Its files import rooms inside functions: `hotlap --help` must not wait for torch and Warp."""
    light = {"cli", "deepracer", *FILES}
    wrong = [
        f"{path.name}:{line}: {name}"
        for room, path in files()
        if room == "cli"
        for name, line, at_top in imported(path)
        if at_top and name.split(".")[0] not in light
    ]
    assert not wrong, "\n".join(wrong)


def test_evaluations_load_matplotlib_only_to_draw():
    """It takes its time to load, and only figures and films need it."""
    files = sorted((PACKAGE / "evaluation").glob("*.py"))
    modules = ", ".join(f"hotlap.evaluation.{path.stem}" for path in files if path.stem != "__init__")
    code = f"import sys, {modules}; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
