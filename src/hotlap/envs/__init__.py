"""Gymnasium environments over the simulator and a reward function."""
