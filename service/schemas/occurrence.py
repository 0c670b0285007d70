"""Schedules and their occurrences as answers: when they are due, how far one is, what moved, and why."""

from collections.abc import Mapping
from typing import Any

import orjson
from marshmallow import fields

from service.schemas.batch import BriefAnswerSchema, ItemErrorSchema
from service.schemas.difference import ChangeSchema
from service.schemas.plain import count, decimal, figure, many, one, text, texts
from service.schemas.run import PageSchema, moment
from service.schemas.schedule import SelectionSchema
from service.schemas.stored import StoredJson
from service.schemas.words import WordedSchema

_OPTIONAL: dict[str, Any] = {"allow_none": True}
STATUSES = ("due", "running", "done")
_STAGES = ("selecting", "sizing", "comparing", "ended")
_REASONS = ("cron", "release", "request")
_OUTCOMES = ("unchanged", "changed", "moved", "first", "unanswered")
_CAUSES = ("workload", "catalog", "calibration", "price_book", "engine")


def _word(what: str, words: tuple[str, ...], **kwargs: Any) -> fields.String:
    enum: list[str | None] = [*words, None] if kwargs.get("allow_none") else [*words]
    return fields.String(required=True, metadata={"description": what, "enum": enum}, **kwargs)


class OutcomeCountsSchema(WordedSchema):
    """How many workloads came to each end; those that are not compared yet are in none."""

    unchanged = count("Answered as before.")
    changed = count("Answered otherwise, within the threshold.")
    moved = count("Answered otherwise, beyond the threshold.")
    first = count("Answered for the first time, so that there is nothing to compare with.")
    unanswered = count("Refused, failed or cancelled.")


class CauseCountsSchema(WordedSchema):
    """Workloads whose answer differs, by what differed; one may have several causes."""

    workload = count("The workload was changed since.")
    catalog = count("The facts.")
    calibration = count("The calibration.")
    price_book = count("The installation's price book, by which options are ranked.")
    engine = count("The engine.")


class TotalSchema(WordedSchema):
    """A sum over the workloads that fit before and now."""

    quantity = text("What is summed up; the name ends in its unit.")
    old = decimal("Before.")
    new = decimal("Now.")


class LargestMoveSchema(WordedSchema):
    """One of the workloads that moved furthest."""

    line = count("Its line in the occurrence.")
    workload_id = text("Id of the workload.")
    name = text("Its name.", **_OPTIONAL)
    moved_fraction = figure(
        "The largest share by which a quantity differs; null where it fits no more, or again.", **_OPTIONAL
    )
    changes = many(ChangeSchema, "What differs.")


class OccurrenceSummarySchema(WordedSchema):
    """What the workloads that were compared so far come to."""

    outcomes = one(OutcomeCountsSchema, "Workloads by outcome.")
    causes = one(CauseCountsSchema, "Workloads that differ, by cause.")
    fits_no_more = count("Workloads that fitted before and do not now.")
    fits_now = count("Workloads that did not fit before and do now.")
    totals = many(TotalSchema, "Sums before and now.")
    largest = many(LargestMoveSchema, "The workloads that moved furthest, at most ten, those that fit no more first.")


class OccurrenceSchema(WordedSchema):
    """One time that a schedule was due."""

    id = text("Id of the occurrence.")
    schedule_id = text("Its schedule.")
    reason = _word("Why it was made: a tick, something new, or somebody asked.", _REASONS)
    news = texts("What was new: catalog, calibration, price_book, engine.")
    due_at = moment("When it was due; a tick that was missed ran later, and of several the last one.")
    status = _word("Never goes backwards.", STATUSES)
    stage = _word("What it is at.", _STAGES)
    items = count("Workloads that were selected so far.")
    sized_items = count("Those whose sizing has ended.")
    compared_items = count("Those that were compared with their former answer.")
    progress_fraction = figure("Share of the work that is done.")
    rate_items_s = figure(
        "Workloads sized per second of late, and in all once they are; null while nothing is known.", **_OPTIONAL
    )
    left_s = figure("Seconds until the last is sized at this rate; null while nothing is known.", **_OPTIONAL)
    threshold_fraction = figure("What counted as moved.")
    selection = one(SelectionSchema, "Which workloads were selected.")
    summary = StoredJson("What moved; null before anything was compared.", OccurrenceSummarySchema, **_OPTIONAL)
    batch_id = text("The batch that sizes the workloads; cancel it to end the occurrence.", **_OPTIONAL)
    error_code = text("Why it ended early: selection_too_large or poison; null otherwise.", **_OPTIONAL)
    principal = text("Who wrote the schedule, or asked for this.")
    created_at = moment("When it was found to be due.")
    started_at = moment("When a worker began it.", **_OPTIONAL)
    finished_at = moment("When it was done.", **_OPTIONAL)


