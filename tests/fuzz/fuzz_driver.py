"""A reader of strangers' files, and what it must do with each of them: read it or refuse it with an error of ours."""

from __future__ import annotations

import gc
import random
import signal
import sys
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

import psutil
from fuzz_choices import LONGEST, Choices

from hotlap.errors import HotlapError

HANG_S = 10.0  # of the processor: other programs may have it meanwhile
LONGEST_WAIT_S = 60.0
LONGEST_MESSAGE = 4000  # characters, of which five mistakes in a settings file may take most
MAX_PEAK = 400 << 20  # bytes above what the process had before
MAX_GROWTH = 48 << 20  # bytes from the end of the warm-up to the end


@dataclass(frozen=True)
class Reader:
    """One kind of file, and what reads it.

    Attributes:
        file: Name of the file, below a folder that is made for it.
        read: Reads the file in that folder, and asks of the result what its users ask.
        samples: Valid files.
        odd: Makes an invalid or a strange one.
        beside: Other files that must be there.
        named: What every refusal says of the file; by default its name.
        opens: Whether it opens the file itself; otherwise others have looked at it before.
        slow: How many times slower than most it is; fewer inputs are tried in each run of the tests.
    """

    file: str
    read: Callable[[Path], object]
    samples: Sequence[bytes]
    odd: Callable[[Choices], bytes]
    beside: Mapping[str, bytes] = field(default_factory=dict)
    named: str = ""
    opens: bool = True
    slow: int = 1

    @property
    def path_name(self) -> str:
        """What every refusal contains."""
        return self.named or Path(self.file).name

    def prepare(self, folder: Path) -> None:
        """Lay what must be there into a new folder."""
        for name, content in self.beside.items():
            _write(folder / name, content)
        (folder / self.file).parent.mkdir(parents=True, exist_ok=True)

    def meet(self, folder: Path, content: bytes) -> str:
        """Let it read ``content``.

        Returns:
            ``read``, or the class of the refusal.

        Raises:
            AssertionError: If the refusal is no single, printable, short paragraph that names the file, or a warning
                cannot be printed.
            HangError: If it does not end.
            Exception: Whatever else it raises.
        """
        (folder / self.file).write_bytes(content)
        return self.meet_what_is_there(folder)

    def meet_what_is_there(self, folder: Path) -> str:
        """The same with what lies in the place of the file already."""
        try:
            with warnings.catch_warnings(record=True) as told, _alarm():
                warnings.simplefilter("always")
                self.read(folder)
            for warning in told:
                assert str(warning.message).isprintable(), f"it cannot be printed in a line: {warning.message}"
        except HotlapError as error:
            message = str(error)
            assert all(map(str.isprintable, message.split("\n"))), f"it cannot be printed in lines: {message!r}"
            assert len(message) <= LONGEST_MESSAGE, f"{len(message)} characters: {message[:500]!r} …"
            assert self.path_name in message, f"it does not name {self.path_name}: {message!r}"
            return type(error).__name__
        return "read"


def program_of(name: str, seed: int) -> bytes:
    """The program that a seed of the long run stands for."""
    numbers = random.Random(f"{name}:{seed}")
    return numbers.randbytes(numbers.randrange(4, LONGEST))


@dataclass
class Counts:
    """What came of many inputs."""

    inputs: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0
    growth: int = 0
    """Bytes that the process grew by after the warm-up."""
    peak: int = 0
    """Bytes that it had at most above those at the beginning."""


def fuzz(name: str, reader: Reader, seeds: range, folder: Path, on_inputs: Callable[[Counts], None]) -> Counts:
    """Let a reader meet the inputs of many seeds, and watch its memory.

    Args:
        name: Of the reader.
        reader: It.
        seeds: Of the inputs.
        folder: An empty folder.
        on_inputs: Called after each thousand of them.
    """
    reader.prepare(folder)
    counts = Counts()
    process = psutil.Process()
    gc.collect()
    forget_peak()
    before = warm = process.memory_info().rss
    for index, seed in enumerate(seeds):
        begin = time.perf_counter()
        try:
            outcome = reader.meet(folder, reader.odd(Choices(program_of(name, seed))))
        except BaseException as error:
            error.add_note(
                f"The input is {name}:{seed}; replay it with python tests/fuzz/fuzz_long_run.py --replay {name}:{seed}"
            )
            raise
        counts.seconds += time.perf_counter() - begin
        counts.outcomes[outcome] += 1
        counts.inputs += 1
        if index == len(seeds) // 10:
            gc.collect()
            warm = process.memory_info().rss
        if index % 1000 == 999 or index == len(seeds) - 1:
            if index == len(seeds) - 1:
                gc.collect()
            now = process.memory_info().rss
            counts.growth, counts.peak = now - warm, max(peak_memory(), now) - before
            assert counts.peak < MAX_PEAK, f"{name}: {counts.peak >> 20} MiB at once"
            on_inputs(counts)
    assert counts.growth < MAX_GROWTH, f"{name}: grew by {counts.growth >> 20} MiB"
    return counts


def forget_peak() -> None:
    """Let the system measure the most memory of this process anew, where it can."""
    if sys.platform == "linux":
        Path("/proc/self/clear_refs").write_text("5")


def peak_memory() -> int:
    """Bytes that this process had at most since then; 0 where the system does not say."""
    if sys.platform != "linux":
        return 0
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))


@contextmanager
def _alarm() -> Iterator[None]:
    """End what runs for too long. The clock of the test runner, which uses the same signal, goes on afterwards."""
    if sys.platform == "win32":  # has no such signal; there the test runner ends what hangs
        yield
        return
    worked, waited = time.process_time() + HANG_S, time.monotonic() + LONGEST_WAIT_S

    def look(number: int, frame: FrameType | None) -> None:
        if time.process_time() > worked or time.monotonic() > waited:
            # Not an OSError, as TimeoutError is, which readers take for a file that cannot be read.
            raise HangError(f"it did not end within {HANG_S:.0f} s of work, or {LONGEST_WAIT_S:.0f} s in all")

    former = signal.signal(signal.SIGALRM, look)
    left, _ = signal.setitimer(signal.ITIMER_REAL, 1.0, 1.0)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, left)
        signal.signal(signal.SIGALRM, former)


class HangError(BaseException):
    """A reader did not end."""


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
