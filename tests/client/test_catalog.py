"""`headroom catalog`: the facts with their sources."""

import pytest

from service.client.ending import Ending
from service.client.records import HIGHLIGHTS


@pytest.mark.parametrize("kind", HIGHLIGHTS)
def test_every_kind_of_the_catalog_is_listed_and_told(command, kind):
    listed = command("catalog", kind, "--json").json
    assert "next_cursor" not in listed
    record = listed["items"][0]
    shown = command("catalog", kind)
    assert shown.code == Ending.DONE
    assert f"{len(listed['items'])} {kind};" in shown.out
    known = {fact["field"] for item in listed["items"] for fact in item["facts"]}
    assert known.issuperset(HIGHLIGHTS[kind]), "a highlight that no record has"
    told = command("catalog", kind, record["id"])
    assert told.code == Ending.DONE
    assert "Sources:" in told.out
    assert command("catalog", kind, record["id"], "--json").json["id"] == record["id"]


def test_an_unknown_record_comes_with_the_nearest(command):
    done = command("catalog", "gpus", "b200-sxn")
    assert done.code == Ending.REFUSED
    assert "Did you mean b200-sxm?" in done.err


def test_in_a_narrow_terminal_no_heading_breaks_within_a_word(command, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    head, *_ = command("catalog", "gpus").out.partition("──")
    words = {word for name in HIGHLIGHTS["gpus"] for word in name.split("_")} | {"id", "name"}
    assert set(head.split()) == words
