"""`python -m tests.compiled`: compiles product and tests once; else every process of pytest would, all at one time."""

import compileall
import os
import re
import sys
from pathlib import Path

import pytest
from _pytest.assertion import rewrite

from config.environment import ROOT
from service.catalog.load import load_catalog

_PRODUCT = ("config", "scripts", "service", "workers")
# pytest rewrites what they assert, and keeps what comes out under names of its own.
_REWRITTEN = re.compile(r"/(test_\w+|conftest)\.py$")


class _Instead:
    """Has pytest, which knows its settings by then, compile the files that it would rewrite, and collect none."""

    def __init__(self, folder: Path) -> None:
        self._paths = [path for path in sorted(folder.rglob("*.py")) if _REWRITTEN.search(str(path))]

    @pytest.hookimpl(tryfirst=True)
    def pytest_cmdline_main(self, config: pytest.Config) -> int:
        for path in self._paths:
            kept = rewrite.get_cache_dir(path) / f"{path.stem}{rewrite.PYC_TAIL}"
            if rewrite._read_pyc(path, kept) is None:
                kept.parent.mkdir(exist_ok=True)
                state, code = rewrite._rewrite_test(path, config)
                rewrite._write_pyc(config.stash[rewrite.assertstate_key], code, state, kept)
        return 0


def compile_tests(folder: Path) -> int:
    """Everything below: test files as pytest loads them, all others as Python does."""
    compileall.compile_dir(folder, quiet=1, rx=_REWRITTEN)
    # The settings of a folder's tests would load the product.
    return int(pytest.main(["--noconftest", "--collect-only"], plugins=[_Instead(folder)]))


def main() -> int:
    """The whole tree."""
    # From its top pytest finds its settings.
    os.chdir(ROOT)
    for name in _PRODUCT:
        compileall.compile_dir(ROOT / name, quiet=1)
    # What is made of the facts is kept too.
    load_catalog(ROOT / "config")
    return compile_tests(ROOT / "tests")


if __name__ == "__main__":
    sys.exit(main())
