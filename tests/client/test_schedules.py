"""headroom schedules and headroom occurrences: made, previewed, run, followed and read."""

import csv
import json

import pytest

from service.access import Role
from service.client.ending import Ending
from service.client.headroom import Headroom


@pytest.fixture
def made(admin):
    return admin("schedules", "create", "--name", "nightly", "--cron", "0 2 * * *", "--json").json


def test_one_is_made_changed_paused_and_removed(admin, made):
    listed = admin("schedules", "--name", "nightly")
    assert made["id"] in listed.out
    assert "At 02:00 every day, UTC" in listed.out
    changed = admin("schedules", "change", made["id"], "--zone", "Europe/Berlin", "--on", "engine", "--label", "a:b")
    assert changed.code == Ending.DONE, changed.err
    now = admin("schedules", made["id"], "--json").json
    assert (now["cron"], now["time_zone"], now["triggers"]) == ("0 2 * * *", "Europe/Berlin", ["engine"])
    assert now["selection"]["labels"] == {"a": "b"}
    assert "labels a b" in changed.out
    assert admin("schedules", "pause", made["id"], "--json").json["paused"] is True
    assert "paused" in admin("schedules").out
    assert admin("schedules", "resume", made["id"], "--json").json["paused"] is False
    assert "is removed" in admin("schedules", "remove", made["id"]).out
    assert admin("schedules", made["id"]).code == Ending.REFUSED


def test_what_it_would_do_is_told_before(admin, command, question):
    name = "scheduled once"
    command("batch", "-", stdin=json.dumps([{**question(), "name": name}]).encode())
    done = admin("schedules", "create", "--name", "x", "--cron", "30 6 * * MON", "--kind", "inference", "--dry-run")
    assert done.code == Ending.DONE, done.err
    assert "At 06:30 on Monday, UTC" in done.out
    assert "would be sized now" in done.out


def test_when_must_be_said_and_be_right(admin):
    assert "--cron, --on" in admin("schedules", "create", "--name", "x").err
    wrong = admin("schedules", "create", "--name", "x", "--cron", "99 * * * *")
    assert wrong.code == Ending.REFUSED
    assert "cron: Bad minute" in wrong.err
    short = admin("schedules", "create", "--name", "x", "--cron", "0 2 * *")
    assert short.code == Ending.REFUSED
    assert "this has 4: as it is read, day of the week is missing" in short.err


def test_a_requester_reads_and_makes_none(command):
    assert command("schedules").code == Ending.DONE
    assert command("schedules", "create", "--name", "x", "--on", "engine").code == Ending.REFUSED


def test_it_is_run_followed_and_read(admin, made, question, file, tmp_path):
    admin("size", file({**question(), "name": "followed"}))
    done = admin("schedules", "run", made["id"], "--wait", "--within", "30")
    assert done.code == Ending.DONE, done.err
    assert "is done" in done.out
    assert "unchanged" in done.out
    listed = admin("schedules", made["id"], "--occurrences", "--json").json
    occurrence = listed["items"][0]["id"]
    assert occurrence in admin("schedules", made["id"], "--occurrences").out
    assert "of all that fit" in admin("occurrences", occurrence).out
    out = tmp_path / "moved.csv"
    assert admin("occurrences", occurrence, "--out", out).code == Ending.DONE
    with out.open(newline="") as table:
        rows = list(csv.DictReader(table))
    assert "followed" in {row["name"] for row in rows}
    lines = admin("occurrences", occurrence, "--results", "ndjson", "--outcome", "unchanged").out.splitlines()
    assert {json.loads(line)["outcome"] for line in lines} == {"unchanged"}
    again = admin("schedules", "run", made["id"], "--json").json
    assert admin("occurrences", again["id"], "--wait", "--json").json["status"] == "done"


def test_programs_use_the_class(served, made):
    with Headroom(served.url, served.keys[Role.ADMIN]) as headroom:
        assert headroom.schedules.get(made["id"])["name"] == "nightly"
        assert headroom.schedules.preview_of(made["id"])["ticks"]
        occurrence = headroom.schedules.run(made["id"])
        done = headroom.schedules.wait(occurrence["id"], within_s=30)
        assert headroom.schedules.items(done["id"], outcome="moved").items == ()
