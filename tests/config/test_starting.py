"""A process looks for garbage seldom while it starts, and as usual from then on; it loads what it asks for."""

import ast
import subprocess
import sys

import pytest

from config.environment import ROOT

_ROOTS = ("service/app.py", "workers/app.py", "workers/dispatcher.py")
_PROGRAM = """
import gc
usual = gc.get_threshold()
from config import starting
print(gc.isenabled(), gc.get_threshold()[0] > 100 * usual[0])
starting.started()
print(gc.get_threshold() == usual, gc.get_freeze_count() > 1000)
"""


def test_garbage_is_looked_for_seldom_until_a_process_has_started() -> None:
    told = subprocess.run([sys.executable, "-c", _PROGRAM], cwd=ROOT, capture_output=True, text=True, check=True)
    assert told.stdout.split() == ["True"] * 4


@pytest.mark.parametrize("root", _ROOTS)
def test_every_root_that_starts_so_says_when_it_has(root: str) -> None:
    tree = ast.parse((ROOT / root).read_text())
    imported = [node for node in tree.body if isinstance(node, ast.ImportFrom) and node.module == "config.starting"]
    called = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "started"
    ]
    assert len(imported) == len(called) == 1


_LOADED = """
import importlib, sys
importlib.import_module("config.starting")
importlib.import_module(sys.argv[1])
print(*(name for name in ("alembic", "opentelemetry", "rich", "valkey") if name in sys.modules))
import rich, opentelemetry.trace
"""


@pytest.mark.parametrize("root", ["service.app", "workers.program", "workers.dispatcher"])
def test_nothing_is_loaded_that_a_process_does_not_ask_for(root: str) -> None:
    """Who asks for it later finds it."""
    command = [sys.executable, "-c", _LOADED, root]
    told = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert told.stdout.split() == []
