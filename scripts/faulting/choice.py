"""Which cases are run, and in which order: all of a profile or those that are named, as a seed shuffles them."""

import random
from collections.abc import Collection

# Imported for the cases that they register.
from scripts.faulting.case import CASES, Case
from scripts.faulting.cases import (
    authority,
    bombs,
    broker,
    cache,
    contention,
    contract,
    database,
    deaths,
    disks,
    facts,
    floods,
    hostile,
    inside,
    power,
    quote_races,
    releases,
    rendering,
    rolling,
    scheduling,
    spoilt,
    tenancy,
    webhooks,
)
from scripts.faulting.scene import Profile
from scripts.trouble import Trouble

_REGISTERED = (
    *(authority, bombs, broker, cache, contention, contract, database, deaths, disks, facts, floods),
    *(hostile, inside, power, quote_races, releases, rendering, rolling, scheduling, spoilt, tenancy, webhooks),
)
# Nothing of what a case left behind should be found the next time: a loss of power comes last.
_LAST = (56,)


def chosen(numbers: Collection[int], *, profile: Profile, seed: int) -> list[Case]:
    """The cases in their order; Trouble for a number that there is none of."""
    unknown = sorted(set(numbers) - set(CASES))
    if unknown:
        raise Trouble(f"There is no case {unknown[0]}; there are {', '.join(map(str, sorted(CASES)))}.", code=2)
    of_profile = [number for number, case in sorted(CASES.items()) if case.quick or profile is Profile.FULL]
    order = sorted(set(numbers)) if numbers else of_profile
    random.Random(seed).shuffle(order)  # noqa: S311 - so that it can be replayed
    return [CASES[number] for number in sorted(order, key=_LAST.__contains__)]
