"""What a typo was probably meant to be."""

import pytest

from service.schemas.issue import nearest

GPUS = ("gb200", "gb300", "b200-sxm", "b300-sxm", "h100-sxm", "rtx-pro-6000-se")
SERVERS = (
    "poweredge-xe9680-h100",
    "poweredge-xe9680",
    "poweredge-xe9680l",
    "poweredge-xe9780",
    "poweredge-xe9785",
)


@pytest.mark.parametrize(
    ("typed", "meant"), [("b200", "b200-sxm"), ("B300", "b300-sxm"), ("h100", "h100-sxm"), ("gb20", "gb200")]
)
def test_a_name_left_short_comes_before_one_mistyped(typed, meant):
    assert nearest(typed, GPUS)[0] == meant


def test_a_typo_finds_its_neighbour():
    assert nearest("gb2000", GPUS)[0] == "gb200"


def test_nothing_near_is_nothing():
    assert nearest("mainframe", GPUS) == ()


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("xe9680", ("poweredge-xe9680", "poweredge-xe9680l", "poweredge-xe9780")),
        ("Dell XE 9785", ("poweredge-xe9785", "poweredge-xe9780", "poweredge-xe9680")),
        ("poweredge", ("poweredge-xe9680", "poweredge-xe9780", "poweredge-xe9785")),
    ],
)
def test_whose_product_it_is_may_be_left_out_or_added(typed, meant):
    assert nearest(typed, SERVERS) == meant


@pytest.mark.parametrize("typed", ["rtx pro 6000", "RTX_PRO_6000", "nvidia rtxpro6000"])
def test_blanks_dashes_and_case_are_no_distance(typed):
    assert nearest(typed, (*GPUS, "rtx-pro-5000"))[0] == "rtx-pro-6000-se"


def test_a_name_that_only_begins_with_a_better_one_tells_nothing_new():
    assert "poweredge-xe9680-h100" not in nearest("xe9680", SERVERS, count=9)


def test_nothing_known_is_nothing_near():
    assert nearest("b200", ()) == ()
