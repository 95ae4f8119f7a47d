"""What may lie in a trained model's place, as docs/records.md says it."""

from __future__ import annotations

import re
from pathlib import Path

DOCS = Path(__file__).parents[1] / "docs" / "records.md"

# Placeholders of the page: numbers, and the time of an evaluation.
_PLACEHOLDERS = {"T": r"\d{14}", **dict.fromkeys("NSIK", r"\d+")}


def documented() -> dict[str, re.Pattern[str]]:
    """The keys that the first table names, as the page writes them, and what they match."""
    table = DOCS.read_text().split("| Files | Content |")[1].split("\n\n")[0]
    names = [name for row in table.splitlines() for name in re.findall(r"`([^`]+)`", row.split(" | ")[0])]
    return {name: re.compile(_pattern(name)) for name in names}


def _pattern(name: str) -> str:
    parts = re.split(r"(?<![A-Za-z])([NSIKT])(?![a-z])|(…)", name)
    return "".join(
        ".+" if part == "…" else _PLACEHOLDERS.get(part, re.escape(part)) for part in parts if part is not None
    )


def keys(folder: Path) -> list[str]:
    """All files below a folder."""
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def undocumented(folder: Path) -> list[str]:
    """Files that the page does not name."""
    patterns = documented().values()
    return [key for key in keys(folder) if not any(pattern.fullmatch(key) for pattern in patterns)]


def missing(folder: Path) -> set[str]:
    """Names of the page that no file has."""
    return {name for name, pattern in documented().items() if not any(pattern.fullmatch(key) for key in keys(folder))}
