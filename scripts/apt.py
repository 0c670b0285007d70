"""Debian's packages, where this machine has them and we may install them."""

import os
import subprocess
from pathlib import Path

_learnt: list[bool] = []


def can_install() -> bool:
    """Whether this is Debian or a child of it, and we are root."""
    return os.geteuid() == 0 and Path("/usr/bin/apt-get").exists()


def install(package: str) -> bool:
    """Install a package; whether that worked."""
    _update()
    return _apt_get("install", "-y", "--no-install-recommends", package)


def _update() -> None:
    """Learn what there is, until that has worked: what comes next wants the same lists."""
    if not _learnt:
        _learnt.extend([True] if _apt_get("update") else [])


def _apt_get(*arguments: str) -> bool:
    environ = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    return subprocess.run(["apt-get", *arguments], env=environ, capture_output=True, check=False).returncode == 0
