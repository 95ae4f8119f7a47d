"""Trials, penalties and statistics over many laps."""
