"""What lies in deploy/ fits the linters, the schemas of its tools, and what hotlap and Ray offer.

Schemas belong to others and are not kept here: ``HOTLAP_SCHEMAS`` names a folder with ``compose-spec.json``
(github.com/compose-spec/compose-spec, ``schema/``) and ``ray.io_rayjobs.yaml`` (github.com/ray-project/kuberay,
``ray-operator/config/crd/bases/``).
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator
from typer.main import get_command

from hotlap.cli.main import app

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"


def dockerfile() -> str:
    return (DEPLOY / "Dockerfile").read_text()


def services() -> dict[str, Any]:
    return yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]


def kuberay() -> dict[str, Any]:
    """The documents of the manifest by their kind."""
    documents = yaml.safe_load_all((DEPLOY / "kuberay.yaml").read_text())
    return {document["kind"]: document for document in documents}


def pod(group: dict[str, Any]) -> dict[str, Any]:
    return group["template"]["spec"]


def lint(tool: str, file: Path) -> None:
    """Run a linter that comes with the extra ``dev``."""
    found = shutil.which(tool, path=Path(sys.executable).parent) or shutil.which(tool)
    if found is None:
        pytest.skip(f"{tool} is not installed (hotlap[dev] on Linux brings it)")
    done = subprocess.run([found, str(file)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def schema(name: str) -> Any:
    folder = os.environ.get("HOTLAP_SCHEMAS")
    if not folder:
        pytest.skip("HOTLAP_SCHEMAS does not name a folder with the schemas of compose and KubeRay")
    text = (Path(folder) / name).read_text()
    return json.loads(text) if name.endswith(".json") else yaml.safe_load(text)


def errors(value: Any, schema: Any) -> list[str]:
    return [f"{error.json_path}: {error.message}" for error in Draft202012Validator(schema).iter_errors(value)]


def strict(schema: Any) -> None:
    """Forbid what an object's schema does not name: Kubernetes drops it with a warning at most."""
    if isinstance(schema, list):
        for part in schema:
            strict(part)
    if not isinstance(schema, dict):
        return
    free = schema.get("x-kubernetes-preserve-unknown-fields")
    if schema.get("type") == "object" and isinstance(schema.get("properties"), dict) and not free:
        schema.setdefault("additionalProperties", False)
    for part in schema.values():
        strict(part)


def check_words(words: list[str]) -> None:
    """A command of hotlap or of Ray that has only options which exist."""
    program, command, *rest = words
    options = {word.partition("=")[0] for word in rest if word.startswith("--")}
    if program == "hotlap":
        known = {name for option in get_command(app).commands[command].params for name in option.opts}
    else:
        assert program == "ray"
        scripts = pytest.importorskip("ray.scripts.scripts", reason="Ray's commands need hotlap[cluster]")
        known = {name for option in scripts.cli.commands[command].params for name in option.opts}
    assert options <= known, f"{program} {command} has no {sorted(options - known)}"


def test_the_dockerfile_passes_its_linter():
    lint("hadolint", DEPLOY / "Dockerfile")


def test_the_script_for_sagemaker_passes_its_linter_and_starts_a_module_that_exists():
    """It must be executable, and hand on signals by becoming the process."""
    script = DEPLOY / "train"
    lint("shellcheck", script)
    assert os.access(script, os.X_OK)
    module = re.search(r"^exec python -m (\S+) \"\$@\"$", script.read_text(), re.MULTILINE)
    assert module
    assert find_spec(module[1])


