"""The manifests of `examples/kubernetes` by Kubernetes' own schemas, and what its pods run."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from tests.schedulers.conftest import CONFIGURATION_EXIT_CODE
from tests.singer import stored_id
from tests.warehouses.environments import PROJECT, environment

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from looker_simulator.simulator import Simulator
    from tests.warehouses.reading import Warehouse

_FOLDER = PROJECT / "examples" / "kubernetes"
_SECONDS = 240
# As in a pod: nothing can be written but what is mounted there.
_READ_ONLY = """
    mount -o remount,bind,ro / && mount --bind "$0" "$0" && mount -o remount,bind,ro "$0" &&
    mount -t tmpfs none "$0/.meltano/run" && mount -t tmpfs none "$TMPDIR" && exec "$@"
"""
_KUBECTL = shutil.which("kubectl")
_UNSHARE = shutil.which("unshare")
_MAY_MOUNT = _UNSHARE and not subprocess.run([_UNSHARE, "-m", "true"], check=False).returncode


@pytest.mark.slow
@pytest.mark.schedulers
def test_manifests_are_valid() -> None:
    validator = environment("dagster") / "kubernetes-validate"
    manifests = [_FOLDER / name for name in ("cronjob.yaml", "network-policy.yaml")]
    done = subprocess.run(
        [validator, "--strict", *manifests], capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
@pytest.mark.schedulers
@pytest.mark.skipif(not _KUBECTL, reason="kubectl is not installed")
def test_kustomize_builds_the_base() -> None:
    built = subprocess.run(
        [str(_KUBECTL), "kustomize", _FOLDER], capture_output=True, text=True, check=True
    )
    by_kind = {entry["kind"]: entry for entry in yaml.safe_load_all(built.stdout)}
    pod = by_kind["CronJob"]["spec"]["jobTemplate"]["spec"]["template"]["spec"]

    assert {*by_kind} == {"ConfigMap", "CronJob", "NetworkPolicy"}
    configured = by_kind["ConfigMap"]["metadata"]["name"]
    for container in containers(pod):
        assert container["image"] == "registry.example.com/looker-to-postgres:1"
        assert {"configMapRef": {"name": configured}} in container["envFrom"]


def test_the_base_names_every_manifest() -> None:
    text = (_FOLDER / "kustomization.yaml").read_text()
    base = yaml.safe_load(text)

    # A sample, which an operator of External Secrets has to be there for.
    named = {*base["resources"], "kustomization.yaml", "external-secret.yaml"}
    assert "# - external-secret.yaml" in text
    assert named == {path.name for path in _FOLDER.glob("*.yaml")}
    (generated,) = base["configMapGenerator"]
    settings = dict(literal.split("=", 1) for literal in generated["literals"])
    assert json.loads(settings["TAP_LOOKER_TASKS_QUERIES"])


def test_the_external_secret_has_all_that_the_base_needs() -> None:
    needed = (_FOLDER / "kustomization.yaml").read_text()
    secret = yaml.safe_load((_FOLDER / "external-secret.yaml").read_text())["spec"]

    assert secret["target"]["name"] == "looker-to-postgres"
    keys = [entry["secretKey"] for entry in secret["data"]]
    assert [key for key in keys if key not in needed] == []
    assert len(keys) == 5


def test_pods_write_to_limited_folders_only() -> None:
    pod = job()["template"]["spec"]
    volumes = {volume["name"]: volume["emptyDir"]["sizeLimit"] for volume in pod["volumes"]}

    for container in containers(pod):
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert {mount["name"] for mount in container["volumeMounts"]} == {*volumes}
        for bound in ("requests", "limits"):
            assert "ephemeral-storage" in container["resources"][bound]


def test_every_shard_has_a_separate_state_and_knows_how_many_there_are() -> None:
    (container,) = job()["template"]["spec"]["containers"]
    settings = {entry["name"]: entry.get("value") for entry in container["env"]}

    assert settings["TAP_LOOKER_TASKS_SHARD_COUNT"] == str(job()["completions"])
    assert container["args"][-1] == (
        "--state-id=looker-to-postgres-shard-$(TAP_LOOKER_TASKS_SHARD_INDEX)-of-"
        f"{job()['completions']}"
    )


def test_retries_outlast_the_hold_of_a_killed_meltano_on_its_state() -> None:
    # The job controller waits 10 s, then twice as long each time, 6 minutes at most.
    waits = [min(10 * 2**n, 360) for n in range(job()["backoffLimitPerIndex"])]
    assert sum(waits) > 300
    assert sum(waits) < job()["activeDeadlineSeconds"]


def test_wrong_settings_fail_without_another_try() -> None:
    (rule,) = (r for r in job()["podFailurePolicy"]["rules"] if r["action"] == "FailIndex")
    (first,) = job()["template"]["spec"]["initContainers"]

    # Meltano keeps the exit code of what it invokes, but ends a pipeline with 1.
    assert rule["onExitCodes"] == {
        "containerName": first["name"],
        "operator": "In",
        "values": [CONFIGURATION_EXIT_CODE],
    }
    assert first["command"] == ["python", "make_tables.py"]


@pytest.mark.slow
@pytest.mark.schedulers
def test_pods_that_start_together_make_the_tables(
    settings: dict[str, str], warehouse: Warehouse, tmp_path: Path
) -> None:
    at = pod_settings(settings, warehouse, tmp_path)
    pods = [make_tables(at) for _ in range(2)]

    assert [(pod.communicate(timeout=_SECONDS)[0], pod.returncode)[1] for pod in pods] == [0, 0]
    assert warehouse.rows(tmp_path.name, "airlines") == []


@pytest.mark.slow
@pytest.mark.schedulers
def test_a_wrong_secret_ends_with_an_exit_code_that_is_not_tried_again(
    settings: dict[str, str], simulator: Simulator, warehouse: Warehouse, tmp_path: Path
) -> None:
    wrong = {"TAP_LOOKER_TASKS_CLIENT_SECRET": "wrong"}
    pod = make_tables(pod_settings(settings, warehouse, tmp_path) | wrong)

    log = pod.communicate(timeout=_SECONDS)[0]
    assert pod.returncode == CONFIGURATION_EXIT_CODE, log
    assert simulator.count("login") == 1


@pytest.mark.slow
@pytest.mark.schedulers
@pytest.mark.skipif(not _MAY_MOUNT, reason="may not mount file systems")
def test_a_shard_runs_on_a_read_only_file_system(
    settings: dict[str, str], warehouse: Warehouse, tmp_path: Path
) -> None:
    at = pod_settings(settings, warehouse, tmp_path)
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    at |= {"TMPDIR": str(temporary), "XDG_STATE_HOME": str(temporary / "state")}
    (arguments,) = (c["args"][:-1] for c in job()["template"]["spec"]["containers"])
    done = subprocess.run(
        [str(_UNSHARE), "-m", "sh", "-c", _READ_ONLY, PROJECT, "meltano", *arguments],
        cwd=PROJECT,
        env={**os.environ, **at},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=_SECONDS,
        check=False,
    )

    assert done.returncode == 0, done.stdout[-3000:]
    assert len(warehouse.rows(tmp_path.name, "airlines")) == 16


def job() -> dict[str, Any]:
    manifest: dict[str, Any] = yaml.safe_load((_FOLDER / "cronjob.yaml").read_text())
    spec: dict[str, Any] = manifest["spec"]["jobTemplate"]["spec"]
    return spec


def containers(pod: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield from pod["initContainers"]
    yield from pod["containers"]


def pod_settings(settings: dict[str, str], warehouse: Warehouse, tmp_path: Path) -> dict[str, str]:
    query = {"name": "airlines", "query_id": stored_id(1)}
    database = warehouse.database(f"meltano_{tmp_path.name}")
    return {
        **settings,
        "MELTANO_DATABASE_URI": database,
        "MELTANO_AUTO_INSTALL": "false",
        "TAP_LOOKER_TASKS_QUERIES": json.dumps([query]),
        "TARGET_POSTGRES_DEFAULT_TARGET_SCHEMA": tmp_path.name,
    }


def make_tables(settings: dict[str, str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, _FOLDER / "make_tables.py"],
        cwd=PROJECT,
        env={**os.environ, **settings},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
