"""hyperparameters.json: every name the original trainer reads, with its meaning."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final, Literal

from pydantic import Field

from hotlap.config.base import Config, checked, nearest, shown, told, warn
from hotlap.config.files import read_json_object
from hotlap.errors import ConfigError

# Passed along with the hyperparameters by launchers of the original; they say where things lie, not how to learn.
BOOKKEEPING: Final = frozenset(
    {
        "s3_bucket",
        "s3_prefix",
        "aws_region",
        "model_metadata_s3_key",
        "preset_s3_key",
        "environment_s3_key",
        "pretrained_s3_bucket",
        "pretrained_s3_prefix",
        "pretrained_checkpoint",
        "checkpoint_dir",
        "max_sample_count",
        "sampling_frequency",
    }
)


_FORMER: Final = {
    "alpha": "sac_alpha",
    "beta": "beta_entropy",
    "discount": "discount_factor",
    "entropy": "beta_entropy",
    "entropy_coefficient": "beta_entropy",
    "epochs": "num_epochs",
    "gamma": "discount_factor",
    "gradient_descent_batch_size": "batch_size",
    "learning_rate": "lr",
    "loss": "loss_type",
    "minibatch_size": "batch_size",
    "number_of_epochs": "num_epochs",
    "number_of_episodes_between_training": "num_episodes_between_training",
    "num_episodes": "num_episodes_between_training",
}
"""What consoles, guides and early versions called some of them."""

_WITHOUT_A_NAME: Final = {
    "clip_epsilon": "The ratio of probabilities is always clipped to 1 ± 0.2.",
    "gae_lambda": "It is always 0.95.",
    "kl_divergence_constraint": "Nothing limits the KL divergence; the ratio of probabilities is clipped to 1 ± 0.2.",
    "model_metadata": "What the car sees and does stands in model_metadata.json.",
    "optimizer": "It is always Adam, with lr.",
    "pretrained": "What a training begins with says `hotlap train --clone FROM`, or DR_LOCAL_S3_PRETRAINED in run.env.",
    "training_algorithm": "It stands in model_metadata.json.",
}
"""Leftovers of exports that no hyperparameter stands for, and what does."""


class Hyperparameters(Config):
    """How a model learns. A key that a given file lacks has the original trainer's own default, which stands here.

    DeepRacer-for-Cloud's default file sets some of them otherwise: `STARTER`, which `hotlap new` writes.
    """

    batch_size: int = Field(default=64, ge=1)
    """Steps in a minibatch; lowered to a power of two when an iteration has fewer."""

    num_epochs: int = Field(default=10, ge=1)
    """Passes over the steps of an iteration."""

    stack_size: int = Field(default=1, ge=1)
    """Read, but without effect: one frame is one observation."""

    lr: float = Field(default=0.0003, gt=0)
    """Learning rate of Adam, constant."""

    # The original's files for SAC say additive_noise, which counts as categorical.
    exploration_type: Literal["categorical", "e-greedy", "additive_noise"] = "categorical"
    """How training chooses among discrete actions: `categorical` draws one by its probability, `e-greedy` takes the
    most probable one and sometimes any other."""

    e_greedy_value: float = Field(default=0.05, ge=0, le=1)
    """Final share of random actions with e-greedy."""

    epsilon_steps: int = Field(default=10000, ge=1)
    """Steps over which that share falls from 1 to its final value."""

    beta_entropy: float = Field(default=0.01, ge=0)
    """Weight of the entropy: higher explores longer."""

    discount_factor: float = Field(default=0.999, ge=0, le=1)
    """What a reward one step later is worth."""

    loss_type: Literal["huber", "mean squared error"] = "mean squared error"
    """Loss of the value estimate."""

    num_episodes_between_training: int = Field(default=20, ge=1)
    """Episodes in one iteration."""

    term_cond_max_episodes: int = Field(default=100000, ge=1)
    """Iterations after which training stops, although the name says episodes."""

    term_cond_avg_score: float = 100000.0
    """Mean episode reward at which training stops."""

    sac_alpha: float = Field(default=0.2, ge=0)
    """Entropy temperature (SAC)."""

    @classmethod
    def load(cls, path: Path | str) -> Hyperparameters:
        """Read an unchanged hyperparameters.json; values may be numbers or their text.

        Raises:
            ConfigError: Names the file, the key, the value and what is allowed.
        """
        path = Path(path)
        return cls.from_dict(read_json_object(path), source=str(path))

    @classmethod
    def from_dict(cls, data: dict[str, Any], *, source: str = "hyperparameters.json") -> Hyperparameters:
        """The same from parsed JSON; ``source`` names it in errors."""
        values, problems = {}, []
        for key, value in data.items():
            if key in cls.model_fields:
                try:
                    values[key] = _parsed(source, key, value, cls.model_fields[key].annotation)
                except ValueError as error:
                    problems.append(str(error))
            elif key not in BOOKKEEPING:
                warn(f"{source}: {shown(key)} is not a hyperparameter and has no effect. {_instead(key)}")
        settings, more = checked(cls, values)
        problems += more
        if settings is None or problems:
            raise ConfigError(told(source, problems))
        if settings.stack_size != 1:
            warn(f"{source}: stack_size = {settings.stack_size} has no effect; one frame is one observation.")
        return settings

    def effective(self, algorithm: str) -> dict[str, int | float | str]:
        """The set that an algorithm trains with, as the original writes it: sorted keys."""
        without = {"clipped_ppo": {"sac_alpha"}, "sac": {"beta_entropy", "num_epochs"}}
        return dict(sorted(self.model_dump(exclude=without.get(algorithm)).items()))


STARTER: Final = Hyperparameters(
    num_epochs=5,
    discount_factor=0.99,
    loss_type="huber",
    term_cond_max_episodes=1000,
    term_cond_avg_score=350.0,
)
"""What DeepRacer-for-Cloud's default file sets."""


def _instead(key: str) -> str:
    """A sentence on what stands for a key that is none, or that it resembles."""
    plain = key.strip().lower()[:100]
    if plain in _WITHOUT_A_NAME:
        return _WITHOUT_A_NAME[plain]
    if plain in _FORMER:
        return f"Today's name is {_FORMER[plain]!r}."
    return nearest(key, Hyperparameters.model_fields)


def _parsed(source: str, key: str, value: Any, kind: Any) -> Any:
    """``value`` as the type of its field: an int, a float, or lower-case text.

    Raises:
        ValueError: What is wrong, in a sentence or two.
    """
    if kind is int or kind is float:
        wrong = ValueError(f"{key} must be a {'whole ' * (kind is int)}number, got {shown(value)}.")
        if isinstance(value, bool) or not isinstance(value, int | float | str):
            raise wrong
        try:
            number = float(value)
        except (ValueError, OverflowError):
            raise wrong from None
        if kind is float:
            return number
        if not number.is_integer():
            raise wrong
        return int(number)
    if not isinstance(value, str):
        raise ValueError(f"{key} must be text, got {shown(value)}.")
    text = value.strip().lower()
    if key == "exploration_type" and text not in ("categorical", "e-greedy", "additive_noise"):
        raise ValueError(
            f"exploration_type should be 'categorical' or 'e-greedy', got {shown(text)}. "
            "Actions are drawn by their probability, or the best is taken with some at random."
        )
    if key == "loss_type" and text not in ("huber", "mean squared error"):
        if text != "mean_squared_error":
            warn(f"{source}: loss_type {shown(value)} counts as 'mean squared error', like all that is not 'huber'.")
        return "mean squared error"
    return text
