"""The manifests of `examples/kubernetes`, against Kubernetes' own schemas."""

from __future__ import annotations

import subprocess

import pytest
import yaml

from tests.warehouses.environments import PROJECT, environment

_FOLDER = PROJECT / "examples" / "kubernetes"


@pytest.mark.slow
@pytest.mark.schedulers
def test_manifests_are_valid() -> None:
    validator = environment("dagster") / "kubernetes-validate"
    manifests = sorted(_FOLDER.glob("*.yaml"))
    done = subprocess.run(
        [validator, "--strict", *manifests], capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stdout + done.stderr


def test_every_shard_has_a_state_of_its_own_and_knows_how_many_there_are() -> None:
    job = yaml.safe_load((_FOLDER / "cronjob.yaml").read_text())["spec"]["jobTemplate"]["spec"]
    (container,) = job["template"]["spec"]["containers"]
    settings = {entry["name"]: entry.get("value") for entry in container["env"]}

    assert settings["TAP_LOOKER_TASKS_SHARD_COUNT"] == str(job["completions"])
    assert container["args"][-1] == (
        "--state-id=looker-to-postgres-shard-$(TAP_LOOKER_TASKS_SHARD_INDEX)-of-"
        f"{job['completions']}"
    )


def test_retries_outlast_the_hold_of_a_killed_meltano_on_its_state() -> None:
    job = yaml.safe_load((_FOLDER / "cronjob.yaml").read_text())["spec"]["jobTemplate"]["spec"]

    # The job controller waits 10 s, then twice as long each time, 6 minutes at most.
    waits = [min(10 * 2**n, 360) for n in range(job["backoffLimitPerIndex"])]
    assert sum(waits) > 300
    assert sum(waits) < job["activeDeadlineSeconds"]
