"""Registers the environments with Gymnasium; runs when Gymnasium is imported, so it imports nothing heavy."""

from __future__ import annotations


def register() -> None:
    """Make ``gymnasium.make("hotlap/TimeTrial-v0")`` and ``make_vec`` work."""
    import gymnasium

    if "hotlap/TimeTrial-v0" not in gymnasium.registry:
        gymnasium.register(
            id="hotlap/TimeTrial-v0",
            entry_point="hotlap.envs.time_trial:TimeTrialEnv",
            vector_entry_point="hotlap.envs.time_trial:TimeTrialVectorEnv",
        )
