"""What a measurement must be read with: the machine, the versions, the day."""

from __future__ import annotations

import os
import platform
import subprocess
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from hotlap.resources import num_processors


def cpu_name() -> str:
    """The processor as its maker calls it, or its architecture where that is not told."""
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def memory_gib() -> float | None:
    """Memory of the machine [GiB]; None where the system does not tell."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30
    except (AttributeError, ValueError, OSError):
        return None


def load_average() -> float | None:
    """Processes that wanted a core during the last minute; None where the system does not tell."""
    return round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None


def provenance(device: str = "cpu") -> dict[str, Any]:
    """Where and when a result was measured, JSON-ready; names no person, host or folder."""
    found: dict[str, Any] = {
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "commit": commit(),
        "cpu": cpu_name(),
        "cores": num_processors(),
        "load_average": load_average(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "versions": {name: version(name) for name in ("hotlap", "torch", "warp-lang", "numpy")},
    }
    if device != "cpu":
        import warp as wp

        found["gpu"] = wp.get_device(device).name
    return found


def commit() -> str | None:
    """Short name of the commit that this package is checked out at; None for an installed package."""
    package = Path(__file__).resolve().parents[1]
    if package.parent.name != "src":
        return None
    try:
        command = ["git", "-C", str(package), "describe", "--always", "--dirty", "--exclude", "*"]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip() or None
    except (OSError, subprocess.CalledProcessError):
        return None
