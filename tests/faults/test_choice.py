"""Which cases a profile holds, and in which order."""

import pytest

from scripts.faulting.choice import chosen
from scripts.faulting.scene import Profile
from scripts.trouble import Trouble

QUICK = {1, 2, 4, 6, 14, 15, 16, 20, 28, 31, 32, 36, 38, 41, 44, 46, 56}


def test_the_quick_profile_holds_what_the_protocol_says():
    assert {case.number for case in chosen((), profile=Profile.QUICK, seed=1)} >= QUICK
    assert chosen((), profile=Profile.QUICK, seed=7) == chosen((), profile=Profile.QUICK, seed=7)
    assert [case.number for case in chosen((56, 4), profile=Profile.QUICK, seed=1)] == [4, 56]
    with pytest.raises(Trouble, match="There is no case 11"):
        chosen((11,), profile=Profile.QUICK, seed=1)
