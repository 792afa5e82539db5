"""Says on what was measured."""

from __future__ import annotations

import os
import platform
from importlib.metadata import version
from pathlib import Path

_PACKAGES = ("tap-looker-tasks", "singer-sdk", "msgspec", "requests")
_CPU_INFO = Path("/proc/cpuinfo")


def machine() -> dict[str, str]:
    """Describe processor, system and Python."""
    return {
        "cpu": _cpu(),
        "cores": f"{os.cpu_count()} cores",
        "system": f"{platform.system()} {platform.release()}",
        "python": f"{platform.python_implementation()} {platform.python_version()}",
    }


def versions() -> dict[str, str]:
    """Return the releases that matter."""
    return {package: version(package) for package in _PACKAGES}


def _cpu() -> str:
    try:
        lines = _CPU_INFO.read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    models = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(models, platform.machine())
