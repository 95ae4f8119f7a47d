"""Every reader of strangers' files meets valid files with mistakes in them: it reads them or refuses them in our words.

A few in each run of the tests; ``make fuzz`` tries 100,000 of each.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from fuzz_choices import LONGEST, Choices
from fuzz_driver import MAX_PEAK, forget_peak, peak_memory
from fuzz_readers import READERS
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

NUM_INPUTS = int(os.environ.get("HOTLAP_FUZZ_INPUTS", "300"))


@pytest.fixture
def memory_folder() -> Iterator[Path]:
    """A folder in memory where there is one: many files are many for a disk."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder:
        yield Path(folder)


@pytest.mark.parametrize("name", READERS)
def test_samples_are_read(name: str, memory_folder: Path):
    """Before they are damaged, so that what is refused afterwards is refused for its damage."""
    READERS[name].prepare(memory_folder)
    for sample in READERS[name].samples:
        assert READERS[name].meet(memory_folder, sample) == "read"


@pytest.mark.timeout(0 if NUM_INPUTS > 1000 else 300)
@pytest.mark.parametrize("name", READERS)
def test_damaged_files_are_read_or_refused(name: str, memory_folder: Path):
    """With one of our errors, which names the file in a line that can be printed; in bounded memory and time."""
    reader = READERS[name]
    reader.prepare(memory_folder)
    process = psutil.Process()
    forget_peak()
    before = process.memory_info().rss

    @settings(
        max_examples=max(NUM_INPUTS // reader.slow, 1),
        deadline=None,
        database=None,
        derandomize=True,
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
    )
    @given(st.binary(min_size=4, max_size=LONGEST))
    def meet(program: bytes) -> None:
        reader.meet(memory_folder, reader.odd(Choices(program)))

    meet()
    most = max(peak_memory(), process.memory_info().rss) - before
    assert most < MAX_PEAK, f"{most >> 20} MiB more"
