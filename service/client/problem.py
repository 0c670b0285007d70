"""Failures of a call: what the server refused, field by field, or why there is no answer, in sentences."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

_PASSING = frozenset({429, 503})
_IN_PROGRESS = 409
_SERVER_FAULT = 500


class HeadroomError(Exception):
    """A call came to nothing; `may_be_done` tells whether the server may have done what was asked all the same."""

    may_be_done = False

    def sentences(self) -> tuple[str, ...]:
        """What happened and the way out, for a person; the main thing first."""
        return (str(self),)


class UnreachableError(HeadroomError):
    """Nobody answers at the address."""


class UnfinishedError(HeadroomError):
    """The run was still open when the wait was over; it goes on."""


class ChangedSinceError(HeadroomError):
    """What was read has been changed by somebody since."""


class NotUnderstoodError(HeadroomError):
    """The answer is not what this version of the client knows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WrongField:
    """One wrong field of a request, as the server tells it."""

    field: str
    message: str
    value: str | None = None
    limit: str | None = None
    did_you_mean: tuple[str, ...] = ()

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> Self:
        """From a member of `errors`."""
        return cls(
            field=str(document.get("field", "")),
            message=str(document.get("message", "")),
            value=_text(document.get("value")),
            limit=_text(document.get("limit")),
            did_you_mean=tuple(str(name) for name in document.get("did_you_mean") or ()),
        )

    def sentence(self) -> str:
        """Field, what is wrong, what was given, and what was probably meant."""
        given = f" (given: {self.value})" if self.value is not None else ""
        # Some messages say it themselves.
        told = not self.did_you_mean or "Did you mean" in self.message
        meant = "" if told else f" Did you mean {' or '.join(self.did_you_mean)}?"
        return f"{self.field}: {self.message}{given}{meant}"


class ProblemError(HeadroomError):
    """The server answered with a problem document (RFC 9457), or with a status that it has no document for."""

    def __init__(self, document: Mapping[str, Any], *, status: int, retry_after_s: float | None = None) -> None:
        self.document = dict(document)
        self.status = status
        self.retry_after_s = retry_after_s
        self.may_be_done = status >= _SERVER_FAULT and not self.passing
        self.type = str(document.get("type", "about:blank"))
        self.title = str(document.get("title") or f"HTTP {status}")
        self.detail = str(document.get("detail") or "")
        self.request_id = _text(document.get("request_id"))
        errors = document.get("errors")
        found = errors if isinstance(errors, list) else []
        self.errors = tuple(WrongField.of(error) for error in found if isinstance(error, Mapping))
        super().__init__(f"{self.title}: {self.detail}" if self.detail else self.title)

    @property
    def passing(self) -> bool:
        """Whether the same request may succeed a little later."""
        return self.status in _PASSING or (self.status == _IN_PROGRESS and self.retry_after_s is not None)

    @property
    def refused(self) -> bool:
        """Whether it is the request that must change, not the server."""
        return self.status < _SERVER_FAULT and self.status not in _PASSING

    def sentences(self) -> tuple[str, ...]:
        """The wrong fields where there are some, else the problem itself; and the id to quote for a fault of theirs."""
        told = [f"{self.title} (HTTP {self.status})." if self.errors else f"{self} (HTTP {self.status})"]
        told += [error.sentence() for error in self.errors]
        if self.passing and self.retry_after_s:
            told.append(f"The server asks to try again in {self.retry_after_s:g} s.")
        if self.status >= _SERVER_FAULT and self.request_id:
            told.append(f"When asking about it, quote request {self.request_id}.")
        return tuple(told)


def _text(value: Any) -> str | None:
    return None if value is None else str(value)
