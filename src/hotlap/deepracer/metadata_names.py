"""What model_metadata.json may name besides sensors. Source: DeepRacer simapp, ``markov/architecture/constants.py``."""

from __future__ import annotations

from typing import Final, Literal

SHALLOW: Final = "DEEP_CONVOLUTIONAL_NETWORK_SHALLOW"
NETWORKS: Final = (SHALLOW, "DEEP_CONVOLUTIONAL_NETWORK", "DEEP_CONVOLUTIONAL_NETWORK_DEEP")

DENSE: Final = "DENSE_NETWORK"
"""Ours, for what sees the state instead of pictures: teachers, and critics of state."""

VERSIONS: Final = (1, 2, 3, 4, 5, 6)
"""Of the metadata; each selects a car."""

TRAINABLE: Final = ["clipped_ppo"]
"""Values of training_algorithm that there is a learner for; one of somebody's own adds its name when it registers."""
UNAVAILABLE: Final = ("sac",)
"""The original's others: files with them are read."""

BestModelMetric = Literal["progress", "reward", "laptime"]
"""What makes a checkpoint the best in the original."""
