"""The installed `headroom` against a running product, as the README shows it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from config.environment import ROOT
from tests.e2e.conftest import starter_environ

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("product")]

HEADROOM = Path(sys.prefix) / "bin" / "headroom"


def headroom(product, *arguments: str, key: str | None = None):
    environ = {**os.environ, "HEADROOM_URL": product.address, "HEADROOM_KEY": key or product.key()}
    return subprocess.run(
        [HEADROOM, *arguments], cwd=product.folder, env=environ, capture_output=True, text=True, timeout=60, check=False
    )


def test_starting_the_product_installs_the_command_that_sizes_with_it(product):
    done = headroom(product, "size", str(ROOT / "config" / "examples" / "science-folding-boltz-2.json"))
    assert done.returncode == 0, done.stderr
    assert "option 1 (recommended)" in done.stdout
    assert "antibody screen" in done.stdout
    assert "done" in headroom(product, "runs").stdout
    assert headroom(product, "runs", key="hr_nobody").returncode == 2


def test_a_key_is_made_without_an_address_and_opens_at_once(product):
    environ = starter_environ(HEADROOM_DATA_DIR=str(product.folder))
    done = subprocess.run(
        [sys.executable, "-m", "scripts.make_key", "keyless", "ada", "requester"],
        cwd=ROOT,
        env=environ,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    listed = headroom(product, "runs", key=done.stdout.strip())
    assert (listed.returncode, listed.stdout) == (0, "There are no such runs.\n")
