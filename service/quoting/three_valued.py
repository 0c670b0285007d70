"""Predicates over facts that may be known, bounded or unknown: true, false, or None where a missing fact decides."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from service.quoting.export_rules import Comparison, Join, Predicate, Scalar

# China's rules hold for Hong Kong (country_notes of config/export_rules.yaml).
_TREATED_AS = {"HK": "CN"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """A number that lies between two bounds; equal bounds make it known."""

    low: float
    high: float


# A word that may be one of several is a set of words.
Fact = Scalar | Range | frozenset[str] | None
Facts = Mapping[str, Fact]
Groups = Mapping[str, frozenset[str]]


def holds(predicate: Predicate, facts: Facts, groups: Groups) -> bool | None:
    """Whether the predicate holds; None where it would with one value of an unknown fact and would not with another.

    Kleene's strong logic: a part that is not known leaves the whole undecided only where it could change it.
    """
    if predicate.join is Join.ALWAYS:
        return True
    if predicate.join is Join.LEAF:
        return _leaf(predicate, facts, groups)
    parts = [holds(part, facts, groups) for part in predicate.parts]
    if predicate.join is Join.NOT:
        return None if parts[0] is None else not parts[0]
    decisive = predicate.join is Join.ANY
    if decisive in parts:
        return decisive
    return None if None in parts else not decisive


def undecided(predicate: Predicate, facts: Facts, groups: Groups) -> Iterator[str]:
    """Names of the facts that leave the predicate open; none where it is decided."""
    if holds(predicate, facts, groups) is not None:
        return
    if predicate.join is Join.LEAF:
        yield predicate.fact or ""
    for part in predicate.parts:
        yield from undecided(part, facts, groups)


def country_in(country: str, names: frozenset[str] | tuple[Scalar, ...], groups: Groups) -> bool:
    """Whether the country is one of `names`, which are countries or groups of them."""
    treated = _TREATED_AS.get(country, country)
    return any(where in (name, *groups.get(str(name), ())) for name in names for where in (country, treated))


def _leaf(leaf: Predicate, facts: Facts, groups: Groups) -> bool | None:
    fact = facts.get(leaf.fact or "")
    if fact is None or leaf.comparison is None or leaf.value is None:
        return None
    if isinstance(leaf.value, tuple):
        return _among(fact, leaf.value, groups=groups if leaf.comparison is Comparison.IN_GROUPS else None)
    if leaf.comparison is Comparison.EQUAL:
        return _among(fact, (leaf.value,), groups=None)
    return _bounded(fact, float(leaf.value), leaf.comparison)


def _among(fact: Fact, values: tuple[Scalar, ...], *, groups: Groups | None) -> bool | None:
    possible = fact if isinstance(fact, frozenset) else (fact,)
    found = [
        value in values if groups is None else isinstance(value, str) and country_in(value, values, groups)
        for value in possible
    ]
    return all(found) if all(found) or not any(found) else None


_PASSES: Mapping[Comparison, Callable[[float, float], bool]] = {
    Comparison.AT_LEAST: lambda fact, value: fact >= value,
    Comparison.AT_MOST: lambda fact, value: fact <= value,
    Comparison.BELOW: lambda fact, value: fact < value,
}


def _bounded(fact: Fact, value: float, comparison: Comparison) -> bool | None:
    if isinstance(fact, Range):
        low, high = fact.low, fact.high
    elif isinstance(fact, int | float) and not isinstance(fact, bool):
        low = high = float(fact)
    else:
        return None
    passes = _PASSES[comparison]
    at_low, at_high = passes(low, value), passes(high, value)
    return at_low if at_low == at_high else None