def test_the_image_gets_the_torch_that_hotlap_allows():
    """It is installed first, from an index of its own; the bounds must be those of pyproject.toml."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    torch = next(each for each in project["dependencies"] if each.startswith("torch"))
    assert f'"{torch}"' in dockerfile()
    extra = re.search(r"pip install \"\.\[(\w+)\]\"", dockerfile())
    assert extra
    assert extra[1] in project["optional-dependencies"]


def test_the_image_can_copy_what_it_names():
    """Each source exists, and the ignore file lets it through."""
    allowed = {
        line.removeprefix("!")
        for line in (DEPLOY / "Dockerfile.dockerignore").read_text().splitlines()
        if line.startswith("!")
    }
    sources = [
        word
        for line in re.findall(r"^COPY (?!--from)(.+)$", dockerfile(), re.MULTILINE)
        for word in line.split()[:-1]
        if not word.startswith("--")
    ]
    assert len(sources) >= 4
    for source in sources:
        assert (ROOT / source).exists(), source
        assert source in allowed


def test_the_image_runs_as_nobody_in_particular_unless_sagemaker_runs_it():
    """The last stage is the default; Kubernetes can tell that a numeric user is not root."""
    stages = re.split(r"^FROM ", dockerfile(), flags=re.MULTILINE)
    assert stages[-1].startswith("runtime AS hotlap")
    assert re.search(r"^USER [1-9]\d*$", stages[-1], re.MULTILINE)
    assert "ENTRYPOINT" not in re.sub("#.*", "", dockerfile())


def test_compose_fits_its_schema():
    assert not errors(yaml.safe_load((DEPLOY / "compose.yaml").read_text()), schema("compose-spec.json"))


def test_compose_s_commands_exist():
    """Those of the trainer and of the worker, as their containers would run them."""
    line = services()["trainer"]["command"]
    assert line[:2] == ["bash", "-c"]
    head, train = (shlex.split(part) for part in line[2].split("&&"))
    check_words(head)
    assert train[0] == "exec"
    check_words(train[1:])
    check_words(services()["worker"]["command"])


def test_compose_s_workers_find_the_trainer():
    """By its name and port, once it is healthy, with the token that both need."""
    trainer, worker = services()["trainer"], services()["worker"]
    assert "--address=trainer:6379" in worker["command"]
    assert "--port=6379 " in trainer["command"][2]
    assert "6379" in trainer["healthcheck"]["test"][-1]
    assert worker["depends_on"] == {"trainer": {"condition": "service_healthy"}}
    for service in (trainer, worker):
        assert service["environment"]["RAY_AUTH_MODE"] == "token"
        assert service["environment"]["RAY_AUTH_TOKEN"].startswith("${RAY_AUTH_TOKEN:?")


def test_compose_opens_no_port_to_the_network():
    """What has no password of its own is for this machine."""
    for name, service in services().items():
        for port in service.get("ports", []):
            assert port.startswith("127.0.0.1:"), f"{name}: {port}"


def test_the_s3_server_starts_only_if_asked_for():
    """A training in a folder needs none, so nobody should have to run it."""
    started = {name for name, service in services().items() if "profiles" not in service}
    assert started == {"trainer", "worker"}
    assert services()["trainer"]["depends_on"]["s3"]["required"] is False


def test_compose_s_trainer_reaches_the_s3_server():
    """With the keys that the server is given, at the port that it opens; the shell adds --output where one is named."""
    trainer, server = services()["trainer"], services()["s3"]
    keys, given = trainer["environment"], server["environment"]
    assert keys["AWS_ACCESS_KEY_ID"] == given["ROOT_ACCESS_KEY_ID"]
    assert keys["AWS_SECRET_ACCESS_KEY"] == given["ROOT_SECRET_ACCESS_KEY"]
    assert keys["AWS_ENDPOINT_URL_S3"].endswith("//s3:7070}")
    line = trainer["command"][2].replace("$$", "$").partition("exec hotlap")[2]
    for output, words in (("", []), ("s3://bucket/first lap", ["--output", "s3://bucket/first lap"])):
        variables = {"HOTLAP_MODEL": "m", "HOTLAP_WORKERS": "2", "HOTLAP_OUTPUT": output}
        said = subprocess.run(["bash", "-c", f"printf '%s\\n' {line}"], env=variables, capture_output=True, text=True)
        assert said.stdout.splitlines() == ["train", "m", "--resume", "--workers", "2", "--cluster", "auto", *words]


def test_the_manifest_fits_kuberay_s_schema():
    """Nothing missing, nothing of the wrong type, nothing that KubeRay does not know."""
    definition = schema("ray.io_rayjobs.yaml")
    version = next(each for each in definition["spec"]["versions"] if each["name"] == "v1")
    rules = version["schema"]["openAPIV3Schema"]
    strict(rules["properties"]["spec"])
    job = kuberay()["RayJob"]
    assert job["apiVersion"] == "ray.io/v1"
    assert not errors(job, rules)
    job["spec"]["rayClusterSpec"]["workerGroupSpecs"][0]["template"]["spec"]["contaners"] = []
    assert errors(job, rules)  # or else the check above would check nothing


def test_the_manifest_s_training_reads_and_writes_what_is_mounted():
    """The model comes from a ConfigMap, which cannot be written to; the trained copy goes to the claimed volume."""
    job = kuberay()["RayJob"]["spec"]
    words = shlex.split(job["entrypoint"])
    check_words(words)
    head = pod(job["rayClusterSpec"]["headGroupSpec"])
    mounts = {mount["mountPath"]: mount["name"] for mount in head["containers"][0]["volumeMounts"]}
    volumes = {volume["name"]: volume for volume in head["volumes"]}
    assert "configMap" in volumes[mounts[words[2]]]
    output = Path(words[words.index("--output") + 1])
    claim = volumes[mounts[str(output.parent)]]["persistentVolumeClaim"]["claimName"]
    assert claim == kuberay()["PersistentVolumeClaim"]["metadata"]["name"]


def test_the_manifest_s_cluster_has_room_for_its_workers():
    """Each wants one CPU; none on the head, which trains."""
    job = kuberay()["RayJob"]["spec"]
    words = shlex.split(job["entrypoint"])
    cluster = job["rayClusterSpec"]
    assert cluster["headGroupSpec"]["rayStartParams"]["num-cpus"] == "0"
    cpus = sum(
        group["maxReplicas"] * int(pod(group)["containers"][0]["resources"]["limits"]["cpu"])
        for group in cluster["workerGroupSpecs"]
    )
    assert cpus >= int(words[words.index("--workers") + 1])
    assert cluster["enableInTreeAutoscaling"]


def test_the_manifest_names_the_ray_of_the_image():
    """By its version KubeRay decides what it can ask of a pod, such as tokens (2.52 or newer)."""
    version = kuberay()["RayJob"]["spec"]["rayClusterSpec"]["rayVersion"]
    assert f"ARG RAY={version}\n" in dockerfile()
    assert tuple(map(int, version.split("."))) >= (2, 52, 0)
