"""Trainings as jobs: what runs where, in the foreground, in the background or on a cluster, and how to end it."""
