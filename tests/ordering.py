"""The order of tests that several processes share: those that wait for processes and clocks among those that compute.

Where all tests that wait come one after the other, every process of pytest waits at the same time, and the cores idle.
"""

from collections.abc import Sequence
from typing import Any

import pytest

# One process each is busy with these for half of the time: whoever is left computes meanwhile.
_LONG_CHAINS = ("faults", "product")
# Of the tests that compute: so many beside the long chains, and so many at the end, where nobody should wait for one.
_FIRST_FRACTION = 0.3
_LAST_FRACTION = 0.12


def spread(quick: Sequence[Any], slow: Sequence[Any]) -> list[Any]:
    """Some that are quick, then those that are slow as far apart as the others allow, and some that are quick."""
    first, last = int(_FIRST_FRACTION * len(quick)), len(quick) - int(_LAST_FRACTION * len(quick))
    among = last - first
    found = list(quick[:first])
    for number, one in enumerate(slow):
        found += [one, *quick[first + number * among // len(slow) : first + (number + 1) * among // len(slow)]]
    return found + list(quick[last if slow else first :])


def chain_of(item: pytest.Item) -> str | None:
    """The group of tests that one process runs."""
    mark = item.get_closest_marker("xdist_group")
    return None if mark is None else str(mark.args[0])


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Whoever runs all tests alone, or some of them, has them in the order of the files."""
    if not hasattr(config, "workerinput"):
        return
    chains = [[item for item in items if chain_of(item) == name] for name in _LONG_CHAINS]
    rest = [item for item in items if chain_of(item) not in _LONG_CHAINS]
    slow = [item for item in rest if item.get_closest_marker("slow")]
    quick = [item for item in rest if not item.get_closest_marker("slow")]
    items[:] = [*(item for chain in chains for item in chain), *spread(quick, slow)]
