"""Makes the environments known to Gymnasium."""

from __future__ import annotations

TIME_TRIAL = "hotlap/TimeTrial-v0"


def register() -> None:
    """Make ``gymnasium.make("hotlap/TimeTrial-v0")`` and ``make_vec`` work."""
    import gymnasium

    if TIME_TRIAL not in gymnasium.registry:
        gymnasium.register(
            id=TIME_TRIAL,
            entry_point="hotlap.envs.time_trial:TimeTrialEnv",
            vector_entry_point="hotlap.envs.time_trial:TimeTrialVectorEnv",
        )
