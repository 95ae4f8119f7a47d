"""Comparison with recordings of the original simulator."""
