"""Schedules as pages: made with a look ahead, paused, asked for, changed by two; what moved is told with its sums."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.access import Role
from service.planning.schedule.due import begin_due, ring
from service.web.form.schedule import LABELS, body_typed, typed_schedule
from tests.schemas.requests import SMALL_CHAT
from tests.web.conftest import Visitor, asked_first, text_of
from tests.web.test_quote_writing import fault_beside, typed_in

NEW = {
    "schedule.name": "every morning",
    "schedule.cron": "0 6 * * MON-FRI",
    "schedule.time_zone": "Europe/Berlin",
    "schedule.triggers.price_book": "yes",
    "schedule.threshold_fraction": "5 %",
}


@pytest.fixture
def schedule(admin) -> str:
    made = admin.post("/schedules", NEW, on="/schedules/new")
    assert made.status_code == 303, text_of(made.text)[:2000]
    return str(made.headers["Location"])


@pytest.fixture
def pass_by(runtime, work):
    """Does what dispatcher and workers would until nothing is due."""

    def run() -> None:
        for _ in range(4):
            ring(runtime)
            begin_due(runtime)
            work()

    return run


def step(admin: Visitor, schedule: str, name: str):
    version = re.search(r'name="version" value="(\d+)"', admin.get(schedule).text)[1]
    return admin.post(f"{schedule}/{name}", {"version": version}, on=schedule)


def test_a_schedule_is_made_with_a_look_ahead(admin, anna, speaker):
    speaker("acme").post("/v1/workloads", {"name": "a chat", **SMALL_CHAT})
    assert "Monday" in text_of(admin.get("/schedules/new").text)
    ahead = text_of(admin.post("/schedules/preview", NEW, on="/schedules/new", HX_Request="true").text)
    assert "06:00" in ahead
    assert "a chat" in ahead
    labelled = {**NEW, "schedule.selection.labels": "team=care, site=north"}
    nobody = text_of(admin.post("/schedules/preview", labelled, on="/schedules/new").text)
    assert "No workload is like this" in nobody
    made = admin.post("/schedules", labelled, on="/schedules/new").headers["Location"]
    assert typed_in(admin.get(f"{made}/change").text)["schedule.selection.labels"] == "site=north, team=care"
    words = text_of(anna.get(made).text)
    assert "when the price book is new" in words
    assert "Pause" not in words
    assert anna.get("/schedules/new").status_code == 403
    assert "every morning" in text_of(anna.get("/schedules").text)


@pytest.mark.parametrize(
    ("field", "text"),
    [("cron", "61 * * * *"), ("cron", "often"), ("time_zone", "Berlin"), ("threshold_fraction", "much"), ("name", "")],
)
def test_what_is_wrong_is_told_beside_it_and_nothing_is_lost(admin, field, text):
    typed = {**NEW, f"schedule.{field}": text}
    answer = admin.post("/schedules", typed, on="/schedules/new")
    assert answer.status_code == 422
    assert len(fault_beside(answer.text, f"schedule-{field}".replace("_", "-"))) > 3
    kept = typed_in(answer.text)
    for name, value in typed.items():
        assert kept.get(name, "") == value, name


def test_neither_clock_nor_news_is_no_schedule(admin):
    typed = {name: text for name, text in NEW.items() if "triggers" not in name} | {"schedule.cron": ""}
    answer = admin.post("/schedules/preview", typed, on="/schedules/new")
    assert "none was given" in fault_beside(answer.text, "schedule-cron")


def test_a_schedule_is_paused_resumed_and_removed(admin, schedule):
    assert step(admin, schedule, "pause").status_code == 303
    assert "Nothing is due until it is resumed" in text_of(admin.get(schedule).text)
    assert step(admin, schedule, "resume").status_code == 303
    stale = admin.post(f"{schedule}/pause", {"version": "1"}, on=schedule)
    assert stale.status_code == 409
    assert "alert" in stale.text
    assert step(admin, schedule, "nothing").status_code == 404
    assert "What it has sized stays" in asked_first(admin.get(schedule).text, f"{schedule}/remove")
    assert step(admin, schedule, "remove").headers["Location"] == "/schedules"
    assert admin.get(schedule).status_code == 404


def test_whoever_is_overtaken_sees_by_what(admin, schedule):
    mine = typed_in(admin.get(f"{schedule}/change").text) | {"schedule.triggers.price_book": "yes"}
    theirs = {**mine, "schedule.cron": "0 7 * * *"}
    assert admin.post(schedule, theirs, on=schedule).status_code == 303
    late = admin.post(schedule, {**mine, "schedule.name": "early"}, on=schedule)
    assert late.status_code == 412
    assert re.search(r"Cron expression 0 6 \* \* MON-FRI 0 7 \* \* \* as it is", text_of(late.text)), text_of(late.text)
    both = typed_in(late.text) | {"schedule.triggers.price_book": "yes"}
    assert (both["schedule.name"], both["schedule.cron"]) == ("early", "0 7 * * *")
    assert admin.post(schedule, both, on=schedule).status_code == 303


def test_what_moved_is_told_with_sums_and_workloads(admin, anna, schedule, speaker, pass_by):
    speaker("acme").post("/v1/workloads", {"name": "a chat", **SMALL_CHAT})
    pass_by()
    occurrence = admin.post(f"{schedule}/run", {}, on=schedule).headers["Location"]
    waiting = anna.get(occurrence)
    assert 'hx-trigger="every 1s"' in waiting.text
    assert "asked for by acme-admin" in text_of(waiting.text)
    assert admin.post(f"{schedule}/run", {}, on=schedule).status_code == 409
    pass_by()
    done = anna.get(occurrence)
    words = text_of(done.text)
    assert 'hx-trigger="every 1s"' not in done.text
    for told in ("0 of 1 workload moved", "Indicative cost", "Power at the meter", "unchanged", "a chat"):
        assert told in words.replace("\u00a0", " "), told
    assert "No workload has this outcome" in text_of(anna.get(f"{occurrence}?outcome=moved").text)
    table = anna.get(f"{occurrence}/results.csv")
    assert (table.mimetype, "a chat" in table.text) == ("text/csv", True)
    assert "0 of 1" in text_of(anna.get("/schedules").text)


def test_another_tenants_schedule_is_not_there(schedule, visitor):
    stranger = visitor("rival", Role.ADMIN)
    for path in (schedule, f"{schedule}/change", "/occurrences/occ_0", "/occurrences/occ_0/results.csv"):
        assert stranger.get(path).status_code == 404, path
    for path in (schedule, f"{schedule}/pause", f"{schedule}/run"):
        assert stranger.post(path, {**NEW, "version": "1"}).status_code == 404, path


WORDS = st.text('\\,="ab', min_size=1)


@given(st.dictionaries(WORDS, WORDS, max_size=3))
def test_labels_come_back_from_the_form_as_they_were(labels):
    """Whoever changes the hour of a schedule does not change what it selects."""
    body = {"selection": {"labels": labels}, "triggers": []}
    typed = typed_schedule(body)
    assert body_typed(typed)["selection"].get("labels", {}) == labels


@pytest.mark.parametrize("typed", ["team=care,site = north ,", " team = care , site=north"])
def test_labels_are_read_however_they_are_spaced(typed):
    assert body_typed({LABELS: typed})["selection"]["labels"] == {"team": "care", "site": "north"}


@pytest.mark.parametrize("read", ["[" * 100_000, "nonsense", "[1]", "null"])
def test_nonsense_for_what_was_read_is_nothing(admin, schedule, read):
    mine = typed_in(admin.get(f"{schedule}/change").text) | {"schedule.cron": "0 7 * * *", "read": read}
    assert admin.post(schedule, mine, on=schedule).status_code == 303
