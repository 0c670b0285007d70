"""What may be done next with a quote: its button, and of what cannot be taken back first what is lost by it."""

from collections.abc import Mapping
from dataclasses import dataclass

from service.store.tables.quotes import QuoteState


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A field that a step takes along."""

    name: str
    word: str
    required: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A step; with `lost` it is taken by a second button, `yes`, under the words on what it ends."""

    name: str
    word: str
    yes: str = ""
    lost: str | None = None
    asks: tuple[Asked, ...] = ()


_WHY = (Asked(name="reason", word="Why, in a sentence", required=True),)
STEPS: Mapping[str, Step] = {
    step.name: step
    for step in (
        Step(name="submit", word="Submit"),
        Step(name="approve", word="Approve"),
        Step(
            name="issue",
            word="Issue",
            yes="Issue it",
            lost="The quote goes to the customer as it stands: nothing in it can be changed any more, and its day of "
            "issue is today. What has to change later is written as the next revision.",
        ),
        Step(name="revise", word="Revise"),
        Step(
            name="accept",
            word="Accept",
            yes="Note the acceptance",
            lost="The customer's order is noted, and the quote ends here: no revision can be written any more, and it "
            "cannot be withdrawn.",
            asks=(
                Asked(name="accepted_by", word="Who accepted for the customer"),
                Asked(name="reference", word="The customer's order"),
            ),
        ),
        Step(
            name="reject",
            word="Reject",
            yes="Send it back",
            lost="It is a draft again, with your reason in it, and has to be submitted anew.",
            asks=_WHY,
        ),
        Step(
            name="decline",
            word="Decline",
            yes="Note that it was declined",
            lost="The customer's no is noted: this revision is never accepted. The next one can be written from it.",
            asks=_WHY,
        ),
        Step(
            name="withdraw",
            word="Withdraw",
            yes="Withdraw it",
            lost="This revision is over: it can never be issued or accepted. The next one can be written from it.",
            asks=_WHY,
        ),
    )
}
_NEXT: Mapping[QuoteState, tuple[str, ...]] = {
    QuoteState.DRAFT: ("submit", "withdraw"),
    QuoteState.PENDING_APPROVAL: ("approve", "reject", "withdraw"),
    QuoteState.APPROVED: ("issue", "withdraw"),
    QuoteState.ISSUED: ("revise", "accept", "decline", "withdraw"),
    QuoteState.EXPIRED: ("revise",),
    QuoteState.DECLINED: ("revise",),
    QuoteState.WITHDRAWN: ("revise",),
}
# What is left to do with a revision that can never be issued.
_LEFT = ("withdraw",)


def steps_of(state: QuoteState, *, cannot_be_issued: bool) -> tuple[Step, ...]:
    """The steps of a state, those that can be taken back first."""
    return tuple(STEPS[name] for name in (_LEFT if cannot_be_issued else _NEXT.get(state, ())))
