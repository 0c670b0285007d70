"""What changed between two answers, number by number."""

from service.quoting.difference import Change, changes


def test_a_number_changes_by_a_share_and_a_place_does_not():
    assert list(changes({"gpus": 8, "rank": 2}, {"gpus": 16, "rank": 3})) == [
        Change(quantity="gpus", old=8, new=16, change_fraction=1.0),
        Change(quantity="rank", old=2, new=3, change_fraction=None),
    ]


def test_what_only_one_of_them_has_is_null_in_the_other():
    assert list(changes({"precision": None}, {"precision": "fp8"})) == [
        Change(quantity="precision", old=None, new="fp8", change_fraction=None)
    ]
