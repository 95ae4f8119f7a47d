"""What this process may use of the machine: processors and memory, within the limits of its container."""

from __future__ import annotations

import contextlib
import math
import os
from pathlib import Path


def num_processors() -> int:
    """Processors that this process may keep busy, at least 1: its affinity, and the quota of its container."""
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    with contextlib.suppress(OSError, ValueError):  # no container, or "max"
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        count = min(count, math.ceil(int(quota) / int(period)))
    with contextlib.suppress(OSError, ValueError):  # the older layout
        folder = Path("/sys/fs/cgroup/cpu")
        quota_us, period_us = (int((folder / f"cpu.cfs_{each}_us").read_text()) for each in ("quota", "period"))
        if quota_us > 0:
            count = min(count, math.ceil(quota_us / period_us))
    return max(1, count)


def memory_left() -> tuple[int, int]:
    """Memory that is left to this process and that there is in all [bytes]: of the machine, or of its container."""
    import psutil

    machine = psutil.virtual_memory()
    left, total = machine.available, machine.total
    for limit_file, used_file in (
        ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"),
        ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "/sys/fs/cgroup/memory/memory.usage_in_bytes"),
    ):
        with contextlib.suppress(OSError, ValueError):  # "max": there is no limit
            limit = int(Path(limit_file).read_text())
            if limit < total:
                total, left = limit, min(left, limit - int(Path(used_file).read_text()))
    return left, total
