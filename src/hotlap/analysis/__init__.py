"""Figures and reports from records; `read_run` reads a folder, `figures` holds all that can be drawn of it."""
