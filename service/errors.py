"""Words for failure: every expected error is a PlannerError with a stable code; nothing here knows HTTP."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldError:
    """One wrong field: where it is, what is wrong, and the way out."""

    field: str
    message: str
    value: str | None = None
    limit: str | None = None
    did_you_mean: tuple[str, ...] = ()

    def told(self) -> dict[str, object]:
        """As every answer tells it: what is not known is left out."""
        extras = {"value": self.value, "limit": self.limit, "did_you_mean": list(self.did_you_mean) or None}
        return {"field": self.field, "message": self.message, **{k: v for k, v in extras.items() if v is not None}}


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorDetail:
    """What an error tells beyond its message."""

    errors: tuple[FieldError, ...] = field(default=())
    retry_after_s: int | None = None


class PlannerError(Exception):
    """An expected failure. `code` is stable and public; the message names field, value, limit and the way out."""

    code = "planner_error"

    def __init__(self, message: str, *, errors: tuple[FieldError, ...] = (), retry_after_s: int | None = None) -> None:
        super().__init__(message)
        self.detail = ErrorDetail(errors=errors, retry_after_s=retry_after_s)

    @property
    def message(self) -> str:
        """The sentence for a person."""
        return str(self.args[0])


class InvalidRequestError(PlannerError):
    """The body has the right syntax and a wrong shape or value."""

    code = "invalid_request"


class UnknownReferenceError(PlannerError):
    """The body names a model, GPU, server or application that the catalog does not have."""

    code = "unknown_reference"


class UnsupportedWorkloadError(PlannerError):
    """The workload is understood, and it is of a kind that Headroom does not size."""

    code = "unsupported_workload"


class NotFoundError(PlannerError):
    """No such object for this caller; another tenant's object looks the same."""

    code = "not_found"


class ConflictError(PlannerError):
    """The object is in a state that forbids the call."""

    code = "conflict"


class MalformedConditionError(PlannerError):
    """The condition under which the call is to be done cannot be read."""

    code = "malformed_condition"


class PreconditionRequiredError(PlannerError):
    """The call must say which version of the object it was made for."""

    code = "precondition_required"


class PreconditionFailedError(PlannerError):
    """The object was changed since the caller read it."""

    code = "precondition_failed"


class MalformedKeyError(PlannerError):
    """The idempotency key is not one that this service takes."""

    code = "malformed_idempotency_key"


class KeyReusedError(PlannerError):
    """The idempotency key stands for another request."""

    code = "idempotency_key_reused"


class KeyInProgressError(PlannerError):
    """The first request under the idempotency key is still being answered."""

    code = "idempotency_in_progress"


class UnauthenticatedError(PlannerError):
    """No valid API key."""

    code = "unauthenticated"


class ForbiddenError(PlannerError):
    """The caller's role does not allow the call."""

    code = "forbidden"


class TenantDisabledError(PlannerError):
    """The key is valid, and its tenant may do nothing at present, whatever the role."""

    code = "tenant_disabled"


class BodyTooSlowError(PlannerError):
    """The body did not arrive in time."""

    code = "request_timeout"


class RateLimitedError(PlannerError):
    """The tenant, or the address, has made more calls than it may."""

    code = "rate_limited"


class UnavailableError(PlannerError):
    """A part that the call needs is down; try again."""

    code = "unavailable"


class DamagedError(PlannerError):
    """What is stored is not what was written: it is never shown."""

    code = "stored_content_damaged"


class FactsError(PlannerError):
    """A file under config/ is wrong; the message names file, record and field."""

    code = "facts_invalid"


class CalibrationError(PlannerError):
    """The engine was asked for something that its calibration cannot answer."""

    code = "calibration_missing"
