"""What SageMaker hands to a container is read from its files, or from the variables of its toolkits."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hotlap.deploy.contract import base_folder, output_folder, read_contract
from hotlap.errors import ConfigError

# As SageMaker writes it for a heterogeneous cluster.
RESOURCES = {
    "current_group_name": "rollouts",
    "current_host": "algo-2",
    "current_instance_type": "ml.c5.xlarge",
    "hosts": ["algo-1", "algo-2", "algo-3"],
    "instance_groups": [
        {"instance_group_name": "rollouts", "instance_type": "ml.c5.xlarge", "hosts": ["algo-1", "algo-2"]},
        {"instance_group_name": "trainer", "instance_type": "ml.g5.xlarge", "hosts": ["algo-3"]},
    ],
    "network_interface_name": "eth0",
}


def write(base: Path, **files: object) -> Path:
    """The files of ``input/config``, without their ``.json``."""
    folder = base / "input" / "config"
    folder.mkdir(parents=True)
    for name, content in files.items():
        (folder / f"{name}.json").write_text(content if isinstance(content, str) else json.dumps(content))
    return base


def test_files_say_who_is_there_and_what_to_do(tmp_path):
    """Hosts in their order, hyperparameters as text, channels with their folders, results below the base."""
    base = write(
        tmp_path,
        resourceconfig=RESOURCES,
        hyperparameters={"lr": "0.001", "s3_bucket": '"mine"'},
        inputdataconfig={"training": {"TrainingInputMode": "File", "S3DistributionType": "FullyReplicated"}},
    )
    contract = read_contract(base, {})
    assert contract.host == "algo-2"
    assert contract.hosts == ("algo-1", "algo-2", "algo-3")
    assert contract.hyperparameters == {"lr": "0.001", "s3_bucket": "mine"}  # the SDK quotes, the API does not
    assert contract.channels == {"training": base / "input" / "data" / "training"}
    assert contract.model_dir == base / "model"
    assert output_folder(base, {}) == base / "output"
    assert contract.data_dir == base / "output" / "data"
    assert contract.checkpoint_dir == base / "checkpoints"
    assert contract.num_cpus >= 1


def test_the_first_host_leads_or_the_first_of_a_group(tmp_path):
    """The trainer may need other hardware than the rollouts."""
    contract = read_contract(write(tmp_path, resourceconfig=RESOURCES), {})
    assert contract.leader() == "algo-1"
    assert contract.leader("trainer") == "algo-3"
    with pytest.raises(ConfigError, match=r"leader_group = 'gpu'.*Its groups: rollouts, trainer"):
        contract.leader("gpu")


def test_a_variable_wins_over_its_file(tmp_path):
    """Every folder and every list that the toolkits name can be given by their variable."""
    base = write(tmp_path, resourceconfig=RESOURCES, hyperparameters={"lr": "0.001"})
    contract = read_contract(
        base,
        {
            "SM_CURRENT_HOST": "b",
            "SM_HOSTS": '["a", "b"]',
            "SM_HPS": '{"lr": 0.002}',
            "SM_CHANNELS": '["cars"]',
            "SM_CHANNEL_CARS": "/somewhere/cars",
            "SM_MODEL_DIR": "/elsewhere/model",
            "SM_OUTPUT_DIR": "/elsewhere/output",
            "SM_OUTPUT_DATA_DIR": "/elsewhere/data",
            "SM_NUM_CPUS": "7",
        },
    )
    assert (contract.host, contract.hosts) == ("b", ("a", "b"))
    assert contract.hyperparameters == {"lr": 0.002}
    assert contract.channels == {"cars": Path("/somewhere/cars")}
    assert contract.model_dir == Path("/elsewhere/model")
    assert contract.data_dir == Path("/elsewhere/data")
    assert contract.num_cpus == 7


def test_a_container_started_by_hand_is_a_job_of_one_host(tmp_path):
    """Without any file there is one host, and every folder below ``input/data`` is a channel."""
    (tmp_path / "input" / "data" / "training").mkdir(parents=True)
    contract = read_contract(tmp_path, {})
    assert contract.hosts == (contract.host,)
    assert list(contract.channels) == ["training"]
    assert contract.hyperparameters == {}


def test_the_base_is_given_or_the_variable_s_or_sagemaker_s(tmp_path):
    assert base_folder(None, {}) == Path("/opt/ml")
    assert base_folder(None, {"SAGEMAKER_BASE_DIR": str(tmp_path)}) == tmp_path
    assert base_folder(tmp_path / "x", {"SAGEMAKER_BASE_DIR": str(tmp_path)}) == tmp_path / "x"


def test_hosts_of_a_job_have_an_identity_in_common_and_jobs_have_not(tmp_path):
    """From it comes what lets hosts into a cluster, so each must find the same, and another job something else."""
    files = {"resourceconfig": RESOURCES, "hyperparameters": {"lr": "0.001"}}
    one = read_contract(write(tmp_path / "1", **files), {"TRAINING_JOB_ARN": "arn:1"})
    files["resourceconfig"] = RESOURCES | {"current_host": "algo-3", "current_group_name": "trainer"}
    other = read_contract(write(tmp_path / "2", **files), {"TRAINING_JOB_ARN": "arn:1"})
    stranger = read_contract(write(tmp_path / "3", **files), {"TRAINING_JOB_ARN": "arn:2"})
    assert one.identity == other.identity != stranger.identity


@pytest.mark.parametrize(
    ("files", "variables", "message"),
    [
        ({"resourceconfig": "{"}, {}, r"resourceconfig\.json: line 1.*not JSON"),
        ({"resourceconfig": {"current_host": "x", "hosts": ["a"]}}, {}, r"current_host is 'x' and hosts are \['a'\]"),
        ({"inputdataconfig": {"training": {"TrainingInputMode": "Pipe"}}}, {}, r"'training'.*Pipe.*FastFile"),
        ({"hyperparameters": "[1]"}, {}, r"hyperparameters\.json.*list.*object"),
        ({}, {"SM_HOSTS": "algo-1"}, r"SM_HOSTS = 'algo-1' is not JSON"),
        ({}, {"SM_HPS": "[]"}, r"SM_HPS holds a JSON list, but a dict"),
    ],
)
def test_what_is_wrong_is_named(tmp_path, files, variables, message):
    with pytest.raises(ConfigError, match=message):
        read_contract(write(tmp_path, **files), variables)
