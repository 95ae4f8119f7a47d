"""Tracks: geometry, route files, tracks by name, random tracks, ground appearance."""

from hotlap.deepracer.driving import DEFAULT_TRACK
from hotlap.tracks.catalog import add_track, list_tracks, load_track
from hotlap.tracks.generator import random_track
from hotlap.tracks.route_file import read_route, write_route
from hotlap.tracks.track import Track, TrackLocation

__all__ = [
    "DEFAULT_TRACK",
    "Track",
    "TrackLocation",
    "add_track",
    "list_tracks",
    "load_track",
    "random_track",
    "read_route",
    "write_route",
]
