"""Figures and reports from records."""
