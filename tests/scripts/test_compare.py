"""scripts/compare: what moved between two revisions, and an exit code for what stopped working alone."""

import json
import subprocess

import pytest

from config.environment import ROOT
from scripts.comparison.command import STOPPED, WRONG, ending, main
from scripts.comparison.revisions import Answers
from scripts.comparison.sample import Question, questions
from scripts.comparison.verdict import Verdict, counted, judged
from tests.schemas.requests import SMALL_CHAT

FITS = {"feasible": True, "server": "a", "servers": 4, "gpus": 32, "cost.total_usd": 100.0, "tpot_ms.p50": 20.0}
in_a_repository = pytest.mark.skipif(
    subprocess.run(["git", "-C", str(ROOT), "rev-parse", "HEAD"], capture_output=True, check=False).returncode != 0,
    reason="the tree is no git repository",
)


def answers(failed=None, **answered):
    return Answers(revision="r", versions={"engine": "1"}, answered=answered, failed=failed or {})


@pytest.mark.parametrize(
    ("old", "new", "verdict"),
    [
        (FITS, FITS, Verdict.SAME),
        (FITS, {**FITS, "cost.total_usd": 104.0}, Verdict.CHANGED),
        (FITS, {**FITS, "cost.total_usd": 106.0}, Verdict.MOVED),
        (FITS, {**FITS, "server": "b"}, Verdict.MOVED),
        (FITS, {"feasible": False, "shortfall.limit": "max_racks"}, Verdict.FITS_NO_MORE),
        ({"feasible": False}, FITS, Verdict.FITS_NOW),
        (FITS, None, Verdict.STOPPED),
        (None, FITS, Verdict.STARTED),
        (None, None, Verdict.FAILS_STILL),
    ],
)
def test_each_question_comes_to_one_verdict_and_only_what_stopped_blocks(old, new, verdict):
    before, after = (answers({"q": "ValueError: no"}) if one is None else answers(q=one) for one in (old, new))
    [found] = judged(before, after, threshold_fraction=0.05)
    assert found.verdict is verdict
    assert counted((found,))[verdict.value] == 1
    assert ending([found]) == (STOPPED if verdict is Verdict.STOPPED else 0)
    assert (found.error is not None) == (None in {None if old is None else 0, None if new is None else 0})
    assert json.loads(json.dumps(found.document()))["verdict"] == verdict


def test_what_stopped_comes_first_then_what_moved_furthest():
    near, far = ({**FITS, "cost.total_usd": cost} for cost in (110.0, 200.0))
    old = answers(near=FITS, far=FITS, same=FITS, gone=FITS)
    new = answers({"gone": "KeyError: x"}, near=near, far=far, same=FITS)
    found = judged(old, new, threshold_fraction=0.05)
    assert [one.name for one in found] == ["gone", "far", "near", "same"]
    assert found[1].largest_fraction == 1.0
    assert [change.quantity for change in found[1].told(3)] == ["cost.total_usd"]


def test_the_sample_is_stated_and_its_names_are_its_own():
    found = list(questions(ROOT / "config" / "examples"))
    names = [one.name for one in found]
    assert len(set(names)) == len(names) > 100
    assert {name.partition("/")[0] for name in names} == {"example", "inference", "training"}
    assert found == list(questions(ROOT / "config" / "examples"))


@in_a_repository
def test_a_revision_is_asked_in_a_folder_of_its_own_that_goes_again(capsys):
    given = [Question(name="small", body=SMALL_CHAT), Question(name="wrong", body={"workload": {"kind": "none"}})]
    assert main(["HEAD", ".", "--json"], given) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["questions"], told["counts"]["fails_still"]) == (2, 1)
    assert told["new"]["revision"] == "this tree"
    left = subprocess.run(["git", "-C", str(ROOT), "worktree", "list"], capture_output=True, check=True, text=True)
    assert "headroom-compare" not in left.stdout


@in_a_repository
def test_what_is_no_revision_is_told(capsys):
    assert main(["no-such-revision"], [Question(name="small", body=SMALL_CHAT)]) == WRONG
    assert "is no revision" in capsys.readouterr().err


def test_a_word_that_no_question_has_is_told(capsys):
    assert main([".", ".", "--only", "nonsense"]) == WRONG
    assert "nonsense" in capsys.readouterr().err


def test_a_table_tells_what_is_the_same(capsys):
    assert main([".", "."], [Question(name="small", body=SMALL_CHAT)]) == 0
    assert "1 questions: 1 same" in capsys.readouterr().out
