"""A request becomes a draft: its references are checked, its defaults filled in, its question given its identity."""

from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from service.access import Caller
from service.catalog.resolve import Resolved, resolve
from service.planning.versions import current_versions, digest_of
from service.runtime import Runtime
from service.schemas.digest import canonical_json
from service.schemas.workload import LONGEST_WORDS_BYTES, MEMO_BYTES, QUESTION, SizingRequest, memory_of
from service.shelf import Shelf
from service.sizing.workload import Question
from service.store.runs import Versions

_kept: Shelf[tuple[Versions, bytes], "_Asked"] = Shelf(most_bytes=MEMO_BYTES)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """What the words of a question come to."""

    kind: str
    resolved: Resolved
    question: str
    digest: str
    versions: Versions


class Draft(NamedTuple):
    """A request that may be written. `question` is canonical JSON with its model called as it was asked for.

    `digest` is its identity under `versions`, whatever the model was called.
    """

    request: SizingRequest
    caller: Caller
    request_id: str
    kind: str
    resolved: Resolved
    question: str
    digest: str
    versions: Versions
    now: datetime
    traceparent: str | None
    # So many runs of the tenant may be open at once.
    open_runs_max: int


def drafted(runtime: Runtime, caller: Caller, request: SizingRequest, *, request_id: str) -> Draft:
    """The draft of a request; errors name the field of the body."""
    asked = _asked(runtime, request)
    return Draft(
        request=request,
        caller=caller,
        request_id=request_id,
        kind=asked.kind,
        resolved=asked.resolved,
        question=asked.question,
        digest=asked.digest,
        versions=asked.versions,
        now=runtime.clock(),
        traceparent=runtime.tracing.traceparent(),
        open_runs_max=caller.quota.open_runs or runtime.settings.open_runs_max,
    )


def _asked(runtime: Runtime, request: SizingRequest) -> _Asked:
    """The same words mean the same under the same versions, so they are looked through once."""
    versions = current_versions(runtime)
    if request.spelling is None:
        return _look_through(runtime, request.question, versions)
    key = versions, request.spelling
    known = _kept.get(key)
    if known is None:
        known = _look_through(runtime, request.question, versions)
        # Few words may come to a long question: defaults are spelled out in it, and models layer by layer.
        size = len(known.question)
        if size <= LONGEST_WORDS_BYTES:
            _kept.put(key, known, size_bytes=memory_of(size))
    return known


def _look_through(runtime: Runtime, question: Question, versions: Versions) -> _Asked:
    resolved = resolve(runtime.catalog, question)
    return _Asked(
        kind=resolved.question.workload.kind.value,
        resolved=resolved,
        question=canonical_json(QUESTION.dump(resolved.called)).decode(),
        digest=digest_of(resolved.question, versions),
        versions=versions,
    )
