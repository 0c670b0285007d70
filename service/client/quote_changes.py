"""What changed from one revision of a quote to another, told line by line: from what, to what."""

from collections.abc import Iterable, Iterator
from decimal import Decimal, InvalidOperation
from typing import Any

from rich.console import Console
from rich.markup import escape

from service.client.answers import Answer

_NOTHING = "nothing"
_SUMS = ("totals.", "tco.")
_MONEY = frozenset({"unit_list", "unit_net", "extended_list", "extended_net"})
_EXACT = ("_fraction", "fx.rate")


def print_changes(console: Console, found: Answer) -> None:
    """All that differs, however much it is: that is what is asked for."""
    console.print()
    revisions = f"from revision {found['old_revision']} to revision {found['new_revision']}"
    console.rule(f"[bold]{escape(found['number'])}[/]: what changed {revisions}", align="left")
    difference = found["difference"]
    if not any(difference.values()):
        console.print("Nothing changed: both say the same.")
    for heading, changes in _groups(difference):
        console.print(heading, soft_wrap=True)
        for change in changes:
            console.print(f"  {_sentence(change, found)}", markup=False, soft_wrap=True)


def _groups(difference: Answer) -> Iterator[tuple[str, Iterable[Answer]]]:
    for line in difference["lines"]:
        yield f"[bold]{escape(line['name'])}[/] ({escape(line['line'])}): {line['fate']}", line["changes"]
    for title, name in (("Sums", "sums"), ("Why", "causes")):
        if difference[name]:
            yield f"[bold]{title}[/]", difference[name]


def _sentence(change: Answer, found: Answer) -> str:
    """Net price of one: 1,000.00 USD -> 950.00 USD (-5.0%)."""
    old, new = (
        _told(change["quantity"], change[which], currency=found[f"{which}_currency"]) for which in ("old", "new")
    )
    share = change["change_fraction"]
    return f"{change['name']}: {old} -> {new}" + ("" if share is None else f" ({share:+.1%})")


def _told(quantity: str, value: Any, *, currency: str) -> str:
    if value is None:
        return "incomplete" if quantity.startswith(_SUMS) else _NOTHING
    if isinstance(value, bool):
        return "yes" if value else "no"
    money = quantity.startswith(_SUMS) or quantity in _MONEY
    # A text is a number where it is one that is kept exactly: a customer's order of 4500012345 is none.
    exact = money or quantity.endswith(_EXACT)
    number = _number(value) if exact or not isinstance(value, str) else None
    if number is None:
        return str(value).replace("_", " ") if quantity in {"charge", "terms.discount_tier"} else str(value)
    if money:
        return f"{_price(number)} {currency}"
    if quantity.endswith("_fraction"):
        return f"{(number * 100).normalize():f} %"
    return f"{number:,f}"


def _price(amount: Decimal) -> str:
    """With cents, and with more digits only where they say something."""
    short = amount.quantize(Decimal("0.01"))
    return f"{short if short == amount else amount.normalize():,f}"


def _number(value: Any) -> Decimal | None:
    try:
        return Decimal(str(value))
    except InvalidOperation:
        return None
