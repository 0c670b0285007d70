"""Debian's packages, where this machine has them and we may install them."""

import os
import subprocess
from pathlib import Path


def can_install() -> bool:
    """Whether this is Debian or a child of it, and we are root."""
    return os.geteuid() == 0 and Path("/usr/bin/apt-get").exists()


def install(package: str) -> bool:
    """Install a package; whether that worked."""
    environ = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    install_it = ["apt-get", "install", "-y", "--no-install-recommends", package]
    for command in (["apt-get", "update"], install_it):
        done = subprocess.run(command, env=environ, capture_output=True, check=False)
    return done.returncode == 0
