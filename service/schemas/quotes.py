"""Quotes as answers: what was asked, what a quote says, how it stands, and why it may not hold."""

from dataclasses import dataclass
from typing import Any, ClassVar

from marshmallow import fields

from service.schemas.plain import count, decimal, flag, many, one, text, texts
from service.schemas.quote import QuoteDocumentSchema
from service.schemas.quote_request import QuoteRequestSchema
from service.schemas.revision import RevisionDifferenceSchema
from service.schemas.run import PageSchema, moment
from service.schemas.stored import KeptJson
from service.schemas.strict import RecordSchema, Text
from service.schemas.words import WordedSchema

_OPTIONAL: dict[str, Any] = {"allow_none": True}
STATES = (
    *("draft", "pending_approval", "approved", "issued", "accepted", "declined", "expired", "withdrawn", "superseded"),
)
RISKS = ("run_answered_anew", "price_book_replaced", "price_book_expires", "validity_ends")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """Why something is done."""

    reason: str


class ReasonSchema(RecordSchema):
    """Why it is done; it stands in the quote."""

    record: ClassVar[type] = Reason

    reason = Text("Why, in a sentence.", longest=1000, required=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Acceptance:
    """Who accepted for the customer, and under which order."""

    accepted_by: str | None
    reference: str | None


class AcceptanceSchema(RecordSchema):
    """The customer's acceptance."""

    record: ClassVar[type] = Acceptance

    accepted_by = Text("Who accepted for the customer.", load_default=None, allow_none=True)
    reference = Text("The customer's order.", load_default=None, allow_none=True)


class ApprovalSchema(WordedSchema):
    """Who may approve it, and who has; bound to the hash of what was approved, and void with any change of that."""

    tier = text("The discount tier.")
    needs = text("The least role that must approve; null where nobody must.", **_OPTIONAL)
    approvers = texts("The roles that may approve.")
    why = text("Why this tier, and what else somebody must look at.")
    approved_by = text("Who has approved; null where nobody had to, or has.", **_OPTIONAL)
    approved_at = moment("When it was approved.", **_OPTIONAL)
    approved_sha256 = text("Hash of what was approved; null without an approval.", **_OPTIONAL)


class RescreeningSchema(WordedSchema):
    """A screening at a later step: whether the rules that match are those of the quote."""

    at = text("The step: revise (of the older revision), issue or accept.")
    on = text("The day that it is of.")
    severity = text("The most severe that matches.")
    needs_review = flag("Whether a missing fact leaves a rule open.")
    table_version = text("Version of the table.")
    table_digest = text("Digest of the table.")
    changed = text("What is not as in the quote; null where nothing is.", **_OPTIONAL)


class QuoteSummarySchema(WordedSchema):
    """A revision of a quote without what it says."""

    id = text("Id of the revision.")
    number = text("Number of the quote; its revisions share it.")
    revision = count("1 is the first.")
    state = fields.String(required=True, metadata={"description": "How it stands.", "enum": list(STATES)})
    version = count("Grows with every change; the ETag is of it.")
    run_id = text("The run that its option is from.")
    option = count("Rank of the option.")
    customer = text("For whom.")
    currency = text("Currency of its amounts.")
    total = decimal("What it comes to; null while a part has no price.", **_OPTIONAL)
    complete = flag("Whether every part has a price.")
    indicative = flag("Whether its prices are orders of magnitude: it cannot be issued.")
    price_book_id = text("The price book; null for the installation's indicative one.", **_OPTIONAL)
    valid_until = text("Last day of its validity.")
    time_zone = text("Whose midnight ends it.")
    expires_at = moment("From when on it does not hold any more.")
    sha256 = text("Hash of what it says.")
    authors = texts("Who wrote it; none of them approves any revision of the number.")
    reason = text("Why it went back to be written, or ended; null without a reason.", **_OPTIONAL)
    created_at = moment("When this revision was made.")
    changed_at = moment("When it was last changed.")


class QuoteSchema(QuoteSummarySchema):
    """A revision of a quote."""

    approval = one(ApprovalSchema, "Who may approve it, and who has.")
    cannot_be_issued = text(
        "Why it can never be issued any more: another revision was accepted; null where nothing is in its way.",
        **_OPTIONAL,
    )
    issued_by = text("Who issued it.", **_OPTIONAL)
    issued_at = moment("When it was issued.", **_OPTIONAL)
    closed_by = text(
        "Who ended it: accepted, declined, withdrew, superseded; or the service, once it expired.", **_OPTIONAL
    )
    closed_at = moment("When it ended.", **_OPTIONAL)
    acceptance = one(AcceptanceSchema, "The customer's acceptance; null without one.", **_OPTIONAL)
    screenings = many(RescreeningSchema, "Later screenings, in their order; the first one is in the document.")
    request = KeptJson(
        "What was asked, with every default spelled out: to be sent again with changes.", QuoteRequestSchema
    )
    document = KeptJson("What it says.", QuoteDocumentSchema)

    def get_attribute(self, obj: Any, attr: str, default: Any) -> Any:
        """What a quote says is kept under another name."""
        return getattr(obj, "snapshot" if attr == "document" else attr, default)


class QuoteRiskSchema(WordedSchema):
    """Why a quote may not hold."""

    kind = fields.String(required=True, metadata={"description": "What has become of it.", "enum": list(RISKS)})
    message = text("In words.")
    run_id = text("The newer run.", **_OPTIONAL)
    price_book_id = text("The price book.", **_OPTIONAL)
    on = text("The day.", **_OPTIONAL)


class ListedQuoteSchema(QuoteSummarySchema):
    """A revision of a quote in a list."""

    risks = many(QuoteRiskSchema, "Why it may not hold; empty unless quotes at risk were asked for.")

    def get_attribute(self, obj: Any, attr: str, default: Any) -> Any:
        """Of a quote at risk the summary stands beside the risks."""
        if attr == "risks":
            return getattr(obj, "risks", ())
        return getattr(getattr(obj, "quote", obj), attr, default)


class QuotePageSchema(PageSchema):
    """Revisions of quotes, newest first."""

    items = many(ListedQuoteSchema, "The revisions of this page.")


class QuoteDifferenceSchema(WordedSchema):
    """What changed from one revision of a quote to another, and why."""

    number = text("The number of both.")
    old_quote_id = text("The first revision.")
    old_revision = count("Which one of the number that is.")
    old_currency = text("Currency of its prices.")
    new_quote_id = text("The second one.")
    new_revision = count("Which one of the number that is.")
    new_currency = text("Currency of its prices.")
    difference = one(RevisionDifferenceSchema, "What changed, and why.")
