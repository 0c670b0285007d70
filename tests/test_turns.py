"""Turns go round, whoever waits; and memory is bounded."""

from service.turns import Turns


def served(turns: Turns, waiting: list[str], times: int) -> list[str]:
    order = []
    for _ in range(times):
        order.append(turns.order(waiting)[0])
        turns.served(order[-1])
    return order


def test_everybody_has_their_turn():
    assert served(Turns(), ["a", "b", "c"], 7) == ["a", "b", "c", "a", "b", "c", "a"]


def test_whoever_comes_and_goes_does_not_push_in():
    """Two that ask again as soon as they are answered do not starve one that has much to ask."""
    turns = Turns()
    order = [served(turns, waiting, 1)[0] for waiting in (["f", "a"], ["f", "b"], ["f", "a"], ["f", "b"], ["f", "a"])]
    assert order.count("f") >= 2


def test_only_so_many_are_remembered():
    turns = Turns(most=2)
    served(turns, ["a"], 1)
    served(turns, ["b"], 1)
    served(turns, ["c"], 1)
    # The one that was forgotten has never been served, as far as anybody knows.
    assert turns.order(["c", "b", "a"]) == ["a", "b", "c"]
