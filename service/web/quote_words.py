"""What a seller must know of a quote at a glance: who approves it, whether it comes in time, its export flags."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from service.documents.spelled import day, share, words
from service.web.wording import label, lower_first, plural

_NO_FLAG = "none"


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
    left = f"no lead time is known of {', '.join(names.get(part, part) for part in unknown)}" if unknown else ""
    told = "; ".join(text for text in (known, left) if text) or "nothing is shipped"
    if wished is None:
        return Check(name="Delivery", verdict="no day asked", told=f"{told}.", tone="")
    verdict, tone = {
        "in_time": ("in time", "good"),
        "late": ("too late", "warn"),
    }.get(supply["delivery"], ("not known", "warn"))
    return Check(name="Delivery", verdict=verdict, told=f"Needed by {day(wished)}; {lower_first(told)}.", tone=tone)


def _export(export: Mapping[str, Any]) -> Check:
    severity, matches = export["severity"], export["matches"]
    found = "; ".join(f"{match['rule']}: {words(match['severity'])}" for match in matches)
    where = export["shipment"]["destination"]
    told = found or ("no rule of the table matched" if where else "say where it will stand; no rule matched as it is")
    return Check(
        name="Export",
        verdict=words(severity),
        told=f"{told}. A flag to look at, never a verdict.",
        tone="good" if severity == _NO_FLAG else "warn",
    )
