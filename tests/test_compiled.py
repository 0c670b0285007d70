"""What was compiled beforehand is what pytest and Python load: nothing is compiled again."""

import subprocess
import sys
from pathlib import Path

import pytest

from config.environment import ROOT

_FILES = {
    "test_one.py": "from plain import TWO\n\n\ndef test_two():\n    assert TWO == 2\n",
    "conftest.py": "",
    "plain.py": "TWO = 2\n",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, text in _FILES.items():
        (tmp_path / name).write_text(text)
    (tmp_path / "pyproject.toml").write_text("")
    return tmp_path


def _python(folder: Path, *arguments: str) -> None:
    environ = {"PYTHONPATH": f"{ROOT}:{folder}", "PATH": "", "HOME": str(folder)}
    subprocess.run([sys.executable, *arguments], cwd=folder, env=environ, check=True, capture_output=True)


def _kept(folder: Path) -> dict[str, int]:
    return {path.name: path.stat().st_mtime_ns for path in folder.rglob("*.pyc")}


def test_pytest_compiles_nothing_that_was_compiled_beforehand(folder: Path) -> None:
    program = f"import pathlib; from tests.compiled import compile_tests; compile_tests(pathlib.Path({str(folder)!r}))"
    _python(folder, "-c", program)
    kept = _kept(folder)
    assert {name.partition(".")[0] for name in kept} == {"test_one", "conftest", "plain"}
    assert sum("pytest" in name for name in kept) == 2
    _python(folder, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_one.py")
    assert _kept(folder) == kept
