"""Measurements: how fast this machine simulates, trains and learns."""
