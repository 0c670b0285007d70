"""The part of the README that scripts/bench writes: it is replaced between its marks, and nothing else is."""

import pytest

from config.environment import ROOT
from scripts.benchmark import (
    readme,
)
from scripts.trouble import Trouble

DOCUMENT = f"before\n{readme.BEGIN}\n\n| old |\n\n{readme.END}\nafter\n"


def test_the_table_of_the_readme_is_replaced_and_nothing_else(tmp_path):
    path = tmp_path / "README.md"
    path.write_text(DOCUMENT)
    for part in ("| new |", "| newer |"):
        readme.write(path, part)
        assert path.read_text() == f"before\n{readme.BEGIN}\n\n{part}\n\n{readme.END}\nafter\n"


@pytest.mark.parametrize(
    "document", ["", readme.BEGIN, f"{readme.END} {readme.BEGIN}", DOCUMENT + DOCUMENT, f"{readme.BEGIN}\n{DOCUMENT}"]
)
def test_a_readme_without_its_marks_is_left_alone(tmp_path, document):
    path = tmp_path / "README.md"
    path.write_text(document)
    with pytest.raises(Trouble, match="once each"):
        readme.write(path, "| new |")
    assert path.read_text() == document


def test_the_readme_has_its_marks():
    assert readme.replaced((ROOT / "README.md").read_text(), "| new |")
