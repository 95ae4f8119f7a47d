"""Tracks: geometry, route files, our own designs, random tracks, ground appearance."""

from hotlap.tracks.catalog import DEFAULT_TRACK, load_track
from hotlap.tracks.track import Track, TrackLocation

__all__ = ["DEFAULT_TRACK", "Track", "TrackLocation", "load_track"]
