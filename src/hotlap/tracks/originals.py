"""Routes of the original that others publish: their names, lengths and checksums. The files are elsewhere."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

MANIFEST = Path(__file__).parent / "data" / "original_routes.json"


@dataclass(frozen=True)
class OriginalRoute:
    """A route of the original."""

    name: str
    """As ``DR_WORLD_NAME`` and ``world_name`` call it."""
    console_name: str | None
    """As the console of AWS called it."""
    length_m: float
    sha256: str
    """Of its file."""
    address: str
    """Where its file is published."""
    repository: str
    """Whose it is."""
    license: str


def original_routes() -> Mapping[str, OriginalRoute]:
    """All known routes of the original by their names."""
    return _read(MANIFEST)


def console_names() -> dict[str, str]:
    """The names behind those of the console."""
    return {route.console_name: route.name for route in original_routes().values() if route.console_name}


@lru_cache(maxsize=4)
def _read(manifest: Path) -> Mapping[str, OriginalRoute]:
    content = json.loads(manifest.read_text(encoding="utf-8"))
    routes = {}
    for row in content["routes"]:
        source = content["sources"][row["source"]]
        routes[row["name"]] = OriginalRoute(
            row["name"],
            row["console_name"],
            row["length_m"],
            row["sha256"],
            f"{source['address']}/{row.get('file', row['name'] + '.npy')}",
            source["repository"],
            source["license"],
        )
    return routes
