"""What model_metadata.json may name besides sensors. Source: DeepRacer simapp, ``markov/architecture/constants.py``."""

from __future__ import annotations

from typing import Final, Literal

SHALLOW: Final = "DEEP_CONVOLUTIONAL_NETWORK_SHALLOW"
NETWORKS: Final = (SHALLOW, "DEEP_CONVOLUTIONAL_NETWORK", "DEEP_CONVOLUTIONAL_NETWORK_DEEP")

Algorithm = Literal["clipped_ppo", "sac"]
ALGORITHMS: Final[tuple[Algorithm, ...]] = ("clipped_ppo", "sac")

BestModelMetric = Literal["progress", "reward", "laptime"]
"""What makes a checkpoint the best in the original."""
