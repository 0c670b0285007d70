"""Steps in the life of a quote, each taken by whoever may, with the values that it needs."""

from dataclasses import replace
from typing import Any

from service.planning.quote_revise import revise
from service.planning.quote_steps import accept, approve, decline, reject, withdraw
from service.planning.quotes import get_quote
from service.schemas.quote_revision import RevisionRequest

ACCEPTANCE = {"accepted_by": "Head of purchasing", "reference": "PO 1"}
NOTHING = RevisionRequest()


def state(desk, quote):
    return get_quote(desk.runtime, desk.seller, quote.id).state


def values_of(take) -> dict[str, Any]:
    if take is accept:
        return {"acceptance": ACCEPTANCE}
    return {"reason": "because"} if take in {reject, decline, withdraw} else {}


def do(desk, take, quote, caller=None, **options):
    who = caller or (desk.approver if take in {approve, reject} else desk.seller)
    return desk.step(take, quote, who, **values_of(take), **options)


def again(desk, quote, caller=None, **changes):
    return revise(
        desk.runtime,
        caller or desk.seller,
        quote.id,
        replace(NOTHING, **changes),
        version=None,
        request_id="req_v",
    )
