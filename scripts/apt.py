"""Debian's packages, where this machine has them and we may install them."""

import os
import subprocess
from functools import cache
from pathlib import Path


def can_install() -> bool:
    """Whether this is Debian or a child of it, and we are root."""
    return os.geteuid() == 0 and Path("/usr/bin/apt-get").exists()


def install(package: str) -> bool:
    """Install a package; whether that worked."""
    _update()
    return _apt_get("install", "-y", "--no-install-recommends", package)


@cache
def _update() -> bool:
    """Learn what there is, once: what comes next wants the same lists."""
    return _apt_get("update")


def _apt_get(*arguments: str) -> bool:
    environ = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    return subprocess.run(["apt-get", *arguments], env=environ, capture_output=True, check=False).returncode == 0
