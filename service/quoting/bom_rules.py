"""Rules of the bill of materials as data: which parts an option takes, how many, and where the rule is from."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from service.quoting.host_memory import MemoryRule, ServerMemory
from service.quoting.prices import PartKind


class Charge(StrEnum):
    """How a part is paid for."""

    ONE_TIME = "one_time"
    YEARLY = "yearly"


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """Holds when the named value is one of `among`; or, with `given`, when it is known (true) or not (false)."""

    name: str
    among: tuple[str, ...] = ()
    given: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Count:
    """ceil(sum of `sum` x ratio / divided_by) x product of `times`.

    Names are quantities of the option; one that is not known leaves the part uncounted.
    """

    sum: tuple[str, ...]
    ratio: Decimal = Decimal(1)
    divided_by: Decimal = Decimal(1)
    times: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Entitlement:
    """What comes with another part: that many for that many months (None: for ever); it is shown and never charged."""

    when: tuple[Condition, ...]
    count: Count
    why: str
    sources: tuple[str, ...]
    months: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Disputed:
    """Another way to count that a source knows: the count times `factor`."""

    when: tuple[Condition, ...]
    factor: int
    why: str
    sources: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class BomRule:
    """One part of an option. Names in braces stand for values of the option; nothing is evaluated.

    `each` is a group of the option, such as its networks: the rule makes a line of each member, or of the first that
    can be counted (`first`); where none can, `title` names what they are. A rule without a count names a part that
    nobody knows how to count, and `unknown` says why. `sku_by_months` are SKUs of a stated term, `sku` is of any.
    """

    id: str
    kind: PartKind
    part: str
    name: str
    unit: str
    charge: Charge
    why: str
    unknown: str
    basis: str
    sources: tuple[str, ...]
    when: tuple[Condition, ...] = ()
    each: str | None = None
    first: bool = False
    title: str | None = None
    count: Count | None = None
    configuration: tuple[str, ...] = ()
    configured: bool = False
    sku: str | None = None
    sku_by_months: tuple[tuple[str, str], ...] = ()
    included: Entitlement | None = None
    disputed: Disputed | None = None
    note: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RackChoice:
    """The rack of a server family, or of every server cooled like this. `power` is what feeds it: pdu or shelf."""

    rack: str
    power: str
    basis: str
    sources: tuple[str, ...]
    families: tuple[str, ...] = ()
    cooling: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SpareRatio:
    """Cold spares of a kind of part at an availability: ceil(ratio x quantity), `at_least` so many."""

    availability: str
    kind: PartKind
    ratio: Decimal
    at_least: int
    basis: str
    sources: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class BomRules:
    """The whole file, with the configuration text of every server beside it. `sources` are texts by id."""

    date: str
    digest: str
    rules: tuple[BomRule, ...]
    racks: tuple[RackChoice, ...]
    availabilities: tuple[str, ...]
    spares: tuple[SpareRatio, ...]
    sources: Mapping[str, str]
    configurations: Mapping[str, tuple[str, ...]]
    memory: MemoryRule
    memories: Mapping[str, ServerMemory]