class OccurrencePageSchema(PageSchema):
    """Occurrences, newest first."""

    items = many(OccurrenceSchema, "The occurrences of this page.")


class OccurrenceItemSchema(WordedSchema):
    """A workload of an occurrence, its new answer in short, and what changed since the former one."""

    line = count("Its line, from 1; the same as in the batch.")
    workload_id = text("Id of the workload.")
    workload_version = count("Version of the workload that was sized.")
    name = text("Its name.", **_OPTIONAL)
    kind = text("Its kind.")
    outcome = _word("What became of its answer; null until it was compared.", _OUTCOMES, **_OPTIONAL)
    moved_fraction = figure("The largest share by which a quantity differs; null where there is none.", **_OPTIONAL)
    former_id = text("The run or occurrence that gave the former answer; null without one.", **_OPTIONAL)
    causes = fields.List(
        _word("A cause.", _CAUSES), required=True, metadata={"description": "What differs between the questions."}
    )
    changes = many(ChangeSchema, "What differs between the answers.")
    error = StoredJson(
        "Why it was refused or failed; null otherwise.", ItemErrorSchema, attribute="problem", **_OPTIONAL
    )
    answer = StoredJson("The new answer in short; null while there is none.", BriefAnswerSchema, **_OPTIONAL)


class OccurrenceItemPageSchema(PageSchema):
    """Workloads of an occurrence, in the order of their lines."""

    items = many(OccurrenceItemSchema, "The workloads of this page.")


class LastOccurrenceSchema(WordedSchema):
    """The newest occurrence of a schedule in short."""

    id = text("Id of the occurrence.")
    status = _word("How far it is.", STATUSES)
    due_at = moment("When it was due.")
    items = count("Workloads that were selected.")
    moved = count("Workloads whose answer moved.")


class ScheduleSchema(WordedSchema):
    """When which workloads are re-sized."""

    id = text("Id of the schedule.")
    name = text("Its name.")
    cron = text("Its cron expression.", **_OPTIONAL)
    cron_in_words = text("The same as a sentence.", **_OPTIONAL)
    time_zone = text("Whose clock it goes by.")
    triggers = texts("What may be new: catalog, calibration, price_book, engine.")
    selection = one(SelectionSchema, "Which workloads are re-sized.")
    threshold_fraction = figure("By more than this share an answer has moved.")
    paused = fields.Boolean(required=True, metadata={"description": "Whether it rests."})
    next_at = moment("Its next tick; null without a cron expression, and while it is paused.", **_OPTIONAL)
    last_occurrence = one(LastOccurrenceSchema, "Its newest occurrence; null before the first.", **_OPTIONAL)
    version = count("How often it was written; pausing counts.")
    principal = text("Who wrote it.")
    created_at = moment("When it was made.")
    changed_at = moment("When it was last changed; null when never.", **_OPTIONAL)


class SchedulePageSchema(PageSchema):
    """Schedules, newest first."""

    items = many(ScheduleSchema, "The schedules of this page.")


class TickSchema(WordedSchema):
    """A time at which a schedule is due."""

    at = moment("In UTC.")
    local = text("On the clock of its zone, with the offset.")


class PreviewWorkloadSchema(WordedSchema):
    """A workload that would be re-sized."""

    id = text("Id of the workload.")
    name = text("Its name.", **_OPTIONAL)
    kind = text("Its kind.")
    labels = fields.Dict(
        keys=fields.String(), values=fields.String(), required=True, metadata={"description": "Its labels."}
    )


class PreviewSchema(WordedSchema):
    """What a schedule would do."""

    cron_in_words = text("The cron expression as a sentence; null without one.", **_OPTIONAL)
    ticks = many(TickSchema, "The next five ticks; none without a cron expression.")
    selected = count("How many workloads would be re-sized now.")
    workloads = many(PreviewWorkloadSchema, "The first ten of them.")


_ITEM = OccurrenceItemSchema()


def occurrence_item_line(item: Any) -> bytes:
    """An item as OccurrenceItemSchema writes it, on a line of its own."""
    written: Mapping[str, Any] = _ITEM.dump(item)
    return orjson.dumps(written) + b"\n"
