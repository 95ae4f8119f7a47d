"""Everything a user may set, as checked models. Loads neither torch nor warp."""

from hotlap.config.base import Config, ConfigWarning
from hotlap.config.hyperparameters import Hyperparameters
from hotlap.config.job import Evaluation, Job, Training
from hotlap.config.metadata import (
    Action,
    ContinuousActionSpace,
    DiscreteActionSpace,
    LidarConfig,
    ModelMetadata,
    Range,
)
from hotlap.config.model_folder import ModelFolder
from hotlap.config.race_settings import BotCars, Obstacles, Race

__all__ = [
    "Action",
    "BotCars",
    "Config",
    "ConfigWarning",
    "ContinuousActionSpace",
    "DiscreteActionSpace",
    "Evaluation",
    "Hyperparameters",
    "Job",
    "LidarConfig",
    "ModelFolder",
    "ModelMetadata",
    "Obstacles",
    "Race",
    "Range",
    "Training",
]
