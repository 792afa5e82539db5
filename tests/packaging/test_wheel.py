"""The package as built and installed, away from the checkout."""

from __future__ import annotations

import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from tap_looker_tasks.tap import TapLookerTasks

if TYPE_CHECKING:
    from collections.abc import Sequence

pytestmark = pytest.mark.slow

PROJECT = Path(__file__).parent.parent.parent
PACKAGE = PROJECT / "tap_looker_tasks"


def run(arguments: Sequence[str | Path], folder: Path, *, path: Path | None = None) -> str:
    """Run a command of Python with nothing of the checkout on the path."""
    done = subprocess.run(
        [sys.executable, "-P", *arguments],
        cwd=folder,
        env={"PYTHONPATH": str(path)} if path else {},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    run(["-m", "hatchling", "build", "-d", folder], PROJECT)
    return folder


def test_the_installed_wheel_runs_without_the_checkout(dist: Path, tmp_path: Path) -> None:
    (wheel,) = dist.glob("*.whl")
    aside = tmp_path / "aside"
    pip = ("-m", "pip", "--disable-pip-version-check", "install", "--quiet", "--no-deps")
    run([*pip, "--target", aside, wheel], tmp_path)

    where = "import tap_looker_tasks.tap; print(tap_looker_tasks.tap.__file__)"
    assert Path(run(["-c", where], tmp_path, path=aside).strip()).is_relative_to(aside)
    assert "base_url" in run(["-m", "tap_looker_tasks", "--about"], tmp_path, path=aside)
    assert (aside / "bin" / "tap-looker-tasks").exists()


def test_wheel_and_sdist_hold_what_they_should_and_nothing_else(dist: Path) -> None:
    paths = (path for path in PACKAGE.rglob("*") if path.is_file())
    expected = {str(p.relative_to(PROJECT)) for p in paths if p.parent.name != "__pycache__"}
    assert "tap_looker_tasks/py.typed" in expected
    (wheel,) = dist.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        contents = {name: archive.read(name) for name in archive.namelist()}
    assert {name for name in contents if ".dist-info/" not in name} == expected
    (metadata,) = (text for name, text in contents.items() if name.endswith("/METADATA"))
    assert b"\n# tap-looker-tasks\n" in metadata

    (sdist,) = dist.glob("*.tar.gz")
    with tarfile.open(sdist) as tar:
        in_sdist = {name.partition("/")[2] for name in tar.getnames()}
    assert expected | {"plugin.yml", "meltano.yml", "tests/conftest.py", "LICENSE"} <= in_sdist
    assert not {name for name in in_sdist if "__pycache__" in name or name.startswith(".venv")}


def test_the_version_is_reported_as_the_sdk_shows_it_and_without_importing_it(
    tmp_path: Path,
) -> None:
    program = (
        "import sys; sys.argv = ['tap-looker-tasks', '--version'];"
        "from tap_looker_tasks.__main__ import main; main();"
        "assert 'singer_sdk' not in sys.modules"
    )
    shown = run(["-c", program], tmp_path, path=PROJECT)
    assert shown == CliRunner().invoke(TapLookerTasks.cli, ["--version"]).stdout
