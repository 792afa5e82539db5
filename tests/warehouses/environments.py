"""Virtual environments of programs that cannot share one with the tap, made on first use."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

PROJECT = Path(__file__).parent.parent.parent
_WITH_THE_TAP = {"warehouses"}
_PIN = re.compile(r"(?m)^[^\s#]+==[^\s\\]+")
_FOLDER = PROJECT / ".cache" / "environments"


def environment(name: str) -> Path:
    """Make an environment of what `requirements/<name>.txt` pins; return its folder of commands.

    One in which the tap runs, too, has what it depends on among its pins.
    """
    pins = (PROJECT / "requirements" / f"{name}.txt").read_text()
    folder = _FOLDER / name
    installed = folder / "installed"
    if not installed.exists() or _PIN.findall(installed.read_text()) != _PIN.findall(pins):
        _succeed([sys.executable, "-m", "venv", "--clear", str(folder)])
        requirements = f"requirements/{name}.txt"
        python = str(folder / "bin" / "python")
        # The pins are complete; some are newer, as is Python, than an old target allows.
        options = ("--quiet", "--no-deps", "--ignore-requires-python")
        install = [python, "-m", "pip", "install", *options]
        _succeed([*install, "--require-hashes", "--requirement", requirements])
        if name in _WITH_THE_TAP:
            _succeed([*install, "--editable", "."])
        installed.write_text(pins)
    return folder / "bin"


def warehouse_command(name: str) -> str:
    """Return a command of the environment that most targets share."""
    return str(environment("warehouses") / name)


def _succeed(command: list[str]) -> None:
    ended = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr[-2000:]
