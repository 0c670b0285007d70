"""What was parsed is kept for the next process, and parsed anew when its source or its reader changes."""

import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from service.catalog import parsed
from service.catalog.files import read_yaml
from service.errors import FactsError

SOURCE = "one: &a {1: 2.5, on: [null, true, 2026-11-30]}\ntwo: *a\nthree: ü\n"
HOLDS = {"one": {1: 2.5, "on": [None, True, "2026-11-30"]}, "two": {1: 2.5, "on": [None, True, "2026-11-30"]}}


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    path = tmp_path / "facts.yaml"
    path.write_text(SOURCE, encoding="utf-8")
    return path


@pytest.fixture
def parses(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The files that YAML was asked about."""
    asked: list[str] = []
    load = yaml.load

    def counting(stream: Any, **options: Any) -> Any:
        asked.append(Path(stream.name).name)
        return load(stream, **options)

    monkeypatch.setattr(yaml, "load", counting)
    return asked


def kept(path: Path) -> Path:
    (found,) = (path.parent / "__pycache__").iterdir()
    return found


def test_what_one_process_parsed_the_next_one_reads(path: Path, parses: list[str]) -> None:
    first = read_yaml(path)
    again = read_yaml(path)
    assert parses == ["facts.yaml"]
    assert first == again == {**HOLDS, "three": "ü"}
    assert list(again) == ["one", "two", "three"]
    assert [type(value) for value in again["one"]["on"]] == [type(None), bool, str]


def test_who_changes_what_was_read_changes_it_for_nobody_else(path: Path) -> None:
    read_yaml(path)["one"]["on"].clear()
    read_yaml(path)["one"]["on"].clear()
    assert read_yaml(path)["one"] == HOLDS["one"]


def test_another_source_is_parsed_and_another_reader_parses(path: Path, parses, monkeypatch) -> None:
    read_yaml(path)
    path.write_text(SOURCE.replace("2.5", "3.5"), encoding="utf-8")
    assert read_yaml(path)["two"][1] == 3.5
    monkeypatch.setattr(parsed, "_READER", b"of another release")
    assert read_yaml(path)["two"][1] == 3.5
    assert len(parses) == 3
    assert kept(path)


@pytest.mark.parametrize("damage", [b"", b"x", None], ids=["emptied", "longer", "cut short"])
def test_a_damaged_file_is_parsed_again(path: Path, parses: list[str], damage: bytes | None) -> None:
    read_yaml(path)
    whole = kept(path).read_bytes()
    kept(path).write_bytes(whole[:-1] if damage is None else whole + damage if damage else b"")
    assert read_yaml(path)["three"] == "ü"
    assert len(parses) == 2
    assert kept(path).read_bytes() == whole


def test_who_may_not_write_goes_without(path: Path, parses: list[str]) -> None:
    (path.parent / "__pycache__").touch()
    assert read_yaml(path) == read_yaml(path) == {**HOLDS, "three": "ü"}
    assert len(parses) == 2


def test_python_told_to_write_no_bytecode_writes_none(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    read_yaml(path)
    assert not (path.parent / "__pycache__").exists()


def test_what_is_wrong_is_told_every_time_and_kept_never(path: Path) -> None:
    path.write_text("a: 1\nb: {\n")
    for _ in range(2):
        with pytest.raises(FactsError, match=r"facts\.yaml is no valid YAML: .*facts\.yaml.*line 3"):
            read_yaml(path)
    assert not (path.parent / "__pycache__").exists()
