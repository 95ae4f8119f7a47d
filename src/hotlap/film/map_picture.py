"""What all pictures with a map in them have in common."""

from __future__ import annotations

from hotlap.analysis.read.drives import Drive
from hotlap.film.lettering import badges
from hotlap.film.top_view import TopView


class MapPicture:
    """A way to film a trial that shows it on a map.

    Args:
        map: The map; it belongs to this picture alone.
    """

    def __init__(self, map: TopView) -> None:
        self.map = map

    def begin(self, drive: Drive) -> None:
        """A trial begins."""
        self.drive = drive
        self.badges = badges(drive)
        self.map.begin(drive)
