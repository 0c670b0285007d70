"""What was made of the facts is kept for the next process, and made anew when facts or code change."""

import math
import os
import sys
import time
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from config.environment import ROOT
from service.catalog.accuracy import load_accuracy
from service.catalog.load import _without_predictions, load_catalog
from service.catalog.made import Keeper


@pytest.fixture
def code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A tree of code, with facts beside it."""
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    for name in ("service/catalog/read.py", "config/models/one.yaml"):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_text("1")
    return tmp_path / "service"


def make(code: Path, config_dir: Path | None = None) -> tuple[object, bool]:
    """What is kept or made, and whether it was made."""
    made: list[object] = []

    def anew() -> dict[str, tuple[int, ...]]:
        made.append(None)
        return {"b": (1, 2), "a": ()}

    return keeper(code, config_dir).kept("something", anew), bool(made)


def keeper(code: Path, config_dir: Path | None = None) -> Keeper:
    """Of a process that begins after all that is there."""
    return Keeper(config_dir or code.parent / "config", code=code, loaded_s=math.inf)


def kept(code: Path) -> Path:
    (found,) = (code / "catalog" / "__pycache__").iterdir()
    return found


def test_what_one_process_made_the_next_one_has(code: Path) -> None:
    assert make(code) == ({"b": (1, 2), "a": ()}, True)
    found, made = make(code)
    assert (found, list(found), made) == ({"b": (1, 2), "a": ()}, ["b", "a"], False)


def _parts(some: Any) -> dict[str, Any]:
    """What a dataclass holds: some of these are equal to themselves alone."""
    found = {field.name: getattr(some, field.name) for field in fields(some)}
    return {name: _parts(part) if is_dataclass(part) else part for name, part in found.items()}


def test_the_catalog_that_is_kept_is_the_one_that_is_read() -> None:
    config_dir = ROOT / "config"
    read = replace(_without_predictions(config_dir), accuracy=load_accuracy(config_dir))
    for _ in range(2):
        assert _parts(load_catalog(config_dir)) == _parts(read)


@pytest.mark.parametrize("changed", ["config/models/one.yaml", "config/models/two.yaml", "config/new/one.json"])
def test_other_facts_are_read(code: Path, changed: str) -> None:
    make(code)
    (code.parent / changed).parent.mkdir(exist_ok=True)
    (code.parent / changed).write_text("2")
    assert [make(code)[1], make(code)[1]] == [True, False]


def test_facts_behind_a_link_are_looked_at_too(code: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (code.parent / "config" / "evidence").symlink_to(tmp_path / "elsewhere")
    make(code)
    (tmp_path / "elsewhere" / "one.jsonl").write_text("1")
    assert make(code)[1]


@pytest.mark.parametrize("edit", [lambda path: path.write_text("22"), lambda path: os.utime(path, (1, 1))])
def test_other_code_makes_it_anew(code: Path, edit) -> None:
    make(code)
    edit(code / "catalog" / "read.py")
    assert [make(code)[1], make(code)[1]] == [True, False]


@pytest.mark.parametrize("damage", [lambda whole: b"", lambda whole: whole[:-1], lambda whole: whole + b"x"])
def test_a_damaged_file_is_made_again(code: Path, damage) -> None:
    make(code)
    whole = kept(code).read_bytes()
    kept(code).write_bytes(damage(whole))
    assert make(code)[1]
    assert kept(code).read_bytes() == whole


def test_facts_of_somebody_else_are_kept_nowhere(code: Path, tmp_path: Path) -> None:
    """Who may write facts need not be allowed to write code, and Python makes of what is kept whatever it says."""
    other = tmp_path / "facts"
    other.mkdir()
    assert [make(code, other)[1], make(code, other)[1]] == [True, True]
    assert not (code / "catalog" / "__pycache__").exists()
    assert not list(other.iterdir())


def test_who_may_not_write_goes_without(code: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    assert [make(code)[1], make(code)[1]] == [True, True]
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    (code / "catalog" / "__pycache__").touch()
    assert [make(code)[1], make(code)[1]] == [True, True]


def test_what_cannot_be_made_is_told_every_time(code: Path) -> None:
    def broken() -> None:
        raise KeyError("gpu")

    for _ in range(2):
        with pytest.raises(KeyError):
            keeper(code).kept("something", broken)
    assert not (code / "catalog" / "__pycache__").exists()


@pytest.mark.parametrize("changed", ["config/models/one.yaml", "service/catalog/read.py"])
def test_what_changes_while_it_is_read_is_not_kept(code: Path, changed: str) -> None:
    """Once what was there before is there again, it would be taken for what comes of that."""
    path = code.parent / changed
    text, time_s = path.read_text(), path.stat().st_mtime

    def meanwhile() -> str:
        path.write_text("22")
        return "of the other"

    assert keeper(code).kept("something", meanwhile) == "of the other"
    path.write_text(text)
    os.utime(path, (time_s, time_s))
    assert make(code)[1]


def test_a_process_that_is_older_than_the_code_neither_keeps_nor_takes(code: Path) -> None:
    """It runs what was there when it began, and would keep what that makes under the name of what is there now."""
    older = Keeper(code.parent / "config", code=code, loaded_s=time.time() - 3600)
    assert older.kept("something", lambda: "of the old code") == "of the old code"
    assert make(code) == ({"b": (1, 2), "a": ()}, True)
    assert older.kept("something", lambda: "of the old code") == "of the old code"


class _Gone:
    """What no later process finds."""


def test_what_is_of_code_that_is_not_there_is_made_again(code: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keeper(code).kept("something", _Gone)
    monkeypatch.delattr(sys.modules[__name__], "_Gone")
    assert make(code) == ({"b": (1, 2), "a": ()}, True)


def test_what_cannot_be_read_is_no_hindrance(code: Path) -> None:
    """Editors leave links to nowhere beside what they edit."""
    (code / "catalog" / ".#read.py").symlink_to("somebody@somewhere.1")
    assert [make(code)[1], make(code)[1]] == [True, True]


def test_a_full_disk_is_left_as_it_was(code: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_path: Path, _mode: int) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr(Path, "chmod", full)
    assert make(code)[1]
    assert not list((code / "catalog" / "__pycache__").iterdir())
