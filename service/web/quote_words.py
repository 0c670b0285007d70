"""What a seller must know of a quote at a glance: who approves it, whether it comes in time, its export flags."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from service.documents.labels import label
from service.documents.spelled import day, share, words
from service.web.wording import lower_first, plural

_NO_FLAG = "none"
_MOST_NAMED = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One thing to look at; `tone` is good, warn, or empty where it is neither."""

    name: str
    verdict: str
    told: str
    tone: str


def checks(said: Mapping[str, Any], *, approvers: tuple[str, ...], needs: str | None, why: str) -> tuple[Check, ...]:
    """The checks of a quote by what it says (as its snapshot has it) and by what its approval is."""
    return (_approval(said["terms"], approvers, needs, why), _delivery(said), _export(said["export"]))


def _approval(terms: Mapping[str, Any], approvers: tuple[str, ...], needs: str | None, why: str) -> Check:
    given = Decimal(terms["total_discount_fraction"])
    tier = f"{share(str(given))} discount in all; tier {lower_first(label(terms['discount_tier']))}"
    if needs is None:
        return Check(name="Approval", verdict="not needed", told=f"{tier}.", tone="good")
    who = " or ".join(approvers)
    return Check(name="Approval", verdict=f"by {who}", told=f"{tier}: {why}.", tone="warn")


def _delivery(said: Mapping[str, Any]) -> Check:
    supply = said["supply"]
    names = {line["part"]: line["name"] for line in said["lines"]}
    wished, weeks = supply["deliver_by"], supply["longest_weeks"]
    unknown = supply["without_lead_time"]
    ready = max((part["ready_on"] for part in supply["parts"] if part["ready_on"]), default=None)
    known = "" if ready is None else f"{plural(weeks, 'week')} from order to delivery: ready on {day(ready)}"
    left = f"no lead time is known of {_named(unknown, names)}" if unknown else ""
    told = "; ".join(text for text in (known, left) if text) or "nothing is shipped"
    if wished is None:
        return Check(name="Delivery", verdict="no day asked", told=f"{told[:1].upper()}{told[1:]}.", tone="")
    verdict, tone = {
        "in_time": ("in time", "good"),
        "late": ("too late", "warn"),
    }.get(supply["delivery"], ("not known", "warn"))
    return Check(name="Delivery", verdict=verdict, told=f"Needed by {day(wished)}; {lower_first(told)}.", tone=tone)


def _export(export: Mapping[str, Any]) -> Check:
    severity, matches = export["severity"], export["matches"]
    counts = Counter(words(match["severity"]) for match in matches)
    found = ", ".join(f"{number} {name}" for name, number in counts.most_common())
    told = f"Of the rules that match or may match: {found}" if found else "No rule of the table matched"
    open_ = list(dict.fromkeys(words(name) for match in matches for name in match["missing"]))
    left = f" Not known yet: {', '.join(open_)}." if open_ else ""
    return Check(
        name="Export",
        verdict=words(severity),
        told=f"{told}.{left} Flags to look at, never a verdict.",
        tone="good" if severity == _NO_FLAG else "warn",
    )


def _named(parts: Sequence[str], names: Mapping[str, str]) -> str:
    """The first of the parts by their names, and how many more there are."""
    found = list(dict.fromkeys(names.get(part, part) for part in parts))
    more = f" and {len(found) - _MOST_NAMED} more" if len(found) > _MOST_NAMED else ""
    return f"{', '.join(found[:_MOST_NAMED])}{more}"
