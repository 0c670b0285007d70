"""Each edit of a mutant fits one place of the tree, and changes it."""

import pytest

from config.environment import ROOT
from scripts.faulting.mutants import MUTANTS


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name.replace(" ", "-"))
def test_the_edits_of_a_mutant_fit_the_tree(mutant):
    for edit in mutant.edits:
        assert (ROOT / edit.path).read_text(encoding="utf-8").count(edit.old) == 1, edit.path
        assert edit.old != edit.new
