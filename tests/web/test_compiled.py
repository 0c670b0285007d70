"""Compiled templates are kept for the next process, and made anew when their source or the filters' code changes."""

import os
import sys
from pathlib import Path

import pytest
from jinja2 import Environment, FileSystemLoader

from service.web import compiled
from service.web.compiled import Compiled


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A template, and the code of its filter."""
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "filters.py").write_text("first")
    (tmp_path / "a.html").write_text("{{ 'one'|say }}")
    return tmp_path


def shown(folder: Path, said: str) -> str:
    """As a new process shows it whose filter says this."""
    compiled._standing.cache_clear()
    templates = Environment(
        loader=FileSystemLoader(folder),
        bytecode_cache=Compiled(folder, code=folder / "code"),
        autoescape=True,
    )
    templates.filters["say"] = lambda value: f"{value} {said}"
    return templates.get_template("a.html").render()


def test_what_one_process_compiled_the_next_one_reads(folder: Path) -> None:
    assert shown(folder, "now") == "one now"
    # The filter was applied as it was compiled: who shows that has not compiled it again.
    assert shown(folder, "later") == "one now"
    assert len(list((folder / "__pycache__").iterdir())) == 1


def test_another_source_is_compiled(folder: Path) -> None:
    shown(folder, "now")
    (folder / "a.html").write_text("{{ 'two'|say }}")
    assert shown(folder, "later") == "two later"


@pytest.mark.parametrize("change", ["text", "time", "file"])
def test_other_code_has_everything_compiled(folder: Path, change: str) -> None:
    shown(folder, "now")
    code = folder / "code" / "filters.py"
    if change == "text":
        code.write_text("second one")
    elif change == "time":
        os.utime(code, (1, 1))
    else:
        (folder / "code" / "more.py").touch()
    assert shown(folder, "later") == "one later"


def test_where_nobody_may_write_it_is_shown_all_the_same(folder: Path) -> None:
    # Not even the superuser makes a folder where a file is.
    (folder / "__pycache__").touch()
    with pytest.raises(NotADirectoryError):
        (folder / "__pycache__" / "x").touch()
    assert shown(folder, "now") == "one now"
    assert shown(folder, "later") == "one later"


@pytest.mark.parametrize("left", [0, 30], ids=["nothing", "a part"])
def test_a_damaged_file_is_compiled_again(folder: Path, left: int) -> None:
    shown(folder, "now")
    (kept,) = (folder / "__pycache__").iterdir()
    kept.write_bytes(kept.read_bytes()[:left])
    assert shown(folder, "later") == "one later"


def test_python_told_to_write_no_bytecode_writes_none(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    assert shown(folder, "now") == "one now"
    assert not (folder / "__pycache__").exists()
