"""Tracks: geometry, route files, our own designs, random tracks, ground appearance."""
