"""hotlap: train a self-driving race car that sees only through its camera.

Commands do what most people need (``hotlap --help``). From Python:

    Track, load_track          tracks and their geometry
    make                       a Gymnasium environment (``gymnasium.make`` with ``hotlap/TimeTrial-v0``)
    train, evaluate            a model folder, as the commands of the same name do
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

# Threads that wait by spinning lose a factor of five as soon as anything else runs on the machine (a browser is
# enough), and gain nothing measurable where nothing does. It must be set before torch loads its OpenMP.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

# Gymnasium finds no plugins by itself since its version 1.0. Our own commands (``hotlap``, and ``python -m``, which
# begins with this package) need not wait for it.
if Path(*sys.argv[:1]).stem not in ("hotlap", "-m"):
    from hotlap.envs.registration import register

    register()

__version__ = "0.1.0"
__all__ = ["Track", "evaluate", "load_track", "make", "train"]

if TYPE_CHECKING:
    from hotlap.api import evaluate, make, train
    from hotlap.tracks.catalog import load_track
    from hotlap.tracks.track import Track

_HOMES = {
    "Track": "hotlap.tracks.track",
    "load_track": "hotlap.tracks.catalog",
    "make": "hotlap.api",
    "train": "hotlap.api",
    "evaluate": "hotlap.api",
}


def __getattr__(name: str) -> Any:
    """Import public names when they are first used: the command line must start without torch."""
    if name not in _HOMES:
        raise AttributeError(f"module 'hotlap' has no attribute {name!r}; it has {', '.join(__all__)}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)
