"""The steps of a quote, by one name each: the audit notes them and webhooks hear of them."""

from enum import StrEnum


class QuoteStep(StrEnum):
    """What was done to a revision of a quote."""

    CREATED = "quote.created"
    CHANGED = "quote.changed"
    SUBMITTED = "quote.submitted"
    APPROVED = "quote.approved"
    REJECTED = "quote.rejected"
    RETURNED = "quote.returned"
    ISSUED = "quote.issued"
    SUPERSEDED = "quote.superseded"
    ACCEPTED = "quote.accepted"
    DECLINED = "quote.declined"
    EXPIRED = "quote.expired"
    WITHDRAWN = "quote.withdrawn"
    REVISED = "quote.revised"
