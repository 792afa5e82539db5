"""Looks up known vulnerabilities of the development tools in a public database."""

from __future__ import annotations

import json
import subprocess
import sys

from release.finding import PROJECT, Finding, Verdict, install


def check_vulnerabilities(requirements: str) -> Finding:
    """Check pinned requirements with pip-audit."""
    python = install("tools", sys.executable, "release.txt")
    pins = str(PROJECT / "requirements" / requirements)
    options = ("--require-hashes", "--disable-pip", "--progress-spinner", "off", "--format", "json")
    done = subprocess.run(
        [python, "-m", "pip_audit", "--requirement", pins, *options],
        capture_output=True,
        text=True,
        check=False,
    )
    subject = f"vulnerabilities in {requirements}"
    try:
        packages = json.loads(done.stdout)["dependencies"]
    except ValueError:
        reason = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        return Finding(subject, Verdict.UNKNOWN, f"no database could be reached: {reason[:200]}")
    return judge(subject, packages)


def judge(subject: str, packages: list[dict[str, object]]) -> Finding:
    """Return what pip-audit found; a package it skipped is not known to be good."""
    vulnerable = [package for package in packages if package.get("vulns")]
    skipped = [package for package in packages if "skip_reason" in package]
    if vulnerable:
        named = ", ".join(f"{package['name']} {package['version']}" for package in vulnerable)
        return Finding(subject, Verdict.BAD, named)
    if skipped:
        detail = f"the database has no entry for {len(skipped)} of {len(packages)} packages"
        return Finding(subject, Verdict.UNKNOWN, detail)
    return Finding(subject, Verdict.GOOD, f"none known in {len(packages)} packages")
