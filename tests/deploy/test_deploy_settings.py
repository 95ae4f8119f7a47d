"""Hyperparameters of a SageMaker job: how to learn, settings of job.toml by dotted names, places in S3."""

from __future__ import annotations

import warnings

import pytest

from hotlap.config.hyperparameters import Hyperparameters
from hotlap.config.job import Job
from hotlap.deploy.settings import SOURCE, sort_hyperparameters
from hotlap.errors import ConfigError

# What the notebook of the original passes.
NOTEBOOK = {
    "s3_bucket": "sagemaker-us-east-1-123456789012",
    "s3_prefix": "deepracer-notebook-sagemaker-200729-202318",
    "aws_region": "us-east-1",
    "model_metadata_s3_key": "deepracer-notebook-sagemaker-200729-202318/model/model_metadata.json",
    "reward_function_s3_source": "deepracer-notebook-sagemaker-200729-202318/customer_reward_function.py",
    "batch_size": "64",
    "num_epochs": "10",
    "stack_size": "1",
    "lr": "0.0003",
    "exploration_type": "Categorical",
    "e_greedy_value": "1",
    "epsilon_steps": "10000",
    "beta_entropy": "0.01",
    "discount_factor": "0.999",
    "loss_type": "Huber",
    "num_episodes_between_training": "20",
    "max_sample_count": "0",
    "sampling_frequency": "1",
}


def test_the_original_s_notebook_is_understood_without_a_warning():
    """Its learning settings arrive with their types, its places are kept apart."""
    settings = sort_hyperparameters(NOTEBOOK)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        learning = Hyperparameters.from_dict(settings.learning)
    assert (learning.lr, learning.loss_type, learning.num_epochs) == (0.0003, "huber", 10)
    assert learning.exploration_type == "categorical"
    assert settings.places["s3_prefix"] == NOTEBOOK["s3_prefix"]
    assert not settings.job


@pytest.mark.parametrize(
    ("values", "training"),
    [
        ({}, {"clone_from": "s3://b/models/p", "clone_checkpoint": "best"}),
        ({"pretrained_checkpoint": "whatever"}, {"clone_from": "s3://b/models/p", "clone_checkpoint": "last"}),
        ({"training.clone_from": "s3://c/q"}, {"clone_from": "s3://c/q", "clone_checkpoint": "best"}),
        ({"pretrained_s3_bucket": ""}, None),
    ],
)
def test_a_pretrained_model_is_where_training_begins(values, training):
    """Bucket and prefix together name it, as in the original; our own setting wins."""
    pretrained = {"pretrained_s3_bucket": "b", "pretrained_s3_prefix": "models/p/"}
    settings = sort_hyperparameters(pretrained | values)
    assert settings.job.get("training") == training
    assert settings.clones == (training is not None)


def test_dotted_names_are_settings_of_ours():
    """Text becomes what the setting wants, in sections of sections too."""
    settings = sort_hyperparameters(
        {
            "training.max_minutes": "30",
            "training.shared_encoder": "True",
            "training.seed": 7,
            "race.track": "123",
            "race.obstacles.number": "4",
            "race.obstacles.positions": "[[0.25, -1], [0.5, 1]]",
            "deploy.leader_group": "trainer",
        }
    )
    job = Job().updated(source=SOURCE, **settings.job)
    assert (job.training.max_minutes, job.training.shared_encoder, job.training.seed) == (30.0, True, 7)
    assert job.race.track == "123"  # a name, although it looks like a number
    assert job.race.obstacles.number == 4
    assert job.race.obstacles.positions == ((0.25, -1.0), (0.5, 1.0))
    assert settings.leader_group == "trainer"
    assert settings.sets("training", "seed")
    assert not settings.sets("training", "workers")


def test_what_sagemaker_s_own_tools_add_is_none_of_ours():
    """They pass their settings among the hyperparameters."""
    values = {"sagemaker_program": "train.py", "sagemaker_region": "eu-west-1", "_tuning_objective_metric": "reward"}
    assert sort_hyperparameters(values) == sort_hyperparameters({})


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"trainig.max_minutes": "3"}, r"'trainig\.max_minutes'.*Did you mean 'training'"),
        ({"training.max_minute": "3"}, r"Unknown key 'training\.max_minute'.*'max_minutes'"),
        ({"training.max_minutes": "soon"}, r"training\.max_minutes.*'soon'.*Stop after"),
        ({"training.workers": "0"}, r"training\.workers.*greater than or equal to 1"),
        ({"training.seed": "1.5"}, r"training\.seed.*integer.*1\.5"),
        ({"race.obstacles.nmber": "4"}, r"race\.obstacles\.nmber"),
    ],
)
def test_a_wrong_setting_is_named_with_its_source(values, message):
    """The job's author looks for it in the call that started the job, not in a file."""
    with pytest.raises(ConfigError, match=message) as raised:
        Job().updated(source=SOURCE, **sort_hyperparameters(values).job)
    assert str(raised.value).startswith(SOURCE)
