"""What a typo was probably meant to be."""

import pytest

from service.schemas.issue import nearest

GPUS = ("gb200", "gb300", "b200-sxm", "b300-sxm", "h100-sxm", "rtx-pro-6000-se")


@pytest.mark.parametrize(
    ("typed", "meant"), [("b200", "b200-sxm"), ("B300", "b300-sxm"), ("h100", "h100-sxm"), ("gb20", "gb200")]
)
def test_a_name_left_short_comes_before_one_mistyped(typed, meant):
    assert nearest(typed, GPUS)[0] == meant


def test_a_typo_finds_its_neighbour():
    assert nearest("gb2000", GPUS)[0] == "gb200"


def test_nothing_near_is_nothing():
    assert nearest("mainframe", GPUS) == ()
