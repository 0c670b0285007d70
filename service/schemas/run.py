"""Runs and workloads as answers: what was asked, how far it is, and what came out."""

from collections.abc import Callable, Mapping
from datetime import datetime
from operator import attrgetter
from typing import Any

import orjson
from marshmallow import fields

from service.packed import Packed
from service.schemas.constraints import ConstraintsSchema
from service.schemas.plain import count, figure, flag, many, one, text
from service.schemas.result import ResultSchema
from service.schemas.stored import StoredJson
from service.schemas.strict import whole
from service.schemas.words import WordedSchema
from service.schemas.workload import QUESTION

_OPTIONAL: dict[str, Any] = {"allow_none": True}
_MOMENT = r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d+)?Z$"
STATUSES = ("queued", "running", "done", "failed", "cancelled")


def moment(what: str, **kwargs: Any) -> fields.AwareDateTime:
    """A time in RFC 3339 UTC."""
    return Moment(format="iso", required=True, metadata={"description": what, "pattern": _MOMENT}, **kwargs)


class Moment(fields.AwareDateTime):
    """A time with its zone, always written as UTC with a Z."""

    def _serialize(self, value: Any, attr: str | None, obj: Any, **kwargs: Any) -> Any:
        written = super()._serialize(value, attr, obj, **kwargs)
        return written.replace("+00:00", "Z") if isinstance(written, str) else written


class Kept(fields.Raw):
    """A part of a question that is kept as canonical JSON; the document shows the schema that wrote it."""

    def __init__(self, what: str, shape: Callable[[Any], dict[str, Any]]) -> None:
        super().__init__(required=True, metadata={"description": what})
        self.shapes = shape


class VersionsSchema(WordedSchema):
    """Under which versions a question was asked or answered."""

    catalog = text("Digest of the facts.")
    calibration = text("Version of the calibration.")
    engine = text("Version of the engine.")
    price_book_digest = text("Digest of the price book that ranks the options.", **_OPTIONAL)


class RunErrorSchema(WordedSchema):
    """Why a run failed."""

    code = text("Stable code, such as poison, time_limit or engine_error.")
    message = text("In words.")


class RunSummarySchema(WordedSchema):
    """One execution of the engine for one workload."""

    id = text("Id of the run.")
    workload_id = text("The workload that it answers.")
    workload_version = count("The version of the workload that it answers.")
    status = fields.String(required=True, metadata={"description": "Never goes backwards.", "enum": list(STATUSES)})
    kind = text("Kind of the workload.")
    cached = flag("Whether the same question had been answered before.")
    feasible = fields.Boolean(
        required=True,
        allow_none=True,
        metadata={"description": "Whether anything meets the target; null until the run is done."},
    )
    digest = text("Identity of the question under these versions.")
    attempts = count("How often a worker has taken it.")
    progress_fraction = figure(
        "Share of the answer that is there; a run that failed or was cancelled keeps what it had reached."
    )
    created_at = moment("When it was asked.")
    started_at = moment("When a worker first took it.", **_OPTIONAL)
    finished_at = moment("When it ended.", **_OPTIONAL)
    versions = one(VersionsSchema, "Under which versions it was asked or answered.")
    error = one(RunErrorSchema, "Why it failed; null unless it did.", **_OPTIONAL)


class RunSchema(RunSummarySchema):
    """A run with its result, which is there once the run is done."""

    result = StoredJson("The answer; null until the run is done.", ResultSchema, **_OPTIONAL)


_SUMMARY = tuple(RunSummarySchema().fields)
_summary_of = attrgetter(*_SUMMARY)


def summary_json(run: Any) -> bytes:
    """A run without its result, as RunSummarySchema would write it in ten times the time."""
    members = dict(zip(_SUMMARY, _summary_of(run), strict=True))
    members["progress_fraction"] = whole(run.progress_fraction)
    return _json(members)


class SummaryForm:
    """The summaries of runs that were done as they were asked for: all that differ in ids and moment alone have one
    form, and filling it in takes a fifth of the time.
    """

    __slots__ = ("_form",)

    def __init__(self, run: Any) -> None:
        """Of such a run, whose ids and moment stand nowhere else in it."""
        text = summary_json(run).replace(b"%", b"%%")
        for place, value in (("id", run.id), ("workload_id", run.workload_id), ("at", run.created_at)):
            text = text.replace(_json(value), f"%({place})b".encode())
        self._form = text

    def summary(self, *, run_id: str, workload_id: str, at: datetime) -> bytes:
        """As `summary_json` would write it."""
        return self._form % {b"id": _json(run_id), b"workload_id": _json(workload_id), b"at": _json(at)}


def _json(value: object) -> bytes:
    return orjson.dumps(value, option=orjson.OPT_UTC_Z)


def run_chunks(summary: bytes, result: bytes | None) -> tuple[bytes, ...]:
    """A run as RunSchema writes it, from its summary and the bytes of its answer as they are kept."""
    return run_beginning(summary), b"null" if result is None else result, b"}"


def run_beginning(summary: bytes) -> bytes:
    """What stands before the answer."""
    return summary[:-1] + b',"result":'


def packed_answer(result: bytes) -> Packed:
    """What stands behind the beginning of every run that has this answer, by gzip."""
    return Packed(result + b"}")


class AskedSchema(WordedSchema):
    """What was asked, with every default spelled out."""

    version = count("1 is what was posted; every change makes the next.")
    name = text("Its name.", **_OPTIONAL)
    labels = fields.Dict(
        keys=fields.String(), values=fields.String(), required=True, metadata={"description": "For selection."}
    )
    kind = text("Kind of the workload.")
    principal = text("Who wrote this version.")
    workload = Kept("What is to be done.", lambda resolve: resolve(QUESTION.fields["workload"]))
    constraints = Kept("What the answer must respect.", lambda resolve: resolve(ConstraintsSchema))

    def get_attribute(self, obj: Any, attr: str, default: Any) -> Any:
        """Workload and constraints are kept as one canonical JSON text."""
        if attr in {"workload", "constraints"}:
            question: Mapping[str, Any] = orjson.loads(obj.question)
            return question[attr]
        return getattr(obj, attr, default)


class WorkloadSchema(AskedSchema):
    """What a customer wants to do, as asked last."""

    id = text("Id of the workload.")
    created_at = moment("When it was posted.")
    changed_at = moment("When the newest version was written; null for a workload that was never changed.", **_OPTIONAL)
    archived_at = moment("When it was archived; null unless it was.", **_OPTIONAL)


class WorkloadVersionSchema(AskedSchema):
    """What a customer wanted to do, as asked in one version."""

    workload_id = text("Id of the workload.")
    created_at = moment("When this version was written.")
    replaced_at = moment("When the next version replaced it; null for the newest.", **_OPTIONAL)


class PageSchema(WordedSchema):
    """What every list has."""

    next_cursor = fields.String(metadata={"description": "Where the next page begins; absent at the end."})


class RunPageSchema(PageSchema):
    """Runs, newest first, without their results."""

    items = many(RunSummarySchema, "The runs of this page.")


class WorkloadPageSchema(PageSchema):
    """Workloads, newest first."""

    items = many(WorkloadSchema, "The workloads of this page.")


class WorkloadVersionPageSchema(PageSchema):
    """Versions of a workload, newest first."""

    items = many(WorkloadVersionSchema, "The versions of this page.")
