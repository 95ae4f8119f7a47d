"""Load a reward function from a user's file, unchanged, or from the examples that come with hotlap."""

from __future__ import annotations

import codecs
import difflib
import importlib
import inspect
import io
import itertools
import linecache
import os
import sys
import tokenize
from dataclasses import dataclass
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any, Final

from hotlap.bounded import read_bounded
from hotlap.deepracer.reward_inputs import OLD_KEYS
from hotlap.errors import RewardError
from hotlap.rewards import guard
from hotlap.rewards.explain import explain_at, kind_of, line_of
from hotlap.rewards.function import RewardFunction
from hotlap.rewards.old_names import user_builtins

EXAMPLES_FOLDER: Final = Path(__file__).parent / "examples"
DEFAULT_EXAMPLE: Final = "follow_center_line"

# The signature of 2018, long gone from the original too.
_ARGUMENTS_2018 = {"on_track", "car_orientation", "throttle", "steering", "closest_waypoint", "closest_waypoints"}

MAX_BYTES: Final = 1 << 20

_load_numbers = itertools.count(1)
_sibling_folders: set[str] = set()


def example_names() -> list[str]:
    """Names of the reward functions that come with hotlap."""
    return sorted(file.stem for file in EXAMPLES_FOLDER.glob("*.py"))


def example_file(name: str) -> Path:
    """The file of a shipped reward function.

    Raises:
        RewardError: If there is none of this name; lists those that exist.
    """
    names = example_names()
    if name not in names:
        close = difflib.get_close_matches(name, names, n=1)
        hint = f" Did you mean {close[0]!r}?" if close else ""
        raise RewardError(
            f"{name!r} is neither a file nor a shipped reward function.{hint} Shipped: {', '.join(names)}."
        )
    return EXAMPLES_FOLDER / f"{name}.py"


@dataclass(frozen=True)
class RewardSource:
    """A reward file as it was when it was read: what other processes and machines load, whatever lies on their disks.

    Files beside it do not travel: they can be imported where the folder of ``path`` exists.
    """

    path: Path
    """Absolute path on the machine that read it, for errors."""
    text: bytes


def read_reward(name_or_path: str | Path) -> RewardSource:
    """Read a reward file, or a shipped example, without executing it.

    Raises:
        RewardError: If it is absent or cannot be read.
    """
    path = Path(name_or_path)
    if not path.exists() and path.suffix != ".py" and path.parent == Path():
        path = example_file(str(name_or_path))
    path = path.absolute()
    try:
        return RewardSource(path, read_bounded(path, MAX_BYTES))
    except FileNotFoundError:
        raise RewardError(
            f"{path}: there is no such file. `hotlap new DIR` writes a model folder with a reward function in it."
        ) from None
    except IsADirectoryError:
        raise RewardError(f"{path}: this is a folder; name the Python file in it.") from None
    except OSError as error:
        raise RewardError(f"{path}: cannot be read ({error.strerror}).") from None


def compile_reward(source: RewardSource) -> CodeType:
    """The code of a reward file, of which nothing is executed yet.

    Raises:
        RewardError: If it is not Python; names file and line.
    """
    path = source.path
    try:
        code = compile(source.text, str(path), "exec")
    except (SyntaxError, ValueError) as error:
        _check_encoding(source)
        if not isinstance(error, SyntaxError):  # null bytes
            raise RewardError(f"{path}: this is not valid Python: {error}.") from error
        line = f", line {error.lineno}" if error.lineno else ""
        text = f" in `{error.text.strip()}`" if error.text and error.text.strip() else ""
        raise RewardError(f"{path}{line}: this is not valid Python: {error.msg}{text}.") from error
    except (RecursionError, MemoryError) as error:  # nested beyond what Python parses
        raise RewardError(f"{path}: this is not valid Python: {error}.") from error
    return code


def _check_encoding(source: RewardSource) -> None:
    """Refuse a file that is no text of the encoding that it names, mostly UTF-8."""
    text = source.text
    if text.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) or text.count(0) > len(text) // 4:
        raise RewardError(
            f"{source.path}: the file is saved as UTF-16, which Python does not read; save it as UTF-8 in your editor."
        )
    encoding = "utf-8"
    try:
        encoding, _ = tokenize.detect_encoding(io.BytesIO(text).readline)
        text.decode(encoding)
    except UnicodeDecodeError as error:
        line = text[: error.start].count(b"\n") + 1
        raise RewardError(
            f"{source.path}, line {line}: the file is not saved as {encoding.upper()}, which Python expects; save it "
            "as UTF-8 in your editor."
        ) from None
    except SyntaxError as error:  # in the first two lines
        if "unknown encoding" in str(error):
            return
        raise RewardError(
            f"{source.path}: the file is not saved as UTF-8, which Python expects; save it as UTF-8 in your editor."
        ) from None


def load_reward(file: str | Path | RewardSource) -> RewardFunction:
    """Execute a reward file once, in a module of its own, and take its `reward_function` or `reward_function_batch`.

    With both, the second judges many worlds at once, the first single steps.

    Module globals live as long as the returned object. Files beside it can be imported; two files of the same name from
    different folders stay apart as long as each is imported at the top of its reward file.

    Args:
        file: A file, the name of a shipped example, or what was read from one.

    Raises:
        RewardError: If the file is absent, is not Python, raises while it is executed, or has neither function,
            or one that does not take one argument; names file and line.
    """
    source = file if isinstance(file, RewardSource) else read_reward(file)
    path = source.path
    module = _execute(source)
    function = getattr(module, "reward_function", None)
    batch_function = getattr(module, "reward_function_batch", None)
    if function is None and batch_function is None:
        raise RewardError(f"{path}: {_what_is_there(module)} It must define `def reward_function(params):`.")
    if function is not None:
        _check_signature(path, function, "reward_function")
    if batch_function is not None:
        _check_signature(path, batch_function, "reward_function_batch")
    return RewardFunction(path, function, batch_function, vars(module))


