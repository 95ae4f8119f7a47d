"""Collect whole episodes: the worker, the plan, the fleet."""
