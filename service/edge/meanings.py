"""What each kind of problem means, what usually causes it, and the way out: the words behind /problems/<slug>."""

from dataclasses import dataclass
from http import HTTPStatus

from service.edge.problems import PROBLEM_PATH, problem_kinds


@dataclass(frozen=True, slots=True, kw_only=True)
class Meaning:
    """The words for one kind of problem."""

    meaning: str
    cause: str
    way_out: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ProblemKind:
    """One kind of problem as its page tells it; `type` is what problem documents carry."""

    type: str
    title: str
    status: int
    meaning: str
    cause: str
    way_out: str


_AUTHORIZATION = "Authorization: Bearer <key>"
MEANINGS: dict[str, Meaning] = {
    "malformed_body": Meaning(
        meaning="The body is not JSON as this service reads it, so nothing of it was looked at.",
        cause="A comma or quote that is missing or too many, a member that stands twice in one object, NaN or "
        "Infinity, an encoding other than UTF-8, or an object nested too deeply.",
        way_out="Correct what detail names, with its line and column; check the body with any JSON parser.",
    ),
    "malformed_idempotency_key": Meaning(
        meaning="The header Idempotency-Key cannot be used as a key, so nothing of the request was looked at.",
        cause="It is empty, longer than 255 characters, sent twice, or holds a space, a quote, a comma, a control "
        "character or anything beyond ASCII.",
        way_out="Send 1 to 255 visible ASCII characters without quotes and commas, such as a UUID, or leave it out.",
    ),
    "idempotency_key_reused": Meaning(
        meaning="The idempotency key was used before, for a request with another body or another path.",
        cause="A key that is made from too little, such as a name or a date, or a body that was changed before it was "
        "sent again.",
        way_out="Send a new request under a new key; under the old one send exactly what was sent first.",
    ),
    "idempotency_in_progress": Meaning(
        meaning="The first request with this idempotency key has made what it asked for and is still being answered.",
        cause="The request was sent again while the first one waits for its run, as Prefer: wait asked.",
        way_out="Send the same request again after the seconds in Retry-After; it then gets the first answer.",
    ),
    "bad_request": Meaning(
        meaning="The request cannot be read as HTTP.",
        cause="A header or a path that is cut off or wrongly encoded, often by a proxy or a script.",
        way_out="Send the request with an ordinary HTTP client and encode what goes into the path.",
    ),
    "unauthenticated": Meaning(
        meaning="The request carries no API key that this service accepts.",
        cause=f"The header {_AUTHORIZATION} is missing, the key was copied incompletely, or it was revoked.",
        way_out=f"Send {_AUTHORIZATION} with a current key; an administrator of your tenant makes keys.",
    ),
    "forbidden": Meaning(
        meaning="The key is valid, and its role may not do this.",
        cause="A key of another role, such as an operator's on a tenant's data.",
        way_out="Use a key whose role allows the call; ask the administrator of your tenant for one.",
    ),
    "tenant_disabled": Meaning(
        meaning="The key is valid, and the whole tenant that it belongs to is disabled: none of its keys works.",
        cause="The operator of the installation has disabled the tenant.",
        way_out="Ask the operator to enable the tenant; the same key works again then.",
    ),
    "not_found": Meaning(
        meaning="There is no such path, or no such object of your tenant.",
        cause="A mistyped id, an id of another tenant, a slash too many, or an option that the run does not have.",
        way_out="Take ids from the lists, such as GET /v1/runs; every path is described in /openapi.json.",
    ),
    "method_not_allowed": Meaning(
        meaning="The path exists and has no such method.",
        cause="A POST where only GET is offered, or the reverse.",
        way_out="Use one of the methods that the header Allow names.",
    ),
    "not_acceptable": Meaning(
        meaning="The header Accept rules out every representation that this path has.",
        cause="Accept names only types such as text/html, while answers are application/json.",
        way_out="Send Accept: application/json, or leave the header out.",
    ),
    "request_timeout": Meaning(
        meaning="The body did not arrive in time.",
        cause="A slow or broken connection.",
        way_out="Send the request again.",
    ),
    "conflict": Meaning(
        meaning="The object is in a state that forbids the call.",
        cause="The working or the difference of a run was asked for before the run was done, or after it failed; a "
        "run that has ended was to be cancelled; an archived workload or a used price book was to be changed; or a "
        "quote was to take a step that its state, its prices or its validity do not allow.",
        way_out="Read the object's state; where Retry-After is given, ask again after that many seconds.",
    ),
    "malformed_condition": Meaning(
        meaning="The header If-Match is not a list of entity tags, so nothing was changed.",
        cause="A tag without its quotes, or something other than a comma between two tags.",
        way_out='Send the header ETag of your last GET as it came, quotes included: If-Match: "5d41402a...".',
    ),
    "precondition_required": Meaning(
        meaning="The call changes an object that others may change too, and does not say which version it is for.",
        cause="The header If-Match is missing.",
        way_out="Read the object, and send its header ETag as If-Match; If-Match: * changes whatever is there.",
    ),
    "precondition_failed": Meaning(
        meaning="The object is no longer as you read it, so nothing was changed and nobody's work is overwritten.",
        cause="Somebody changed or archived it after you had read it. Or the tag in If-Match is weak (W/ stands before "
        "it), which never matches: this service sends strong ones, and a proxy that compresses may weaken them.",
        way_out="Read the object again, bring your change into what you find, and send it with its ETag, without W/.",
    ),
    "body_too_large": Meaning(
        meaning="The body is larger than this route takes; it was not read to the end.",
        cause="Many workloads in one body, or a file that was sent by mistake.",
        way_out="Send less; detail tells the limit in bytes.",
    ),
    "unsupported_media_type": Meaning(
        meaning="The body is of a media type or an encoding that no route takes.",
        cause="Content-Type is missing or a form's, or the body is compressed.",
        way_out="Send Content-Type: application/json and the body as it is, in UTF-8.",
    ),
    "invalid_request": Meaning(
        meaning="The body or the query is readable and a field in it is wrong.",
        cause="A field that is unknown, missing, of another type or out of bounds; often a typo or another unit.",
        way_out="Correct each field that errors lists: it gives the place, what was sent and what is allowed.",
    ),
    "unknown_reference": Meaning(
        meaning="The request names a model, GPU, server or application that the catalog does not have.",
        cause="A mistyped id, or a product newer than the catalog.",
        way_out="Take one of the names in did_you_mean, or look it up under /v1/catalog; a model of your own can be "
        "sent as its architecture.",
    ),
    "unsupported_workload": Meaning(
        meaning="The workload is understood, and it is of a kind that is not sized here.",
        cause="A model without the facts that sizing needs, or a method that does not apply to it.",
        way_out="Choose what detail names instead.",
    ),
    "rate_limited": Meaning(
        meaning="More calls came than are allowed in a window of a few seconds; this one was not carried out.",
        cause="A loop without a pause, or many programs of one tenant at once; without a valid key, the calls of an "
        "address are counted together.",
        way_out="Ask again after the seconds in Retry-After; RateLimit-Remaining tells beforehand how many are left.",
    ),
    "internal_error": Meaning(
        meaning="The service failed; the request may have been perfectly fine.",
        cause="A fault of ours. It is logged under the request id.",
        way_out="Try again; if it happens again, quote the request id to whoever runs the service.",
    ),
    "stored_content_damaged": Meaning(
        meaning="What is stored of an object does not have the hash that was kept with it, so it is not shown.",
        cause="Somebody changed the database by hand, or its storage is failing.",
        way_out="Quote the request id to whoever runs the service; a backup holds what was written.",
    ),
    "unavailable": Meaning(
        meaning="A part that the call needs, such as the database, does not answer at the moment.",
        cause="A restart, an outage or too much load.",
        way_out="Ask again after the seconds in Retry-After; /readyz tells which part is missing.",
    ),
}
"""By code. What HTTP itself defines beyond these is told in the words of its standard."""


def problem_kind(slug: str) -> ProblemKind | None:
    """The kind of problem behind the last part of a type; None when no answer carries such a type."""
    found = _BY_SLUG.get(slug)
    if found is None:
        return None
    code, (status, title) = found
    words = MEANINGS.get(code) or _of_standard(status)
    return ProblemKind(
        type=f"{PROBLEM_PATH}{slug}",
        title=title,
        status=status,
        meaning=words.meaning,
        cause=words.cause,
        way_out=words.way_out,
    )


def _of_standard(status: int) -> Meaning:
    known = HTTPStatus(status)
    return Meaning(
        meaning=f"{known.description or known.phrase}.",
        cause=f"The request meets what HTTP defines as {known.value} {known.phrase}.",
        way_out="Read detail, correct the request and send it again.",
    )


_BY_SLUG = {code.replace("_", "-"): (code, kind) for code, kind in problem_kinds().items()}