def load_rewards(file: str | Path | RewardSource, count: int) -> list[RewardFunction]:
    """Load the same file ``count`` times, each with globals of its own: one for every world of a batch.

    A function that remembers, say, the last steering angle in a global variable was written for a process with one car.
    With a copy for each world it works as ever, and a batch gives what single worlds give.
    """
    source = file if isinstance(file, RewardSource) else read_reward(file)
    return [load_reward(source) for _ in range(count)]


def _execute(source: RewardSource) -> ModuleType:
    path = source.path
    code = compile_reward(source)
    # Errors hours later shall quote the file as it was when it was loaded; without a time stamp it is not read anew.
    lines = source.text.decode("utf-8", errors="replace").splitlines(keepends=True)
    linecache.cache[str(path)] = (len(source.text), None, lines, str(path))
    _let_siblings_be_imported(path.parent)
    module = ModuleType(f"hotlap_reward_{next(_load_numbers)}_{path.stem}")
    module.__file__ = str(path)
    sys.modules[module.__name__] = module  # dataclasses and pickle look their module up here
    try:
        module.__dict__["__builtins__"] = user_builtins()
        with guard.protected(path, "loading"):
            exec(code, module.__dict__)
    except BaseException as error:
        if guard.is_interrupt(error, path.parent):
            raise
        del sys.modules[module.__name__]
        file, line_number = line_of(error, path)
        at = f", line {line_number}" if line_number else ""
        missing = isinstance(error, ModuleNotFoundError)
        install = " Install that package, or put the module beside this file." if missing else ""
        raise kind_of(error)(
            f"{file}{at}: loading the reward function failed: {explain_at(error, file, line_number)}{install}"
        ) from error
    return module


def _let_siblings_be_imported(folder: Path) -> None:
    """Make the modules beside a reward file importable, and forget those beside an earlier one.

    They are looked for last, so a file such as `random.py` in the folder does not hide the library's.
    """
    folders = tuple(_sibling_folders)
    for name, module in list(sys.modules.items()):
        # By their first letters, as a training has thousands of modules, and loads a file for each of its worlds.
        file = getattr(module, "__file__", None) or ""
        near = file.startswith(folders) and not name.startswith("hotlap_reward_")
        beside = near and os.path.dirname(file) in _sibling_folders
        if beside or _is_sibling(module):
            del sys.modules[name]
    _sibling_folders.clear()
    if folder != EXAMPLES_FOLDER:
        _sibling_folders.add(str(folder))
    if _Siblings not in sys.meta_path:
        sys.meta_path.insert(0, _WithinSiblings)
        sys.meta_path.append(_Siblings)


class _SiblingLoader(SourceFileLoader):
    def exec_module(self, module: ModuleType) -> None:
        module.__dict__["__builtins__"] = user_builtins()
        super().exec_module(module)


class _Siblings:
    """Finds the modules beside a reward file; last of all finders."""

    @staticmethod
    def find_spec(name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        return _spec(name, list(_sibling_folders)) if path is None else None


class _WithinSiblings:
    """Finds what is within packages beside a reward file; before Python's own finder, which would find it too."""

    @staticmethod
    def find_spec(name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        return _spec(name, path) if _is_sibling(sys.modules.get(name.rpartition(".")[0])) else None


def _spec(name: str, folders: Any) -> ModuleSpec | None:
    importlib.invalidate_caches()
    spec = PathFinder.find_spec(name, folders)
    if spec is not None and type(spec.loader) is SourceFileLoader:
        spec.loader = _SiblingLoader(spec.loader.name, spec.loader.path)
    return spec


def _is_sibling(module: ModuleType | None) -> bool:
    return isinstance(getattr(getattr(module, "__spec__", None), "loader", None), _SiblingLoader)


def _what_is_there(module: ModuleType) -> str:
    names = [name for name, value in vars(module).items() if inspect.isfunction(value)]
    return f"defines {', '.join(names)}, but no reward_function." if names else "defines no function."


def _check_signature(path: Path, function: Any, name: str) -> None:
    """Refuse what one positional argument cannot be given to, or what does not return at once."""
    if not callable(function):
        raise RewardError(f"{path}: {name} is a {type(function).__name__}, expected `def {name}(params):`.")
    line = f", line {function.__code__.co_firstlineno}" if inspect.isfunction(function) else ""
    for test, kind in (
        (inspect.iscoroutinefunction, "is `async`"),
        (inspect.isgeneratorfunction, "uses `yield`"),
    ):
        if test(function):
            raise RewardError(f"{path}{line}: {name} {kind}; expected a plain function that returns a number.")
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):  # some built-in functions do not tell
        return
    try:
        signature.bind({})
    except TypeError:
        arguments = list(signature.parameters)
        if len(_ARGUMENTS_2018.intersection(arguments)) >= 2:
            renamed = ", ".join(f"{old} is {OLD_KEYS[old]}" for old in arguments if old in OLD_KEYS)
            raise RewardError(
                f"{path}{line}: {name} has the {len(arguments)} arguments of 2018 ({', '.join(arguments[:3])}, …), "
                "which are no longer given. Change it to `def reward_function(params):` and read the values from the "
                f'dictionary, such as params["distance_from_center"]; new names: {renamed}.'
            ) from None
        raise RewardError(
            f"{path}{line}: {name}{signature} must take exactly one argument: `def {name}(params):`."
        ) from None
